//! Random queries: what all parts of the generator share, and the leaves of expressions.
//!
//! What PostgreSQL leaves open is not generated, or told in [`Traits`]: an answer without a total order is a multiset; numerics
//! that are equal but of other scales are rounded to one scale wherever one of several equal values is chosen; sums of floats
//! are over quarters, which are exact in any order, or stand alone in the outermost list of columns.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::table::{self, COLUMNS, Ty};
use crate::tree::{Kind, Part, Tree};

/// What has to be known to compare answers of a query.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traits {
    /// The order of rows is total.
    pub ordered: bool,
    /// Sums of floats depend on the order of addition.
    pub inexact: bool,
    /// -0 and 0 are equal and one of them is chosen.
    pub zero: bool,
    /// Whether an error is met depends on the order of evaluation.
    pub open: bool,
}

/// Something with a type that expressions are made of: a column, a group key, an aggregate.
#[derive(Clone, Debug)]
pub struct Source {
    pub tree: Tree,
    pub ty: Ty,
    /// As of [`table::Column`].
    pub small: bool,
    /// A column of a table: its numerics have one scale.
    pub plain: bool,
    /// A column of any relation, which subqueries may look at.
    pub reference: bool,
}

/// What an expression may look at.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub columns: Vec<Source>,
    /// Of the queries around this one.
    pub outer: Vec<Source>,
    /// Together different for each row.
    pub unique: Option<Vec<Tree>>,
    /// Whether its text may stand in one place only: then it has parameters and subqueries.
    pub free: bool,
    /// About how many rows there are.
    pub rows: u64,
}

/// A common table expression.
#[derive(Clone, Debug)]
pub struct Common {
    pub name: String,
    pub types: Vec<Ty>,
}

pub struct Generator {
    pub rng: StdRng,
    /// How much more may be added to the query.
    pub fuel: i32,
    pub traits: Traits,
    /// Whether what is generated now is certainly evaluated for all rows that the query has.
    pub certain: bool,
    /// Levels of queries around the present one.
    pub nesting: u32,
    pub commons: Vec<Common>,
    /// About how often the present query is evaluated.
    pub repeats: u64,
    names: u32,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let fuel = *[12, 30, 30, 60].choose(&mut rng).unwrap();
        let traits = Traits::default();
        Self { rng, fuel, traits, certain: false, nesting: 0, commons: Vec::new(), repeats: 1, names: 0 }
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }

    pub fn one<T: Copy>(&mut self, choices: &[T]) -> T {
        *choices.choose(&mut self.rng).unwrap()
    }

    /// A new alias.
    pub fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// What may fail is generated: which of several rows or parts is evaluated is PostgreSQL's choice.
    pub fn risk(&mut self) {
        self.traits.open |= !self.certain;
    }

    /// Generates something that may not be evaluated for each row.
    pub fn perhaps<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> T {
        let certain = std::mem::replace(&mut self.certain, false);
        let made = make(self);
        self.certain = certain;
        made
    }

    /// A type that a column has.
    pub fn any_type(&mut self) -> Ty {
        COLUMNS[self.rng.random_range(0..COLUMNS.len())].ty
    }

    pub fn literal(&mut self, ty: Ty, small: bool) -> Tree {
        let text = table::literal(ty, small, &mut self.rng);
        Tree::new(Kind::Value(ty), vec![Part::Constant(text, ty)])
    }

    /// A constant that is no parameter.
    pub fn constant(&mut self, ty: Ty, texts: &[&str]) -> Tree {
        let text = self.one(texts);
        Tree::leaf(ty, text)
    }

    /// A column or a constant.
    pub fn leaf(&mut self, ty: Ty, scope: &Scope) -> Tree {
        self.leaf_where(ty, scope, false)
    }

    /// One with small values.
    pub fn small(&mut self, ty: Ty, scope: &Scope) -> Tree {
        let (of, template) = match ty {
            Ty::Int2 => (Ty::Int4, "{}::smallint"),
            Ty::Int8 => (Ty::Int4, "{}::bigint"),
            Ty::Float4 => (Ty::Float8, "{}::real"),
            Ty::Timestamptz => (Ty::Timestamp, "({} AT TIME ZONE 'UTC')"),
            _ => return self.leaf_where(ty, scope, true),
        };
        let operand = self.leaf_where(of, scope, true);
        Tree::value(ty, template, [operand])
    }

    fn leaf_where(&mut self, ty: Ty, scope: &Scope, small: bool) -> Tree {
        let fits = |source: &&Source| source.ty == ty && (source.small || !small);
        let outer: Vec<&Source> = scope.outer.iter().filter(fits).collect();
        if !outer.is_empty() && self.chance(30) {
            return outer.choose(&mut self.rng).unwrap().tree.clone();
        }
        let columns: Vec<&Source> = scope.columns.iter().filter(fits).collect();
        if !columns.is_empty() && self.chance(80) {
            return columns.choose(&mut self.rng).unwrap().tree.clone();
        }
        let literal = self.literal(ty, small);
        if scope.free { literal } else { literal.fixed() }
    }

    /// A column of the scope's own, if it has one of this type.
    pub fn column(&mut self, ty: Ty, scope: &Scope) -> Option<Source> {
        let columns: Vec<&Source> = scope.columns.iter().filter(|source| source.ty == ty).collect();
        columns.choose(&mut self.rng).map(|source| (*source).clone())
    }

    /// A value whose equals are printed as it is. With `mixed` those of other columns are meant, too.
    pub fn canonical(&mut self, ty: Ty, scope: &Scope, depth: u32, mixed: bool) -> Tree {
        if ty != Ty::Numeric {
            return self.value(ty, scope, depth);
        }
        let plain: Vec<&Source> = scope.columns.iter().filter(|source| source.ty == ty && source.plain).collect();
        if !mixed && !plain.is_empty() && self.chance(60) {
            return plain.choose(&mut self.rng).unwrap().tree.clone();
        }
        let value = self.value(ty, scope, depth);
        // Of another kind than the value, so that it stays when the query is made smaller.
        Tree::other("round({}, 2)", [value])
    }
}
