//! The interface to PostgreSQL that all wings share. Unsafe code belongs here and into the callback shells of the wings.

pub mod buffer;
pub mod child;
pub mod compat;
pub mod database;
pub mod datum;
pub mod error;
pub mod exit;
pub mod function;
pub mod guc;
pub mod hook;
pub mod interrupt;
pub mod job;
pub mod json;
pub mod limit;
pub mod log;
pub mod memory;
pub mod node;
pub mod process;
pub mod query;
pub mod regclass;
pub mod role;
pub mod shmem;
pub mod spi;
pub mod statistics;
pub mod temporary;
pub mod text;
pub mod thread;
pub mod tick;
pub mod transaction;
pub mod wait;

/// Called once per process from `_PG_init`. It starts no thread and no engine.
pub fn init() {
    guc::init();
}
