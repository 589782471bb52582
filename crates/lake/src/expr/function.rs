//! What calls compute. A function is known by its name in PostgreSQL, which is what a plan says, too.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

/// A function or operator of PostgreSQL that the engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Function {
    Compare(Comparison),
    /// With `%` and `_`.
    Like,
    NotLike,
}

/// Names in pg_operator or pg_proc.
const NAMES: &[(&str, Function)] = &[
    ("=", Function::Compare(Comparison::Eq)),
    ("<>", Function::Compare(Comparison::NotEq)),
    ("<", Function::Compare(Comparison::Lt)),
    ("<=", Function::Compare(Comparison::LtEq)),
    (">", Function::Compare(Comparison::Gt)),
    (">=", Function::Compare(Comparison::GtEq)),
    ("~~", Function::Like),
    ("!~~", Function::NotLike),
];

impl Comparison {
    /// `a op b` as `b op' a`.
    pub fn commuted(self) -> Self {
        match self {
            Self::Eq | Self::NotEq => self,
            Self::Lt => Self::Gt,
            Self::LtEq => Self::GtEq,
            Self::Gt => Self::Lt,
            Self::GtEq => Self::LtEq,
        }
    }

    /// `NOT (a op b)` as `a op' b`, where neither is NULL.
    pub(super) fn opposite(self) -> Self {
        match self {
            Self::Eq => Self::NotEq,
            Self::NotEq => Self::Eq,
            Self::Lt => Self::GtEq,
            Self::LtEq => Self::Gt,
            Self::Gt => Self::LtEq,
            Self::GtEq => Self::Lt,
        }
    }

    /// Whether it holds between two values in this order.
    pub(crate) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::NotEq => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::LtEq => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::GtEq => order.is_ge(),
        }
    }
}

impl From<Comparison> for Function {
    fn from(comparison: Comparison) -> Self {
        Self::Compare(comparison)
    }
}

impl Function {
    /// By its name in pg_operator or pg_proc.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }

    /// Its name in pg_operator or pg_proc.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, function)| *function == self).map_or("?", |(name, _)| *name)
    }

    /// `f(a, b)` as `f'(b, a)`, if there is such a function.
    pub fn commuted(self) -> Option<Self> {
        match self {
            Self::Compare(comparison) => Some(comparison.commuted().into()),
            Self::Like | Self::NotLike => None,
        }
    }
}

impl From<Function> for &'static str {
    fn from(function: Function) -> Self {
        function.name()
    }
}

impl TryFrom<String> for Function {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::from_name(&name).ok_or(name)
    }
}
