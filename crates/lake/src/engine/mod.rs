//! What all scans of a process share: the threads of the engine, and the memory that they may take.

pub mod memory;
pub mod runtime;
