//! What a tree gives, without running it: the types of its columns, or the first reason why the engine cannot answer it as
//! PostgreSQL would.

use datafusion::physical_plan::displayable;

use super::ir::Rel;
use super::plan::{self, Planned, Readings};
use super::run::{Options, Shipment, Table};
use super::session;
use crate::error::{Error, Result};
use crate::types::ColumnType;

/// The columns of a tree as the engine delivers them; `None` where values cannot be delivered as PostgreSQL prints them.
/// Parameters need not be bound. [`Error::NotSupported`] says why a tree cannot be answered exactly; any other error is one.
/// `shipments` are the column types of the rows that PostgreSQL will send.
pub fn check(rel: &Rel, tables: &[Table], shipments: &[Vec<ColumnType>]) -> Result<Vec<Option<ColumnType>>> {
    let planned = logical(rel, tables, shipments)?;
    let state = session::session(&Options::default())?;
    session::physical(&state, &planned.plan).map_err(unplanned)?;
    Ok(planned.columns.into_iter().map(|field| field.fixed.then_some(field.ty)).collect())
}

/// The engine's plan of a tree, a line each, for EXPLAIN.
pub fn explain(rel: &Rel, tables: &[Table], shipments: &[Vec<ColumnType>], options: &Options) -> Result<Vec<String>> {
    let planned = logical(rel, tables, shipments)?;
    let plan = session::physical(&session::session(options)?, &planned.plan)?;
    Ok(displayable(plan.as_ref()).indent(true).to_string().lines().map(str::to_owned).collect())
}

fn logical(rel: &Rel, tables: &[Table], shipments: &[Vec<ColumnType>]) -> Result<Planned> {
    let empty = |columns: &Vec<ColumnType>| Shipment { columns: columns.clone(), batches: Vec::new() };
    let shipments: Vec<_> = shipments.iter().map(empty).collect();
    plan::plan(rel, tables, &shipments, &Readings::default())
}

/// What DataFusion does not plan, it does not answer.
fn unplanned(error: Error) -> Error {
    match error {
        Error::Internal { message } => unsupported(format!("a plan: {message}")),
        other => other,
    }
}

/// What the engine does not do.
pub(super) fn unsupported(what: impl Into<String>) -> Error {
    Error::NotSupported { message: what.into(), hint: None }
}
