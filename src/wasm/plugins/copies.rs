//! Copies of plugins, which a dump restores before any data.
//!
//! pg_dump writes the rows of `lagoon.plugins` among the data of all tables, ordered by name; `pg_restore -j` has no order
//! at all. A table with a CHECK constraint or a generated column in language wasm may be restored earlier, and would lose
//! its rows. So each plugin is also stored as the body of a function, `lagoon_plugin.<name>()`, because every dump restores
//! functions before data. The function is never called: while the plugin has no row, it is read from the body. A trigger on
//! the table keeps the functions up to date, and they are dropped with the extension (DEPENDS ON EXTENSION).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lagoon_wasm::{Error, Source};
use pgrx::pg_catalog::pg_proc::PgProc;
use pgrx::prelude::*;

use crate::pg::spi;
use crate::wasm::error::sql;

/// The text around manifest and module, which are base64, separated by a colon.
const HEAD: &str = "SELECT '";
const TAIL: &str = "'";

/// Manifest and module of a plugin, from its copy. Needs no privilege.
pub fn find(name: &str) -> Result<Option<(String, Source)>, Error> {
    let body = function(name).and_then(PgProc::new).map(|function| function.prosrc());
    let Some(body) = body else { return Ok(None) };
    let damaged = || Error::Internal(format!("function lagoon_plugin.{name}() does not hold a plugin"));
    let (manifest, wasm) = read(&body).ok_or_else(damaged)?;
    Ok(Some((manifest, Source::new(wasm)?)))
}

/// Updates the copies after a change of the table.
pub fn sync(data: &pg_sys::TriggerData) -> Result<(), Error> {
    if data.tg_event & pg_sys::TRIGGER_EVENT_ROW == 0 {
        let all = "SELECT p.proname::pg_catalog.text FROM pg_catalog.pg_proc p
                   JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
                   WHERE n.nspname OPERATOR(pg_catalog.=) 'lagoon_plugin'";
        let names = spi::read_latest(all, &[], |row| row.get::<String>(1)).map_err(sql)?;
        return names.iter().flatten().try_for_each(|name| sync_one(name));
    }
    for tuple in [data.tg_trigtuple, data.tg_newtuple] {
        if tuple.is_null() {
            continue;
        }
        // SAFETY: both are rows of the trigger's table, which is open; the first column is a text that is not NULL.
        let name = unsafe {
            let mut is_null = false;
            let name = pg_sys::heap_getattr(tuple, 1, (*data.tg_relation).rd_att, &mut is_null);
            String::from_datum(name, is_null)
        };
        name.iter().try_for_each(|name| sync_one(name))?;
    }
    Ok(())
}

fn sync_one(name: &str) -> Result<(), Error> {
    let query = "SELECT manifest::pg_catalog.text, wasm FROM lagoon.plugins WHERE name OPERATOR(pg_catalog.=) $1";
    let read =
        |row: &spi::Row| Ok((row.get::<String>(1)?.unwrap_or_default(), row.get::<Vec<u8>>(2)?.unwrap_or_default()));
    let row = spi::read_latest(query, &[name.into()], read).map_err(sql)?.pop();
    let Some((manifest, wasm)) = row else { return drop(name) };
    let quoted = pgrx::spi::quote_identifier(name);
    let body = format!("{HEAD}{}:{}{TAIL}", STANDARD.encode(manifest), STANDARD.encode(wasm));
    if function(name).and_then(PgProc::new).is_some_and(|function| function.prosrc() == body) {
        return Ok(());
    }
    Spi::run(&format!(
        "CREATE OR REPLACE FUNCTION lagoon_plugin.{quoted}() RETURNS pg_catalog.text LANGUAGE sql AS $lagoon${body}$lagoon$"
    ))
    .and_then(|()| Spi::run(&format!("ALTER FUNCTION lagoon_plugin.{quoted}() DEPENDS ON EXTENSION lagoon")))
    .map_err(sql)
}

/// Drops the copy of a plugin, if there is one.
pub fn drop(name: &str) -> Result<(), Error> {
    if function(name).is_none() {
        return Ok(());
    }
    Spi::run(&format!("DROP FUNCTION lagoon_plugin.{}()", pgrx::spi::quote_identifier(name))).map_err(sql)
}

/// The copy's oid.
fn function(name: &str) -> Option<pg_sys::Oid> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: lookups in the caches of the catalog; the keys live through the calls.
    let oid = unsafe {
        let schema = pg_sys::get_namespace_oid(c"lagoon_plugin".as_ptr(), true);
        let none = pg_sys::buildoidvector(std::ptr::null(), 0);
        pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
            pg_sys::Anum_pg_proc_oid as i16,
            name.as_ptr().into(),
            none.into(),
            schema.into(),
            pg_sys::Datum::from(0),
        )
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// Manifest and module from a body.
fn read(body: &str) -> Option<(String, Vec<u8>)> {
    let (manifest, wasm) = body.strip_prefix(HEAD)?.strip_suffix(TAIL)?.split_once(':')?;
    let manifest = String::from_utf8(STANDARD.decode(manifest).ok()?).ok()?;
    Some((manifest, STANDARD.decode(wasm).ok()?))
}
