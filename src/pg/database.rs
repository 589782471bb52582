//! Lookups in `pg_database` and `pg_extension`.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::compat;

/// A row of `pg_database`.
pub struct Database {
    /// Its oid.
    pub oid: pg_sys::Oid,
    /// `datname`.
    pub name: String,
}

/// The databases that a worker may connect to: those that allow connections and are no templates. Must be called in a
/// transaction; a connection to the shared catalogs is enough.
pub fn enterable() -> Vec<Database> {
    let mut found = Vec::new();
    // SAFETY: a scan of a catalog as in autovacuum.c, get_database_list(): the tuple is read before the next one is fetched.
    unsafe {
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let row = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            // A database whose DROP was interrupted (datconnlimit -2) refuses connections.
            if (*row).datallowconn && !(*row).datistemplate && (*row).datconnlimit != -2 {
                let name = CStr::from_ptr((*row).datname.data.as_ptr());
                found.push(Database { oid: (*row).oid, name: name.to_string_lossy().into_owned() });
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
    }
    found
}

/// The oid of a database, if there is one of this name.
pub fn find(name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: inside a transaction.
    let oid = unsafe { pg_sys::get_database_oid(name.as_ptr(), true) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// Whether there is a database of this oid.
pub fn exists(oid: pg_sys::Oid) -> bool {
    // SAFETY: inside a transaction; a catalog lookup that gives NULL for what does not exist.
    unsafe { !pg_sys::get_database_name(oid).is_null() }
}

/// Whether the current user owns a database.
pub fn is_owner(database: pg_sys::Oid) -> bool {
    // SAFETY: reads a variable of this process.
    compat::owns_database(database, unsafe { pg_sys::GetUserId() })
}

/// Whether this extension is installed in the current database. Inside a transaction.
pub fn has_lagoon() -> bool {
    // SAFETY: inside a transaction.
    unsafe { pg_sys::get_extension_oid(c"lagoon".as_ptr(), true) != pg_sys::InvalidOid }
}
