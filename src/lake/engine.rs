//! The engine's threads, as the settings want them.

use lagoon_lake::engine::cancel;
use lagoon_lake::engine::spill::Place;
use lagoon_lake::{Error, Result};

use super::memory as counted;
use crate::pg::{job, memory, temporary, thread};

/// Stack of a thread that plans, in bytes. Trees have a hundred levels at most, each of which takes some kilobytes in each of
/// the optimizer's rules; how much of its own the main thread has left nobody knows.
const PLANNING_STACK: usize = 32 << 20;

/// Starts the engine's runtime, once a process, so that all its threads have every signal blocked.
pub(super) fn start() -> Result<()> {
    lagoon_lake::engine::runtime::set_release(memory::release);
    lagoon_lake::engine::memory::set_limit(counted::limit());
    counted::begin();
    if !memory::settle() {
        return Err(Error::Memory { message: "no room for the reserve of address space".to_owned() });
    }
    thread::signals_blocked(|| lagoon_lake::engine::runtime::engine().map(|_| ()))
}

/// Plans a query on a thread of its own, while this one answers interrupts.
pub(super) fn plan<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    job::run_with("lagoon plan", PLANNING_STACK, || {}, move |flag| cancel::during(flag.as_atomic(), work))
}

/// Where the engine has its temporary files: beside PostgreSQL's own, under names that the server removes when it starts.
pub(super) fn place() -> Place {
    Place { folder: temporary::folder(), prefix: temporary::prefix("lagoon"), limit: temporary::limit() }
}
