//! Installing a plugin: everything is checked first, then one row is written.

use std::cell::Cell;
use std::time::Duration;

use lagoon_wasm::{Error, Manifest, Plugin, Source};
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::{catalog, dependents};
use crate::pg::json::JsonText;
use crate::pg::limit::Limit;
use crate::pg::transaction::must_write;
use crate::pg::{interrupt, role, spi};
use crate::wasm::declaration::Declaration;
use crate::wasm::error::{finish, sql};
use crate::wasm::session;

/// The outcome of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Installed,
    Replaced,
    Unchanged,
    /// The same files have failed before, and were not tried again.
    Quarantined,
}

/// A time limit for the checks of a module: compilation, its start function, and the functions that use it. Waiting for locks
/// does not count.
#[derive(Default)]
pub struct CheckLimit {
    limit: Option<Duration>,
    is_over: Cell<bool>,
}

impl CheckLimit {
    /// A limit, for a background process.
    pub fn of(limit: Duration) -> Self {
        Self { limit: Some(limit), is_over: Cell::new(false) }
    }

    /// Whether the checks were cancelled because they took longer.
    pub fn is_over(&self) -> bool {
        self.is_over.get()
    }

    fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Guard<'a>(&'a CheckLimit, Option<Limit>);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.is_over.set(self.1.as_ref().is_some_and(Limit::is_over));
            }
        }
        let _guard = Guard(self, self.limit.map(Limit::start));
        work()
    }
}

impl Outcome {
    /// As SQL shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Quarantined => "quarantined",
        }
    }
}

#[pg_schema]
pub mod lagoon {
    use super::*;

    /// Installs a plugin, or replaces it. Returns what it did: `installed`, `replaced` or `unchanged`.
    #[pg_extern]
    pub fn install_plugin(
        name: Option<&str>,
        wasm: Option<&[u8]>,
        manifest: default!(Option<JsonText>, "NULL"),
    ) -> &'static str {
        must_write(c"lagoon.install_plugin()");
        finish(install_given(name, wasm, manifest)).name()
    }
}

/// Checks, compiles, links and starts the plugin, checks the functions that use it, then writes the row.
pub fn install(name: &str, wasm: &[u8], manifest: &Manifest, limit: &CheckLimit) -> Result<Outcome, Error> {
    lagoon_wasm::manifest::check_name(name)?;
    let source = Source::new(wasm)?;
    let hash = source.hash();
    let json = manifest.to_json()?;
    let old = catalog::row(name, false)?;
    check_owner(name, old.as_ref())?;
    if let Some(old) = &old
        && old.hash == hash.to_hex().as_str()
        && Manifest::parse(&old.manifest).is_ok_and(|old| old == *manifest)
    {
        return Ok(Outcome::Unchanged);
    }
    let functions = functions_of(name)?;
    limit.during(|| {
        let checked = check(name, source, manifest, &functions);
        if matches!(checked, Err(Error::Interrupted)) {
            interrupt::check(); // raises the ERROR while it is known whether the limit caused it
        }
        checked
    })?;
    write(name, manifest, hash.to_hex().as_str(), wasm, &json)?;
    let Some(old) = old else { return Ok(Outcome::Installed) };
    if old.hash != hash.to_hex().as_str() {
        dependents::warn(name, &functions)?;
    }
    Ok(Outcome::Replaced)
}

fn install_given(name: Option<&str>, wasm: Option<&[u8]>, manifest: Option<JsonText>) -> Result<Outcome, Error> {
    let name = name.ok_or(Error::NullArgument("name"))?;
    let wasm = wasm.ok_or(Error::NullArgument("wasm"))?;
    let manifest = manifest.map_or_else(|| Ok(Manifest::default()), |json| Manifest::parse(&json.0))?;
    install(name, wasm, &manifest, &CheckLimit::default())
}

/// Compiles, links and starts the plugin, checks the functions that use it.
fn check(name: &str, source: Source, manifest: &Manifest, functions: &[pg_sys::Oid]) -> Result<(), Error> {
    let loaded = session::compile(source, manifest.limits.fuel.is_some())?;
    let plugin = Plugin::link(session::runtime(), name, &loaded, manifest.clone())?;
    let mut instance = session::instantiate(&plugin)?;
    session::show(instance.take_log());
    functions.iter().try_for_each(|function| check_function(*function, &plugin))
}

/// Fails unless the current user owns the plugin or is a superuser.
pub(super) fn check_owner(name: &str, row: Option<&catalog::Row>) -> Result<(), Error> {
    let Some(row) = row else { return Ok(()) };
    if role::has_rights_of(&row.owner) { Ok(()) } else { Err(Error::NotOwner(name.to_owned())) }
}

fn check_function(function: pg_sys::Oid, plugin: &Plugin) -> Result<(), Error> {
    Declaration::of(function).and_then(|declared| declared.check(plugin)).map_err(|reason| Error::BreaksFunction {
        plugin: plugin.name().to_owned(),
        function: signature_of(function),
        reason: Box::new(reason),
    })
}

fn write(name: &str, manifest: &Manifest, hash: &str, wasm: &[u8], json: &str) -> Result<(), Error> {
    let owner = role::current_name();
    let statement = "INSERT INTO lagoon.plugins (name, version, hash, wasm, manifest, owner)
         VALUES ($1, $2, $3, $4, $5::pg_catalog.jsonb, $6)
         ON CONFLICT (name) DO UPDATE SET version = excluded.version, hash = excluded.hash, wasm = excluded.wasm,
             manifest = excluded.manifest, installed_at = excluded.installed_at";
    let version = manifest.version.as_str();
    let values = [name.into(), version.into(), hash.into(), wasm.to_vec().into(), json.into(), owner.into()];
    as_owner_of_table(|| spi::write(statement, &values).map(|_| ()).map_err(sql))
}

/// Runs `work` as the owner of the table: the privilege to execute the calling functions is enough.
pub(super) fn as_owner_of_table<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let gone = || Error::Internal("table lagoon.plugins is gone".to_owned());
    spi::as_owner(c"plugins", work).ok_or_else(gone)?
}

/// The functions whose body names the plugin.
pub(super) fn functions_of(plugin: &str) -> Result<Vec<pg_sys::Oid>, Error> {
    let query = "SELECT p.oid FROM pg_catalog.pg_proc p
         JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
         WHERE l.lanname OPERATOR(pg_catalog.=) 'wasm' AND pg_catalog.btrim(pg_catalog.split_part(p.prosrc, ':', 1))
               OPERATOR(pg_catalog.=) $1
         ORDER BY p.oid";
    let found = spi::read_latest(query, &[plugin.into()], |row| row.get::<pg_sys::Oid>(1)).map_err(sql)?;
    Ok(found.into_iter().flatten().collect())
}

/// `schema.name(types)`, quoted, as DROP FUNCTION takes it.
pub(super) fn signature_of(function: pg_sys::Oid) -> String {
    // SAFETY: a palloc'd C string for any oid.
    unsafe { std::ffi::CStr::from_ptr(pg_sys::format_procedure_qualified(function)) }.to_string_lossy().into_owned()
}
