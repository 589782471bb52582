//! Blocks of joins, in another order.
//!
//! A block is what hangs together by inner joins, conditions, semijoins and antijoins, which all commute: what is joined are the
//! relations below, and the other sides of the semijoins. Any other join is a relation of the block around it, and a block
//! begins anew below. What is equal to the same is equal, so joins begin at any pair of such.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DataFusionError, JoinType, NullEquality, Result as EngineResult};
use datafusion::logical_expr::utils::{can_hash, conjunction, split_conjunction};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, Join, JoinConstraint, LogicalPlan, Operator, Projection,
};

use super::cardinality::Cardinality;
use super::order::{Class, Condition, Graph, Keeps, MOST, Relation, Tree};

/// The plan with its joins in the order that costs least by estimate. It has the same columns in the same places.
pub(super) fn ordered(plan: LogicalPlan) -> EngineResult<LogicalPlan> {
    let cardinality = Cardinality::of(&plan)?;
    rewritten(plan, &cardinality)
}

fn rewritten(plan: LogicalPlan, cardinality: &Cardinality) -> EngineResult<LogicalPlan> {
    if is_block(&plan) {
        return block(plan, cardinality);
    }
    below(plan, cardinality).and_then(|plan| sided(plan, cardinality))
}

fn below(plan: LogicalPlan, cardinality: &Cardinality) -> EngineResult<LogicalPlan> {
    plan.map_children(|child| rewritten(child, cardinality).map(Transformed::yes)).map(|plan| plan.data)
}

/// Whether a plan is joins that commute with others around it.
fn is_block(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => {
            let commutes = matches!(join.join_type, JoinType::Inner | JoinType::LeftSemi | JoinType::LeftAnti);
            let volatile = join.on.iter().any(|(l, r)| l.is_volatile() || r.is_volatile())
                || join.filter.as_ref().is_some_and(Expr::is_volatile);
            let asks = join.join_type == JoinType::Inner || names_left(join);
            let plain = join.null_equality == NullEquality::NullEqualsNothing && !join.null_aware;
            commutes && plain && asks && !volatile
        }
        LogicalPlan::Filter(filter) => !filter.predicate.is_volatile() && is_block(&filter.input),
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) && is_block(&projection.input)
        }
        _ => false,
    }
}

/// Whether what a semijoin keeps depends on the row.
fn names_left(join: &Join) -> bool {
    let names = |expr: &Expr| expr.column_refs().into_iter().any(|column| join.left.schema().has_column(column));
    join.on.iter().any(|(left, _)| names(left)) || join.filter.as_ref().is_some_and(names)
}

/// A join that is none of a block: its smaller side is the one of which a table is built.
fn sided(plan: LogicalPlan, cardinality: &Cardinality) -> EngineResult<LogicalPlan> {
    let LogicalPlan::Join(join) = plan else { return Ok(plan) };
    if join.null_aware || cardinality.rows(&join.left) <= cardinality.rows(&join.right) {
        return Ok(LogicalPlan::Join(join));
    }
    let columns = join.schema.columns();
    let on = join.on.into_iter().map(|(left, right)| (right, left)).collect();
    let swapped = Join::try_new(
        join.right,
        join.left,
        on,
        join.filter,
        join.join_type.swap(),
        join.join_constraint,
        join.null_equality,
        false,
    )?;
    in_places(LogicalPlan::Join(swapped), columns)
}

/// A plan with these columns in this order.
fn in_places(plan: LogicalPlan, columns: Vec<Column>) -> EngineResult<LogicalPlan> {
    if plan.schema().columns() == columns {
        return Ok(plan);
    }
    let columns = columns.into_iter().map(Expr::Column).collect();
    Projection::try_new(columns, Arc::new(plan)).map(LogicalPlan::Projection)
}

fn block(plan: LogicalPlan, cardinality: &Cardinality) -> EngineResult<LogicalPlan> {
    let mut block = Block::default();
    block.count(&plan);
    if block.relations > MOST {
        return below(plan, cardinality).and_then(|plan| sided(plan, cardinality));
    }
    let columns = plan.schema().columns();
    block.flatten(plan)?;
    for leaf in &mut block.leaves {
        leaf.plan = rewritten(leaf.plan.clone(), cardinality)?;
    }
    let plan = block.ordered(cardinality)?;
    in_places(plan, columns)
}

