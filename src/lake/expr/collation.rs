//! What a collation means for the engine, which knows bytes alone.

use lagoon_lake::expr::rules::Precondition;
use pgrx::pg_sys;

use super::operator::Reason;
use crate::pg::compat;

/// Whether a listed call means the same to the engine, as far as its collation decides that.
pub(in crate::lake) fn check(name: &str, precondition: Precondition, collation: pg_sys::Oid) -> Result<(), Reason> {
    match precondition {
        Precondition::Always => Ok(()),
        Precondition::Utf8 => check_encoding(),
        Precondition::Deterministic => check_equality(collation),
        Precondition::ByteOrder => {
            check_equality(collation)?;
            let fits = orders_bytes(collation);
            if fits { Ok(()) } else { Err(format!("{name} under a collation that is not C, POSIX or C.UTF-8")) }
        }
        Precondition::AsciiCase => {
            check_equality(collation)?;
            let fits = has_ascii_letters(collation);
            if fits {
                Ok(())
            } else {
                Err(format!("{name} under a collation whose letters are not those of C or POSIX"))
            }
        }
    }
}

/// Whether texts are equal to the engine where they are under a collation.
pub(in crate::lake) fn check_equality(collation: pg_sys::Oid) -> Result<(), Reason> {
    check_encoding()?;
    if collation == pg_sys::InvalidOid {
        return Err("no collation".to_owned());
    }
    if !is_deterministic(collation) {
        return Err("a nondeterministic collation".to_owned());
    }
    Ok(())
}

fn check_encoding() -> Result<(), Reason> {
    // SAFETY: reads a variable of this process.
    let encoding = unsafe { pg_sys::GetDatabaseEncoding() };
    if encoding == pg_sys::pg_enc::PG_UTF8 as i32 { Ok(()) } else { Err("the database is not UTF-8".to_owned()) }
}

/// Whether texts are equal under it only if their bytes are.
fn is_deterministic(collation: pg_sys::Oid) -> bool {
    // SAFETY: a catalog lookup.
    collation == pg_sys::DEFAULT_COLLATION_OID || unsafe { pg_sys::get_collation_isdeterministic(collation) }
}

/// Whether a collation orders text by its bytes.
fn orders_bytes(collation: pg_sys::Oid) -> bool {
    let locale = Locale::of(collation, pg_sys::Anum_pg_database_datcollate, pg_sys::Anum_pg_collation_collcollate);
    match locale {
        Some(Locale::Libc(name)) => matches!(&*name.to_ascii_lowercase().replace('-', ""), "c" | "posix" | "c.utf8"),
        // As all of its locales do.
        Some(Locale::Builtin) => true,
        None => false,
    }
}

/// Whether `upper` and `lower` know the letters of ASCII alone. C.UTF-8 knows more, and the locales of PostgreSQL itself
/// differ by its version.
fn has_ascii_letters(collation: pg_sys::Oid) -> bool {
    let locale = Locale::of(collation, pg_sys::Anum_pg_database_datctype, pg_sys::Anum_pg_collation_collctype);
    matches!(locale, Some(Locale::Libc(name)) if name == "C" || name == "POSIX")
}

/// Whose rules a collation follows.
enum Locale {
    /// Those of a locale of the C library.
    Libc(String),
    /// Those of PostgreSQL itself.
    Builtin,
}

impl Locale {
    /// Of a collation, or of the database if it is the default one; the columns are those of its order or of its letters.
    /// `None` is ICU.
    fn of(collation: pg_sys::Oid, of_database: u32, of_collation: u32) -> Option<Self> {
        use pg_sys::SysCacheIdentifier::{COLLOID, DATABASEOID};
        if collation == pg_sys::C_COLLATION_OID || collation == compat::POSIX_COLLATION {
            return Some(Self::Libc("C".to_owned()));
        }
        if collation == pg_sys::DEFAULT_COLLATION_OID {
            // SAFETY: reads a variable of this process.
            let database = unsafe { pg_sys::MyDatabaseId };
            return Self::read(DATABASEOID as i32, database, pg_sys::Anum_pg_database_datlocprovider, of_database);
        }
        Self::read(COLLOID as i32, collation, pg_sys::Anum_pg_collation_collprovider, of_collation)
    }

    fn read(cache: i32, oid: pg_sys::Oid, provider: u32, locale: u32) -> Option<Self> {
        // SAFETY: a catalog lookup; what is read is copied before the tuple is released.
        unsafe {
            let tuple = pg_sys::SearchSysCache1(cache, oid.into());
            if tuple.is_null() {
                return None;
            }
            let mut is_null = false;
            let provider = pg_sys::SysCacheGetAttr(cache, tuple, provider as i16, &mut is_null).value() as u8;
            let mut found = None;
            if provider == compat::BUILTIN_PROVIDER {
                found = Some(Self::Builtin);
            } else if provider == b'c' {
                let datum = pg_sys::SysCacheGetAttr(cache, tuple, locale as i16, &mut is_null);
                if !is_null {
                    found = pgrx::FromDatum::from_datum(datum, is_null).map(Self::Libc);
                }
            }
            pg_sys::ReleaseSysCache(tuple);
            found
        }
    }
}
