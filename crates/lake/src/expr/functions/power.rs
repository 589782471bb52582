//! `power`, `exp`, `ln` and `log` of `double precision`: the C library's, which PostgreSQL calls, too, with the errors of
//! float.c. (Not `cbrt`: that of Rust is its own, and another one in the last digit.) A result so small that it has lost digits
//! may be an error there, by what the library says of it, so PostgreSQL is asked.

use arrow::datatypes::{DataType, Float64Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::ColumnarValue;

use super::kernel::{Answer, Kernel, apply, binary, unary};
use super::typed::Typed;
use crate::expr::Function;
use crate::fault::Fault;
use crate::types::ColumnType;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Power {
    Raised,
    Exp,
    Ln,
    Log10,
    Sign,
}

/// A call of double precisions.
pub(super) fn call(function: Function, arguments: Vec<Typed>) -> Option<Typed> {
    let power = match (function, arguments.len()) {
        (Function::Power, 2) => Power::Raised,
        (Function::Exp, 1) => Power::Exp,
        (Function::Ln, 1) => Power::Ln,
        (Function::Log10, 1) => Power::Log10,
        (Function::Sign, 1) => Power::Sign,
        _ => return None,
    };
    let arguments = arguments.into_iter().map(|argument| argument.expr).collect();
    let ty = ColumnType::Float8;
    Some(Typed::new(apply(power, arguments, ty.arrow()), ty))
}

/// A result that is not zero or infinite for its arguments' sake.
fn checked(result: f64) -> Answer<f64> {
    if result.is_infinite() {
        Err(Fault::Overflow)
    } else if result == 0.0 {
        Err(Fault::Underflow)
    } else if result.is_subnormal() {
        Err(Fault::Subnormal)
    } else {
        Ok(result)
    }
}

/// dpow.
fn power(base: f64, exponent: f64) -> Answer<f64> {
    if base.is_nan() || exponent.is_nan() {
        return Ok(if base == 1.0 || exponent == 0.0 { 1.0 } else { f64::NAN });
    }
    if base == 0.0 && exponent < 0.0 {
        return Err(Fault::ZeroToNegative);
    }
    if base < 0.0 && exponent.floor() != exponent {
        return Err(Fault::Complex);
    }
    // With an infinite argument, or zero, the library's answer is that of the standard, and no error.
    let result = base.powf(exponent);
    if base.is_infinite() || exponent.is_infinite() || base == 0.0 { Ok(result) } else { checked(result) }
}

fn exp(x: f64) -> Answer<f64> {
    if x.is_nan() || x.is_infinite() { Ok(x.exp()) } else { checked(x.exp()) }
}

/// The logarithm of a number of which there is one.
fn logarithm(x: f64, of: fn(f64) -> f64) -> Answer<f64> {
    if x == 0.0 {
        return Err(Fault::LogarithmOfZero);
    }
    if x < 0.0 {
        return Err(Fault::LogarithmOfNegative);
    }
    Ok(of(x))
}

/// Of NaN it is zero.
fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

impl Power {
    fn of(self, x: f64) -> Answer<f64> {
        match self {
            Self::Exp => exp(x),
            Self::Ln => logarithm(x, f64::ln),
            Self::Log10 => logarithm(x, f64::log10),
            Self::Sign => Ok(sign(x)),
            Self::Raised => power(x, 1.0),
        }
    }
}

impl Kernel for Power {
    fn name(&self) -> &'static str {
        match self {
            Self::Raised => "power",
            Self::Exp => "exp",
            Self::Ln => "ln",
            Self::Log10 => "log10",
            Self::Sign => "sign",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        let quiet = |answer: Answer<f64>| answer.map_or((0.0, true), |value| (value, false));
        if *self == Self::Raised {
            return binary::<Float64Type, Float64Type, Float64Type>(
                arguments,
                result,
                |a, b| quiet(power(a, b)),
                power,
            );
        }
        unary::<Float64Type, Float64Type>(arguments, result, |x| quiet(self.of(x)), |x| self.of(x))
    }
}
