//! Numerics with fewer digits: `round`, `trunc`, `ceil`, `floor`, and casts to `numeric(p,s)`, integers and floats.

use arrow::array::ArrowPrimitiveType;
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, i256,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{ColumnarValue, Expr};

use super::digits::{Digits, Number, derived, is_narrow, whole, widest};
use super::kernel::{Answer, Kernel, apply, unary, unexpected};
use super::typed::{Scale, Typed, Width, of_kind, unsupported};
use crate::error::Result;
use crate::expr::Function;
use crate::fault::Fault;
use crate::types::{ColumnType, Kind, MAX_DIGITS, Numeric};

/// What becomes of the digits that go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Rounding {
    HalfAway,
    Truncate,
    Up,
    Down,
}

/// To so many digits behind the point, or before it. More than there are become zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Round {
    rounding: Rounding,
    /// The scale of the argument.
    from: u8,
    to: i16,
}

/// To `numeric(p,s)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Field {
    from: u8,
    precision: u8,
    scale: u8,
}

/// To another type of numbers, from a numeric of this scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Converted(u8);

/// Digits behind the point that `round` and `trunc` may ask for here.
const MOST_DIGITS: i32 = MAX_DIGITS as i32;

/// `round(value, digits)` and relatives. Digits are a constant.
pub(super) fn round(width: Width, function: Function, value: Typed, digits: Option<&Expr>) -> Result<Typed> {
    let (Some(own), to) = (value.numeric(), places(digits)?) else {
        return Err(unsupported(format!("{} of {}", function.name(), value.ty)));
    };
    let rounding = match function {
        Function::Trunc => Rounding::Truncate,
        Function::Ceil => Rounding::Up,
        Function::Floor => Rounding::Down,
        _ => Rounding::HalfAway,
    };
    let more = u16::from(rounding != Rounding::Truncate);
    // A value that is rounded to the left of its first digit may still have one there.
    let digits = (whole(own) + more).max(if to < 0 { to.unsigned_abs() + more } else { 0 });
    let (numeric, checked) = derived(width, digits, to.max(0) as u16, is_narrow(own))?;
    let ty = ColumnType::Numeric(numeric);
    let wide = !is_narrow(numeric) || !is_narrow(own) || checked;
    let value = if wide { widest(value) } else { value.expr };
    Ok(Typed::new(apply(Round { rounding, from: own.scale, to }, vec![value], ty.arrow()), ty))
}

/// The second argument of `round` and `trunc`.
fn places(digits: Option<&Expr>) -> Result<i16> {
    match digits {
        None => Ok(0),
        Some(Expr::Literal(ScalarValue::Int32(Some(digits)), _)) if digits.abs() <= MOST_DIGITS => Ok(*digits as i16),
        Some(_) => Err(unsupported("rounding to a number of digits that is not a small constant")),
    }
}

/// A cast to `numeric(p,s)`.
pub(super) fn field(value: Typed, own: Numeric, to: Numeric) -> Result<Typed> {
    if to.precision > MAX_DIGITS || to.scale > to.precision || to.precision == 0 {
        return Err(unsupported(format!("a cast to numeric({},{})", to.precision, to.scale)));
    }
    let kernel = Field { from: own.scale, precision: to.precision, scale: to.scale };
    let wide = !is_narrow(own) || !is_narrow(to);
    let value = if wide { widest(value) } else { value.expr };
    let ty = ColumnType::Numeric(to);
    Ok(Typed { expr: apply(kernel, vec![value], ty.arrow()), ty, scale: Scale::Fixed })
}

/// A cast to an integer or float.
pub(super) fn converted(value: Typed, own: Numeric, to: Kind) -> Typed {
    let ty = of_kind(to);
    Typed::new(apply(Converted(own.scale), vec![value.expr], ty.arrow()), ty)
}

/// `value / 10^digits`, rounded.
fn rounded<N: Number>(value: N, digits: u32, rounding: Rounding) -> N {
    let Some(power) = N::power(digits) else {
        // Fewer digits than go: what is left is less than half a unit, or a unit.
        let away = match rounding {
            Rounding::Up => !value.is_negative() && !value.is_zero(),
            Rounding::Down => value.is_negative(),
            Rounding::HalfAway | Rounding::Truncate => false,
        };
        return if away { unit(value) } else { N::ZERO };
    };
    let (quotient, rest) = (value.div_wrapping(power), value.mod_wrapping(power));
    let away = match rounding {
        Rounding::HalfAway => rest.absolute().is_ge(power.sub_wrapping(rest.absolute())),
        Rounding::Truncate => false,
        Rounding::Up => !rest.is_negative() && !rest.is_zero(),
        Rounding::Down => rest.is_negative(),
    };
    if away { quotient.add_wrapping(unit(value)) } else { quotient }
}

/// One, with the sign of a number.
fn unit<N: Number>(value: N) -> N {
    if value.is_negative() { N::ZERO.sub_wrapping(N::ONE) } else { N::ONE }
}

impl Round {
    fn value<N: Number>(self, value: N) -> Answer<N> {
        let from = i16::from(self.from);
        let times = |value: N, power: i16| {
            let power = N::power(power.unsigned_abs().into());
            power.and_then(|power| value.mul_checked(power).ok()).ok_or(Fault::TooWide)
        };
        if self.to >= from {
            return times(value, self.to - from);
        }
        let value = rounded(value, (from - self.to).unsigned_abs().into(), self.rounding);
        if self.to < 0 && !value.is_zero() { times(value, self.to) } else { Ok(value) }
    }
}

