//! The view `lagoon.workers`: the state of launcher and workers.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_schema;
use pgrx::prelude::*;

use super::state;

pgrx::extension_sql_file!("../../sql/background.sql", name = "background", requires = [lagoon::worker_status]);

fn timestamp(value: i64) -> Option<TimestampWithTimeZone> {
    (value != 0).then(|| TimestampWithTimeZone::try_from(value).ok()).flatten()
}

#[pg_schema]
mod lagoon {
    use super::*;

    /// One row for the launcher and one for each worker; none when the library is not in `shared_preload_libraries`.
    #[pg_extern(volatile, parallel_restricted)]
    #[allow(clippy::type_complexity)]
    fn worker_status() -> TableIterator<
        'static,
        (
            name!(pid, Option<i32>),
            name!(database, Option<pg_sys::Oid>),
            name!(role, &'static str),
            name!(state, &'static str),
            name!(started, Option<TimestampWithTimeZone>),
            name!(last_run, Option<TimestampWithTimeZone>),
            name!(runs, i64),
            name!(failures, i64),
            name!(restarts, i32),
            name!(last_error, Option<String>),
        ),
    > {
        TableIterator::new(state::processes().into_iter().map(|slot| {
            let database = (slot.database != pg_sys::InvalidOid).then_some(slot.database);
            (
                (slot.pid != 0).then_some(slot.pid),
                database,
                if database.is_some() { "worker" } else { "launcher" },
                slot.phase.name(),
                timestamp(slot.started),
                timestamp(slot.last_run),
                slot.runs,
                slot.failures,
                slot.restarts,
                slot.last_error.get(),
            )
        }))
    }
}
