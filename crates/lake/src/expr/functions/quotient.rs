//! Quotients and remainders of numerics.
//!
//! PostgreSQL rounds a quotient to a number of digits that depends on the values (`select_div_scale` in numeric.c: at least
//! 16 significant ones, counted in groups of four). Here they all have the scale that the type needs for the most digits, so
//! they are the same values, and how many digits are printed is told apart ([`Scale::Each`]).

use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int32Type, i256};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::ColumnarValue;

use super::convert::folded;
use super::digits::{Number, derived, is_narrow, whole, widest};
use super::kernel::{Answer, Kernel, Operands, apply, binary, each, fault, finish, unexpected};
use super::scale::{larger, printed};
use super::typed::{Scale, Typed, Width, unsupported};
use crate::error::Result;
use crate::fault::Fault;
use crate::types::{ColumnType, MAX_DIGITS, Numeric};

/// Significant digits of a quotient, at least (NUMERIC_MIN_SIG_DIGITS).
const SIGNIFICANT: i32 = 16;

/// Decimal digits of a digit of PostgreSQL's numerics (DEC_DIGITS).
const GROUP: i32 = 4;

/// A quotient of two numerics of these scales, at the scale of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Quotient {
    left: u8,
    right: u8,
    scale: u8,
}

/// How many digits behind the point PostgreSQL gives that quotient. The scales that both print are further arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Printed {
    left: u8,
    right: u8,
}

/// The remainder of two numerics of one scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Remainder;

/// `left / right`.
pub(super) fn quotient(left: Typed, right: Typed, of: (Numeric, Numeric)) -> Result<Typed> {
    bounded(left, right, of, whole(of.0) + u16::from(of.1.scale))
}

/// A sum divided by the number of its summands, which have so many digits before the point.
pub(super) fn quotient_of_count(sum: Typed, count: Typed, of: (Numeric, Numeric), digits: u16) -> Result<Typed> {
    bounded(sum, count, of, digits)
}

/// `left / right`, which has no more than so many digits before the point.
fn bounded(left: Typed, right: Typed, of: (Numeric, Numeric), digits: u16) -> Result<Typed> {
    let (a, b) = of;
    // How many digits a quotient has depends on those that are printed of its operands; if they vary, on the row.
    let (Some(left_scale), Some(right_scale)) = (printed(&left), printed(&right)) else {
        return Err(unsupported("a quotient of numerics whose scales are not known"));
    };
    let least = (-i32::from(a.scale)).div_euclid(GROUP);
    let greatest = (i32::from(whole(b)) - 1).div_euclid(GROUP);
    let scale = (SIGNIFICANT - GROUP * (least - greatest - 1)).max(a.scale.into()).max(b.scale.into()) as u16;
    let (numeric, _) = derived(Width::Wide, digits, scale, false)?;
    let result = ColumnType::Numeric(numeric);
    let fixed = left.scale == Scale::Fixed && right.scale == Scale::Fixed;
    let (left, right) = (widest(left), widest(right));
    let scales = vec![left.clone(), right.clone(), left_scale.clone(), right_scale.clone()];
    let display = apply(Printed { left: a.scale, right: b.scale }, scales, DataType::Int32);
    let kernel = Quotient { left: a.scale, right: b.scale, scale: numeric.scale };
    let arguments = if fixed { vec![left, right] } else { vec![left, right, left_scale, right_scale] };
    let expr = apply(kernel, arguments, result.arrow());
    Ok(Typed { expr, ty: result, scale: Scale::Each(Box::new(display)) })
}

