//! Arithmetic of `smallint`, `integer`, `bigint`: checked, as int.c and int8.c do it.

use std::ops::{BitAnd, BitOr, BitXor};

use arrow::datatypes::{ArrowPrimitiveType, DataType, Int16Type, Int32Type, Int64Type};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::ColumnarValue;

use super::convert::{integer_digits, widened};
use super::kernel::{Answer, Kernel, apply, binary, unary, unexpected};
use super::typed::{Typed, of_kind};
use crate::expr::Function;
use crate::fault::Fault;
use crate::types::Kind;

/// What two integers of one type are combined to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    And,
    Or,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unary {
    Negate,
    Abs,
}

/// To a type of fewer bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Narrowed;

/// A cast to a type of fewer bits.
pub(super) fn narrowed(value: Typed, to: Kind) -> Typed {
    let ty = of_kind(to);
    Typed::new(apply(Narrowed, vec![value.expr], ty.arrow()), ty)
}

/// The result has the type of the wider argument.
pub(super) fn call(function: Function, arguments: Vec<Typed>) -> Option<Typed> {
    let ty = arguments.iter().max_by_key(|argument| integer_digits(&argument.ty))?.ty.clone();
    let count = arguments.len();
    let arguments = arguments.into_iter().map(|argument| widened(argument, ty.clone()).expr).collect();
    let binary = match (function, count) {
        (Function::Add, 2) => Binary::Add,
        (Function::Subtract, 2) => Binary::Subtract,
        (Function::Multiply, 2) => Binary::Multiply,
        (Function::Divide, 2) => Binary::Divide,
        (Function::Modulo, 2) => Binary::Modulo,
        (Function::BitAnd, 2) => Binary::And,
        (Function::BitOr, 2) => Binary::Or,
        (Function::BitXor, 2) => Binary::Xor,
        (Function::Subtract, 1) => return Some(Typed::new(apply(Unary::Negate, arguments, ty.arrow()), ty)),
        (Function::Abs, 1) => return Some(Typed::new(apply(Unary::Abs, arguments, ty.arrow()), ty)),
        _ => return None,
    };
    Some(Typed::new(apply(binary, arguments, ty.arrow()), ty))
}

macro_rules! operators {
    ($native:ident, $name:literal) => {
        impl Integer for $native {
            const NAME: &'static str = $name;

            #[inline]
            fn add(self, other: Self) -> (Self, bool) {
                self.overflowing_add(other)
            }

            #[inline]
            fn subtract(self, other: Self) -> (Self, bool) {
                self.overflowing_sub(other)
            }

            #[inline]
            fn multiply(self, other: Self) -> (Self, bool) {
                self.overflowing_mul(other)
            }

            #[inline]
            fn divide(self, other: Self) -> Option<(Self, bool)> {
                (other != 0).then(|| self.overflowing_div(other))
            }

            /// The remainder of the least integer and -1 is 0.
            #[inline]
            fn modulo(self, other: Self) -> Option<Self> {
                (other != 0).then(|| self.wrapping_rem(other))
            }

            #[inline]
            fn negate(self) -> (Self, bool) {
                self.overflowing_neg()
            }

            #[inline]
            fn absolute(self) -> (Self, bool) {
                self.overflowing_abs()
            }
        }
    };
}

trait Integer: Copy + Default + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self> {
    const NAME: &'static str;
    fn add(self, other: Self) -> (Self, bool);
    fn subtract(self, other: Self) -> (Self, bool);
    fn multiply(self, other: Self) -> (Self, bool);
    fn divide(self, other: Self) -> Option<(Self, bool)>;
    fn modulo(self, other: Self) -> Option<Self>;
    fn negate(self) -> (Self, bool);
    fn absolute(self) -> (Self, bool);
}

operators!(i16, "smallint");
operators!(i32, "integer");
operators!(i64, "bigint");

/// The value, if the flag does not say that it is out of range.
fn in_range<N: Integer>((value, out): (N, bool)) -> Answer<N> {
    if out { Err(Fault::Integer(N::NAME)) } else { Ok(value) }
}

