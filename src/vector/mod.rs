//! The vector wing: the SQL [types] with their operators, and the [access methods](index) over them.

mod index;
mod types;

/// Called once per process from `_PG_init`.
pub fn init() {
    index::init();
}