/// `left % right`, with the sign of `left`.
pub(super) fn remainder(width: Width, left: Typed, right: Typed, of: (Numeric, Numeric)) -> Result<Typed> {
    let (a, b) = of;
    let display = larger(&left, &right);
    let scale = a.scale.max(b.scale);
    let (numeric, _) = derived(width, whole(a).min(whole(b)), scale.into(), true)?;
    let room = whole(a).max(whole(b)) + u16::from(scale);
    if room > MAX_DIGITS.into() {
        return Err(unsupported(format!("a remainder of numerics of up to {room} digits")));
    }
    // Of the remainder there are no more digits than of the smaller operand, but it is computed of both at one scale.
    let wide = room > crate::types::MAX_PRECISION.into() || !is_narrow(a) || !is_narrow(b);
    let common = if wide { DataType::Decimal256 } else { DataType::Decimal128 }(room.max(1) as u8, scale as i8);
    let side = |value: Typed| if value.ty.arrow() == common { value.expr } else { folded(value.expr, &common) };
    let ty = ColumnType::Numeric(numeric);
    let expr = folded(apply(Remainder, vec![side(left), side(right)], common.clone()), &ty.arrow());
    Ok(Typed { expr, ty, scale: display })
}

/// The weight and the value of the first digit to base 10,000 of a number in units of 10^-scale; of zero both are 0.
fn first_digit<N: Number>(number: N, scale: u8) -> (i32, i32) {
    if number.is_zero() {
        return (0, 0);
    }
    let magnitude = number.absolute();
    let exponent = magnitude.digits() as i32 - 1 - i32::from(scale);
    let weight = exponent.div_euclid(GROUP);
    let shift = i32::from(scale) + GROUP * weight;
    let power = N::power(shift.unsigned_abs()).unwrap_or(N::ONE);
    let digit = if shift >= 0 { magnitude.div_wrapping(power) } else { magnitude.mul_wrapping(power) };
    (weight, digit.wide().as_i128() as i32)
}

/// The scale of a quotient: `select_div_scale`.
fn quotient_scale(a: i256, b: i256, scales: (u8, u8), printed: (i32, i32)) -> i32 {
    let digit = |number: i256, scale| match number.to_i128() {
        Some(narrow) => first_digit(narrow, scale),
        None => first_digit(number, scale),
    };
    let ((weight, first), (other_weight, other_first)) = (digit(a, scales.0), digit(b, scales.1));
    let weight = weight - other_weight - i32::from(first <= other_first);
    (SIGNIFICANT - weight * GROUP).max(printed.0).max(printed.1).max(0)
}

/// `a * 10^digits / b`, rounded half away from zero. `b` is not zero.
fn scaled_quotient(a: i256, b: i256, digits: u32) -> Option<i256> {
    if let (Some(a), Some(b)) = (a.to_i128(), b.to_i128())
        && let Some(scaled) = 10i128.checked_pow(digits).and_then(|power| a.checked_mul(power))
    {
        let (quotient, rest) = (scaled.checked_div(b)?, scaled.wrapping_rem(b).unsigned_abs());
        let up = rest >= b.unsigned_abs() - rest;
        return i256::from_i128(quotient).checked_add(sign(up, (scaled < 0) != (b < 0)));
    }
    let ten = i256::from_i128(10);
    let (mut quotient, mut rest) = (a.checked_div(b)?.checked_abs()?, a.checked_rem(b)?.checked_abs()?);
    let divisor = b.checked_abs()?;
    let mut left = digits;
    while left > 0 {
        // As many digits at once as the remainder has room for; at least one, as the divisor has 76 digits at most.
        let room = (76 - (divisor.digits().min(75))).min(left);
        let power = ten.checked_pow(room)?;
        let scaled = rest.checked_mul(power)?;
        quotient = quotient.checked_mul(power)?.checked_add(scaled.checked_div(divisor)?)?;
        rest = scaled.checked_rem(divisor)?;
        left -= room;
    }
    let up = rest >= divisor.checked_sub(rest)?;
    let quotient = quotient.checked_add(sign(up, false))?;
    if a.is_negative() != b.is_negative() { quotient.checked_neg() } else { Some(quotient) }
}

/// What rounding adds.
fn sign(up: bool, negative: bool) -> i256 {
    match (up, negative) {
        (false, _) => i256::ZERO,
        (true, false) => i256::ONE,
        (true, true) => i256::MINUS_ONE,
    }
}

