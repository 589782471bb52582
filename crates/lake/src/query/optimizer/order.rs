//! The order of joins: dynamic programming over connected sets of relations, greedy where they are too many.
//!
//! A set has an estimate of its rows. A join costs the rows that it gives and those that it builds a table of; a pair without an
//! equality costs every pair of rows beside that.

use std::collections::HashMap;
use std::sync::Arc;

/// Relations of which every order is looked at.
const MOST_EXHAUSTIVE: usize = 10;
/// Relations that a set can hold.
pub(super) const MOST: usize = 64;

/// What is joined.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub relations: Vec<Relation>,
    pub classes: Vec<Class>,
    pub conditions: Vec<Condition>,
}

/// A relation as the search sees it.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    /// Rows that it has, and those that it would have without conditions on it.
    pub rows: f64,
    pub all: f64,
    /// Of a side of a semijoin or antijoin, which is joined only for what it keeps.
    pub keeps: Option<Keeps>,
}

/// What a semijoin or antijoin keeps: that share of a set that has all these relations.
#[derive(Clone, Debug)]
pub(super) struct Keeps {
    pub needs: u64,
    pub share: f64,
}

/// Expressions that are equal in every row of the answer: at most one of each relation, and how many values it has there.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub members: Vec<(usize, f64)>,
}

/// A condition over several relations that is no equality, and the share that it leaves.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub relations: u64,
    pub share: f64,
}

/// An order. The first side of a join is the one of which a table is built.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Leaf(usize),
    Join(Arc<Tree>, Arc<Tree>),
}

impl Tree {
    /// Its relations.
    pub(super) fn set(&self) -> u64 {
        match self {
            Tree::Leaf(at) => 1 << at,
            Tree::Join(left, right) => left.set() | right.set(),
        }
    }
}

/// A set with its best order so far.
#[derive(Clone, Debug)]
struct Part {
    set: u64,
    rows: f64,
    cost: f64,
    tree: Arc<Tree>,
}

impl Graph {
    /// The best order that is found of all relations, of which there must be one at least and [`MOST`] at most.
    pub(super) fn order(&self) -> Option<Arc<Tree>> {
        let mut parts = Vec::new();
        for component in self.components() {
            let leaves = members(component).filter_map(|at| self.leaf(at));
            let small = (component.count_ones() as usize) <= MOST_EXHAUSTIVE;
            match small.then(|| self.exhaustive(component)).flatten() {
                Some(best) => parts.push(best),
                None => parts.extend(leaves),
            }
        }
        self.greedy(parts).map(|part| part.tree)
    }

    fn leaf(&self, at: usize) -> Option<Part> {
        let relation = self.relations.get(at)?;
        Some(Part { set: 1 << at, rows: relation.rows, cost: 0.0, tree: Arc::new(Tree::Leaf(at)) })
    }

    /// Sets of relations that something connects.
    fn components(&self) -> Vec<u64> {
        let of_classes = self.classes.iter().map(|class| class.members.iter().fold(0, |set, (at, _)| set | 1 << at));
        let of_conditions = self.conditions.iter().map(|condition| condition.relations);
        let keeping = |(at, relation): (usize, &Relation)| Some(relation.keeps.as_ref()?.needs | 1 << at);
        let of_relations = self.relations.iter().enumerate().filter_map(keeping);
        let alone = (0..self.relations.len()).map(|at| 1 << at);
        let mut components: Vec<u64> = Vec::new();
        for mut edge in alone.chain(of_classes).chain(of_conditions).chain(of_relations) {
            components.retain(|component| {
                let apart = component & edge == 0;
                if !apart {
                    edge |= component;
                }
                apart
            });
            components.push(edge);
        }
        components.sort_unstable_by_key(|component| component.trailing_zeros());
        components
    }

    /// The cheapest order of a set, if joins with a condition each lead to it.
    fn exhaustive(&self, all: u64) -> Option<Part> {
        let mut best: HashMap<u64, Part> = HashMap::new();
        // Subsets come in an order in which those of each come before it.
        let mut set = 0u64;
        loop {
            set = set.wrapping_sub(all) & all;
            if set == 0 {
                break;
            }
            if set.count_ones() == 1 {
                best.insert(set, self.leaf(set.trailing_zeros() as usize)?);
                continue;
            }
            let mut found: Option<Part> = None;
            let mut left = set & (set - 1);
            while left > 0 {
                // Each pair once: the other side has the first relation.
                if let Some((one, other)) = best.get(&(set ^ left)).zip(best.get(&left)) {
                    let limit = found.as_ref().map_or(f64::INFINITY, |part| part.cost);
                    if let Some(part) = self.join(one, other, false, limit) {
                        found = Some(part);
                    }
                }
                left = (left - 1) & set & (set & (set - 1));
            }
            if let Some(part) = found {
                best.insert(set, part);
            }
        }
        best.remove(&all)
    }

