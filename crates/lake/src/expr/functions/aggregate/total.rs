//! Sums, and what is least and greatest of floats.

use std::sync::Arc;

use arrow::array::ArrowPrimitiveType;
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, i256,
};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::AggregateUDF;

use super::super::kernel::Answer;
use super::fold::{Fold, Folds, Maker, Step, Undo, function};
use crate::fault::Fault;
use crate::types::MAX_PRECISION;

/// The sum as a value of this type: of smaller integers as bigint, of bigints as numeric, else of the same type. `checked`
/// is whether it may have more than 38 digits in 128 bits.
pub(super) fn sum(result: DataType, checked: bool) -> Arc<AggregateUDF> {
    function("pg_sum", result, Sum { checked })
}

/// The least or greatest float: NaN is the greatest.
pub(super) fn extreme(result: DataType, is_max: bool) -> Arc<AggregateUDF> {
    if is_max { function("pg_max", result, Greatest) } else { function("pg_min", result, Least) }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sum {
    checked: bool,
}

impl Maker for Sum {
    fn folds(&self, argument: &DataType, result: &DataType) -> EngineResult<Box<dyn Folds>> {
        type Narrow<I> = Fold<I, Decimal128Type, Decimal>;
        Ok(match (argument, result) {
            (DataType::Int16, DataType::Int64) => Fold::<Int16Type, Int64Type, _>::boxed(Whole, result),
            (DataType::Int32, DataType::Int64) => Fold::<Int32Type, Int64Type, _>::boxed(Whole, result),
            (DataType::Int64, DataType::Decimal128(..)) => Narrow::<Int64Type>::boxed(Decimal(false), result),
            (DataType::Decimal128(..), DataType::Decimal128(..)) => {
                Narrow::<Decimal128Type>::boxed(Decimal(self.checked), result)
            }
            (DataType::Decimal256(..), DataType::Decimal256(..)) => {
                Fold::<Decimal256Type, Decimal256Type, _>::boxed(WideDecimal, result)
            }
            (DataType::Float32, DataType::Float32) => Fold::<Float32Type, Float32Type, _>::boxed(Float, result),
            (DataType::Float64, DataType::Float64) => Fold::<Float64Type, Float64Type, _>::boxed(Float, result),
            _ => return Err(DataFusionError::Internal(format!("the sum of {argument} as {result}"))),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Greatest;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Least;

impl Maker for Greatest {
    fn folds(&self, argument: &DataType, result: &DataType) -> EngineResult<Box<dyn Folds>> {
        match argument {
            DataType::Float32 => Ok(Fold::<Float32Type, Float32Type, _>::boxed(*self, result)),
            DataType::Float64 => Ok(Fold::<Float64Type, Float64Type, _>::boxed(*self, result)),
            _ => Err(DataFusionError::Internal(format!("the greatest {argument}"))),
        }
    }
}

impl Maker for Least {
    fn folds(&self, argument: &DataType, result: &DataType) -> EngineResult<Box<dyn Folds>> {
        match argument {
            DataType::Float32 => Ok(Fold::<Float32Type, Float32Type, _>::boxed(*self, result)),
            DataType::Float64 => Ok(Fold::<Float64Type, Float64Type, _>::boxed(*self, result)),
            _ => Err(DataFusionError::Internal(format!("the least {argument}"))),
        }
    }
}

/// The sum of smaller integers.
#[derive(Clone, Copy, Debug)]
struct Whole;

impl<I: ArrowPrimitiveType<Native: Into<i64>>> Step<I, Int64Type> for Whole {
    const UNDO: Option<Undo<I, Int64Type>> = Some(|state, value| *state = state.wrapping_sub(value.into()));

    fn start(self) -> i64 {
        0
    }

    #[inline]
    fn add(self, state: &mut i64, value: I::Native) -> bool {
        let (sum, overflowed) = state.overflowing_add(value.into());
        *state = sum;
        overflowed
    }

    fn merge(self, state: &mut i64, other: i64) -> bool {
        let (sum, overflowed) = state.overflowing_add(other);
        *state = sum;
        overflowed
    }

    fn fault(self) -> Fault {
        Fault::Integer("bigint")
    }
}

/// The sum of bigints and numerics. The flag is whether more than 38 digits are possible.
#[derive(Clone, Copy, Debug)]
struct Decimal(bool);

impl<I: ArrowPrimitiveType<Native: Into<i128>>> Step<I, Decimal128Type> for Decimal {
    const UNDO: Option<Undo<I, Decimal128Type>> = Some(|state, value| *state = state.wrapping_sub(value.into()));

    fn start(self) -> i128 {
        0
    }

    #[inline]
    fn add(self, state: &mut i128, value: I::Native) -> bool {
        let (sum, overflowed) = state.overflowing_add(value.into());
        *state = sum;
        overflowed
    }

    fn merge(self, state: &mut i128, other: i128) -> bool {
        let (sum, overflowed) = state.overflowing_add(other);
        *state = sum;
        overflowed
    }

    fn finish(self, state: i128) -> Answer<i128> {
        const LIMIT: u128 = 10u128.pow(MAX_PRECISION as u32);
        if self.0 && state.unsigned_abs() >= LIMIT { Err(Fault::TooWide) } else { Ok(state) }
    }

    fn fault(self) -> Fault {
        Fault::TooWide
    }
}

/// The sum of numerics of 256 bits.
#[derive(Clone, Copy, Debug)]
struct WideDecimal;

impl Step<Decimal256Type, Decimal256Type> for WideDecimal {
    const UNDO: Option<Undo<Decimal256Type, Decimal256Type>> = Some(|state, value| *state = state.wrapping_sub(value));

    fn start(self) -> i256 {
        i256::ZERO
    }

    #[inline]
    fn add(self, state: &mut i256, value: i256) -> bool {
        let (sum, overflowed) = state.overflowing_add(value);
        *state = sum;
        overflowed
    }

    fn merge(self, state: &mut i256, other: i256) -> bool {
        self.add(state, other)
    }

    fn fault(self) -> Fault {
        Fault::TooWide
    }
}

/// The sum of floats, in the order in which they come.
#[derive(Clone, Copy, Debug)]
struct Float;

macro_rules! float {
    ($native:ident, $arrow:ident) => {
        impl Step<$arrow, $arrow> for Float {
            const UNDO: Option<Undo<$arrow, $arrow>> = None;

            /// The sum with a value is that value, of zeros their sign.
            fn start(self) -> $native {
                -0.0
            }

            #[inline]
            fn add(self, state: &mut $native, value: $native) -> bool {
                let sum = *state + value;
                let overflowed = sum.is_infinite() && !state.is_infinite() && !value.is_infinite();
                *state = sum;
                overflowed
            }

            fn merge(self, state: &mut $native, other: $native) -> bool {
                Step::<$arrow, $arrow>::add(self, state, other)
            }

            fn finish(self, state: $native) -> Answer<$native> {
                Ok(if state.is_nan() { $native::NAN } else { state })
            }

            fn fault(self) -> Fault {
                Fault::Overflow
            }
        }

        impl Step<$arrow, $arrow> for Greatest {
            const UNDO: Option<Undo<$arrow, $arrow>> = None;

            fn start(self) -> $native {
                $native::NEG_INFINITY
            }

            #[inline]
            fn add(self, state: &mut $native, value: $native) -> bool {
                if value > *state || value.is_nan() {
                    *state = value;
                }
                false
            }

            fn merge(self, state: &mut $native, other: $native) -> bool {
                Step::<$arrow, $arrow>::add(self, state, other)
            }

            fn fault(self) -> Fault {
                Fault::Overflow
            }
        }

        impl Step<$arrow, $arrow> for Least {
            const UNDO: Option<Undo<$arrow, $arrow>> = None;

            fn start(self) -> $native {
                $native::NAN
            }

            #[inline]
            fn add(self, state: &mut $native, value: $native) -> bool {
                if value < *state || state.is_nan() {
                    *state = value;
                }
                false
            }

            fn merge(self, state: &mut $native, other: $native) -> bool {
                Step::<$arrow, $arrow>::add(self, state, other)
            }

            fn fault(self) -> Fault {
                Fault::Overflow
            }
        }
    };
}

float!(f32, Float32Type);
float!(f64, Float64Type);
