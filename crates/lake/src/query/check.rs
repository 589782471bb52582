//! What a tree gives, without running it: the types of its columns, or the first reason why the engine cannot answer it as
//! PostgreSQL would.

use super::ir::Rel;
use super::run::{Options, Table};
use crate::error::{Error, Result};
use crate::expr::Type;
use crate::types::{ColumnType, Kind};

/// The columns of a tree as the engine delivers them; `None` where values cannot be delivered as PostgreSQL prints them.
/// Parameters need not be bound. [`Error::NotSupported`] says why a tree cannot be answered exactly; any other error is one.
/// `shipments` are the column types of the rows that PostgreSQL will send.
pub fn check(rel: &Rel, tables: &[Table], shipments: &[Vec<ColumnType>]) -> Result<Vec<Option<ColumnType>>> {
    let _ = (rel, tables, shipments);
    Err(unsupported("whole queries"))
}

/// The engine's plan of a tree, a line each, for EXPLAIN.
pub fn explain(rel: &Rel, tables: &[Table], shipments: &[Vec<ColumnType>], options: &Options) -> Result<Vec<String>> {
    let _ = (rel, tables, shipments, options);
    Err(unsupported("whole queries"))
}

/// What the engine does not do.
pub(super) fn unsupported(what: impl Into<String>) -> Error {
    Error::NotSupported { message: what.into(), hint: None }
}
