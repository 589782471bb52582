//! The table `lagoon.plugins`, read as PostgreSQL reads its own catalogs: latest committed version, whoever asks.

use lagoon_wasm::Error;
use pgrx::pg_sys;

use super::carrier;
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
    /// Only when asked for.
    pub wasm: Option<Vec<u8>>,
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

/// The relation's oid; `None` while the extension is not there.
pub fn plugins_oid() -> Option<pg_sys::Oid> {
    // SAFETY: NUL-terminated names; both calls give InvalidOid for what does not exist.
    let oid = unsafe {
        let schema = pg_sys::get_namespace_oid(c"lagoon".as_ptr(), true);
        pg_sys::get_relname_relid(c"plugins".as_ptr(), schema)
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// The plugin as the table has it, or while a dump is being restored and the table has not its rows yet, as its copy does.
pub fn find(name: &str, with_wasm: bool) -> Result<Option<Row>, Error> {
    match row(name, with_wasm)? {
        Some(row) => Ok(Some(row)),
        None => carrier::find(name),
    }
}

/// The row of a plugin. Needs no privilege on the table: a function's caller has none.
pub fn row(name: &str, with_wasm: bool) -> Result<Option<Row>, Error> {
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
        let scan = pg_sys::systable_beginscan(relation, index, use_index, std::ptr::null_mut(), 1, &raw mut key);
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
        Ok(Row { hash, manifest: manifest.0, enabled, owner, wasm })
    }
}

/// # Safety
/// As [`read`]; `T` must be the column's type.
unsafe fn get<T: pgrx::FromDatum>(tuple: pg_sys::HeapTuple, desc: pg_sys::TupleDesc, column: usize) -> Option<T> {
    let mut is_null = false;
    // SAFETY: the caller's.
    unsafe {
        let datum = pg_sys::heap_getattr(tuple, column as i32, desc, &mut is_null);
        T::from_datum(datum, is_null)
    }
}
