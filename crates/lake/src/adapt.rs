//! From the columns that a file stores to those that the table has, for each file of a scan.
//!
//! DataFusion's own adapter casts a column. Where the types have a conversion of their own ([`types::conversion`]), that takes
//! the place of the cast. And a [`Condition`] becomes what the file's statistics are compared with.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, lit};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};

use crate::expr::Condition;
use crate::types::{self, Convert};

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
            let Some(convert) = types::conversion(&from, cast.cast_type()) else { return Ok(Transformed::no(expr)) };
            let column = cast.expr().downcast_ref::<Column>().map(|column| column.name().to_owned());
            let conversion = Conversion {
                input: cast.expr().clone(),
                convert,
                column: column.unwrap_or_default(),
                ty: cast.cast_type().clone(),
            };
            Ok(Transformed::yes(Arc::new(conversion)))
        });
        converted.data()
    }
}

/// A column whose values are converted to another unit.
#[derive(Debug)]
struct Conversion {
    input: Arc<dyn PhysicalExpr>,
    convert: Convert,
    /// For errors.
    column: String,
    ty: DataType,
}

// Not derived: the derived one moves the expression, and functions have no equality.
impl PartialEq for Conversion {
    fn eq(&self, other: &Self) -> bool {
        self.input.eq(&other.input) && self.ty == other.ty
    }
}

impl Eq for Conversion {}

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
        Ok(ColumnarValue::Array((self.convert)(&array, &self.ty, &self.column)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> EngineResult<Arc<dyn PhysicalExpr>> {
        let input = children.pop().ok_or_else(|| DataFusionError::Internal("lagoon_convert of nothing".to_owned()))?;
        Ok(Arc::new(Self { input, convert: self.convert, column: self.column.clone(), ty: self.ty.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