    /// Joins the pair that gives the fewest rows, until one is left. What nothing connects comes last.
    fn greedy(&self, mut parts: Vec<Part>) -> Option<Part> {
        while parts.len() > 1 {
            let (i, j, part) = self.fewest(&parts, false).or_else(|| self.fewest(&parts, true))?;
            parts.swap_remove(j);
            parts.swap_remove(i);
            parts.push(part);
        }
        parts.pop()
    }

    fn fewest(&self, parts: &[Part], cross: bool) -> Option<(usize, usize, Part)> {
        let mut found: Option<(usize, usize, Part)> = None;
        for (j, other) in parts.iter().enumerate() {
            for (i, one) in parts.iter().enumerate().take(j) {
                let Some(part) = self.join(one, other, cross, f64::INFINITY) else { continue };
                if found.as_ref().is_none_or(|(.., best)| part.rows < best.rows) {
                    found = Some((i, j, part));
                }
            }
        }
        found
    }

    /// A join of two sets, if it may be and costs less than `limit`. With `cross` nothing need connect them.
    fn join(&self, one: &Part, other: &Part, cross: bool, limit: f64) -> Option<Part> {
        let so_far = one.cost + other.cost;
        if so_far >= limit {
            return None;
        }
        let (rows, extra) = match (self.keeps(one), self.keeps(other)) {
            (None, None) => self.matched(one, other, cross)?,
            (None, Some(keeps)) => (kept(one, keeps)?, 0.0),
            (Some(keeps), None) => (kept(other, keeps)?, 0.0),
            (Some(_), Some(_)) => return None,
        };
        let cost = so_far + rows + one.rows.min(other.rows) + extra;
        if cost >= limit {
            return None;
        }
        let (build, probe) = if other.rows < one.rows { (other, one) } else { (one, other) };
        let tree = Arc::new(Tree::Join(build.tree.clone(), probe.tree.clone()));
        Some(Part { set: one.set | other.set, rows, cost, tree })
    }

    fn keeps(&self, part: &Part) -> Option<&Keeps> {
        let alone = part.set.count_ones() == 1;
        let relation = alone.then(|| self.relations.get(part.set.trailing_zeros() as usize)).flatten()?;
        relation.keeps.as_ref()
    }

    /// The rows of an inner join, and what it costs to compare all pairs if there is no key.
    fn matched(&self, one: &Part, other: &Part, cross: bool) -> Option<(f64, f64)> {
        let mut keys = Keys::default();
        for class in &self.classes {
            if let (Some(left), Some(right)) = (fewest(class, one.set), fewest(class, other.set)) {
                keys.add(left, right);
            }
        }
        let both = one.set | other.set;
        let is_new = |set: u64| set & !both == 0 && set & !one.set != 0 && set & !other.set != 0;
        let mut share = keys.share(|at| self.relations.get(at).map_or(f64::INFINITY, |relation| relation.all));
        let mut connected = keys.count > 0;
        for condition in self.conditions.iter().filter(|condition| is_new(condition.relations)) {
            share *= condition.share;
            connected = true;
        }
        if !connected && !cross {
            return None;
        }
        let pairs = one.rows * other.rows;
        Some(((pairs * share).max(1.0), if keys.count == 0 { pairs } else { 0.0 }))
    }
}

/// The rows that a semijoin or antijoin leaves of a set.
fn kept(part: &Part, keeps: &Keeps) -> Option<f64> {
    (keeps.needs & !part.set == 0).then(|| (part.rows * keeps.share).max(1.0))
}

/// The member of a class in a set that has the fewest values.
fn fewest(class: &Class, set: u64) -> Option<(usize, f64)> {
    let inside = class.members.iter().filter(|(at, _)| set & (1 << at) != 0);
    inside.copied().min_by(|a, b| a.1.total_cmp(&b.1))
}

/// Equalities between two sets. Of a key of several columns that are of one relation on a side, no more values are taken than
/// that relation has rows: they depend on each other.
#[derive(Default)]
struct Keys {
    count: usize,
    values: f64,
    most: f64,
    left: Option<usize>,
    right: Option<usize>,
}

