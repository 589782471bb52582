//! The OIDs of the extension's types.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering};

use pgrx::pg_sys::{self, Datum, Oid};

use super::error::VectorError;
use crate::pg::error::OrRaise;

/// Type `vector`.
pub static VECTOR: ExtensionType = ExtensionType::new(c"vector", "vector");
/// Type `halfvec`.
pub static HALFVEC: ExtensionType = ExtensionType::new(c"halfvec", "halfvec");
/// Type `sparsevec`.
pub static SPARSEVEC: ExtensionType = ExtensionType::new(c"sparsevec", "sparsevec");

/// A type that the extension creates.
pub struct ExtensionType {
    key: &'static CStr,
    name: &'static str,
    known: AtomicU32, // of this backend, hence of its one database
}

impl ExtensionType {
    const fn new(key: &'static CStr, name: &'static str) -> Self {
        Self { key, name, known: AtomicU32::new(0) }
    }

    /// Its OID in this database, wherever the extension was created. Raises 42704 without the extension.
    pub fn oid(&self) -> Oid {
        let known = self.known.load(Ordering::Relaxed);
        let is_current = known != 0 && {
            // SAFETY: a lookup in the system cache, by OID; DROP EXTENSION makes it fail.
            unsafe {
                pg_sys::SearchSysCacheExists(
                    pg_sys::SysCacheIdentifier::TYPEOID as i32,
                    Datum::from(known),
                    Datum::null(),
                    Datum::null(),
                    Datum::null(),
                )
            }
        };
        if is_current {
            return Oid::from(known);
        }
        let found = find_type(self.key).ok_or(VectorError::NoSuchType(self.name)).or_raise();
        self.known.store(found.to_u32(), Ordering::Relaxed);
        found
    }
}

/// Looks up a type in the schema of the extension, not along search_path, which may have another type of that name.
fn find_type(name: &CStr) -> Option<Oid> {
    // SAFETY: a scan of pg_extension by name, as in get_extension_oid() of extension.c, then a syscache lookup.
    unsafe {
        let relation = pg_sys::table_open(pg_sys::ExtensionRelationId, pg_sys::AccessShareLock as i32);
        let mut key = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(
            &mut key,
            pg_sys::Anum_pg_extension_extname as i16,
            pg_sys::BTEqualStrategyNumber as u16,
            Oid::from(pg_sys::F_NAMEEQ),
            Datum::from(c"lagoon".as_ptr()),
        );
        let index = Oid::from(pg_sys::ExtensionNameIndexId);
        let scan = pg_sys::systable_beginscan(relation, index, true, std::ptr::null_mut(), 1, &mut key);
        let tuple = pg_sys::systable_getnext(scan);
        let schema = (!tuple.is_null())
            .then(|| (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_extension>()).extnamespace);
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        let found = pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::TYPENAMENSP as i32,
            pg_sys::Anum_pg_type_oid as i16,
            Datum::from(name.as_ptr()),
            Datum::from(schema?),
            Datum::null(),
            Datum::null(),
        );
        (found != Oid::INVALID).then_some(found)
    }
}
