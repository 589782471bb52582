//! Execution: the files of a scan become record batches, on the engine's threads.
//!
//! ```text
//! spec   -> what to read        plan   -> what DataFusion does with a piece
//! pieces -> parts of files      reader -> their bytes, checked
//! prune  -> row groups that need no reading
//! reading -> who takes pieces, and what of them is wanted
//! work   -> the tasks           scan   -> what the consumer polls
//! ```

mod pieces;
mod plan;
mod prune;
mod reader;
mod reading;
pub(crate) mod scan;
mod spec;
mod work;

pub use pieces::{BATCH_BYTES, BATCH_ROWS};
pub use reading::Statistics;
pub(crate) use reading::{Opened, Reading};
pub use scan::{Poll, Scan};
pub use spec::ScanSpec;
pub(crate) use work::{Outlet, QUEUE_BATCHES, Queued};
pub use work::{QUEUE_BYTES, rows_within};
