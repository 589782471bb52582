//! What a tree gives, without running it: the types of its columns, or the first reason why the engine cannot answer it as
//! PostgreSQL would.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, displayable};

use super::depth;
use super::ir::Rel;
use super::plan::{self, Planned, Sources};
use super::scalar::Field;
use super::scan::Readings;
use super::session::{self, Options};
use super::shared::SharedExec;
use super::table::{Output, Shipment, Table};
use super::unsupported;
use crate::error::{Error, Result};
use crate::expr::functions::{Scale, Width};
use crate::types::ColumnType;

/// The columns of a tree as the engine delivers them; `None` where values cannot be delivered as PostgreSQL prints them.
/// Parameters need not be bound. [`Error::NotSupported`] says why a tree cannot be answered exactly; any other error is one.
/// `shipments` are the columns of the rows that PostgreSQL will send.
pub fn outputs(rel: &Rel, tables: &[Table], shipments: &[Vec<Output>]) -> Result<Vec<Option<Output>>> {
    let planned = logical(rel, tables, shipments).map_err(unplanned)?;
    let state = session::session(&Options::default())?;
    session::physical(&state, &planned.plan).map_err(unplanned)?;
    Ok(delivered(rel.width(), &planned.columns))
}

/// The first columns of a plan, so many as its tree has, as they are delivered.
pub(super) fn delivered(width: usize, fields: &[Field]) -> Vec<Option<Output>> {
    let mut next = width;
    let output = |field: &Field| match field.scale {
        Scale::Fixed => Some(Output { ty: field.ty.clone(), digits: None }),
        Scale::Each(_) => {
            next += 1;
            Some(Output { ty: field.ty.clone(), digits: Some(next - 1) })
        }
        Scale::Unknown => None,
    };
    fields.iter().take(width).map(output).collect()
}

/// The types of those columns that need nothing else to be delivered.
pub fn check(rel: &Rel, tables: &[Table], shipments: &[Vec<Output>]) -> Result<Vec<Option<ColumnType>>> {
    let alone = |output: Option<Output>| output.filter(|output| output.digits.is_none()).map(|output| output.ty);
    Ok(outputs(rel, tables, shipments)?.into_iter().map(alone).collect())
}

/// The engine's plan of a tree, a line each, for EXPLAIN.
pub fn explain(rel: &Rel, tables: &[Table], shipments: &[Vec<Output>], options: &Options) -> Result<Vec<String>> {
    let planned = logical(rel, tables, shipments)?;
    let plan = session::physical(&session::session(options)?, &planned.plan)?;
    let mut shown = lines(&plan);
    let mut common = BTreeMap::new();
    find_shared(&plan, &mut common);
    for (number, plan) in common {
        shown.push(format!("Common {number}:"));
        shown.extend(lines(&plan).into_iter().map(|line| format!("  {line}")));
    }
    Ok(shown)
}

fn lines(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    displayable(plan.as_ref()).indent(true).to_string().lines().map(str::to_owned).collect()
}

/// What plans share, by its number.
fn find_shared(plan: &Arc<dyn ExecutionPlan>, found: &mut BTreeMap<usize, Arc<dyn ExecutionPlan>>) {
    let node: &dyn Any = plan.as_ref();
    if let Some((number, source)) = node.downcast_ref::<SharedExec>().and_then(SharedExec::source)
        && found.insert(number, source.clone()).is_none()
    {
        find_shared(&source, found);
    }
    plan.children().into_iter().for_each(|child| find_shared(child, found));
}

fn logical(rel: &Rel, tables: &[Table], shipments: &[Vec<Output>]) -> Result<Planned> {
    depth::check(rel)?;
    let shipments: Vec<_> = shipments.iter().cloned().map(Shipment::empty).collect();
    let sources = Sources { tables, shipments: &shipments, readings: &Readings::default() };
    plan::plan(Width::Wide, rel, sources)
}

/// What DataFusion does not plan, it does not answer.
pub(super) fn unplanned(error: Error) -> Error {
    match error {
        Error::Internal { message } => unsupported(format!("a plan: {message}")),
        other => other,
    }
}
