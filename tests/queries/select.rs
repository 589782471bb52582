//! Random queries: columns, groups, order, set operations.

use crate::generator::{Common, Generator, Scope, Source};
use crate::table::Ty;
use crate::tree::{Kind, Part, Tree};

/// What a query has to be like.
#[derive(Clone, Debug)]
pub struct Want {
    /// Of its columns; without any it is one that only EXISTS looks at.
    pub types: Vec<Ty>,
    /// It is a scalar subquery.
    pub one_row: bool,
    /// Equal values must be printed alike: something compares its rows.
    pub canonical: bool,
    pub top: bool,
}

impl Want {
    pub fn one_row(ty: Ty) -> Self {
        Self { types: vec![ty], one_row: true, canonical: false, top: false }
    }

    pub fn rows(types: Vec<Ty>) -> Self {
        Self { types, one_row: false, canonical: false, top: false }
    }
}

/// The order before which a query's own text has a line end, by which a smaller query is known to have kept it.
pub const ORDER: &str = "\nORDER BY";

/// How often a subquery may be evaluated: PostgreSQL begins a scan of the files each time.
const REPEATS: u64 = 150;

impl Generator {
    /// A whole query.
    pub fn top(&mut self) -> Tree {
        let mut parts = Vec::new();
        if self.chance(15) {
            let count = self.one(&[1, 1, 2]);
            let mut tables = Vec::new();
            for _ in 0..count {
                let types = self.types();
                let query = self.nested(Vec::new(), Want::rows(types.clone()));
                let name = self.name("q");
                let how = self.one(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
                tables.push(Tree::other(&format!("{name} AS {how}({{}})"), [query]));
                self.commons.push(Common { name, types });
            }
            let list = vec![Part::Text("WITH ".into()), Part::List(", ", tables), Part::Text(" ".into())];
            parts.push(Part::Optional(Tree::new(Kind::Other, list)));
        }
        let types = self.types();
        let query = self.query(Vec::new(), &Want { top: true, ..Want::rows(types) });
        parts.push(Part::Tree(query));
        Tree::new(Kind::Other, parts)
    }

    /// Of a few columns.
    pub fn types(&mut self) -> Vec<Ty> {
        let count = self.one(&[1, 1, 2, 2, 3, 4]);
        let sums = [Ty::Int8, Ty::Int8, Ty::Numeric, Ty::Float8];
        (0..count).map(|_| if self.chance(30) { self.one(&sums) } else { self.any_type() }).collect()
    }

    /// A query within an expression over this scope.
    pub fn subquery(&mut self, scope: &Scope, want: Want) -> Tree {
        let mut outer: Vec<Source> = scope.columns.iter().filter(|source| source.reference).cloned().collect();
        outer.extend(scope.outer.iter().cloned());
        self.repeated(scope.rows, outer, want)
    }

    /// A query for each of so many rows, or without a look at them where that would take too long.
    pub fn repeated(&mut self, rows: u64, outer: Vec<Source>, want: Want) -> Tree {
        let repeats = self.repeats;
        let outer = if repeats * rows > REPEATS { Vec::new() } else { outer };
        if !outer.is_empty() {
            self.repeats *= rows.max(1);
        }
        let query = self.nested(outer, want);
        self.repeats = repeats;
        query
    }

    pub fn nested(&mut self, outer: Vec<Source>, want: Want) -> Tree {
        self.nesting += 1;
        let query = self.perhaps(|own| own.query(outer, &want));
        self.nesting -= 1;
        query
    }

    fn query(&mut self, outer: Vec<Source>, want: &Want) -> Tree {
        let sets = !want.one_row && !want.types.is_empty() && self.fuel > 8;
        if !(sets && self.chance(if want.top { 15 } else { 8 })) {
            return self.core(outer, want);
        }
        let operation =
            self.one(&["UNION ALL", "UNION", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL", "UNION ALL"]);
        let ordered = want.top && self.chance(40);
        let canonical = operation != "UNION ALL" || ordered || want.canonical;
        self.traits.zero |= canonical;
        let side = Want { canonical, top: false, ..want.clone() };
        let sides: Vec<Tree> = (0..2).map(|_| self.nested(outer.clone(), side.clone())).collect();
        let mut parts = vec![Part::Text("(".into()), Part::Tree(sides[0].clone())];
        parts.push(Part::Text(format!(") {operation} (")));
        parts.extend([Part::Tree(sides[1].clone()), Part::Text(")".into())]);
        if ordered {
            self.traits.ordered = true;
            let tail = self.total_order(want.types.len(), 0);
            parts.push(Part::Optional(tail));
        }
        Tree::new(Kind::Rows(want.types.clone()), parts)
    }

    /// SELECT without set operations.
    fn core(&mut self, outer: Vec<Source>, want: &Want) -> Tree {
        let (from, scope) = self.from(outer);
        let mut clauses = Vec::new();
        let mut optional = |before: &str, tree: Tree| {
            clauses.push(Part::Optional(Tree::other(&format!("{before}{{}}"), [tree])));
        };
        let filter = if want.one_row { 80 } else { 50 };
        if from.is_some() && self.chance(filter) {
            let condition = self.perhaps(|own| own.condition(&scope, 2));
            optional(" WHERE ", condition);
        }

        // Which rows, before what is in them: it decides how equal values must look, and what is certainly evaluated.
        let aggregate = from.is_some() && self.chance(if want.one_row { 50 } else { 38 });
        let distinct = !want.types.is_empty() && !want.one_row && self.chance(10);
        let one = want.one_row && !aggregate;
        let ordered = !want.types.is_empty() && if want.one_row { one && !self.chance(4) } else { self.chance(25) };
        if one && !ordered {
            self.traits.open = true; // there may be more than one row
        }
        let canonical = want.canonical || distinct || ordered;
        self.traits.zero |= canonical || aggregate;
        let limited = ordered && (one || self.chance(70));
        self.certain = want.top && !limited && !distinct;

        let rows = aggregate.then(|| scope.clone());
        let (scope, groups) = match aggregate {
            true => {
                let (scope, groups) = self.grouped(scope, want.one_row);
                (scope, Some(groups))
            }
            false => (scope, None),
        };
        for (before, tree) in groups.into_iter().flatten() {
            optional(before, tree);
        }
        let windows = !want.one_row && !aggregate || self.chance(20);
        let mut items: Vec<Tree> = Vec::new();
        let mut called = false;
        for ty in &want.types {
            let window = (windows && !(want.canonical && *ty == Ty::Numeric) && self.chance(10))
                .then(|| self.window(*ty, &scope, canonical))
                .flatten();
            let of_rows = rows.as_ref().filter(|_| window.is_none() && self.chance(50));
            let aggregate = of_rows.and_then(|rows| self.aggregate_of(*ty, rows));
            called |= aggregate.is_some();
            let item = match window.or(aggregate) {
                Some(call) if canonical && *ty == Ty::Numeric => Tree::other("round({}, 2)", [call]),
                Some(call) => call,
                None if canonical => self.canonical(*ty, &scope, 3, want.canonical),
                None => self.value(*ty, &scope, 3),
            };
            items.push(Tree::other(&format!("{{}} AS c{}", items.len() + 1), [item]));
        }
        if want.one_row && aggregate {
            // Without an aggregate in it there would be no group, but all rows.
            let sql: String = items.iter().map(Tree::sql).collect();
            let calls = |source: &Source| sql.contains(&source.tree.sql());
            let has_aggregate = called || scope.columns.iter().any(calls);
            if !has_aggregate {
                clauses.push(Part::Text(" HAVING true".into()));
            }
        }
        if want.top && !canonical {
            items.extend(self.loose(&scope, aggregate).map(|item| Tree::other("{} AS c0", [item])));
        }
        if items.is_empty() {
            items.push(Tree::text("1 AS c1"));
        }
        self.certain = false;

        let mut parts = vec![Part::Text("SELECT ".into())];
        let on = if distinct && self.chance(25) { self.rng_below(want.types.len() as u32) + 1 } else { 0 };
        if on > 0 {
            let on: Vec<String> = (1..=on).map(|column| column.to_string()).collect();
            parts.push(Part::Text(format!("DISTINCT ON ({}) ", on.join(", "))));
        } else if distinct {
            parts.push(Part::Optional(Tree::text("DISTINCT ")));
        }
        parts.push(Part::List(", ", items));
        parts.extend(from.map(|from| Part::Tree(Tree::other(" FROM {}", [from]))));
        parts.extend(clauses);
        if ordered || on > 0 {
            self.traits.ordered |= want.top;
            let mut tail = vec![Part::Tree(self.total_order(want.types.len(), on as usize))];
            if one {
                tail.push(Part::Text(" LIMIT 1".into()));
            } else if limited {
                let limit = self.limit();
                tail.push(Part::Text(limit));
            }
            let tail = Tree::new(Kind::Other, tail);
            parts.push(if on > 0 { Part::Tree(tail) } else { Part::Optional(tail) });
        } else if !want.one_row && !want.types.is_empty() && self.chance(6) {
            let ties = self.one(&["", " FETCH FIRST 3 ROWS WITH TIES"]);
            let nulls = self.one(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
            // Rows that are equal in the first column stay or go together.
            parts.push(Part::Optional(Tree::text(format!(" ORDER BY 1{nulls}{ties}"))));
        }
        Tree::new(Kind::Rows(want.types.clone()), parts)
    }

    fn limit(&mut self) -> String {
        let count = self.one(&["0", "1", "2", "5", "10", "1000", "NULL", "ALL"]);
        let offset = self.one(&["", "", "", " OFFSET 0", " OFFSET 1", " OFFSET 7", " OFFSET 100000"]);
        format!(" LIMIT {count}{offset}")
    }

    /// By all columns, the first ones of which are those of a DISTINCT ON.
    fn total_order(&mut self, columns: usize, first: usize) -> Tree {
        use rand::seq::SliceRandom;
        let mut numbers: Vec<usize> = (1..=columns).collect();
        numbers[..first].shuffle(&mut self.rng);
        numbers[first..].shuffle(&mut self.rng);
        let keys: Vec<String> = numbers
            .into_iter()
            .map(|number| {
                let direction = self.one(&["", " ASC", " DESC"]);
                format!("{number}{direction}{}", self.one(&["", "", " NULLS FIRST", " NULLS LAST"]))
            })
            .collect();
        Tree::text(format!("{ORDER} {}", keys.join(", ")))
    }
}
