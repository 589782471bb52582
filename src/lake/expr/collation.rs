//! What a collation means for the engine, which knows bytes alone.

use lagoon_lake::expr::rules::Precondition;
use pgrx::pg_sys;

use super::operator::Reason;
use crate::pg::compat;

/// Whether a listed call means the same to the engine, as far as its collation decides that.
pub(in crate::lake) fn check(name: &str, precondition: Precondition, collation: pg_sys::Oid) -> Result<(), Reason> {
    if precondition == Precondition::Always {
        return Ok(());
    }
    check_equality(collation)?;
    if precondition == Precondition::ByteOrder && !orders_bytes(collation) {
        return Err(format!("{name} under a collation that is not C, POSIX or C.UTF-8"));
    }
    Ok(())
}

/// Whether texts are equal to the engine where they are under a collation.
pub(in crate::lake) fn check_equality(collation: pg_sys::Oid) -> Result<(), Reason> {
    // SAFETY: reads a variable of this process.
    if unsafe { pg_sys::GetDatabaseEncoding() } != pg_sys::pg_enc::PG_UTF8 as i32 {
        return Err("the database is not UTF-8".to_owned());
    }
    if collation == pg_sys::InvalidOid {
        return Err("no collation".to_owned());
    }
    if !is_deterministic(collation) {
        return Err("a nondeterministic collation".to_owned());
    }
    Ok(())
}

/// Whether texts are equal under it only if their bytes are.
fn is_deterministic(collation: pg_sys::Oid) -> bool {
    // SAFETY: a catalog lookup.
    collation == pg_sys::DEFAULT_COLLATION_OID || unsafe { pg_sys::get_collation_isdeterministic(collation) }
}

/// Whether a collation orders text by its bytes.
fn orders_bytes(collation: pg_sys::Oid) -> bool {
    if collation == pg_sys::C_COLLATION_OID || collation == compat::POSIX_COLLATION {
        return true;
    }
    use pg_sys::SysCacheIdentifier::{COLLOID, DATABASEOID};
    // SAFETY: reads a variable of this process.
    let database = unsafe { pg_sys::MyDatabaseId };
    let locale = if collation == pg_sys::DEFAULT_COLLATION_OID {
        locale_of(
            DATABASEOID as i32,
            database,
            pg_sys::Anum_pg_database_datlocprovider,
            pg_sys::Anum_pg_database_datcollate,
        )
    } else {
        locale_of(
            COLLOID as i32,
            collation,
            pg_sys::Anum_pg_collation_collprovider,
            pg_sys::Anum_pg_collation_collcollate,
        )
    };
    let locale = locale.map(|name| name.to_ascii_lowercase().replace('-', ""));
    matches!(locale.as_deref(), Some("c" | "posix" | "c.utf8"))
}

/// The locale of a collation or database whose provider is the C library or PostgreSQL itself.
fn locale_of(cache: i32, oid: pg_sys::Oid, provider: u32, locale: u32) -> Option<String> {
    // SAFETY: a catalog lookup; what is read is copied before the tuple is released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(cache, oid.into());
        if tuple.is_null() {
            return None;
        }
        let mut is_null = false;
        let provider = pg_sys::SysCacheGetAttr(cache, tuple, provider as i16, &mut is_null).value() as u8;
        let mut name = None;
        if provider == compat::BUILTIN_PROVIDER {
            name = Some("C".to_owned()); // as all of its locales order
        } else if provider == b'c' {
            let datum = pg_sys::SysCacheGetAttr(cache, tuple, locale as i16, &mut is_null);
            if !is_null {
                name = pgrx::FromDatum::from_datum(datum, is_null);
            }
        }
        pg_sys::ReleaseSysCache(tuple);
        name
    }
}
