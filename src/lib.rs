//! Lagoon: Parquet tables, vectors, embeddings and WebAssembly in one PostgreSQL extension.
//!
//! This crate is glue: it turns PostgreSQL's calls into calls of the engine crates under `crates/`. ARCHITECTURE.md has the map.
#![deny(unsafe_op_in_unsafe_fn)]

mod background;
mod embed;
mod lake;
mod pg;
mod vector;
mod wasm;

#[cfg(feature = "pg_test")]
#[path = "../pg_test/mod.rs"]
mod pg_test;

/// For pg_get_loaded_modules() of PostgreSQL 18; pgrx's own `version` would overwrite the name.
const VERSION: &std::ffi::CStr =
    match std::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
pgrx::pg_module_magic!(name, version = VERSION);
pgrx::extension_sql_file!("../sql/comments.sql", name = "comments", finalize);

#[cfg(not(panic = "unwind"))]
compile_error!("Lagoon needs panic = \"unwind\": a panic must become an ERROR");

/// Called by PostgreSQL when the library is loaded: registers names and hooks, starts nothing.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::init();
    embed::init();
    vector::init();
    lake::init();
    wasm::init();
    background::init();
}
