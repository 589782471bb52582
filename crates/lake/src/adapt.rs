//! From the columns that a file stores to those that the table has, for each file of a scan.
//!
//! DataFusion's own adapter casts a column; its casts from finer units truncate towards zero, so that of two neighbours
//! before 1970 the later would become the earlier. Here they round down, everywhere the same. And a [`Condition`] becomes
//! what the file's statistics are compared with.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Schema, SchemaRef, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, lit};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};

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
        let floored = rewritten.transform(|expr| {
            let Some(cast) = expr.downcast_ref::<CastExpr>() else { return Ok(Transformed::no(expr)) };
            let from = cast.expr().data_type(&self.file)?;
            if !truncates(&from, cast.cast_type()) {
                return Ok(Transformed::no(expr));
            }
            let floor = Floor { input: cast.expr().clone(), ty: cast.cast_type().clone() };
            Ok(Transformed::yes(Arc::new(floor)))
        });
        floored.data()
    }
}

/// Whether Arrow's cast between these types truncates towards zero.
fn truncates(from: &DataType, to: &DataType) -> bool {
    use TimeUnit::{Microsecond, Nanosecond};
    match (from, to) {
        (DataType::Timestamp(Nanosecond, _), DataType::Timestamp(Microsecond, _))
        | (DataType::Time64(Nanosecond), DataType::Time64(Microsecond))
        | (DataType::Date64, DataType::Date32) => true,
        (DataType::Dictionary(_, from), to) => truncates(from, to),
        (DataType::List(from) | DataType::LargeList(from) | DataType::ListView(from), DataType::List(to)) => {
            truncates(from.data_type(), to.data_type())
        }
        _ => false,
    }
}

/// The same conversion, rounding down.
fn floor(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    Ok(match (array.data_type(), to) {
        (DataType::Timestamp(TimeUnit::Nanosecond, _), DataType::Timestamp(_, zone)) => {
            let micros = array
                .as_primitive::<TimestampNanosecondType>()
                .unary::<_, TimestampMicrosecondType>(|nanos| nanos.div_euclid(NANOS_PER_MICRO));
            Arc::new(micros.with_timezone_opt(zone.clone()))
        }
        (DataType::Time64(TimeUnit::Nanosecond), _) => Arc::new(
            array
                .as_primitive::<Time64NanosecondType>()
                .unary::<_, Time64MicrosecondType>(|nanos| nanos.div_euclid(NANOS_PER_MICRO)),
        ),
        (DataType::Date64, _) => {
            Arc::new(array.as_primitive::<Date64Type>().try_unary::<_, Date32Type, _>(|millis| {
                i32::try_from(millis.div_euclid(MILLIS_PER_DAY))
                    .map_err(|_| ArrowError::ComputeError(format!("{millis} milliseconds are no date")))
            })?)
        }
        (DataType::Dictionary(_, value), to) => floor(&arrow::compute::cast(array, value)?, to)?,
        (from, DataType::List(item)) => {
            // Another kind of list first, with its elements as they are.
            let own = match from {
                DataType::List(own) | DataType::LargeList(own) | DataType::ListView(own) => own.clone(),
                other => return Err(ArrowError::CastError(format!("{other} is no list"))),
            };
            let lists = arrow::compute::cast(array, &DataType::List(own))?;
            let lists = lists.as_list::<i32>();
            let items = floor(lists.values(), item.data_type())?;
            Arc::new(ListArray::try_new(item.clone(), lists.offsets().clone(), items, lists.nulls().cloned())?)
        }
        (from, to) => return Err(ArrowError::CastError(format!("from {from} to {to}"))),
    })
}

/// A column whose values are rounded down.
#[derive(Debug, Eq)]
struct Floor {
    input: Arc<dyn PhysicalExpr>,
    ty: DataType,
}

// Not derived: the derived one moves the expression.
impl PartialEq for Floor {
    fn eq(&self, other: &Self) -> bool {
        self.input.eq(&other.input) && self.ty == other.ty
    }
}

impl Hash for Floor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.ty.hash(state);
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lagoon_floor({}, {})", self.input, self.ty)
    }
}

impl PhysicalExpr for Floor {
    fn data_type(&self, _: &Schema) -> EngineResult<DataType> {
        Ok(self.ty.clone())
    }

    fn nullable(&self, _: &Schema) -> EngineResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> EngineResult<ColumnarValue> {
        let array = self.input.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(floor(&array, &self.ty)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> EngineResult<Arc<dyn PhysicalExpr>> {
        let input = children.pop().ok_or_else(|| DataFusionError::Internal("lagoon_floor of nothing".to_owned()))?;
        Ok(Arc::new(Self { input, ty: self.ty.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
