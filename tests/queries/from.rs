//! Random relations: tables, subqueries, values, joins.

use crate::generator::{Generator, Scope, Source};
use crate::select::Want;
use crate::table::{COLUMNS, Ty};
use crate::tree::{Kind, Part, Tree};

/// What a FROM has, or a side of a join.
struct Relation {
    tree: Tree,
    columns: Vec<Source>,
    unique: Option<Vec<Tree>>,
    /// About how many rows.
    rows: u64,
    /// It is a table: its columns have the names that all tables have.
    table: bool,
    /// It looks at what stands before it.
    lateral: bool,
}

/// Tables with their rows.
const TABLES: [(&str, u64); 5] = [("edge", 30), ("many", 70), ("few", 9), ("empty", 0), ("nulls", 4)];
/// Rows of a join of which no equality is asked.
const MANY: u64 = 1_500;

impl Generator {
    /// FROM and what can be said over it; without one only constants can.
    pub fn from(&mut self, outer: Vec<Source>) -> (Option<Tree>, Scope) {
        if self.chance(3) {
            return (None, Scope { columns: Vec::new(), outer, unique: Some(Vec::new()), free: true, rows: 1 });
        }
        let mut left = self.relation(&outer, &[], 1);
        let most = if self.fuel > 15 && self.nesting < 2 { 3 } else { 2 };
        let mut count = self.one(&[1, 1, 1, 2, 2, 3]).min(most);
        while count > 1 {
            count -= 1;
            left = self.join(left, &outer, count);
        }
        let scope = Scope { columns: left.columns, outer, unique: left.unique, free: true, rows: left.rows };
        (Some(left.tree), scope)
    }

    /// What stands before it has so many rows.
    fn relation(&mut self, outer: &[Source], before: &[Source], rows: u64) -> Relation {
        let alias = self.name("r");
        let deeper = self.nesting < 2 && self.fuel > 10;
        if deeper && self.chance(18) {
            let lateral = !before.is_empty() && self.chance(40);
            let seen = if lateral { [before, outer].concat() } else { outer.to_vec() };
            let types = self.types();
            let want = Want::rows(types.clone());
            let query = if lateral { self.repeated(rows, seen, want) } else { self.nested(seen, want) };
            let word = if lateral { "LATERAL " } else { "" };
            let tree = Tree::relation(&format!("{word}({{}}) AS {alias}"), [query]);
            return Self::derived(tree, &alias, &types, lateral);
        }
        if !self.commons.is_empty() && self.chance(40) {
            let number = self.rng_below(self.commons.len() as u32);
            let common = self.commons[number as usize].clone();
            return Self::derived(
                Tree::relation(&format!("{} AS {alias}", common.name), []),
                &alias,
                &common.types,
                false,
            );
        }
        if self.chance(4) {
            let types = self.types();
            let rows: Vec<Tree> = (0..self.one(&[1, 2, 4]))
                .map(|_| {
                    let values = types.iter().map(|ty| self.literal(*ty, false)).collect();
                    Tree::new(
                        Kind::Other,
                        vec![Part::Text("(".into()), Part::List(", ", values), Part::Text(")".into())],
                    )
                })
                .collect();
            let names: Vec<String> = (1..=types.len()).map(|number| format!("c{number}")).collect();
            let end = format!(") AS {alias} ({})", names.join(", "));
            let parts = vec![Part::Text("(VALUES ".into()), Part::List(", ", rows), Part::Text(end)];
            return Relation { rows: 4, ..Self::derived(Tree::new(Kind::Relation, parts), &alias, &types, false) };
        }
        let (name, rows) = TABLES[self.one(&[0_usize, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4])];
        let columns = COLUMNS
            .iter()
            .map(|column| Source {
                tree: Tree::leaf(column.ty, format!("{alias}.{}", column.name)),
                ty: column.ty,
                small: column.small,
                plain: true,
                reference: true,
            })
            .collect();
        let unique = Some(vec![Tree::text(format!("{alias}.id"))]);
        Relation {
            tree: Tree::relation(&format!("{name} AS {alias}"), []),
            columns,
            unique,
            rows,
            table: true,
            lateral: false,
        }
    }