impl Field {
    fn value<N: Number>(self, value: N) -> Answer<N> {
        let out = || Fault::Field { precision: self.precision, scale: self.scale };
        let value = match self.from.checked_sub(self.scale) {
            Some(digits) => rounded(value, digits.into(), Rounding::HalfAway),
            None => {
                let power = N::power((self.scale - self.from).into()).ok_or_else(out)?;
                value.mul_checked(power).map_err(|_| out())?
            }
        };
        match N::power(self.precision.into()) {
            Some(limit) if value.absolute().is_ge(limit) => Err(out()),
            _ => Ok(value),
        }
    }
}

/// A kernel of a numeric to a numeric of the result's bits, which may be fewer.
fn numeric(
    arguments: &[ColumnarValue],
    result: &DataType,
    narrow: impl Fn(i128) -> Answer<i128>,
    wide: impl Fn(i256) -> Answer<i256>,
) -> EngineResult<ColumnarValue> {
    type Narrow = Decimal128Type;
    type Wide = Decimal256Type;
    match (arguments.first().map(ColumnarValue::data_type), result) {
        (Some(DataType::Decimal128(..)), DataType::Decimal128(..)) => {
            let fast = |a| narrow(a).map_or((0, true), |value| (value, false));
            unary::<Narrow, Narrow>(arguments, result, fast, &narrow)
        }
        (Some(DataType::Decimal256(..)), DataType::Decimal128(..)) => {
            let exact = |a| wide(a)?.to_i128().filter(|value| value.digits() <= 38).ok_or(Fault::TooWide);
            let fast = |a| exact(a).map_or((0, true), |value| (value, false));
            unary::<Wide, Narrow>(arguments, result, fast, exact)
        }
        (Some(DataType::Decimal256(..)), DataType::Decimal256(..)) => {
            let fast = |a| wide(a).map_or((i256::ZERO, true), |value| (value, false));
            unary::<Wide, Wide>(arguments, result, fast, &wide)
        }
        _ => Err(unexpected(&"a numeric", arguments)),
    }
}

impl Kernel for Round {
    fn name(&self) -> &'static str {
        match self.rounding {
            Rounding::HalfAway => "round",
            Rounding::Truncate => "trunc",
            Rounding::Up => "ceil",
            Rounding::Down => "floor",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        numeric(arguments, result, |a| self.value(a), |a| self.value(a))
    }
}

impl Kernel for Field {
    fn name(&self) -> &'static str {
        "numeric"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        numeric(arguments, result, |a| self.value(a), |a| self.value(a))
    }
}

impl Converted {
    fn of<D: Digits>(self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        let scale = u32::from(self.0);
        let integer = |value: D::Native, name: &'static str| -> Answer<i128> {
            let whole = rounded(value, scale, Rounding::HalfAway).wide().to_i128();
            whole.ok_or(Fault::Integer(name))
        };
        match result {
            DataType::Int16 => exactly::<D, Int16Type>(arguments, result, |value| {
                integer(value, "smallint")?.try_into().map_err(|_| Fault::Integer("smallint"))
            }),
            DataType::Int32 => exactly::<D, Int32Type>(arguments, result, |value| {
                integer(value, "integer")?.try_into().map_err(|_| Fault::Integer("integer"))
            }),
            DataType::Int64 => exactly::<D, Int64Type>(arguments, result, |value| {
                integer(value, "bigint")?.try_into().map_err(|_| Fault::Integer("bigint"))
            }),
            DataType::Float64 => exactly::<D, Float64Type>(arguments, result, |value| Ok(double(value.wide(), scale))),
            DataType::Float32 => exactly::<D, Float32Type>(arguments, result, |value| real(value.wide(), scale)),
            _ => Err(unexpected(&self, arguments)),
        }
    }
}

fn exactly<A: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    arguments: &[ColumnarValue],
    result: &DataType,
    f: impl Fn(A::Native) -> Answer<O::Native>,
) -> EngineResult<ColumnarValue> {
    unary::<A, O>(arguments, result, |a| f(a).map_or((O::default_value(), true), |value| (value, false)), &f)
}

/// Powers of ten that a double precision is.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The double precision next to `value / 10^scale`, as strtod finds it in the digits.
fn double(value: i256, scale: u32) -> f64 {
    if let Some(power) = POWERS.get(scale as usize)
        && let Some(small) = value.to_i128().and_then(|value| i64::try_from(value).ok())
        && small.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS
    {
        // Both are exact, so the quotient is rounded once.
        return small as f64 / power;
    }
    format!("{value}e-{scale}").parse().unwrap_or(f64::NAN)
}

/// The real next to it; one that is not zero and rounds to zero is out of range.
fn real(value: i256, scale: u32) -> Answer<f32> {
    let real: f32 = format!("{value}e-{scale}").parse().unwrap_or(f32::NAN);
    match real {
        _ if real.is_infinite() => Err(Fault::Real(text(value, scale))),
        _ if real == 0.0 && value != i256::ZERO => Err(Fault::Real(text(value, scale))),
        _ => Ok(real),
    }
}

/// As PostgreSQL prints it.
pub(super) fn text(value: i256, scale: u32) -> String {
    let digits = value.wrapping_abs().to_string();
    let scale = scale as usize;
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let sign = if value.is_negative() { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

impl Kernel for Converted {
    fn name(&self) -> &'static str {
        "number"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match arguments.first().map(ColumnarValue::data_type) {
            Some(DataType::Decimal128(..)) => self.of::<Decimal128Type>(arguments, result),
            Some(DataType::Decimal256(..)) => self.of::<Decimal256Type>(arguments, result),
            _ => Err(unexpected(self, arguments)),
        }
    }
}
