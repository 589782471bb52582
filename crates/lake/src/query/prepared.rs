//! A query that is planned and has not begun: what is asked whether it can be answered is what is run.

use super::attempt::Attempts;
use super::check::{delivered, unplanned};
use super::ir::Rel;
use super::plan::Sources;
use super::scan::Readings;
use super::session::{self, Options};
use super::table::{Output, Shipment, Table};
use crate::error::Result;

/// A planned query. It holds its files as they were found, and no other memory than that of its plan.
pub struct Prepared {
    pub(super) attempts: Attempts,
    pub(super) readings: Readings,
}

/// Plans a tree, and says what it delivers as [`super::outputs`] does. It can be run if it has no parameters and is sent nothing.
pub fn prepare(
    rel: &Rel,
    tables: &[Table],
    shipments: &[Vec<Output>],
    options: &Options,
) -> Result<(Vec<Option<Output>>, Prepared)> {
    let shipments: Vec<_> = shipments.iter().cloned().map(Shipment::empty).collect();
    let prepared = Prepared::new(rel, tables, &shipments, options).map_err(unplanned)?;
    Ok((delivered(rel.width(), &prepared.attempts.fields), prepared))
}

impl Prepared {
    pub(super) fn new(rel: &Rel, tables: &[Table], shipments: &[Shipment], options: &Options) -> Result<Self> {
        let readings = Readings::default();
        let sources = Sources { tables, shipments, readings: &readings };
        let attempts = Attempts::new(rel, sources, session::session(options)?)?;
        Ok(Self { attempts, readings })
    }
}
