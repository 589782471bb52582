//! Execution: the files of a scan become record batches, on the engine's threads.
//!
//! ```text
//! spec    -> what to read         plan     -> what DataFusion does with a piece
//! pieces  -> parts of files       reader   -> their bytes, checked
//! prune   -> row groups that need no reading
//! late    -> pieces of which the filter's columns are decoded first: rule_out, columns and guess are its parts
//! learned -> what joins and limits say of rows while the scan runs
//! order   -> which pieces come first
//! sample  -> rows that are read for statistics
//! reading -> who takes pieces, and what of them is wanted
//! work    -> the tasks            delivery -> what the consumer polls
//! scan    -> all of it for one table
//! ```

mod columns;
mod delivery;
mod guess;
mod late;
mod learned;
mod order;
mod pieces;
mod plan;
mod prune;
mod reader;
mod reading;
mod rule_out;
mod sample;
pub(crate) mod scan;
mod spec;
mod work;

pub(crate) use delivery::Delivery;
pub use delivery::Poll;
pub(crate) use learned::Learned;
pub use pieces::{BATCH_BYTES, BATCH_ROWS};
pub use reading::Statistics;
pub(crate) use reading::{Opened, Reading};
pub use sample::{SAMPLE_BYTES, Sample, SampleSize};
pub use scan::Scan;
pub use spec::ScanSpec;
pub(crate) use work::{Outlet, QUEUE_BATCHES, batch_bytes};
pub use work::{QUEUE_BYTES, rows_within};
