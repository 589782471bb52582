//! Functions that no query names, but its plan needs.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int64Type};
use datafusion::common::{DataFusionError, Result as EngineResult, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::error::Error;

/// A float with one NaN and one zero: what PostgreSQL takes for equal has equal bits, and Arrow's order is PostgreSQL's.
pub(super) fn canonical(argument: Expr) -> Expr {
    ScalarUDF::new_from_impl(Canonical { signature: Signature::any(1, Volatility::Immutable) }).call(vec![argument])
}

/// Whether a call is of [`canonical`].
pub(super) fn is_canonical(function: &ScalarUDF) -> bool {
    function.name() == CANONICAL
}

/// `value`, where `rows` is not above one.
pub(super) fn single(value: Expr, rows: Expr) -> Expr {
    // Not immutable, so that it is asked only for rows that a query looks at.
    ScalarUDF::new_from_impl(Single { signature: Signature::any(2, Volatility::Volatile) }).call(vec![value, rows])
}

/// A boolean as a number, 0 or 1: what the optimizer knows of booleans it does not apply.
pub(super) fn flag(value: Expr) -> Expr {
    of_boolean(BOOLEAN_TO_FLAG, DataType::Boolean, DataType::Int8).call(vec![value])
}

/// The boolean that [`flag`] was made of.
pub(super) fn truth(flag: Expr) -> Expr {
    of_boolean(FLAG_TO_BOOLEAN, DataType::Int8, DataType::Boolean).call(vec![flag])
}

/// A value that is not known while a plan is made, but its type. `arguments` are what it would be computed of.
pub(super) fn unknown(index: usize, ty: DataType, arguments: Vec<Expr>) -> Expr {
    let signature = Signature::variadic_any(Volatility::Immutable);
    let signature = if arguments.is_empty() { Signature::nullary(Volatility::Immutable) } else { signature };
    ScalarUDF::new_from_impl(Unknown { index, ty, signature }).call(arguments)
}

const BOOLEAN_TO_FLAG: &str = "lagoon_flag";
const FLAG_TO_BOOLEAN: &str = "lagoon_truth";

fn of_boolean(name: &'static str, from: DataType, to: DataType) -> ScalarUDF {
    ScalarUDF::new_from_impl(Recast { name, from, to, signature: Signature::any(1, Volatility::Immutable) })
}

/// A boolean as a number, or back.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Recast {
    name: &'static str,
    from: DataType,
    to: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Recast {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> EngineResult<DataType> {
        let given = first(arguments)?;
        if *given == self.from { Ok(self.to.clone()) } else { Err(wrong(given)) }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        first(&arguments.args)?.cast_to(&self.to, None)
    }
}

const CANONICAL: &str = "lagoon_float";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Canonical {
    signature: Signature,
}

impl ScalarUDFImpl for Canonical {
    fn name(&self) -> &str {
        CANONICAL
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> EngineResult<DataType> {
        first(arguments).cloned()
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        Ok(match first(&arguments.args)? {
            ColumnarValue::Scalar(ScalarValue::Float64(value)) => {
                ColumnarValue::Scalar(ScalarValue::Float64(value.map(canonical64)))
            }
            ColumnarValue::Scalar(ScalarValue::Float32(value)) => {
                ColumnarValue::Scalar(ScalarValue::Float32(value.map(canonical32)))
            }
            ColumnarValue::Array(array) if array.data_type() == &DataType::Float64 => {
                ColumnarValue::Array(mapped::<Float64Type>(array, canonical64))
            }
            ColumnarValue::Array(array) if array.data_type() == &DataType::Float32 => {
                ColumnarValue::Array(mapped::<Float32Type>(array, canonical32))
            }
            other => return Err(wrong(&other.data_type())),
        })
    }
}

fn mapped<T: ArrowPrimitiveType>(array: &ArrayRef, f: impl Fn(T::Native) -> T::Native) -> ArrayRef {
    let array: PrimitiveArray<T> = array.as_primitive::<T>().unary(f);
    Arc::new(array)
}

fn canonical64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

fn canonical32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value + 0.0 }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Single {
    signature: Signature,
}

impl ScalarUDFImpl for Single {
    fn name(&self) -> &str {
        "lagoon_single"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> EngineResult<DataType> {
        first(arguments).cloned()
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let [value, rows] = &arguments.args[..] else { return Err(wrong(&DataType::Null)) };
        let rows = rows.to_array(arguments.number_rows)?;
        let rows = rows.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(rows.data_type()))?;
        if rows.iter().flatten().any(|rows| rows > 1) {
            return Err(DataFusionError::External(Box::new(Error::SeveralRows)));
        }
        Ok(value.clone())
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Unknown {
    index: usize,
    ty: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Unknown {
    fn name(&self) -> &str {
        "lagoon_parameter"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> EngineResult<DataType> {
        Ok(self.ty.clone())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        Err(DataFusionError::Internal(format!("parameter {} has no value", self.index)))
    }
}

fn first<T>(arguments: &[T]) -> EngineResult<&T> {
    arguments.first().ok_or_else(|| wrong(&DataType::Null))
}

fn wrong(ty: &DataType) -> DataFusionError {
    DataFusionError::Internal(format!("a function of the engine's own was given {ty}"))
}
