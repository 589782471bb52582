//! The files of a dataset, on behalf of a role.

use lagoon_lake::source::Location;
use lagoon_lake::source::files::{self, Found};
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use super::catalog;
use super::home::Home;
use crate::lake::source::access;
use crate::lake::source::files::go_on;

/// The files of a dataset that `role` may read. Who may read the dataset reads it as its owner.
pub fn of(name: &str, role: pg_sys::Oid) -> Result<Vec<Found>> {
    let entry = catalog::find(name)?.ok_or_else(|| Error::NoDataset { name: name.to_owned() })?;
    entry.check_reader(name, role)?;
    let home = Home::new()?;
    let rights = access::rights(entry.owner, true);
    let locate = |stored: &String| Location::local(home.located(stored), &rights);
    let locations = entry.files.iter().map(locate).collect::<Result<Vec<_>>>()?;
    files::look(&locations, &mut go_on).map_err(|error| match error {
        Error::MissingFile { path } => Error::DatasetFile { name: name.to_owned(), path },
        other => other,
    })
}
