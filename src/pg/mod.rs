//! What all wings share when they talk to PostgreSQL. Only here, and in the callback shells of the wings, is `unsafe` allowed.

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
pub mod regclass;
pub mod role;
pub mod shmem;
pub mod spi;
pub mod statistics;
pub mod text;
pub mod thread;
pub mod tick;
pub mod transaction;
pub mod wait;

/// Called once per process from `_PG_init`. Starts nothing: no thread, no engine, no environment.
pub fn init() {
    guc::init();
}
