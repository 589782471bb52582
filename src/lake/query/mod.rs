//! Whole statements in the engine, in the place of PostgreSQL's plan.
//!
//! ```text
//! hook       after planning: which statements          translate  PostgreSQL's query -> the engine's
//! plan       the plan node, or why there is none       private    what it carries
//! methods    what PostgreSQL calls                     scan       execution          explain
//! ship       rows that PostgreSQL reads and sends       insert     INSERT ... SELECT
//! parts      subqueries, where the whole stays         concern    which statements are the engine's
//! ```

mod concern;
mod explain;
mod hook;
mod insert;
mod methods;
mod parts;
mod plan;
mod private;
mod scan;
mod ship;
mod translate;

/// Called from `_PG_init`.
pub(super) fn init() {
    methods::register();
    crate::pg::hook::after_planning(concern::concerns, hook::planned);
}