impl Keys {
    fn add(&mut self, left: (usize, f64), right: (usize, f64)) {
        let values = left.1.max(right.1).max(1.0);
        if self.count == 0 {
            *self = Self { count: 1, values, most: values, left: Some(left.0), right: Some(right.0) };
            return;
        }
        self.count += 1;
        self.values *= values;
        self.most = self.most.max(values);
        self.left = self.left.filter(|at| *at == left.0);
        self.right = self.right.filter(|at| *at == right.0);
    }

    /// The share of pairs that are equal. `all` says how many rows a relation has without conditions.
    fn share(&self, all: impl Fn(usize) -> f64) -> f64 {
        if self.count == 0 {
            return 1.0;
        }
        let bounds = self.left.iter().chain(&self.right).map(|at| all(*at));
        let bound = bounds.fold(f64::INFINITY, f64::min);
        let values = if self.count > 1 { self.values.min(bound).max(self.most) } else { self.values };
        1.0 / values
    }
}

fn members(set: u64) -> impl Iterator<Item = usize> {
    (0..MOST).filter(move |at| set & (1 << at) != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn relation(rows: f64) -> Relation {
        Relation { rows, all: rows, keeps: None }
    }

    fn class(members: &[(usize, f64)]) -> Class {
        Class { members: members.to_vec() }
    }

    fn shown(tree: &Tree) -> String {
        match tree {
            Tree::Leaf(at) => at.to_string(),
            Tree::Join(left, right) => format!("({} {})", shown(left), shown(right)),
        }
    }

    fn ordered(graph: &Graph) -> String {
        shown(&graph.order().unwrap())
    }

    #[test]
    fn what_leaves_few_rows_is_joined_first() {
        // 0 - 1 - 2: the last is small and a key of the one between.
        let graph = Graph {
            relations: vec![relation(1e6), relation(1e5), relation(10.0)],
            classes: vec![class(&[(0, 1e5), (1, 1e5)]), class(&[(1, 1e3), (2, 1e3)])],
            conditions: Vec::new(),
        };
        assert_eq!(ordered(&graph), "((2 1) 0)");
    }

    #[test]
    fn equal_columns_connect_all_of_their_relations() {
        let graph = Graph {
            relations: vec![relation(1e3), relation(1e6), relation(10.0)],
            classes: vec![class(&[(0, 1e3), (1, 1e3), (2, 1e3)])],
            conditions: Vec::new(),
        };
        assert_eq!(ordered(&graph), "((2 0) 1)");
    }

    #[test]
    fn what_nothing_connects_is_crossed_last() {
        let graph = Graph {
            relations: vec![relation(100.0), relation(3.0), relation(100.0)],
            classes: vec![class(&[(0, 100.0), (2, 100.0)])],
            conditions: Vec::new(),
        };
        assert_eq!(ordered(&graph), "(1 (0 2))");
    }

    #[test]
    fn a_semijoin_waits_for_its_relations_and_not_for_others() {
        let keeps = |share| Some(Keeps { needs: 1, share });
        let graph = |share| Graph {
            relations: vec![relation(1e5), relation(1e6), Relation { keeps: keeps(share), ..relation(1e3) }],
            classes: vec![class(&[(0, 1e5), (1, 1e5)])],
            conditions: Vec::new(),
        };
        assert_eq!(ordered(&graph(0.01)), "((2 0) 1)");
        let late = Graph {
            relations: vec![relation(1e5), relation(10.0), Relation { keeps: keeps(1.0), ..relation(1e6) }],
            ..graph(1.0)
        };
        assert_eq!(ordered(&late), "((1 0) 2)");
    }

    #[test]
    fn many_relations_are_ordered_greedily() {
        let count = MOST_EXHAUSTIVE + 5;
        let graph = Graph {
            relations: (0..count).map(|at| relation((at + 1) as f64 * 100.0)).collect(),
            classes: (1..count).map(|at| class(&[(at - 1, 100.0), (at, 100.0)])).collect(),
            conditions: Vec::new(),
        };
        let tree = graph.order().unwrap();
        assert_eq!(tree.set().count_ones() as usize, count);
    }

    #[test]
    fn a_key_of_two_columns_has_no_more_values_than_rows() {
        let graph = Graph {
            relations: vec![Relation { rows: 10.0, all: 1e3, keeps: None }, relation(1e4)],
            classes: vec![class(&[(0, 500.0), (1, 500.0)]), class(&[(0, 100.0), (1, 100.0)])],
            conditions: Vec::new(),
        };
        let (one, other) = (graph.leaf(0).unwrap(), graph.leaf(1).unwrap());
        let (rows, _) = graph.matched(&one, &other, false).unwrap();
        assert!((rows - 100.0).abs() < 1e-6, "{rows}");
    }
}
