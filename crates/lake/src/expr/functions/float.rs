//! Arithmetic of `real` and `double precision`, with the errors of float.c in place of infinities and zeros that come from
//! nowhere; and casts of floats.

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::ColumnarValue;

use super::convert::widened;
use super::kernel::{Answer, Kernel, apply, binary, unary, unexpected};
use super::typed::{Typed, of_kind};
use crate::expr::Function;
use crate::fault::Fault;
use crate::types::{ColumnType, Kind};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Negate,
    Abs,
    Sqrt,
    Round,
    Trunc,
    Ceil,
    Floor,
}

/// To another type of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Converted;

/// The result has the type of the wider argument.
pub(super) fn call(function: Function, arguments: Vec<Typed>) -> Option<Typed> {
    let operator = match (function, arguments.len()) {
        (Function::Add, 2) => Operator::Add,
        (Function::Subtract, 2) => Operator::Subtract,
        (Function::Multiply, 2) => Operator::Multiply,
        (Function::Divide, 2) => Operator::Divide,
        (Function::Subtract, 1) => Operator::Negate,
        (Function::Abs, 1) => Operator::Abs,
        (Function::Sqrt, 1) => Operator::Sqrt,
        (Function::Round, 1) => Operator::Round,
        (Function::Trunc, 1) => Operator::Trunc,
        (Function::Ceil, 1) => Operator::Ceil,
        (Function::Floor, 1) => Operator::Floor,
        _ => return None,
    };
    let wide = arguments.iter().any(|argument| argument.ty == ColumnType::Float8);
    let ty = if wide { ColumnType::Float8 } else { ColumnType::Float4 };
    let arguments = arguments.into_iter().map(|argument| widened(argument, ty.clone()).expr).collect();
    Some(Typed::new(apply(operator, arguments, ty.arrow()), ty))
}

/// A cast between floats, or to an integer.
pub(super) fn converted(value: Typed, to: Kind) -> Typed {
    let ty = of_kind(to);
    Typed::new(apply(Converted, vec![value.expr], ty.arrow()), ty)
}

/// What both floats have.
trait Float: Copy + Default + PartialOrd {
    const ZERO: Self;
    fn is_infinite(self) -> bool;
    fn is_nan(self) -> bool;
    fn add(self, other: Self) -> Self;
    fn subtract(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
    fn divide(self, other: Self) -> Self;
    fn negate(self) -> Self;
    fn absolute(self) -> Self;
    fn root(self) -> Self;
    fn rounded(self) -> Self;
    fn truncated(self) -> Self;
    fn up(self) -> Self;
    fn down(self) -> Self;
    /// Of NaN there is one: what is compared later may look at its bits.
    fn canonical(self) -> Self;
}

macro_rules! float {
    ($native:ident) => {
        impl Float for $native {
            const ZERO: Self = 0.0;

            #[inline]
            fn is_infinite(self) -> bool {
                self.is_infinite()
            }

            #[inline]
            fn is_nan(self) -> bool {
                self.is_nan()
            }

            #[inline]
            fn add(self, other: Self) -> Self {
                self + other
            }

            #[inline]
            fn subtract(self, other: Self) -> Self {
                self - other
            }

            #[inline]
            fn multiply(self, other: Self) -> Self {
                self * other
            }

            #[inline]
            fn divide(self, other: Self) -> Self {
                self / other
            }

            #[inline]
            fn negate(self) -> Self {
                -self
            }

            #[inline]
            fn absolute(self) -> Self {
                self.abs()
            }

            #[inline]
            fn root(self) -> Self {
                self.sqrt()
            }

            #[inline]
            fn rounded(self) -> Self {
                self.round_ties_even()
            }

            #[inline]
            fn truncated(self) -> Self {
                self.trunc()
            }

            #[inline]
            fn up(self) -> Self {
                self.ceil()
            }

            #[inline]
            fn down(self) -> Self {
                self.floor()
            }

            #[inline]
            fn canonical(self) -> Self {
                if self.is_nan() { Self::NAN } else { self }
            }
        }
    };
}

float!(f32);
float!(f64);

impl Operator {
    /// As float4pl, float4mi, float4mul, float4div and their relatives check it.
    fn combined<F: Float>(self, a: F, b: F) -> Answer<F> {
        let value = match self {
            Self::Add => a.add(b),
            Self::Subtract => a.subtract(b),
            Self::Multiply => a.multiply(b),
            _ if b == F::ZERO && !a.is_nan() => return Err(Fault::DivisionByZero),
            _ => a.divide(b),
        };
        let inputs_are_finite = !a.is_infinite() && !b.is_infinite();
        match self {
            Self::Divide if value.is_infinite() && !a.is_infinite() => Err(Fault::Overflow),
            Self::Divide if value == F::ZERO && a != F::ZERO && !b.is_infinite() => Err(Fault::Underflow),
            Self::Divide => Ok(value.canonical()),
            _ if value.is_infinite() && inputs_are_finite => Err(Fault::Overflow),
            Self::Multiply if value == F::ZERO && a != F::ZERO && b != F::ZERO => Err(Fault::Underflow),
            _ => Ok(value.canonical()),
        }
    }

