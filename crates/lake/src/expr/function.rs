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
    Add,
    /// With one argument the minus sign.
    Subtract,
    Multiply,
    /// Of integers what is whole of the quotient.
    Divide,
    Modulo,
    Abs,
    Sign,
    Round,
    Trunc,
    Ceil,
    Floor,
    Sqrt,
    Power,
    Exp,
    Ln,
    /// To the base 10.
    Log10,
    BitAnd,
    BitOr,
    BitXor,
    /// Of two strings.
    Append,
    /// Characters of a text, bytes of a bytea.
    Length,
    OctetLength,
    Substring,
    Left,
    Right,
    Upper,
    Lower,
    Position,
    StartsWith,
    Btrim,
    Ltrim,
    Rtrim,
    Replace,
    Reverse,
    /// So often, which is a constant.
    Repeat,
    /// To so many characters, which is a constant.
    Lpad,
    Rpad,
    SplitPart,
    /// Characters for others.
    Translate,
    /// The code of the first character.
    Ascii,
    Ilike,
    NotIlike,
    Matches,
    NotMatches,
    RegexpReplace,
    /// A field of a date or timestamp as a numeric.
    Extract,
    /// The same as a double precision.
    DatePart,
    DateTrunc,
    /// Of a year, a month and a day.
    MakeDate,
    /// `AT TIME ZONE`.
    Timezone,
}

/// Names in pg_operator or pg_proc. Of those of one function the first is what a plan says.
const NAMES: &[(&str, Function)] = &[
    ("=", Function::Compare(Comparison::Eq)),
    ("<>", Function::Compare(Comparison::NotEq)),
    ("<", Function::Compare(Comparison::Lt)),
    ("<=", Function::Compare(Comparison::LtEq)),
    (">", Function::Compare(Comparison::Gt)),
    (">=", Function::Compare(Comparison::GtEq)),
    ("~~", Function::Like),
    ("!~~", Function::NotLike),
    ("like", Function::Like),
    ("notlike", Function::NotLike),
    ("+", Function::Add),
    ("-", Function::Subtract),
    ("*", Function::Multiply),
    ("/", Function::Divide),
    ("%", Function::Modulo),
    ("mod", Function::Modulo),
    ("abs", Function::Abs),
    ("@", Function::Abs),
    ("sign", Function::Sign),
    ("round", Function::Round),
    ("trunc", Function::Trunc),
    ("ceil", Function::Ceil),
    ("ceiling", Function::Ceil),
    ("floor", Function::Floor),
    ("sqrt", Function::Sqrt),
    ("power", Function::Power),
    ("pow", Function::Power),
    ("^", Function::Power),
    ("exp", Function::Exp),
    ("ln", Function::Ln),
    ("log10", Function::Log10),
    ("log", Function::Log10),
    ("|/", Function::Sqrt),
    ("&", Function::BitAnd),
    ("|", Function::BitOr),
    ("#", Function::BitXor),
    ("||", Function::Append),
    ("length", Function::Length),
    ("char_length", Function::Length),
    ("character_length", Function::Length),
    ("octet_length", Function::OctetLength),
    ("substr", Function::Substring),
    ("substring", Function::Substring),
    ("left", Function::Left),
    ("right", Function::Right),
    ("upper", Function::Upper),
    ("lower", Function::Lower),
    ("strpos", Function::Position),
    ("position", Function::Position),
    ("starts_with", Function::StartsWith),
    ("^@", Function::StartsWith),
    ("btrim", Function::Btrim),
    ("ltrim", Function::Ltrim),
    ("rtrim", Function::Rtrim),
    ("replace", Function::Replace),
    ("reverse", Function::Reverse),
    ("repeat", Function::Repeat),
    ("lpad", Function::Lpad),
    ("rpad", Function::Rpad),
    ("split_part", Function::SplitPart),
    ("translate", Function::Translate),
    ("ascii", Function::Ascii),
    ("~~*", Function::Ilike),
    ("!~~*", Function::NotIlike),
    ("~", Function::Matches),
    ("!~", Function::NotMatches),
    ("regexp_replace", Function::RegexpReplace),
    ("extract", Function::Extract),
    ("date_part", Function::DatePart),
    ("date_trunc", Function::DateTrunc),
    ("make_date", Function::MakeDate),
    ("timezone", Function::Timezone),
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
            _ => None,
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