/// What a block joins.
#[derive(Default)]
struct Block {
    relations: usize,
    leaves: Vec<Leaf>,
    /// Both sides of equalities, before it is known of which relations they are.
    equalities: Vec<(Expr, Expr)>,
    conditions: Vec<Expr>,
}

/// A relation of a block.
struct Leaf {
    plan: LogicalPlan,
    /// Of the side of a semijoin or antijoin, that join without its sides.
    keeps: Option<Kept>,
}

struct Kept {
    join_type: JoinType,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
}

impl Block {
    fn count(&mut self, plan: &LogicalPlan) {
        match plan {
            _ if !is_block(plan) => self.relations += 1,
            LogicalPlan::Join(join) => {
                self.count(&join.left);
                if join.join_type == JoinType::Inner { self.count(&join.right) } else { self.relations += 1 }
            }
            other => other.inputs().into_iter().for_each(|input| self.count(input)),
        }
    }

    fn flatten(&mut self, plan: LogicalPlan) -> EngineResult<()> {
        if !is_block(&plan) {
            self.leaves.push(Leaf { plan, keeps: None });
            return Ok(());
        }
        match plan {
            LogicalPlan::Join(join) => {
                self.flatten(Arc::unwrap_or_clone(join.left))?;
                let right = Arc::unwrap_or_clone(join.right);
                if join.join_type != JoinType::Inner {
                    let keeps = Kept { join_type: join.join_type, on: join.on, filter: join.filter };
                    self.leaves.push(Leaf { plan: right, keeps: Some(keeps) });
                    return Ok(());
                }
                self.flatten(right)?;
                self.equalities.extend(join.on);
                join.filter.iter().for_each(|filter| self.ask(filter));
                Ok(())
            }
            LogicalPlan::Filter(filter) => {
                self.ask(&filter.predicate);
                self.flatten(Arc::unwrap_or_clone(filter.input))
            }
            LogicalPlan::Projection(projection) => self.flatten(Arc::unwrap_or_clone(projection.input)),
            _ => Err(DataFusionError::Internal("a block of joins that is none".to_owned())),
        }
    }

    fn ask(&mut self, condition: &Expr) {
        for part in split_conjunction(condition) {
            match part {
                Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
                    self.equalities.push((left.as_ref().clone(), right.as_ref().clone()));
                }
                other => self.conditions.push(other.clone()),
            }
        }
    }

    fn ordered(self, cardinality: &Cardinality) -> EngineResult<LogicalPlan> {
        let places = Places::of(&self.leaves);
        let mut classes = Classes::default();
        let mut conditions = Vec::new();
        for (left, right) in self.equalities {
            match places.key(&left, &right, &self.leaves) {
                Some((one, other)) => classes.join((left, one), (right, other)),
                None => {
                    conditions.push(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), Operator::Eq, Box::new(right))))
                }
            }
        }
        conditions.extend(self.conditions);
        let (keys, within) = classes.keys();
        conditions.extend(within);
        let mut own: Vec<Vec<Expr>> = self.leaves.iter().map(|_| Vec::new()).collect();
        let (mut joined, mut above) = (Vec::new(), Vec::new());
        for condition in conditions {
            let set = places.set(&condition);
            let alone = (set.count_ones() == 1).then(|| own.get_mut(set.trailing_zeros() as usize)).flatten();
            match alone {
                Some(own) => own.push(condition),
                None if set == 0 => above.push(condition),
                None => joined.push((set, condition)),
            }
        }
        let mut leaves = self.leaves;
        for (leaf, own) in leaves.iter_mut().zip(own) {
            leaf.plan = filtered(leaf.plan.clone(), own)?;
        }
        let graph = graph(&leaves, &places, &keys, &joined, cardinality);
        let tree = graph.order().ok_or_else(|| DataFusionError::Internal("joins without an order".to_owned()))?;
        let mut building = Building { leaves: &leaves, keys: &keys, conditions: joined };
        let plan = building.plan(&tree)?;
        filtered(plan, above)
    }
}

fn filtered(plan: LogicalPlan, conditions: Vec<Expr>) -> EngineResult<LogicalPlan> {
    match conjunction(conditions) {
        Some(condition) => Filter::try_new(condition, Arc::new(plan)).map(LogicalPlan::Filter),
        None => Ok(plan),
    }
}

/// Of which relation each column is.
struct Places {
    of: HashMap<Column, usize>,
}

