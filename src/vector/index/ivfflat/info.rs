//! `lagoon.ivfflat_info`: the engine's numbers as a row.

use lagoon_vector::ivf::format::VERSION;
use lagoon_vector::ivf::info::{Info, info};
use lagoon_vector::{Error, Method};
use pgrx::pg_sys::Oid;

use crate::vector::index::open::OpenIndex;

#[pgrx::pg_schema]
mod lagoon {
    use pgrx::iter::TableIterator;
    use pgrx::{name, pg_extern, pg_sys};

    use crate::pg::error::OrRaise;
    use crate::pg::function::check_columns;
    use crate::pg::regclass::Regclass;

    /// What an ivfflat index consists of: one row. For the owner of its table: reads the whole index, and inserts and vacuums of the index wait.
    #[pg_extern(volatile, parallel_unsafe)]
    #[allow(clippy::type_complexity)] // the columns
    fn ivfflat_info(
        index: Regclass,
        call: pg_sys::FunctionCallInfo,
    ) -> TableIterator<
        'static,
        (
            name!(format_version, i32),
            name!(metric, String),
            name!(codes, String),
            name!(centred, bool),
            name!(dimensions, i32),
            name!(lists, i32),
            name!(rows, i64),
            name!(misfits, i64),
            name!(empty_lists, i32),
            name!(min_list_rows, i64),
            name!(median_list_rows, i64),
            name!(max_list_rows, i64),
            name!(max_list_pages, i64),
            name!(free_slots, i64),
            name!(meta_bytes, i64),
            name!(head_bytes, i64),
            name!(centre_bytes, i64),
            name!(entry_bytes, i64),
            name!(unused_bytes, i64),
            name!(total_bytes, i64),
            name!(bytes_per_row, Option<f64>),
        ),
    > {
        check_columns(call, 21);
        let info = super::read(index.0).or_raise();
        TableIterator::once((
            super::VERSION as i32,
            info.meta.space.metric.name().to_owned(),
            info.meta.space.form.name().to_owned(),
            info.meta.is_centred,
            info.meta.space.dimensions as i32,
            info.meta.lists as i32,
            info.rows as i64,
            info.meta.misfits.into(),
            info.empty_lists as i32,
            info.min_rows as i64,
            info.median_rows as i64,
            info.max_rows as i64,
            info.max_pages as i64,
            info.free_slots as i64,
            info.meta_bytes() as i64,
            info.head_bytes as i64,
            info.centre_bytes as i64,
            info.entry_bytes as i64,
            info.unused_bytes as i64,
            info.total_bytes() as i64,
            (info.rows > 0).then(|| info.total_bytes() as f64 / info.rows as f64),
        ))
    }
}

fn read(oid: Oid) -> Result<Info, Error> {
    info(&OpenIndex::by_owner(oid)?.only(Method::Ivfflat)?.pages())
}
