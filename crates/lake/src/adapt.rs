//! From the columns that a file stores to those that the table has, for each file of a scan.
//!
//! DataFusion's own adapter casts a column; its casts from finer units truncate towards zero, so that of two neighbours
//! before 1970 the later would become the earlier. Here they round down, everywhere the same, and what is out of range says
//! in which column. And a [`Condition`] becomes what the file's statistics are compared with.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Schema, SchemaRef, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, lit};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};

use crate::error::Error;
use crate::expr::Condition;

const NANOS_PER_MICRO: i64 = 1_000;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// Makes the adapter of each file.
#[derive(Debug)]
pub(crate) struct Adapters;

impl PhysicalExprAdapterFactory for Adapters {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> EngineResult<Arc<dyn PhysicalExprAdapter>> {
        let casts = DefaultPhysicalExprAdapterFactory.create(table, file.clone())?;
        Ok(Arc::new(Adapter { casts, file }))
    }
}

#[derive(Debug)]
struct Adapter {
    casts: Arc<dyn PhysicalExprAdapter>,
    file: SchemaRef,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> EngineResult<Arc<dyn PhysicalExpr>> {
        if let Some(condition) = expr.downcast_ref::<Condition>() {
            return Ok(condition.prune(&self.file).unwrap_or_else(|| lit(true)));
        }
        let rewritten = self.casts.rewrite(expr)?;
        let converted = rewritten.transform(|expr| {
            let Some(cast) = expr.downcast_ref::<CastExpr>() else { return Ok(Transformed::no(expr)) };
            let from = cast.expr().data_type(&self.file)?;
            if !converts(&from, cast.cast_type()) {
                return Ok(Transformed::no(expr));
            }
            let column = cast.expr().downcast_ref::<Column>().map(|column| column.name().to_owned());
            let conversion = Conversion {
                input: cast.expr().clone(),
                column: column.unwrap_or_default(),
                ty: cast.cast_type().clone(),
            };
            Ok(Transformed::yes(Arc::new(conversion)))
        });
        converted.data()
    }
}

/// Whether the conversion is our own: from another unit of time.
fn converts(from: &DataType, to: &DataType) -> bool {
    use TimeUnit::{Microsecond, Nanosecond};
    match (from, to) {
        (DataType::Timestamp(unit, _), DataType::Timestamp(Microsecond, _)) => *unit != Microsecond,
        (DataType::Time64(Nanosecond), DataType::Time64(Microsecond)) | (DataType::Date64, DataType::Date32) => true,
        (DataType::Dictionary(_, from), to) => converts(from, to),
        (DataType::List(from) | DataType::LargeList(from) | DataType::ListView(from), DataType::List(to)) => {
            converts(from.data_type(), to.data_type())
        }
        _ => false,
    }
}

fn convert(array: &ArrayRef, to: &DataType, column: &str) -> Result<ArrayRef, ArrowError> {
    let out_of_range = |ty| {
        let error = Error::OutOfRange { column: column.to_owned(), ty };
        ArrowError::ExternalError(Box::new(error))
    };
    let times = |value: i64, factor: i64| value.checked_mul(factor).ok_or_else(|| out_of_range("timestamp"));
    Ok(match (array.data_type(), to) {
        (DataType::Timestamp(unit, _), DataType::Timestamp(_, zone)) => {
            let micros: TimestampMicrosecondArray = match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().try_unary(|x| times(x, 1_000_000))?,
                TimeUnit::Millisecond => {
                    array.as_primitive::<TimestampMillisecondType>().try_unary(|x| times(x, 1_000))?
                }
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().clone(),
                TimeUnit::Nanosecond => {
                    array.as_primitive::<TimestampNanosecondType>().unary(|x| x.div_euclid(NANOS_PER_MICRO))
                }
            };
            Arc::new(micros.with_timezone_opt(zone.clone()))
        }
        (DataType::Time64(TimeUnit::Nanosecond), _) => Arc::new(
            array
                .as_primitive::<Time64NanosecondType>()
                .unary::<_, Time64MicrosecondType>(|nanos| nanos.div_euclid(NANOS_PER_MICRO)),
        ),
        (DataType::Date64, _) => Arc::new(
            array
                .as_primitive::<Date64Type>()
                .try_unary::<_, Date32Type, _>(|millis| i32::try_from(millis.div_euclid(MILLIS_PER_DAY)))
                .map_err(|_| out_of_range("date"))?,
        ),
        (DataType::Dictionary(_, value), to) => convert(&arrow::compute::cast(array, value)?, to, column)?,
        (from, DataType::List(item)) => {
            // Another kind of list first, with its elements as they are.
            let own = match from {
                DataType::List(own) | DataType::LargeList(own) | DataType::ListView(own) => own.clone(),
                other => return Err(ArrowError::CastError(format!("{other} is no list"))),
            };
            let lists = arrow::compute::cast(array, &DataType::List(own))?;
            let lists = lists.as_list::<i32>();
            let items = convert(lists.values(), item.data_type(), column)?;
            Arc::new(ListArray::try_new(item.clone(), lists.offsets().clone(), items, lists.nulls().cloned())?)
        }
        (from, to) => return Err(ArrowError::CastError(format!("from {from} to {to}"))),
    })
}

/// A column whose values are converted to another unit.
#[derive(Debug, Eq)]
struct Conversion {
    input: Arc<dyn PhysicalExpr>,
    /// For errors.
    column: String,
    ty: DataType,
}

// Not derived: the derived one moves the expression.
impl PartialEq for Conversion {
    fn eq(&self, other: &Self) -> bool {
        self.input.eq(&other.input) && self.ty == other.ty
    }
}

impl Hash for Conversion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.ty.hash(state);
    }
}

impl fmt::Display for Conversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lagoon_convert({}, {})", self.input, self.ty)
    }
}

impl PhysicalExpr for Conversion {
    fn data_type(&self, _: &Schema) -> EngineResult<DataType> {
        Ok(self.ty.clone())
    }

    fn nullable(&self, _: &Schema) -> EngineResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> EngineResult<ColumnarValue> {
        let array = self.input.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(convert(&array, &self.ty, &self.column)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> EngineResult<Arc<dyn PhysicalExpr>> {
        let input = children.pop().ok_or_else(|| DataFusionError::Internal("lagoon_convert of nothing".to_owned()))?;
        Ok(Arc::new(Self { input, column: self.column.clone(), ty: self.ty.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
