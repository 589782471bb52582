//! Installing and removing plugins: everything is checked first, then one row changes.

use std::path::Path;

use lagoon_wasm::{Error, Manifest, Plugin, Source};
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::declaration::Declaration;
use super::error::finish;
use super::{catalog, reload, session};
use crate::pg::json::JsonText;
use crate::pg::transaction::must_write;

/// What an installation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Installed,
    Replaced,
    Unchanged,
}

impl Outcome {
    /// As SQL shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
        }
    }
}

#[pg_schema]
pub mod lagoon {
    use super::*;

    /// Installs a plugin, or replaces it. Returns what it did: `installed`, `replaced` or `unchanged`.
    #[pg_extern]
    pub fn install_plugin(name: &str, wasm: &[u8], manifest: default!(Option<JsonText>, "NULL")) -> &'static str {
        must_write(c"lagoon.install_plugin()");
        let manifest = manifest.map_or_else(|| Ok(Manifest::default()), |json| Manifest::parse(&json.0));
        finish(manifest.and_then(|manifest| install(name, wasm, &manifest))).name()
    }

    /// The same from a file of the server: a module, or a manifest that says where its module is. Superusers only.
    #[pg_extern]
    pub fn install_plugin_file(path: &str) -> &'static str {
        must_write(c"lagoon.install_plugin_file()");
        finish(install_file(Path::new(path))).name()
    }

    /// Removes a plugin. Refused while functions use it, unless `cascade` says to drop those, and their triggers, too.
    #[pg_extern]
    pub fn remove_plugin(name: &str, cascade: default!(bool, "false")) {
        must_write(c"lagoon.remove_plugin()");
        finish(remove(name, cascade));
    }
}

/// Checks, compiles, links and starts the plugin, checks the functions that use it, then writes the row.
pub fn install(name: &str, wasm: &[u8], manifest: &Manifest) -> Result<Outcome, Error> {
    lagoon_wasm::manifest::check_name(name)?;
    let source = Source::new(wasm)?;
    let hash = source.hash();
    let json = manifest.to_json()?;
    let old = catalog::find(name, false)?;
    if let Some(old) = &old
        && old.hash == hash.to_hex().as_str()
        && Manifest::parse(&old.manifest).is_ok_and(|old| old == *manifest)
    {
        return Ok(Outcome::Unchanged);
    }
    let loaded = session::compile(source, manifest.limits.fuel.is_some())?;
    let plugin = Plugin::link(session::runtime(), name, &loaded, manifest.clone())?;
    let mut instance = session::instantiate(&plugin)?;
    session::show(instance.take_log());
    for function in functions_of(name)? {
        check_function(function, &plugin)?;
    }
    write(name, manifest, hash.to_hex().as_str(), wasm, &json)?;
    Ok(if old.is_some() { Outcome::Replaced } else { Outcome::Installed })
}

fn check_function(function: pg_sys::Oid, plugin: &Plugin) -> Result<(), Error> {
    Declaration::of(function).and_then(|declared| declared.check(plugin)).map_err(|reason| Error::BreaksFunction {
        plugin: plugin.name().to_owned(),
        function: signature_of(function),
        reason: Box::new(reason),
    })
}

fn install_file(path: &Path) -> Result<Outcome, Error> {
    // SAFETY: reads a flag of the session.
    if !unsafe { pg_sys::superuser() } {
        return Err(Error::SuperuserOnly("install a plugin from a file"));
    }
    let candidate = reload::candidate_of(path)?;
    let (manifest, wasm) = candidate.read()?;
    install(&candidate.name, &wasm, &manifest)
}

fn remove(name: &str, cascade: bool) -> Result<(), Error> {
    if catalog::find(name, false)?.is_none() {
        return Err(Error::UnknownPlugin(name.to_owned()));
    }
    let functions: Vec<String> = functions_of(name)?.into_iter().map(signature_of).collect();
    if !functions.is_empty() && !cascade {
        return Err(Error::StillUsed { plugin: name.to_owned(), functions });
    }
    for function in functions {
        Spi::run(&format!("DROP FUNCTION {function} CASCADE")).map_err(sql)?;
    }
    reload::forget(name)?;
    Spi::run_with_args("DELETE FROM lagoon.plugins WHERE name OPERATOR(pg_catalog.=) $1", &[name.into()]).map_err(sql)
}

fn write(name: &str, manifest: &Manifest, hash: &str, wasm: &[u8], json: &str) -> Result<(), Error> {
    Spi::run_with_args(
        "INSERT INTO lagoon.plugins (name, version, hash, wasm, manifest)
         VALUES ($1, $2, $3, $4, $5::pg_catalog.jsonb)
         ON CONFLICT (name) DO UPDATE SET version = excluded.version, hash = excluded.hash, wasm = excluded.wasm,
             manifest = excluded.manifest, installed_at = excluded.installed_at",
        &[name.into(), manifest.version.as_str().into(), hash.into(), wasm.to_vec().into(), json.into()],
    )
    .map_err(sql)
}

/// The functions whose body names the plugin.
fn functions_of(plugin: &str) -> Result<Vec<pg_sys::Oid>, Error> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
             WHERE l.lanname OPERATOR(pg_catalog.=) 'wasm' AND pg_catalog.btrim(pg_catalog.split_part(p.prosrc, ':', 1))
                   OPERATOR(pg_catalog.=) $1
             ORDER BY p.oid",
            None,
            &[plugin.into()],
        )?;
        rows.map(|row| row.get::<pg_sys::Oid>(1)).filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()
    })
    .map_err(sql)
}

/// `schema.name(types)`, quoted, as DROP FUNCTION takes it.
fn signature_of(function: pg_sys::Oid) -> String {
    // SAFETY: a palloc'd C string for any oid.
    unsafe { std::ffi::CStr::from_ptr(pg_sys::format_procedure_qualified(function)) }.to_string_lossy().into_owned()
}

pub(super) fn sql(error: pgrx::spi::Error) -> Error {
    Error::Internal(error.to_string())
}
