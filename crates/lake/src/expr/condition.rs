//! A condition on rows: the exact answer for each row of a batch, by PostgreSQL's rules.
//!
//! It is an expression of our own and opaque to DataFusion, which would rewrite it: casts of a column that are taken off
//! truncate the constant, floats are compared by their bits, and trees are walked by recursion.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result as EngineResult;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::evaluate::{Rows, Test};
use super::ir::Expr;
use super::share::{self, Bounds};
use super::{prune, translate};
use crate::error::Result;
use crate::source::table::TableColumn;

/// A bound condition over the columns of a scan.
#[derive(Clone)]
pub struct Condition {
    test: Arc<Test>,
    expr: Arc<Expr>,
    columns: Arc<[TableColumn]>,
}

impl Condition {
    /// `position` says where in a batch a column of `columns` stands.
    pub(crate) fn new(
        expr: Arc<Expr>,
        columns: Arc<[TableColumn]>,
        position: &impl Fn(usize) -> usize,
    ) -> Result<Self> {
        let test = Arc::new(translate::test(&expr, &columns, position)?);
        Ok(Self { test, expr, columns })
    }

    /// What the statistics of a file must allow for any of its rows to pass; `None` if they say nothing.
    pub(crate) fn prune(&self, file: &Schema) -> Option<Arc<dyn PhysicalExpr>> {
        prune::predicate(&self.expr, &self.columns, file)
    }
}

impl Condition {
    /// The share of rows that are expected to pass, from 0 to 1.
    pub(crate) fn share(&self, bounds: &Bounds<'_>) -> f64 {
        share::share(&self.expr, &self.columns, bounds)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lagoon_filter")
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lagoon_filter")
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.test, &other.test)
    }
}

impl Eq for Condition {}

impl Hash for Condition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.test).hash(state);
    }
}

impl PhysicalExpr for Condition {
    fn data_type(&self, _: &Schema) -> EngineResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> EngineResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> EngineResult<ColumnarValue> {
        Ok(ColumnarValue::Array(Arc::new(self.test.evaluate(&Rows::of(batch))?)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn PhysicalExpr>>) -> EngineResult<Arc<dyn PhysicalExpr>> {
        Ok(self)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lagoon_filter")
    }
}
