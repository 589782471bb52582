//! What PostgreSQL asks of an access method (`amapi.h`), and who answers.

use lagoon_vector::{Error, Method};
use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, IndexAmRoutine, Oid};

use super::{build, cost, insert, options, scan, vacuum};
use crate::index::{self, SUPPORT_FUNCTIONS};
use crate::pg::error::OrRaise;
use crate::pg::function::sql_functions;

sql_functions! {
    fn hnsw_handler(_request: i32) -> Result<Datum, Error> {
        // SAFETY: palloc0 gives a zeroed node of that size and tag; zero is a valid value of every field.
        unsafe {
            let node = pg_sys::palloc0(size_of::<IndexAmRoutine>()).cast::<IndexAmRoutine>();
            *node = routine();
            Ok(Datum::from(node))
        }
    }

    fn hnsw_wide_support(_nothing: i32) -> Result<Datum, Error> {
        Err(Error::NotCallable("hnsw_wide_support"))
    }
}

/// Says what is wrong with an operator class and its family; true when nothing is.
#[pg_guard]
unsafe extern "C-unwind" fn amvalidate(class: Oid) -> bool {
    index::validate(Method::Hnsw, class).or_raise()
}

fn routine() -> IndexAmRoutine {
    IndexAmRoutine {
        type_: pg_sys::NodeTag::T_IndexAmRoutine,
        // No strategy numbers: any operator of the class orders.
        amstrategies: 0,
        amsupport: SUPPORT_FUNCTIONS,
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