    fn changed<F: Float>(self, a: F) -> Answer<F> {
        Ok(match self {
            Self::Negate => a.negate(),
            Self::Abs => a.absolute(),
            Self::Sqrt if a < F::ZERO => return Err(Fault::SquareRoot),
            Self::Sqrt => a.root(),
            Self::Round => a.rounded(),
            Self::Trunc => a.truncated(),
            Self::Ceil => a.up(),
            _ => a.down(),
        }
        .canonical())
    }

    fn of<T: ArrowPrimitiveType<Native: Float>>(
        self,
        arguments: &[ColumnarValue],
        result: &DataType,
    ) -> EngineResult<ColumnarValue> {
        let doubted = |value: Answer<T::Native>| value.map_or((T::Native::default(), true), |value| (value, false));
        match self {
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide => {
                binary::<T, T, T>(arguments, result, |a, b| doubted(self.combined(a, b)), |a, b| self.combined(a, b))
            }
            _ => unary::<T, T>(arguments, result, |a| doubted(self.changed(a)), |a| self.changed(a)),
        }
    }
}

impl Kernel for Operator {
    fn name(&self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract | Self::Negate => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Abs => "abs",
            Self::Sqrt => "sqrt",
            Self::Round => "round",
            Self::Trunc => "trunc",
            Self::Ceil => "ceil",
            Self::Floor => "floor",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match result {
            DataType::Float32 => self.of::<Float32Type>(arguments, result),
            DataType::Float64 => self.of::<Float64Type>(arguments, result),
            _ => Err(unexpected(self, arguments)),
        }
    }
}

/// Rounded half to even, if it lies in a range whose upper end is a power of two and outside of it.
fn integer(value: f64, end: f64, name: &'static str) -> Answer<i64> {
    let rounded = value.round_ties_even();
    if rounded >= -end && rounded < end { Ok(rounded as i64) } else { Err(Fault::Integer(name)) }
}

fn narrowed(value: f64) -> Answer<f32> {
    let real = value as f32;
    match real {
        _ if real.is_infinite() && !value.is_infinite() => Err(Fault::Overflow),
        _ if real == 0.0 && value != 0.0 => Err(Fault::Underflow),
        _ => Ok(real.canonical()),
    }
}

impl Converted {
    fn of<T: ArrowPrimitiveType<Native: Into<f64>>>(
        self,
        arguments: &[ColumnarValue],
        result: &DataType,
    ) -> EngineResult<ColumnarValue> {
        fn exactly<T: ArrowPrimitiveType, O: ArrowPrimitiveType>(
            arguments: &[ColumnarValue],
            result: &DataType,
            f: impl Fn(T::Native) -> Answer<O::Native>,
        ) -> EngineResult<ColumnarValue> {
            let fast = |a| f(a).map_or((O::default_value(), true), |value| (value, false));
            unary::<T, O>(arguments, result, fast, &f)
        }
        match result {
            DataType::Int16 => exactly::<T, Int16Type>(arguments, result, |a| {
                Ok(integer(a.into(), -f64::from(i16::MIN), "smallint")? as i16)
            }),
            DataType::Int32 => exactly::<T, Int32Type>(arguments, result, |a| {
                Ok(integer(a.into(), -f64::from(i32::MIN), "integer")? as i32)
            }),
            DataType::Int64 => {
                exactly::<T, Int64Type>(arguments, result, |a| integer(a.into(), -(i64::MIN as f64), "bigint"))
            }
            DataType::Float32 => exactly::<T, Float32Type>(arguments, result, |a| narrowed(a.into())),
            _ => Err(unexpected(&self, arguments)),
        }
    }
}

impl Kernel for Converted {
    fn name(&self) -> &'static str {
        "number"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match arguments.first().map(ColumnarValue::data_type) {
            Some(DataType::Float32) => self.of::<Float32Type>(arguments, result),
            Some(DataType::Float64) => self.of::<Float64Type>(arguments, result),
            _ => Err(unexpected(self, arguments)),
        }
    }
}
