//! What PostgreSQL asks of an access method (`amapi.h`), and who answers.

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, IndexAmRoutine, Oid};

use super::{build, cost, insert, options, scan, vacuum};
use crate::pg::function::sql_functions;

sql_functions! {
    fn hnsw_handler(_request: i32) -> Result<Datum, lagoon_hnsw::Error> {
        // SAFETY: palloc0 gives a zeroed node of that size and tag; zero is a valid value of every field.
        unsafe {
            let node = pg_sys::palloc0(size_of::<IndexAmRoutine>()).cast::<IndexAmRoutine>();
            *node = routine();
            Ok(Datum::from(node))
        }
    }
}

fn routine() -> IndexAmRoutine {
    IndexAmRoutine {
        type_: pg_sys::NodeTag::T_IndexAmRoutine,
        // No strategy numbers: any operator of the class orders.
        amstrategies: 0,
        // 1 distance, 2 norm (its presence says cosine), 3 kept for types other than vector, as in pgvector.
        amsupport: 3,
        amcanorderbyop: true,
        // A column may be NULL, and the planner may use the index without a clause on it: ORDER BY is all we serve.
        amoptionalkey: true,
        amparallelvacuumoptions: pg_sys::VACUUM_OPTION_PARALLEL_BULKDEL as u8,
        ambuild: Some(build::ambuild),
        ambuildempty: Some(build::ambuildempty),
        aminsert: Some(insert::aminsert),
        ambulkdelete: Some(vacuum::ambulkdelete),
        amvacuumcleanup: Some(vacuum::amvacuumcleanup),
        amcostestimate: Some(cost::amcostestimate),
        amoptions: Some(options::amoptions),
        ambuildphasename: Some(build::ambuildphasename),
        amvalidate: Some(amvalidate),
        ambeginscan: Some(scan::ambeginscan),
        amrescan: Some(scan::amrescan),
        amgettuple: Some(scan::amgettuple),
        amendscan: Some(scan::amendscan),
        // Everything else is no: not ordered, unique, multicolumn, covering, clusterable, parallel; no bitmap, no marks.
        ..IndexAmRoutine::default()
    }
}

/// Operator classes are checked when an index is built: whether the distance is one that the graph has a kernel for.
#[pg_guard]
unsafe extern "C-unwind" fn amvalidate(_opclass: Oid) -> bool {
    true
}
