//! `lagoon.verify_index`: the engine's checks, and the table's rows against those of the index.

use pgrx::pg_sys::Oid;

use lagoon_vector::Error;
use lagoon_vector::hnsw::verify::Report;
use lagoon_vector::{Method, hnsw, ivf};

use crate::index::Opened;

#[pgrx::pg_schema]
mod lagoon {
    use pgrx::iter::TableIterator;
    use pgrx::{PgRelation, name, pg_extern};

    use crate::pg::error::OrRaise;

    /// Verifies an hnsw or ivfflat index: one row per check. Reads the whole index and its table; inserts into the index and vacuums of it wait.
    #[pg_extern(volatile, parallel_unsafe)]
    fn verify_index(
        index: PgRelation,
    ) -> TableIterator<'static, (name!(check_name, String), name!(passed, bool), name!(detail, String))> {
        let oid = index.oid();
        drop(index);
        let report = super::report(oid).or_raise();
        TableIterator::new(report.checks.into_iter().map(|check| (check.name.to_owned(), check.passed, check.detail)))
    }
}

fn report(oid: Oid) -> Result<Report, Error> {
    let opened = Opened::new(oid)?;
    // The table first: what this snapshot sees is in the index by then, and stays.
    let rows = opened.rows()?;
    let mut report = match opened.method {
        Method::Hnsw => hnsw::verify::verify(&opened.pages())?,
        Method::Ivfflat => ivf::verify::verify(&opened.pages())?,
    };
    report.compare_heap(&rows);
    Ok(report)
}
