//! `lagoon.index_info`: the engine's numbers as a row.

use lagoon_vector::hnsw::format::VERSION;
use lagoon_vector::hnsw::info::{Info, info};
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

    /// What an hnsw index consists of: one row. For the owner of its table: reads the pages of nodes, and inserts and vacuums of the index wait.
    #[pg_extern(volatile, parallel_unsafe)]
    #[allow(clippy::type_complexity)] // the columns
    fn index_info(
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
            name!(m, i32),
            name!(ef_construction, i32),
            name!(rows, i64),
            name!(elements, i64),
            name!(layer_elements, Vec<i64>),
            name!(degree_histogram, Vec<i64>),
            name!(dead_elements, i64),
            name!(unreachable_elements, i64),
            name!(misfits, i64),
            name!(overflow_slots, i64),
            name!(free_slots, i64),
            name!(meta_bytes, i64),
            name!(node_bytes, i64),
            name!(code_bytes, i64),
            name!(total_bytes, i64),
            name!(bytes_per_row, Option<f64>),
        ),
    > {
        check_columns(call, 21);
        let info = super::read(index.0).or_raise();
        let counts = |counts: &[u64]| counts.iter().map(|count| *count as i64).collect::<Vec<_>>();
        TableIterator::once((
            super::VERSION as i32,
            info.meta.space.metric.name().to_owned(),
            info.meta.space.form.name().to_owned(),
            info.meta.is_centred(),
            info.meta.space.dimensions as i32,
            info.meta.m as i32,
            info.meta.ef_construction as i32,
            info.rows as i64,
            info.elements() as i64,
            counts(&info.layers),
            counts(&info.degrees),
            info.dead as i64,
            info.unreachable as i64,
            info.meta.misfits.into(),
            info.overflow_slots as i64,
            info.free_slots as i64,
            info.meta_bytes() as i64,
            info.node_bytes as i64,
            info.code_bytes as i64,
            info.total_bytes() as i64,
            (info.rows > 0).then(|| info.total_bytes() as f64 / info.rows as f64),
        ))
    }
}

fn read(oid: Oid) -> Result<Info, Error> {
    info(&OpenIndex::by_owner(oid)?.only(Method::Hnsw)?.pages())
}
