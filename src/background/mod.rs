//! Background processes: a launcher that watches, and a worker for each database in which there is something to do.
//!
//! They exist only when `lagoon` is in `shared_preload_libraries`. Everything else works without, and for each background task
//! there is a SQL function that does the same.

mod folder;
mod hooks;
mod launcher;
mod state;
mod task;
mod view;
mod worker;

use pgrx::pg_sys;

/// Called from `_PG_init`.
pub fn init() {
    // SAFETY: flags of this process.
    let (is_preloaded, is_upgrade) =
        unsafe { (pg_sys::process_shared_preload_libraries_in_progress, pg_sys::IsBinaryUpgrade) };
    if is_preloaded && !is_upgrade {
        state::init();
        hooks::init();
        launcher::register();
    }
}
