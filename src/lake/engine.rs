//! The engine's threads, as the settings want them.

use lagoon_lake::{Error, Result};

use crate::pg::{guc, memory, thread};

/// Starts the engine's runtime, once a process, so that all its threads have every signal blocked.
pub(super) fn start() -> Result<()> {
    lagoon_lake::engine::runtime::set_release(memory::release);
    let megabytes = u64::try_from(guc::SCAN_MEMORY.get()).unwrap_or(0);
    lagoon_lake::engine::memory::set_limit(megabytes << 20);
    if !memory::settle() {
        return Err(Error::Memory { message: "no room for the reserve of address space".to_owned() });
    }
    thread::signals_blocked(|| lagoon_lake::engine::runtime::engine().map(|_| ()))
}
