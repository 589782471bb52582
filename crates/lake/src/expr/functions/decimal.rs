//! Sums and products of numerics. Their scale is PostgreSQL's: of a sum the larger one, of a product the sum of both.
//!
//! Most types have room for every value, and nothing is checked. A type that was cut to 38 digits ([`Width::Fast`]) is.

use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, i256};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{ColumnarValue, Expr};

use super::convert::folded;
use super::digits::{derived, is_narrow, whole, widest};
use super::kernel::{Answer, Kernel, apply, binary, unary, unexpected};
use super::scale::{larger, summed};
use super::typed::{Typed, Width};
use crate::error::Result;
use crate::fault::Fault;
use crate::types::{ColumnType, MAX_DIGITS, MAX_PRECISION, Numeric};

/// Digits of a whole number of 64 bits, whatever they are.
const SMALL: u8 = 18;

const LIMIT: u128 = 10u128.pow(MAX_PRECISION as u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sum {
    Add,
    Subtract,
}

/// Two numerics of one scale. The flag is whether values may be beyond 38 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Summed(Sum, bool);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Product {
    /// Both factors have 64 bits.
    Small,
    /// The product always has 128.
    Narrow,
    /// It may have more than 38 digits.
    Checked,
    Wide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unary {
    Negate,
    Abs,
    /// Times a power of ten; more than 38 digits are an error.
    Rescale(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sign;

/// `left + right` or, subtracted, `left - right`.
pub(super) fn sum(width: Width, subtract: bool, left: Typed, right: Typed, of: (Numeric, Numeric)) -> Result<Typed> {
    let (a, b) = of;
    let scale = a.scale.max(b.scale);
    let narrow = is_narrow(a) && is_narrow(b);
    let (numeric, checked) = derived(width, whole(a).max(whole(b)) + 1, scale.into(), narrow)?;
    let result = ColumnType::Numeric(numeric);
    let display = larger(&left, &right);
    let side = |value: Typed, own: Numeric| rescaled(value, own, scale, !is_narrow(numeric));
    let kernel = Summed(if subtract { Sum::Subtract } else { Sum::Add }, checked);
    let expr = apply(kernel, vec![side(left, a), side(right, b)], result.arrow());
    Ok(Typed { expr, ty: result, scale: display })
}

/// `left * right`.
pub(super) fn product(width: Width, left: Typed, right: Typed, of: (Numeric, Numeric)) -> Result<Typed> {
    let (a, b) = of;
    let narrow = is_narrow(a) && is_narrow(b);
    let scale = u16::from(a.scale) + u16::from(b.scale);
    let (numeric, checked) = derived(width, whole(a) + whole(b), scale, narrow)?;
    let result = ColumnType::Numeric(numeric);
    let display = summed(&left, &right);
    let kernel = if !is_narrow(numeric) {
        Product::Wide
    } else if checked {
        Product::Checked
    } else if a.precision <= SMALL && b.precision <= SMALL {
        Product::Small
    } else {
        Product::Narrow
    };
    let arguments = match kernel {
        Product::Wide => vec![widest(left), widest(right)],
        _ => vec![left.expr, right.expr],
    };
    Ok(Typed { expr: apply(kernel, arguments, result.arrow()), ty: result, scale: display })
}

pub(super) fn negated(value: Typed) -> Typed {
    Typed { expr: apply(Unary::Negate, vec![value.expr], value.ty.arrow()), ..value }
}

pub(super) fn absolute(value: Typed) -> Typed {
    Typed { expr: apply(Unary::Abs, vec![value.expr], value.ty.arrow()), ..value }
}

/// 1, 0 or -1.
pub(super) fn sign(value: Typed) -> Typed {
    let ty = ColumnType::numeric(1, 0);
    Typed::new(apply(Sign, vec![value.expr], ty.arrow()), ty)
}

/// A summand at the scale of the sum, with 256 bits or, if that is not asked for, with 128.
fn rescaled(value: Typed, own: Numeric, scale: u8, wide: bool) -> Expr {
    let whole = own.precision - own.scale;
    if wide {
        let wide = DataType::Decimal256(MAX_DIGITS, scale as i8);
        return if own.scale == scale { widest(value) } else { folded(value.expr, &wide) };
    }
    match whole + scale {
        _ if own.scale == scale => value.expr,
        precision if precision <= MAX_PRECISION => folded(value.expr, &DataType::Decimal128(precision, scale as i8)),
        _ => {
            let kernel = Unary::Rescale(scale - own.scale);
            apply(kernel, vec![value.expr], DataType::Decimal128(MAX_PRECISION, scale as i8))
        }
    }
}

fn is_too_wide(value: i128) -> bool {
    value.unsigned_abs() >= LIMIT
}

/// The value, if there is one and it has no more than 38 digits.
fn narrow(value: Option<i128>) -> Answer<i128> {
    value.filter(|value| !is_too_wide(*value)).ok_or(Fault::TooWide)
}

impl Kernel for Summed {
    fn name(&self) -> &'static str {
        match self.0 {
            Sum::Add => "+",
            Sum::Subtract => "-",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        type Narrow = Decimal128Type;
        type Wide = Decimal256Type;
        let overflow = || Fault::TooWide;
        match (result, *self) {
            (DataType::Decimal128(..), Self(Sum::Add, false)) => {
                let add = |a: i128, b: i128| a.wrapping_add(b);
                binary::<Narrow, Narrow, Narrow>(arguments, result, |a, b| (add(a, b), false), |a, b| Ok(add(a, b)))
            }
            (DataType::Decimal128(..), Self(Sum::Subtract, false)) => {
                let subtract = |a: i128, b: i128| a.wrapping_sub(b);
                let fast = |a, b| (subtract(a, b), false);
                binary::<Narrow, Narrow, Narrow>(arguments, result, fast, |a, b| Ok(subtract(a, b)))
            }
            // Two numbers of 38 digits do not overflow 128 bits by much, and never to a number of 38 digits again: the sum
            // is below 2 * 10^38, and 2^127 is above 1.7 * 10^38.
            (DataType::Decimal128(..), Self(Sum::Add, true)) => {
                let fast = |a: i128, b: i128| doubted(a.overflowing_add(b));
                binary::<Narrow, Narrow, Narrow>(arguments, result, fast, |a, b| narrow(a.checked_add(b)))
            }
            (DataType::Decimal128(..), Self(Sum::Subtract, true)) => {
                let fast = |a: i128, b: i128| doubted(a.overflowing_sub(b));
                binary::<Narrow, Narrow, Narrow>(arguments, result, fast, |a, b| narrow(a.checked_sub(b)))
            }
            (DataType::Decimal256(..), Self(Sum::Add, _)) => {
                let exact = |a: i256, b: i256| a.checked_add(b).ok_or_else(overflow);
                binary::<Wide, Wide, Wide>(arguments, result, |a, b| (a.wrapping_add(b), false), exact)
            }
            (DataType::Decimal256(..), Self(Sum::Subtract, _)) => {
                let exact = |a: i256, b: i256| a.checked_sub(b).ok_or_else(overflow);
                binary::<Wide, Wide, Wide>(arguments, result, |a, b| (a.wrapping_sub(b), false), exact)
            }
            _ => Err(unexpected(self, arguments)),
        }
    }
}

fn doubted((value, overflowed): (i128, bool)) -> (i128, bool) {
    (value, overflowed | is_too_wide(value))
}

impl Kernel for Product {
    fn name(&self) -> &'static str {
        "*"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        type Narrow = Decimal128Type;
        type Wide = Decimal256Type;
        // A single multiplication of the processor.
        let small = |a: i128, b: i128| i128::from(a as i64) * i128::from(b as i64);
        match self {
            Self::Small => {
                binary::<Narrow, Narrow, Narrow>(arguments, result, |a, b| (small(a, b), false), |a, b| Ok(small(a, b)))
            }
            Self::Narrow => {
                let product = |a: i128, b: i128| a.wrapping_mul(b);
                let fast = |a, b| (product(a, b), false);
                binary::<Narrow, Narrow, Narrow>(arguments, result, fast, |a, b| Ok(product(a, b)))
            }
            Self::Checked => {
                // The product of two numbers of 64 bits has less than 38 digits.
                let fast = |a: i128, b: i128| {
                    let fit = (i128::from(a as i64) == a) & (i128::from(b as i64) == b);
                    (small(a, b), !fit)
                };
                binary::<Narrow, Narrow, Narrow>(arguments, result, fast, |a, b| narrow(a.checked_mul(b)))
            }
            Self::Wide => {
                let fast = |a: i256, b: i256| (a.wrapping_mul(b), false);
                let exact = |a: i256, b: i256| a.checked_mul(b).ok_or(Fault::TooWide);
                binary::<Wide, Wide, Wide>(arguments, result, fast, exact)
            }
        }
    }
}

impl Kernel for Unary {
    fn name(&self) -> &'static str {
        match self {
            Self::Negate => "-",
            Self::Abs => "abs",
            Self::Rescale(_) => "numeric",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        type Narrow = Decimal128Type;
        type Wide = Decimal256Type;
        match (self, result) {
            (Self::Negate, DataType::Decimal128(..)) => {
                unary::<Narrow, Narrow>(arguments, result, |a| (a.wrapping_neg(), false), |a| Ok(a.wrapping_neg()))
            }
            (Self::Negate, DataType::Decimal256(..)) => {
                unary::<Wide, Wide>(arguments, result, |a| (a.wrapping_neg(), false), |a| Ok(a.wrapping_neg()))
            }
            (Self::Abs, DataType::Decimal128(..)) => {
                unary::<Narrow, Narrow>(arguments, result, |a| (a.wrapping_abs(), false), |a| Ok(a.wrapping_abs()))
            }
            (Self::Abs, DataType::Decimal256(..)) => {
                unary::<Wide, Wide>(arguments, result, |a| (a.wrapping_abs(), false), |a| Ok(a.wrapping_abs()))
            }
            (Self::Rescale(digits), DataType::Decimal128(..)) => {
                let factor = 10i128.pow((*digits).into());
                let most = (LIMIT / factor.unsigned_abs()).saturating_sub(1);
                let fast = |a: i128| (a.wrapping_mul(factor), a.unsigned_abs() > most);
                unary::<Narrow, Narrow>(arguments, result, fast, |a| narrow(a.checked_mul(factor)))
            }
            _ => Err(unexpected(self, arguments)),
        }
    }
}

impl Kernel for Sign {
    fn name(&self) -> &'static str {
        "sign"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match arguments.first().map(ColumnarValue::data_type) {
            Some(DataType::Decimal128(..)) => {
                unary::<Decimal128Type, Decimal128Type>(arguments, result, |a| (a.signum(), false), |a| Ok(a.signum()))
            }
            Some(DataType::Decimal256(..)) => {
                let sign = |a: i256| i128::from(a > i256::ZERO) - i128::from(a < i256::ZERO);
                unary::<Decimal256Type, Decimal128Type>(arguments, result, |a| (sign(a), false), |a| Ok(sign(a)))
            }
            _ => Err(unexpected(self, arguments)),
        }
    }
}