impl Binary {
    fn of<T: ArrowPrimitiveType<Native: Integer>>(
        self,
        arguments: &[ColumnarValue],
        result: &DataType,
    ) -> EngineResult<ColumnarValue> {
        fn checked<T: ArrowPrimitiveType<Native: Integer>>(
            arguments: &[ColumnarValue],
            result: &DataType,
            op: impl Fn(T::Native, T::Native) -> (T::Native, bool),
        ) -> EngineResult<ColumnarValue> {
            binary::<T, T, T>(arguments, result, &op, |a, b| in_range(op(a, b)))
        }
        match self {
            Self::Add => checked::<T>(arguments, result, T::Native::add),
            Self::Subtract => checked::<T>(arguments, result, T::Native::subtract),
            Self::Multiply => checked::<T>(arguments, result, T::Native::multiply),
            Self::Divide => binary::<T, T, T>(
                arguments,
                result,
                |a, b| a.divide(b).unwrap_or((T::Native::default(), true)),
                |a, b| in_range(a.divide(b).ok_or(Fault::DivisionByZero)?),
            ),
            Self::Modulo => binary::<T, T, T>(
                arguments,
                result,
                |a, b| a.modulo(b).map_or((T::Native::default(), true), |value| (value, false)),
                |a, b| a.modulo(b).ok_or(Fault::DivisionByZero),
            ),
            Self::And => checked::<T>(arguments, result, |a, b| (a & b, false)),
            Self::Or => checked::<T>(arguments, result, |a, b| (a | b, false)),
            Self::Xor => checked::<T>(arguments, result, |a, b| (a ^ b, false)),
        }
    }
}

impl Kernel for Binary {
    fn name(&self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::And => "&",
            Self::Or => "|",
            Self::Xor => "#",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match result {
            DataType::Int16 => self.of::<Int16Type>(arguments, result),
            DataType::Int32 => self.of::<Int32Type>(arguments, result),
            DataType::Int64 => self.of::<Int64Type>(arguments, result),
            _ => Err(unexpected(self, arguments)),
        }
    }
}

impl Unary {
    fn of<T: ArrowPrimitiveType<Native: Integer>>(
        self,
        arguments: &[ColumnarValue],
        result: &DataType,
    ) -> EngineResult<ColumnarValue> {
        match self {
            Self::Negate => unary::<T, T>(arguments, result, T::Native::negate, |a| in_range(a.negate())),
            Self::Abs => unary::<T, T>(arguments, result, T::Native::absolute, |a| in_range(a.absolute())),
        }
    }
}

impl Kernel for Unary {
    fn name(&self) -> &'static str {
        match self {
            Self::Negate => "-",
            Self::Abs => "abs",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        match result {
            DataType::Int16 => self.of::<Int16Type>(arguments, result),
            DataType::Int32 => self.of::<Int32Type>(arguments, result),
            DataType::Int64 => self.of::<Int64Type>(arguments, result),
            _ => Err(unexpected(self, arguments)),
        }
    }
}

impl Kernel for Narrowed {
    fn name(&self) -> &'static str {
        "integer"
    }

    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue> {
        let small = |value: i64| (value as i16, i64::from(value as i16) != value);
        let medium = |value: i64| (value as i32, i64::from(value as i32) != value);
        match (arguments.first().map(ColumnarValue::data_type), result) {
            (Some(DataType::Int32), DataType::Int16) => {
                let small = |value: i32| small(value.into());
                unary::<Int32Type, Int16Type>(arguments, result, small, |value| in_range(small(value)))
            }
            (Some(DataType::Int64), DataType::Int16) => {
                unary::<Int64Type, Int16Type>(arguments, result, small, |value| in_range(small(value)))
            }
            (Some(DataType::Int64), DataType::Int32) => {
                unary::<Int64Type, Int32Type>(arguments, result, medium, |value| in_range(medium(value)))
            }
            _ => Err(unexpected(self, arguments)),
        }
    }
}
