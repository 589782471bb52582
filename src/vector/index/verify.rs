//! `lagoon.verify_index`: the engine's checks, and the table's rows against those of the index.

use pgrx::pg_sys::Oid;

use lagoon_vector::Error;
use lagoon_vector::report::{Misfits, Report};
use lagoon_vector::store::PageStore;
use lagoon_vector::{Method, hnsw, ivf};

use super::open::OpenIndex;
use crate::pg::log;

#[pgrx::pg_schema]
mod lagoon {
    use pgrx::iter::TableIterator;
    use pgrx::{name, pg_extern};

    use crate::pg::error::OrRaise;
    use crate::pg::regclass::Regclass;

    /// Verifies an hnsw or ivfflat index: one row per check. For the owner of its table: reads the whole index and the
    /// table; inserts into the index and vacuums of it wait.
    #[pg_extern(volatile, parallel_unsafe)]
    fn verify_index(
        index: Regclass,
    ) -> TableIterator<'static, (name!(check_name, String), name!(passed, bool), name!(detail, String))> {
        let report = super::report(index.0).or_raise();
        TableIterator::new(report.checks.into_iter().map(|check| (check.name.to_owned(), check.passed, check.detail)))
    }
}

fn report(oid: Oid) -> Result<Report, Error> {
    let index = OpenIndex::by_owner(oid)?;
    // The table first: the rows that this snapshot sees are in the index by then, and stay there.
    let rows = index.rows()?;
    let pages = index.pages();
    let mut report = match index.method {
        Method::Hnsw => hnsw::verify::verify(&pages)?,
        Method::Ivfflat => ivf::verify::verify(&pages)?,
    };
    report.compare_heap(rows, &|| pages.poll())?;
    if report.misfits.are_many() {
        let Misfits { count, of } = report.misfits;
        log::warning_with(
            format!("codes of index \"{}\" are too coarse for {count} of {of} values", index.name()),
            "These values were inserted after the index was built and differ from those that its codes were learnt from; recall is lower.",
            "REINDEX the index.",
        );
    }
    Ok(report)
}
