//! What all queries of a process share: the threads of the engine, the memory that they may take and the files beside it.
//!
//! ```text
//! runtime  threads                            memory  bytes that are counted, in this process and in all
//! cancel   whether a query is still wanted    pool    those of one query, as DataFusion asks for them
//! spill    temporary files                
//! ```

pub mod cancel;
pub mod memory;
pub(crate) mod pool;
pub mod runtime;
pub mod spill;
