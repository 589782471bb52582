//! A foreign table and its files: the columns of both, matched.

use lagoon_lake::Result;
use lagoon_lake::source::files::DataFile;
use lagoon_lake::source::table;
use pgrx::pg_sys;

use super::options;
use crate::lake::attribute::{self, Attribute};
use crate::lake::source::files;

/// What the planner and the executor work with.
#[derive(Debug)]
pub(super) struct Relation {
    pub files: Vec<DataFile>,
    pub attributes: Vec<Attribute>,
}

impl Relation {
    /// Looks up the files, reads the footers that are not remembered, and matches the columns.
    pub(super) fn load(table: pg_sys::Oid) -> Result<Self> {
        let files = files::open(options::files_of(table)?)?;
        let declared = attribute::declared(table)?;
        let wanted: Vec<_> = declared.iter().map(|column| column.wanted()).collect();
        let columns = table::resolve(&files, &wanted)?;
        let attributes = declared.iter().zip(columns).map(|(declared, column)| declared.with(column)).collect();
        Ok(Self { files, attributes })
    }

    /// Rows of all files.
    pub(super) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.footer.rows).sum()
    }
}