    fn derived(tree: Tree, alias: &str, types: &[Ty], lateral: bool) -> Relation {
        let columns = types.iter().enumerate().map(|(at, ty)| Source {
            tree: Tree::leaf(*ty, format!("{alias}.c{}", at + 1)),
            ty: *ty,
            small: false,
            plain: false,
            reference: true,
        });
        Relation { tree, columns: columns.collect(), unique: None, rows: 30, table: false, lateral }
    }

    /// With another relation on the right side; so many are still to come.
    fn join(&mut self, left: Relation, outer: &[Source], to_come: usize) -> Relation {
        let mut right = self.relation(outer, &left.columns, left.rows);
        let many = left.rows * right.rows > MANY;
        let kinds: &[&str] = match (right.lateral, many) {
            (true, _) => &["JOIN", "LEFT JOIN"],
            (_, true) => &["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"],
            _ => &["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"],
        };
        let kind = self.one(kinds);
        let columns = [left.columns.as_slice(), &right.columns].concat();
        let unique = left.unique.clone().zip(right.unique.take()).map(|(left, right)| [left, right].concat());
        let rows = if many { left.rows.max(right.rows) * 4 } else { left.rows * right.rows };
        let joined = |tree, columns| Relation { tree, columns, unique, rows, table: false, lateral: false };
        if kind == "CROSS JOIN" {
            return joined(Tree::relation("{} CROSS JOIN {}", [left.tree, right.tree]), columns);
        }
        // A merged column belongs to neither side. A third table would have one of its name.
        if left.table && right.table && to_come == 1 && self.chance(15) {
            let names = self.one(&["s", "w", "s, w", "n2", "sd", "b", "id"]);
            let mut columns = columns;
            for column in COLUMNS.iter().filter(|column| names.split(", ").any(|name| name == column.name)) {
                let tree = Tree::leaf(column.ty, column.name);
                columns.push(Source { tree, ty: column.ty, small: column.small, plain: true, reference: true });
            }
            let template = format!("{{}} {kind} {{}} USING ({names})");
            return joined(Tree::relation(&template, [left.tree, right.tree]), columns);
        }
        let equality = many || kind == "FULL JOIN" || self.chance(60);
        let mut terms = Vec::new();
        if equality {
            terms.extend(self.equality(&left.columns, &right.columns));
        }
        if kind == "FULL JOIN" {
            if self.chance(25) {
                terms.extend(self.equality(&left.columns, &right.columns));
            }
        } else if terms.is_empty() || self.chance(30) {
            let (columns, outer) = (columns.clone(), outer.to_vec());
            let scope = Scope { columns, outer, unique: None, free: true, rows: left.rows * right.rows };
            let condition = self.perhaps(|own| own.condition(&scope, 1));
            terms.push(condition);
        }
        if terms.is_empty() {
            terms.push(Tree::text("true"));
        }
        let condition = Tree::new(Kind::Other, vec![Part::List(" AND ", terms)]);
        let template = format!("{{}} {kind} {{}} ON {{}}");
        joined(Tree::relation(&template, [left.tree, right.tree, condition]), columns)
    }

    /// Of a column of each side, which have the same type.
    fn equality(&mut self, left: &[Source], right: &[Source]) -> Option<Tree> {
        use rand::seq::IndexedRandom;
        let pairs: Vec<(&Source, &Source)> = left
            .iter()
            .flat_map(|one| right.iter().filter(|other| other.ty == one.ty).map(move |other| (one, other)))
            .filter(|(one, _)| one.ty != Ty::Interval)
            .collect();
        // Extremes seldom meet.
        let small: Vec<_> = pairs.iter().filter(|(one, other)| one.small && other.small).copied().collect();
        let pairs = if !small.is_empty() && self.chance(60) { small } else { pairs };
        let (left, right) = pairs.choose(&mut self.rng)?;
        Some(Tree::value(Ty::Bool, "{} = {}", [left.tree.clone(), right.tree.clone()]))
    }
}
