//! The table of callbacks that a handler function returns.

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, IndexAmRoutine, Oid};

use super::build::{ambuild, ambuildempty, ambuildphasename};
use super::cost::amcostestimate;
use super::insert::aminsert;
use super::method::AccessMethod;
use super::options::amoptions;
use super::scan::{ambeginscan, amendscan, amgettuple, amrescan};
use super::vacuum::{ambulkdelete, amvacuumcleanup};
use crate::pg::error::OrRaise;
use crate::vector::index::support::SUPPORT_FUNCTIONS;
use crate::vector::index::validate::validate;

/// The result of a handler function.
pub fn handler<A: AccessMethod>() -> Datum {
    // SAFETY: palloc0 gives a zeroed node of that size; zero is a valid value of every field.
    unsafe {
        let node = pg_sys::palloc0(size_of::<IndexAmRoutine>()).cast::<IndexAmRoutine>();
        *node = routine::<A>();
        Datum::from(node)
    }
}

fn routine<A: AccessMethod>() -> IndexAmRoutine {
    IndexAmRoutine {
        type_: pg_sys::NodeTag::T_IndexAmRoutine,
        // No fixed strategy numbers: operators of the class only order.
        amstrategies: 0,
        amsupport: SUPPORT_FUNCTIONS,
        amcanorderbyop: true,
        // The planner may use the index without a clause on its column: only ORDER BY is supported.
        amoptionalkey: true,
        amparallelvacuumoptions: pg_sys::VACUUM_OPTION_PARALLEL_BULKDEL as u8,
        ambuild: Some(ambuild::<A>),
        ambuildempty: Some(ambuildempty::<A>),
        aminsert: Some(aminsert::<A>),
        ambulkdelete: Some(ambulkdelete::<A>),
        amvacuumcleanup: Some(amvacuumcleanup),
        amcostestimate: Some(amcostestimate::<A>),
        amoptions: Some(amoptions::<A>),
        ambuildphasename: Some(ambuildphasename::<A>),
        amvalidate: Some(amvalidate::<A>),
        ambeginscan: Some(ambeginscan::<A>),
        amrescan: Some(amrescan::<A>),
        amgettuple: Some(amgettuple::<A>),
        amendscan: Some(amendscan::<A>),
        // Nothing else is supported: no order of values, uniqueness, several columns, INCLUDE, CLUSTER, parallel or bitmap
        // scans, marks.
        ..IndexAmRoutine::default()
    }
}

/// Reports the faults of an operator class and its family. Returns whether there are none.
#[pg_guard]
unsafe extern "C-unwind" fn amvalidate<A: AccessMethod>(class: Oid) -> bool {
    validate(A::METHOD, class).or_raise()
}
