//! Random groups, aggregates and windows.

use crate::generator::{Generator, Scope, Source};
use crate::table::Ty;
use crate::tree::{Kind, Part, Tree};

use Ty::{Bool, Date, Float4, Float8, Int2, Int4, Int8, Numeric, Text, Time, Timestamp, Timestamptz};

/// Types that `min` and `max` have.
const ORDERED: [Ty; 11] = [Int2, Int4, Int8, Float4, Float8, Numeric, Text, Date, Time, Timestamp, Timestamptz];

/// GROUP BY and HAVING, each with the word before it.
type Clauses = Vec<(&'static str, Tree)>;

impl Generator {
    /// What can be said over groups, and the clauses that make them. A scalar subquery has one group.
    pub fn grouped(&mut self, scope: Scope, one: bool) -> (Scope, Clauses) {
        let mut sources = Vec::new();
        let count = if one { 0 } else { self.one(&[0, 1, 1, 1, 2, 2, 3]) };
        let inner = Scope { outer: Vec::new(), unique: None, free: false, ..scope.clone() };
        for _ in 0..count {
            sources.extend(self.key(&inner));
        }
        let keys: Vec<Tree> = sources.iter().map(|source: &Source| source.tree.clone()).collect();
        let (clause, sets) = self.group_by(&keys);
        for _ in 0..self.one(&[1, 2, 3]) {
            let (tree, ty) = self.aggregate(&scope);
            sources.push(Source { tree: tree.fixed(), ty, small: false, plain: false, reference: false });
        }
        if sets && self.chance(50) {
            let number = self.rng_below(keys.len() as u32);
            let tree = Tree::value(Int4, "grouping({})", [keys[number as usize].clone()]);
            sources.push(Source { tree, ty: Int4, small: true, plain: false, reference: false });
        }
        let unique = (!sets).then_some(keys);
        let unique = unique.map(|keys| keys.into_iter().map(|key| Tree::new(Kind::Other, key.parts)).collect());
        let scope = Scope { columns: sources, outer: scope.outer, unique, free: true, rows: scope.rows };
        let mut clauses: Clauses = clause.map(|clause| (" GROUP BY ", clause)).into_iter().collect();
        if self.chance(20) && !one {
            let condition = self.perhaps(|own| own.condition(&scope, 1));
            clauses.push((" HAVING ", condition));
        }
        (scope, clauses)
    }

    /// A group key: a column, or an expression with one.
    fn key(&mut self, scope: &Scope) -> Option<Source> {
        let ty = self.any_type();
        let column = self.column(ty, scope)?;
        if self.chance(65) {
            if ty == Numeric && !column.plain {
                let tree = Tree::other("round({}, 2)", [column.tree]);
                return Some(Source { tree, plain: false, reference: false, ..column });
            }
            return Some(column);
        }
        let value = self.perhaps(|own| own.canonical(ty, scope, 2, false)).fixed();
        let sql = value.sql();
        let looks = |source: &Source| sql.contains(&source.tree.sql());
        // A constant would be the number of a column.
        let source = Source { tree: value, ty, small: false, plain: false, reference: false };
        Some(if scope.columns.iter().any(looks) { source } else { column })
    }

    /// The clause, and whether keys may be NULL because a group leaves them out.
    fn group_by(&mut self, keys: &[Tree]) -> (Option<Tree>, bool) {
        if keys.is_empty() {
            return (None, false);
        }
        let list = |keys: &[Tree]| {
            let keys = keys.iter().map(|key| Tree::new(Kind::Other, key.parts.clone())).collect();
            Tree::new(Kind::Other, vec![Part::List(", ", keys)])
        };
        let all = list(keys);
        if !self.chance(25) {
            return (Some(all), false);
        }
        let template = self.one(&["ROLLUP ({})", "CUBE ({})", "GROUPING SETS (({}), ())", "GROUPING SETS"]);
        if template != "GROUPING SETS" {
            return (Some(Tree::other(template, [all])), true);
        }
        let mut sets: Vec<Tree> =
            keys.iter().map(|key| Tree::other("({})", [list(std::slice::from_ref(key))])).collect();
        sets.push(Tree::other("({})", [all]));
        let parts = vec![Part::Text("GROUPING SETS (".into()), Part::List(", ", sets), Part::Text(")".into())];
        (Some(Tree::new(Kind::Other, parts)), true)
    }

    /// A call with a result of this type, if there is one.
    pub fn aggregate_of(&mut self, ty: Ty, scope: &Scope) -> Option<Tree> {
        for _ in 0..8 {
            let (call, of) = self.aggregate(scope);
            if of == ty {
                return Some(call);
            }
        }
        None
    }

    /// A call whose result does not depend on the order of rows, and its type.
    fn aggregate(&mut self, scope: &Scope) -> (Tree, Ty) {
        let scope = &Scope { free: false, outer: Vec::new(), ..scope.clone() };
        let (call, ty) = match self.rng_below(15) {
            0 | 14 => (Tree::text("count(*)"), Int8),
            1 | 2 => {
                let of = self.any_type();
                let distinct = self.one(&["", "", "DISTINCT "]);
                let argument = self.value(of, scope, 2);
                (Tree::other(&format!("count({distinct}{{}})"), [argument]), Int8)
            }
            3 | 4 => {
                let (of, ty) = self.one(&[(Int2, Int8), (Int4, Int8), (Int8, Numeric), (Numeric, Numeric)]);
                let distinct = self.one(&["", "", "", "DISTINCT "]);
                let argument =
                    if distinct.is_empty() { self.value(of, scope, 2) } else { self.canonical(of, scope, 2, false) };
                (Tree::other(&format!("sum({distinct}{{}})"), [argument]), ty)
            }
            5 => {
                let argument = self.quarters(scope);
                (Tree::other("sum({})", [argument]), Float8)
            }
            6 => {
                let of = self.one(&[Int2, Int4, Int8, Numeric]);
                let argument = self.value(of, scope, 2);
                (Tree::other("avg({})", [argument]), Numeric)
            }
            7 => {
                let argument = self.quarters(scope);
                (Tree::other("avg({})", [argument]), Float8)
            }
            8..11 => {
                let ty = self.one(&ORDERED);
                let name = self.one(&["min", "max"]);
                let argument = self.canonical(ty, scope, 2, false);
                (Tree::other(&format!("{name}({{}})"), [argument]), ty)
            }
            11 => {
                let name = self.one(&["bool_and", "bool_or", "every"]);
                let argument = self.value(Bool, scope, 2);
                (Tree::other(&format!("{name}({{}})"), [argument]), Bool)
            }
            12 => {
                let argument = self.value(Text, scope, 1);
                // Equal texts may stand in any order.
                let order = argument.clone().fixed().sql();
                (Tree::other(&format!("string_agg({{}}, ',' ORDER BY {order})"), [argument.fixed()]), Text)
            }
            _ => {
                let name = self.one(&["stddev", "variance", "stddev_pop", "var_pop"]);
                let of = self.one(&[Int2, Int4]);
                let argument = self.small(of, scope);
                (Tree::other(&format!("{name}({{}})"), [argument]), Numeric)
            }
        };
        if self.chance(15) {
            let filter = self.perhaps(|own| own.condition(scope, 1));
            return (Tree::value(ty, "{} FILTER (WHERE {})", [call, filter]), ty);
        }
        (Tree::new(Kind::Value(ty), call.parts), ty)
    }

    /// A float whose sums are exact.
    fn quarters(&mut self, scope: &Scope) -> Tree {
        let small = |source: &&Source| source.ty == Float8 && source.small;
        match scope.columns.iter().find(small) {
            Some(source) => source.tree.clone(),
            None => Tree::text("0.25::double precision"),
        }
    }

    /// An aggregate that depends on the order of rows, for a column of its own.
    pub fn loose(&mut self, scope: &Scope, grouped: bool) -> Option<Tree> {
        // Of groups the columns are gone.
        if grouped || !self.chance(4) {
            return None;
        }
        let column = self.column(Float8, scope).filter(|source| source.reference)?;
        self.traits.inexact = true;
        let name = self.one(&["sum", "avg", "stddev"]);
        let column = column.tree.sql();
        Some(Tree::text(format!("{name}({column}) FILTER (WHERE abs({column}) < 1e6) OVER ()")))
    }

    /// A window call of this type, if there is one.
    pub fn window(&mut self, ty: Ty, scope: &Scope, canonical: bool) -> Option<Tree> {
        let scope = &Scope { free: false, outer: Vec::new(), ..scope.clone() };
        let partition = self.any_type();
        let partition = self.chance(60).then(|| self.value(partition, scope, 1));
        let by = self.any_type();
        let key = self.value(by, scope, 1);
        let unique = scope.unique.clone();
        let total = unique.is_some();
        let frame = match self.rng_below(5) {
            0 => " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
            1 => " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING",
            2 => " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
            3 => " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            _ => "",
        };
        let frame = if frame.starts_with(" ROWS") && !total { "" } else { frame };
        let (call, frame) = match ty {
            Int8 => {
                let ranks: &[&str] =
                    if total { &["row_number()", "rank()", "dense_rank()"] } else { &["rank()", "dense_rank()"] };
                match self.rng_below(3) {
                    0 => (Tree::text(self.one(ranks)), ""),
                    1 => (Tree::text("count(*)"), frame),
                    _ => {
                        let argument = self.value(Int4, scope, 1);
                        (Tree::other("sum({})", [argument]), frame)
                    }
                }
            }
            Int4 if total && self.chance(30) => (Tree::text("ntile(3)"), ""),
            Float8 if self.chance(50) => (Tree::text(self.one(&["percent_rank()", "cume_dist()"])), ""),
            Float8 => (Tree::other("sum({})", [self.quarters(scope)]), frame),
            Numeric if !canonical && self.chance(50) => {
                let argument = self.value(Numeric, scope, 1);
                let name = self.one(&["sum", "avg"]);
                (Tree::other(&format!("{name}({{}})"), [argument]), frame)
            }
            _ if total => {
                let template =
                    self.one(&["lag({})", "lead({}, 2)", "first_value({})", "last_value({})", "nth_value({}, 2)"]);
                let argument = self.canonical(ty, scope, 1, false);
                (Tree::other(template, [argument]), if template.starts_with('l') { "" } else { frame })
            }
            _ if ORDERED.contains(&ty) => {
                let argument = self.canonical(ty, scope, 1, false);
                self.traits.zero = true;
                let name = self.one(&["min", "max"]);
                (Tree::other(&format!("{name}({{}})"), [argument]), frame)
            }
            _ => return None,
        };
        self.traits.zero = true;
        let mut parts = vec![Part::Tree(call), Part::Text(" OVER (".into())];
        if let Some(partition) = partition {
            parts.push(Part::Optional(Tree::other("PARTITION BY {} ", [partition])));
        }
        let direction = self.one(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
        parts.push(Part::Tree(Tree::other(&format!("ORDER BY {{}}{direction}"), [key])));
        for last in unique.into_iter().flatten() {
            parts.push(Part::Tree(Tree::new(Kind::Other, Tree::other(", {}", [last]).parts)));
        }
        parts.push(Part::Text(format!("{frame})")));
        Some(Tree::new(Kind::Value(ty), parts))
    }
}