impl Places {
    fn of(leaves: &[Leaf]) -> Self {
        let inner = leaves.iter().enumerate().filter(|(_, leaf)| leaf.keeps.is_none());
        let columns = inner.flat_map(|(at, leaf)| leaf.plan.schema().columns().into_iter().map(move |of| (of, at)));
        Self { of: columns.collect() }
    }

    /// The relations whose columns an expression names.
    fn set(&self, expr: &Expr) -> u64 {
        expr.column_refs().into_iter().filter_map(|column| self.of.get(column)).fold(0, |set, at| set | 1 << at)
    }

    /// The relations of the two sides of an equality by which they can be joined.
    fn key(&self, left: &Expr, right: &Expr, leaves: &[Leaf]) -> Option<(usize, usize)> {
        let alone = |set: u64| (set.count_ones() == 1).then_some(set.trailing_zeros() as usize);
        let (one, other) = (alone(self.set(left))?, alone(self.set(right))?);
        let ty = |expr: &Expr, at: usize| expr.get_type(leaves.get(at)?.plan.schema()).ok();
        let (left, right) = (ty(left, one)?, ty(right, other)?);
        (one != other && left == right && can_hash(&left)).then_some((one, other))
    }
}

/// Expressions that are equal, each with its relation.
#[derive(Default)]
struct Classes {
    of: HashMap<Expr, usize>,
    members: Vec<Vec<(Expr, usize)>>,
}

impl Classes {
    fn join(&mut self, left: (Expr, usize), right: (Expr, usize)) {
        let (one, other) = (self.class(left), self.class(right));
        if one == other {
            return;
        }
        let (kept, moved) = (one.min(other), one.max(other));
        let members = self.members.get_mut(moved).map(std::mem::take).unwrap_or_default();
        for (expr, _) in &members {
            self.of.insert(expr.clone(), kept);
        }
        if let Some(class) = self.members.get_mut(kept) {
            class.extend(members);
        }
    }

    fn class(&mut self, member: (Expr, usize)) -> usize {
        if let Some(class) = self.of.get(&member.0) {
            return *class;
        }
        self.of.insert(member.0.clone(), self.members.len());
        self.members.push(vec![member]);
        self.members.len() - 1
    }

    /// Each class with one expression of a relation, and what makes others of that relation equal to it.
    fn keys(self) -> (Vec<Vec<(Expr, usize)>>, Vec<Expr>) {
        let mut within = Vec::new();
        let mut keys = Vec::new();
        for class in self.members.into_iter().filter(|class| !class.is_empty()) {
            let mut firsts: Vec<(Expr, usize)> = Vec::new();
            for (expr, at) in class {
                match firsts.iter().find(|(_, other)| *other == at) {
                    Some((first, _)) => within.push(first.clone().eq(expr)),
                    None => firsts.push((expr, at)),
                }
            }
            keys.push(firsts);
        }
        (keys, within)
    }
}

/// The block as the search for an order sees it.
fn graph(
    leaves: &[Leaf],
    places: &Places,
    keys: &[Vec<(Expr, usize)>],
    joined: &[(u64, Expr)],
    cardinality: &Cardinality,
) -> Graph {
    let rows: Vec<_> = leaves.iter().map(|leaf| cardinality.rows(&leaf.plan)).collect();
    let of = |at: usize| rows.get(at).copied().unwrap_or(1.0);
    let relation = |(at, leaf): (usize, &Leaf)| Relation {
        rows: of(at),
        all: cardinality.all_rows(&leaf.plan).max(of(at)),
        keeps: leaf.keeps.as_ref().map(|kept| keeps(kept, of(at), &of, places, cardinality)),
    };
    let member = |(expr, at): &(Expr, usize)| (*at, cardinality.distinct(expr, of(*at)));
    Graph {
        relations: leaves.iter().enumerate().map(relation).collect(),
        classes: keys.iter().map(|class| Class { members: class.iter().map(member).collect() }).collect(),
        conditions: joined
            .iter()
            .map(|(set, condition)| Condition {
                relations: *set,
                share: left_over(*set, condition, places, cardinality),
            })
            .collect(),
    }
}

