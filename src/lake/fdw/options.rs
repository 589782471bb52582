//! Options of wrapper, server and table: only a table has any, and exactly one of `path` and `dataset`.

use lagoon_lake::dataset::check_name;
use lagoon_lake::source::files::Found;
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use crate::lake::source::access;
use crate::lake::{dataset, source};
use crate::pg::node::List;
use crate::pg::role;

const TABLE_OPTIONS: [&str; 2] = ["path", "dataset"];

/// What a foreign table reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A file, a directory or a pattern.
    Path(String),
    /// The files of a dataset.
    Dataset(String),
}

/// Checks options when an object is made or altered. A path need not exist yet; the current role must be allowed to read it.
pub(super) fn validate(options: &[(String, String)], catalog: pg_sys::Oid) -> Result<()> {
    let is_table = catalog == pg_sys::ForeignTableRelationId;
    let valid: &[&str] = if is_table { &TABLE_OPTIONS } else { &[] };
    if let Some((stranger, _)) = options.iter().find(|(name, _)| !valid.contains(&name.as_str())) {
        let valid =
            if valid.is_empty() { "none here, only foreign tables have options".to_owned() } else { valid.join(", ") };
        return Err(Error::UnknownOption { option: stranger.clone(), valid });
    }
    if !is_table {
        return Ok(());
    }
    match chosen(options)? {
        Source::Path(path) => access::locate(&path, role::current()).map(|_| ()),
        Source::Dataset(name) => check_name(&name),
    }
}

/// The files of a foreign table, found and judged by the rights of its owner.
pub(super) fn files_of(table: pg_sys::Oid) -> Result<Vec<Found>> {
    let owner = owner_of(table);
    match chosen(&table_options(table))? {
        Source::Path(path) => source::files::at(&path, owner),
        Source::Dataset(name) => dataset::files::of(&name, owner),
    }
}

fn chosen(options: &[(String, String)]) -> Result<Source> {
    let get = |wanted: &str| options.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    match (get("path"), get("dataset")) {
        (Some(path), None) => Ok(Source::Path(path)),
        (None, Some(name)) => Ok(Source::Dataset(name)),
        (given, _) => Err(Error::BadValue {
            what: "options of the foreign table".to_owned(),
            message: if given.is_some() {
                "path and dataset exclude each other"
            } else {
                "path or dataset is required"
            }
            .to_owned(),
            hint: Some("For example: OPTIONS (path '/data/sales/*.parquet').".to_owned()),
        }),
    }
}

/// Options as pairs, from a list of DefElem.
///
/// # Safety
/// `list` is NIL or a list of DefElem with string values, as `untransformRelOptions` and the catalogs give it.
pub(super) unsafe fn pairs(list: *mut pg_sys::List) -> Vec<(String, String)> {
    // SAFETY: the caller's.
    let options = unsafe { List::<pg_sys::DefElem>::new(list) };
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    options.iter().map(|option| (text(option.name()), text(option.text()))).collect()
}

fn table_options(table: pg_sys::Oid) -> Vec<(String, String)> {
    // SAFETY: a catalog lookup; raises an ERROR if `table` is not a foreign table.
    unsafe { pairs((*pg_sys::GetForeignTable(table)).options) }
}

fn owner_of(table: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: the relation is open in the statement or being defined by it, so the lookup finds it.
    unsafe {
        let relation = pg_sys::RelationIdGetRelation(table);
        if relation.is_null() {
            return pg_sys::InvalidOid;
        }
        let owner = (*(*relation).rd_rel).relowner;
        pg_sys::RelationClose(relation);
        owner
    }
}
