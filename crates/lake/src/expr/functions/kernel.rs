//! Kernels as DataFusion takes them, and the loops that most of them are.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::expr::schema_name_from_exprs;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::error::Error;
use crate::fault::Fault;

/// The value of a function, or why there is none.
pub(super) type Answer<T> = std::result::Result<T, Fault>;

/// What computes a function for the rows of a batch. It is NULL where an argument is NULL.
pub(super) trait Kernel: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// The function's name in PostgreSQL.
    fn name(&self) -> &'static str;

    /// Of arguments that the maker of the kernel has typed. Scalars are for all rows. Without an array the answer is a scalar.
    fn evaluate(&self, arguments: &[ColumnarValue], result: &DataType) -> EngineResult<ColumnarValue>;
}

/// The call of a kernel. Nothing coerces the arguments, so they have to have the types that it wants.
pub(super) fn apply<K: Kernel>(kernel: K, arguments: Vec<Expr>, result: DataType) -> Expr {
    let signature = Signature::any(arguments.len(), Volatility::Immutable);
    ScalarUDF::new_from_impl(Udf { kernel, result, signature }).call(arguments)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Udf<K> {
    kernel: K,
    result: DataType,
    signature: Signature,
}

impl<K: Kernel> ScalarUDFImpl for Udf<K> {
    fn name(&self) -> &str {
        self.kernel.name()
    }

    /// Kernels of one name differ in what they hold.
    fn schema_name(&self, arguments: &[Expr]) -> EngineResult<String> {
        Ok(format!("{:?}[{}]({})", self.kernel, self.result, schema_name_from_exprs(arguments)?))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> EngineResult<DataType> {
        Ok(self.result.clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        self.kernel.evaluate(&call.args, &self.result)
    }
}

/// An error of PostgreSQL as DataFusion passes it on.
pub(super) fn fault(fault: Fault) -> DataFusionError {
    DataFusionError::External(Box::new(Error::Function(fault)))
}

pub(super) fn unexpected(kernel: &impl Debug, arguments: &[ColumnarValue]) -> DataFusionError {
    let types: Vec<_> = arguments.iter().map(|argument| argument.data_type().to_string()).collect();
    DataFusionError::Internal(format!("{kernel:?} of {}", types.join(", ")))
}

/// An argument: an array, or an array of one element that stands for all rows.
pub(super) struct Operand {
    pub array: ArrayRef,
    pub is_one: bool,
}

impl Operand {
    pub(super) fn of(value: &ColumnarValue) -> EngineResult<Self> {
        Ok(match value {
            ColumnarValue::Array(array) => Self { array: array.clone(), is_one: false },
            ColumnarValue::Scalar(scalar) => Self { array: scalar.to_array()?, is_one: true },
        })
    }

    pub(super) fn is_null_for_all(&self) -> bool {
        self.is_one && self.array.is_null(0)
    }

    /// The index of a row's value.
    #[inline]
    pub(super) fn at(&self, row: usize) -> usize {
        if self.is_one { 0 } else { row }
    }

    pub(super) fn primitive<T: ArrowPrimitiveType>(&self) -> EngineResult<&PrimitiveArray<T>> {
        self.array.as_primitive_opt::<T>().ok_or_else(|| {
            DataFusionError::Internal(format!("{} where {} was expected", self.array.data_type(), T::DATA_TYPE))
        })
    }
}

/// The arguments of a call, how many rows there are, whether all are scalars, and where one of them is NULL.
pub(super) struct Operands {
    pub all: Vec<Operand>,
    pub rows: usize,
    pub is_one: bool,
    pub nulls: Option<NullBuffer>,
}

impl Operands {
    pub(super) fn of(arguments: &[ColumnarValue]) -> EngineResult<Self> {
        let all = arguments.iter().map(Operand::of).collect::<EngineResult<Vec<_>>>()?;
        let array = all.iter().find(|operand| !operand.is_one);
        let rows = array.map_or(1, |operand| operand.array.len());
        let is_one = array.is_none();
        let nulls = if all.iter().any(Operand::is_null_for_all) {
            Some(NullBuffer::new_null(rows))
        } else {
            let arrays = all.iter().filter(|operand| !operand.is_one);
            NullBuffer::union_many(
                arrays.map(|operand| operand.array.logical_nulls()).collect::<Vec<_>>().iter().map(Option::as_ref),
            )
        };
        Ok(Self { all, rows, is_one, nulls })
    }

    #[inline]
    pub(super) fn is_valid(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }

    /// The answer, which has as many elements as there are rows.
    pub(super) fn answer(&self, array: ArrayRef) -> EngineResult<ColumnarValue> {
        if self.is_one {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// A function of one number. `fast` says for any value at all, also of rows that are NULL, what the answer is and whether it
/// doubts it; if it does for any row, `exact` answers for those that are not NULL.
pub(super) fn unary<A: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    arguments: &[ColumnarValue],
    result: &DataType,
    fast: impl Fn(A::Native) -> (O::Native, bool),
    exact: impl Fn(A::Native) -> Answer<O::Native>,
) -> EngineResult<ColumnarValue> {
    let operands = Operands::of(arguments)?;
    let [a] = &operands.all[..] else { return Err(unexpected(&"a function of one argument", arguments)) };
    let a = a.primitive::<A>()?.values();
    let mut doubt = false;
    let mut note = |(value, doubted): (O::Native, bool)| {
        doubt |= doubted;
        value
    };
    let values: Vec<O::Native> = a.iter().map(|a| note(fast(*a))).collect();
    let values = if doubt { each(&operands, |row| exact(a[row]))? } else { values };
    finish::<O>(&operands, values, result)
}

/// The same of two numbers.
pub(super) fn binary<A: ArrowPrimitiveType, B: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    arguments: &[ColumnarValue],
    result: &DataType,
    fast: impl Fn(A::Native, B::Native) -> (O::Native, bool),
    exact: impl Fn(A::Native, B::Native) -> Answer<O::Native>,
) -> EngineResult<ColumnarValue> {
    let operands = Operands::of(arguments)?;
    let [left, right] = &operands.all[..] else { return Err(unexpected(&"a function of two arguments", arguments)) };
    let (a, b) = (left.primitive::<A>()?.values(), right.primitive::<B>()?.values());
    if operands.rows > 0 && (left.is_null_for_all() || right.is_null_for_all()) {
        return finish::<O>(&operands, vec![O::default_value(); operands.rows], result);
    }
    let mut doubt = false;
    let mut note = |(value, doubted): (O::Native, bool)| {
        doubt |= doubted;
        value
    };
    let values: Vec<O::Native> = match (left.is_one, right.is_one) {
        (true, true) | (false, false) => a.iter().zip(b).map(|(a, b)| note(fast(*a, *b))).collect(),
        (true, false) => {
            let a = a[0];
            b.iter().map(|b| note(fast(a, *b))).collect()
        }
        (false, true) => {
            let b = b[0];
            a.iter().map(|a| note(fast(*a, b))).collect()
        }
    };
    let values = if doubt { each(&operands, |row| exact(a[left.at(row)], b[right.at(row)]))? } else { values };
    finish::<O>(&operands, values, result)
}

/// The answers for the rows that are not NULL.
pub(super) fn each<N: Default>(operands: &Operands, answer: impl Fn(usize) -> Answer<N>) -> EngineResult<Vec<N>> {
    let value = |row| if operands.is_valid(row) { answer(row).map_err(fault) } else { Ok(N::default()) };
    (0..operands.rows).map(value).collect()
}

pub(super) fn finish<O: ArrowPrimitiveType>(
    operands: &Operands,
    values: Vec<O::Native>,
    result: &DataType,
) -> EngineResult<ColumnarValue> {
    let array = PrimitiveArray::<O>::new(values.into(), operands.nulls.clone()).with_data_type(result.clone());
    operands.answer(Arc::new(array))
}