impl Quotient {
    fn divide(&self, a: i256, b: i256, printed: (i32, i32)) -> Answer<i256> {
        if b == i256::ZERO {
            return Err(Fault::DivisionByZero);
        }
        let scale = quotient_scale(a, b, (self.left, self.right), printed);
        // Less than none if few of the dividend's digits are printed: those that are not are zeros.
        let digits = scale + i32::from(self.right) - i32::from(self.left);
        let (b, digits) = match u32::try_from(digits) {
            Ok(digits) => (b, digits),
            Err(_) => {
                let power = i256::power(digits.unsigned_abs()).and_then(|power| b.checked_mul(power));
                (power.ok_or(Fault::TooWide)?, 0)
            }
        };
        let rest = u32::try_from(i32::from(self.scale) - scale);
        let value = scaled_quotient(a, b, digits);
        let unit = rest.ok().and_then(i256::power);
        value.zip(unit).and_then(|(value, unit)| value.checked_mul(unit)).ok_or(Fault::TooWide)
    }
}

impl Kernel for Quotient {
    fn name(&self) -> &'static str {
        "/"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        let operands = Operands::of(arguments)?;
        let values =
            quotients(&operands, (self.left, self.right), arguments, |a, b, printed| self.divide(a, b, printed))?;
        match result {
            DataType::Decimal256(..) => finish::<Decimal256Type>(&operands, values, result),
            DataType::Decimal128(..) => {
                let narrow = |value: &i256| value.to_i128().ok_or_else(|| fault(Fault::TooWide));
                let values = values.iter().map(narrow).collect::<EngineResult<_>>()?;
                finish::<Decimal128Type>(&operands, values, result)
            }
            _ => Err(unexpected(self, arguments)),
        }
    }
}

impl Kernel for Printed {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        let operands = Operands::of(arguments)?;
        let scales = (self.left, self.right);
        let values =
            quotients(&operands, scales, arguments, |a, b, printed| Ok(quotient_scale(a, b, scales, printed)))?;
        finish::<Int32Type>(&operands, values, result)
    }
}

/// What `f` says of dividend, divisor and the scales that are printed of both, which are those of the types if there are no
/// such arguments.
fn quotients<N: Default>(
    operands: &Operands,
    scales: (u8, u8),
    arguments: &[ColumnarValue],
    f: impl Fn(i256, i256, (i32, i32)) -> Answer<N>,
) -> EngineResult<Vec<N>> {
    let fixed = (i32::from(scales.0), i32::from(scales.1));
    match &operands.all[..] {
        [left, right] => {
            let (a, b) = (left.primitive::<Decimal256Type>()?.values(), right.primitive::<Decimal256Type>()?.values());
            each(operands, |row| f(a[left.at(row)], b[right.at(row)], fixed))
        }
        [left, right, first, second] => {
            let (a, b) = (left.primitive::<Decimal256Type>()?.values(), right.primitive::<Decimal256Type>()?.values());
            let (s, t) = (first.primitive::<Int32Type>()?.values(), second.primitive::<Int32Type>()?.values());
            each(operands, |row| f(a[left.at(row)], b[right.at(row)], (s[first.at(row)], t[second.at(row)])))
        }
        _ => Err(unexpected(&"a quotient", arguments)),
    }
}

impl Kernel for Remainder {
    fn name(&self) -> &'static str {
        "%"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match result {
            DataType::Decimal128(..) => {
                let rest = |a: i128, b: i128| a.checked_rem(b);
                binary::<Decimal128Type, Decimal128Type, Decimal128Type>(
                    arguments,
                    result,
                    |a, b| rest(a, b).map_or((0, true), |rest| (rest, false)),
                    |a, b| rest(a, b).ok_or(Fault::DivisionByZero),
                )
            }
            DataType::Decimal256(..) => {
                let rest = |a: i256, b: i256| a.checked_rem(b);
                binary::<Decimal256Type, Decimal256Type, Decimal256Type>(
                    arguments,
                    result,
                    |a, b| rest(a, b).map_or((i256::ZERO, true), |rest| (rest, false)),
                    |a, b| rest(a, b).ok_or(Fault::DivisionByZero),
                )
            }
            _ => Err(unexpected(self, arguments)),
        }
    }
}