/// What a condition over several relations leaves of what those that it implies for one of them have left.
fn left_over(set: u64, condition: &Expr, places: &Places, cardinality: &Cardinality) -> f64 {
    let mut share = cardinality.selectivity(condition);
    for at in (0..MOST).filter(|at| set & (1 << at) != 0) {
        if let Some(implied) = implied(condition, 1 << at, places) {
            share /= cardinality.selectivity(&implied).max(f64::MIN_POSITIVE);
        }
    }
    share.min(1.0)
}

/// The condition on one relation that an OR implies.
fn implied(condition: &Expr, relation: u64, places: &Places) -> Option<Expr> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(implied(left, relation, places)?.or(implied(right, relation, places)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (implied(left, relation, places), implied(right, relation, places)) {
                (Some(left), Some(right)) => Some(left.and(right)),
                (left, right) => left.or(right),
            }
        }
        other => (places.set(other) == relation).then(|| other.clone()),
    }
}

/// What a semijoin or antijoin keeps of the relations that it names.
fn keeps(kept: &Kept, rows: f64, of: &dyn Fn(usize) -> f64, places: &Places, cardinality: &Cardinality) -> Keeps {
    let sides = kept.on.iter().map(|(left, _)| left).chain(&kept.filter);
    let needs = sides.fold(0, |set, expr| set | places.set(expr));
    let named = (0..MOST).filter(|at| needs & (1 << at) != 0).map(of);
    let anti = kept.join_type == JoinType::LeftAnti;
    let share = cardinality.kept(&kept.on, kept.filter.as_ref(), anti, named.fold(1.0, f64::max), rows);
    Keeps { needs, share }
}

/// Makes a plan of an order.
struct Building<'a> {
    leaves: &'a [Leaf],
    keys: &'a [Vec<(Expr, usize)>],
    /// Those that no join has yet.
    conditions: Vec<(u64, Expr)>,
}

impl<'a> Building<'a> {
    fn plan(&mut self, tree: &Tree) -> EngineResult<LogicalPlan> {
        match tree {
            Tree::Leaf(at) => Ok(self.leaf(*at)?.plan.clone()),
            Tree::Join(build, probe) => match (self.kept(build), self.kept(probe)) {
                (_, Some(kept)) => {
                    let sides = (self.plan(build)?, self.plan(probe)?);
                    joined(sides, kept.on.clone(), kept.filter.clone(), kept.join_type)
                }
                (Some(kept), None) => {
                    let on = kept.on.iter().map(|(left, right)| (right.clone(), left.clone())).collect();
                    let sides = (self.plan(build)?, self.plan(probe)?);
                    joined(sides, on, kept.filter.clone(), kept.join_type.swap())
                }
                (None, None) => {
                    let sides = (self.plan(build)?, self.plan(probe)?);
                    let (left, right) = (build.set(), probe.set());
                    let on = self.keys.iter().filter_map(|class| Some((member(class, left)?, member(class, right)?)));
                    let filter = self.take(left | right);
                    joined(sides, on.collect(), conjunction(filter), JoinType::Inner)
                }
            },
        }
    }

    fn leaf(&self, at: usize) -> EngineResult<&'a Leaf> {
        self.leaves.get(at).ok_or_else(|| DataFusionError::Internal(format!("no relation {at}")))
    }

    /// The semijoin or antijoin of whose other side this is.
    fn kept(&self, tree: &Tree) -> Option<&'a Kept> {
        match tree {
            Tree::Leaf(at) => self.leaves.get(*at)?.keeps.as_ref(),
            Tree::Join(..) => None,
        }
    }

    /// The conditions that can be asked of these relations.
    fn take(&mut self, set: u64) -> Vec<Expr> {
        let (now, later) = std::mem::take(&mut self.conditions).into_iter().partition(|(names, _)| names & !set == 0);
        self.conditions = later;
        let now: Vec<(u64, Expr)> = now;
        now.into_iter().map(|(_, condition)| condition).collect()
    }
}

fn member(class: &[(Expr, usize)], set: u64) -> Option<Expr> {
    class.iter().find(|(_, at)| set & (1 << at) != 0).map(|(expr, _)| expr.clone())
}

fn joined(
    (left, right): (LogicalPlan, LogicalPlan),
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
    join_type: JoinType,
) -> EngineResult<LogicalPlan> {
    let (left, right) = (Arc::new(left), Arc::new(right));
    let nothing = NullEquality::NullEqualsNothing;
    Join::try_new(left, right, on, filter, join_type, JoinConstraint::On, nothing, false).map(LogicalPlan::Join)
}
