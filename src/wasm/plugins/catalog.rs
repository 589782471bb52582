//! The table `lagoon.plugins`, read as PostgreSQL reads its catalogs (the latest committed version, without a check of
//! privileges), or with the running statement's snapshot.

use lagoon_wasm::Error;
use pgrx::pg_sys;

use super::copies;
use crate::pg::json::JsonText;

/// A plugin as the table has it.
pub struct Row {
    /// BLAKE3 of the module, hexadecimal.
    pub hash: String,
    /// JSON.
    pub manifest: String,
    pub enabled: bool,
    /// The role that installed it, by name.
    pub owner: String,
    /// The module; only read on request.
    pub wasm: Option<Vec<u8>>,
    /// The transaction that wrote this version of the row; 2 (frozen) for an old one.
    pub since: u32,
    /// Whether no transaction has replaced or removed it, or begun to.
    pub is_latest: bool,
}

/// Column numbers; the order in sql/wasm.sql.
mod column {
    pub const NAME: i16 = 1;
    pub const HASH: usize = 3;
    pub const WASM: usize = 4;
    pub const MANIFEST: usize = 5;
    pub const ENABLED: usize = 6;
    pub const OWNER: usize = 8;
}

/// The relation's oid; `None` if the extension does not exist.
pub fn plugins_oid() -> Option<pg_sys::Oid> {
    // SAFETY: NUL-terminated names; both calls give InvalidOid for what does not exist.
    let oid = unsafe {
        let schema = pg_sys::get_namespace_oid(c"lagoon".as_ptr(), true);
        pg_sys::get_relname_relid(c"plugins".as_ptr(), schema)
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// The plugin's latest row; while a dump is being restored and the table has no rows yet, its copy.
pub fn find(name: &str, with_wasm: bool) -> Result<Option<Row>, Error> {
    match row(name, with_wasm)? {
        Some(row) => Ok(Some(row)),
        None => Ok(copies::find(name)?.map(|(manifest, source)| Row {
            hash: source.hash().to_hex().to_string(),
            manifest,
            enabled: true,
            owner: String::new(),
            wasm: Some(source.bytes().to_vec()),
            since: 0,
            is_latest: false,
        })),
    }
}

/// The plugin's row with the running statement's snapshot; the latest row if there is no snapshot, or if it sees none.
pub fn find_seen(name: &str, with_wasm: bool) -> Result<Option<Row>, Error> {
    // SAFETY: the active snapshot stays until the statement ends.
    let seen = unsafe {
        if pg_sys::ActiveSnapshotSet() { row_at(name, with_wasm, pg_sys::GetActiveSnapshot())? } else { None }
    };
    if seen.is_some() { Ok(seen) } else { find(name, with_wasm) }
}

/// The row of a plugin. Needs no privilege on the table: a function's caller has none.
pub fn row(name: &str, with_wasm: bool) -> Result<Option<Row>, Error> {
    row_at(name, with_wasm, std::ptr::null_mut())
}

/// The row of a plugin with a snapshot; a null one means the latest catalog snapshot.
fn row_at(name: &str, with_wasm: bool, snapshot: pg_sys::Snapshot) -> Result<Option<Row>, Error> {
    let Some(relid) = plugins_oid() else { return Ok(None) };
    // SAFETY: an ordinary catalog scan (genam.c): relation open while the scan runs, the tuple is copied out of before it
    // ends. An ERROR in between is cleaned up by the resource owner.
    unsafe {
        let relation = pg_sys::table_open(relid, pg_sys::AccessShareLock as i32);
        let index = pg_sys::get_relname_relid(c"plugins_pkey".as_ptr(), (*(*relation).rd_rel).relnamespace);
        let mut key = pg_sys::ScanKeyData::default();
        let text = pg_sys::cstring_to_text_with_len(name.as_ptr().cast(), name.len() as i32);
        pg_sys::ScanKeyInit(
            &raw mut key,
            column::NAME,
            pg_sys::BTEqualStrategyNumber as u16,
            pg_sys::Oid::from(pg_sys::F_TEXTEQ),
            text.into(),
        );
        let use_index = index != pg_sys::InvalidOid;
        let scan = pg_sys::systable_beginscan(relation, index, use_index, snapshot, 1, &raw mut key);
        let tuple = pg_sys::systable_getnext(scan);
        let row = if tuple.is_null() { Ok(None) } else { read(tuple, (*relation).rd_att, with_wasm).map(Some) };
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        row
    }
}

/// # Safety
/// `tuple` must be a tuple of `lagoon.plugins`.
unsafe fn read(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc, with_wasm: bool) -> Result<Row, Error> {
    // SAFETY: the caller's.
    unsafe {
        let missing = || Error::Internal("a column of lagoon.plugins is NULL".to_owned());
        let hash = get::<String>(tuple, descriptor, column::HASH).ok_or_else(missing)?;
        let manifest = get::<JsonText>(tuple, descriptor, column::MANIFEST).ok_or_else(missing)?;
        let enabled = get::<bool>(tuple, descriptor, column::ENABLED).ok_or_else(missing)?;
        let owner = get::<String>(tuple, descriptor, column::OWNER).unwrap_or_default();
        let wasm = if with_wasm { get::<Vec<u8>>(tuple, descriptor, column::WASM) } else { None };
        let (since, is_latest) = lifetime((*tuple).t_data);
        Ok(Row { hash, manifest: manifest.0, enabled, owner, wasm, since, is_latest })
    }
}

/// HeapTupleHeaderGetXmin in access/htup_details.h, and whether there is an xmax.
///
/// # Safety
/// `header` must be that of a tuple.
unsafe fn lifetime(header: pg_sys::HeapTupleHeader) -> (u32, bool) {
    // SAFETY: the caller's; a tuple of a table has these fields.
    let (flags, xmin) = unsafe { (u32::from((*header).t_infomask), (*header).t_choice.t_heap.t_xmin.into_inner()) };
    let is_frozen = flags & pg_sys::HEAP_XMIN_FROZEN == pg_sys::HEAP_XMIN_FROZEN;
    (if is_frozen { 2 } else { xmin }, flags & pg_sys::HEAP_XMAX_INVALID != 0)
}

/// The value of a column. NULL if the table does not have it yet: the library is newer than the extension's SQL until the
/// extension is updated.
///
/// # Safety
/// As [`read`]; `T` must be the column's type.
unsafe fn get<T: pgrx::FromDatum>(tuple: pg_sys::HeapTuple, desc: pg_sys::TupleDesc, column: usize) -> Option<T> {
    let mut is_null = false;
    // SAFETY: the caller's.
    unsafe {
        if column as i32 > (*desc).natts {
            return None;
        }
        let datum = pg_sys::heap_getattr(tuple, column as i32, desc, &mut is_null);
        T::from_datum(datum, is_null)
    }
}
