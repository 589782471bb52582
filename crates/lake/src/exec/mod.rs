//! Execution: the files of a scan become record batches, on the engine's threads.
//!
//! ```text
//! spec   -> what to read        plan   -> what DataFusion does with a piece
//! pieces -> parts of files      reader -> their bytes, checked
//! prune  -> row groups that need no reading
//! work   -> the tasks           scan   -> what the consumer polls
//! ```

mod pieces;
mod plan;
mod prune;
mod reader;
pub(crate) mod scan;
mod spec;
mod work;

pub use pieces::{BATCH_BYTES, BATCH_ROWS};
pub use scan::{Poll, Scan, Statistics};
pub use spec::ScanSpec;
pub use work::{QUEUE_BYTES, rows_within};
