//! Types of numerics that are computed, and powers of ten.

use arrow::datatypes::{ArrowNativeTypeOp, DataType, Decimal128Type, Decimal256Type, DecimalType, i256};
use datafusion::logical_expr::Expr;

use super::convert::folded;
use super::typed::{Typed, Width, unsupported};
use crate::error::Result;
use crate::types::{ColumnType, MAX_DIGITS, MAX_PRECISION, Numeric};

/// Digits behind the point up to which a type of more than 38 digits is tried with 38: what is left for the others is then
/// more than what most values have.
const FAST_SCALE: u16 = 20;

/// Digits before the point.
pub(super) fn whole(numeric: Numeric) -> u16 {
    u16::from(numeric.precision - numeric.scale)
}

/// The type of values that have so many digits before and behind the point, and whether values have to be checked because
/// it has fewer. `is_narrow` is whether all that they are computed of has 128 bits.
pub(super) fn derived(width: Width, whole: u16, scale: u16, is_narrow: bool) -> Result<(Numeric, bool)> {
    let precision = (whole + scale).max(1);
    let numeric = |precision: u16| Numeric { precision: precision as u8, scale: scale as u8 };
    if precision <= u16::from(MAX_PRECISION) {
        Ok((numeric(precision), false))
    } else if width == Width::Fast && is_narrow && scale <= FAST_SCALE {
        Ok((numeric(MAX_PRECISION.into()), true))
    } else if precision <= u16::from(MAX_DIGITS) {
        Ok((numeric(precision), false))
    } else {
        Err(unsupported(format!("a numeric of up to {precision} digits")))
    }
}

/// Whether values have 128 bits.
pub(super) fn is_narrow(numeric: Numeric) -> bool {
    numeric.precision <= MAX_PRECISION
}

/// The values of a numeric with 256 bits.
pub(super) fn widest(value: Typed) -> Expr {
    match value.ty {
        ColumnType::Numeric(numeric) if is_narrow(numeric) => {
            folded(value.expr, &DataType::Decimal256(MAX_DIGITS, numeric.scale as i8))
        }
        _ => value.expr,
    }
}

/// A decimal's digits as a whole number.
pub(super) trait Digits: DecimalType<Native: Number> {}

impl Digits for Decimal128Type {}
impl Digits for Decimal256Type {}

/// Whole numbers of 128 and 256 bits.
pub(super) trait Number: ArrowNativeTypeOp + Send + Sync {
    const TEN: Self;

    fn wide(self) -> i256;

    fn absolute(self) -> Self;

    /// `None` beyond its bits.
    fn power(exponent: u32) -> Option<Self> {
        Self::TEN.pow_checked(exponent).ok()
    }

    fn is_negative(self) -> bool {
        self.is_lt(Self::ZERO)
    }

    /// Decimal digits; one of zero.
    fn digits(self) -> u32;
}

impl Number for i128 {
    const TEN: Self = 10;

    fn wide(self) -> i256 {
        i256::from_i128(self)
    }

    fn absolute(self) -> Self {
        self.wrapping_abs()
    }

    fn digits(self) -> u32 {
        self.unsigned_abs().checked_ilog10().unwrap_or(0) + 1
    }
}

impl Number for i256 {
    const TEN: Self = i256::from_i128(10);

    fn wide(self) -> i256 {
        self
    }

    fn absolute(self) -> Self {
        self.wrapping_abs()
    }

    fn digits(self) -> u32 {
        match self.to_i128() {
            Some(narrow) => narrow.digits(),
            None => self.wrapping_abs().checked_ilog10().unwrap_or(0) + 1,
        }
    }
}
