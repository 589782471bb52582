//! A foreign table and its files: the columns of both, matched.

use lagoon_lake::source::files::DataFile;
use lagoon_lake::source::table;
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use super::options;
use crate::lake::attribute::{self, Attribute};
use crate::lake::explain::MOST_FILES;
use crate::lake::source::files;

/// What the planner and the executor work with.
#[derive(Debug)]
pub(in crate::lake) struct Relation {
    pub files: Vec<DataFile>,
    pub attributes: Vec<Attribute>,
}

impl Relation {
    /// Looks up the files, reads the footers that are not remembered, and matches the columns.
    pub(in crate::lake) fn load(table: pg_sys::Oid) -> Result<Self> {
        let files = files::open(options::files_of(table)?)?;
        let declared = attribute::declared(table)?;
        let wanted: Vec<_> = declared.iter().map(|column| column.wanted()).collect();
        let columns = table::resolve(&files, &wanted)?;
        let attributes = declared.iter().zip(columns).map(|(declared, column)| declared.with(column)).collect();
        Ok(Self { files, attributes })
    }

    /// Rows of all files.
    pub(in crate::lake) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.footer.rows).sum()
    }

    /// Pages of PostgreSQL's that the files would fill; one at least.
    pub(super) fn pages(&self) -> pg_sys::BlockNumber {
        let bytes = self.files.iter().map(|file| file.size()).fold(0, u64::saturating_add);
        u32::try_from(bytes.div_ceil(u64::from(pg_sys::BLCKSZ))).unwrap_or(u32::MAX - 1).max(1)
    }

    /// The columns of a set of column numbers, as pull_varattnos makes it: all of them for a whole row.
    ///
    /// # Safety
    /// A set of PostgreSQL's, or NULL.
    pub(super) unsafe fn used(&self, set: *const pg_sys::Bitmapset) -> Vec<&Attribute> {
        let is_used = |number: i16| {
            // SAFETY: the caller's.
            unsafe { pg_sys::bms_is_member(i32::from(number) - pg_sys::FirstLowInvalidHeapAttributeNumber, set) }
        };
        let whole_row = is_used(0);
        self.attributes.iter().filter(|attribute| whole_row || is_used(attribute.number)).collect()
    }

    /// A column as the files have it now; an error if the table declares it otherwise than when the statement was planned.
    pub(in crate::lake) fn now(&self, planned: &Attribute) -> Result<Attribute> {
        let now = self.attributes.iter().find(|now| now.is_declared_as(planned));
        now.cloned().ok_or_else(|| Error::FileChanged {
            path: self.files.first().map(|file| file.location().to_string()).unwrap_or_default(),
        })
    }

    /// The first of its files, for EXPLAIN.
    pub(in crate::lake) fn shown_files(&self) -> Vec<String> {
        self.files.iter().take(MOST_FILES).map(|file| file.location().to_string()).collect()
    }
}
