//! PostgreSQL's statistics counters of a relation.

use pgrx::pg_sys::{PgStat_TableCounts, Relation};

use super::compat;

/// The function itself: pgrx's wrapper sets a jump mark of its own.
mod raw {
    unsafe extern "C-unwind" {
        pub fn pgstat_assoc_relation(relation: super::Relation);
    }
}

/// The counters of a relation, if they are kept (`pgstat_should_count_relation` of pgstat.h).
///
/// # Safety
/// The relation is open and stays so while the result lives. Inside a jump mark.
#[inline]
pub unsafe fn counts<'a>(relation: Relation) -> Option<&'a mut PgStat_TableCounts> {
    // SAFETY: the caller's; pgstat_assoc_relation() sets pgstat_info.
    unsafe {
        if (*relation).pgstat_info.is_null() && (*relation).pgstat_enabled {
            raw::pgstat_assoc_relation(relation);
        }
        (*relation).pgstat_info.as_mut().map(compat::counts)
    }
}
