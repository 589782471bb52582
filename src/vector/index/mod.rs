//! The index access methods, [`hnsw`] and [`ivfflat`], and what they share: the column and its values, pages, and how an index
//! is built, found and checked. [`pages`] is the only one that touches buffers.

use std::hash::{BuildHasher, Hasher, RandomState};

mod build;
mod column;
mod cost;
mod demand;
mod error;
mod hnsw;
mod ivfflat;
mod open;
mod pages;
mod planner;
mod recall;
mod rows;
mod sample;
mod scan;
mod vacuum;
mod validate;
mod values;
mod verify;
mod workers;

use pgrx::pg_sys::{self, Datum, IndexAmRoutine};

use column::{Column, space, tid};
use open::Opened;
use pages::{PgPages, Purpose};
use validate::validate;

/// Support function: the distance of two values, by whose name that of the index is chosen.
const DISTANCE: u16 = 1;
/// Support function: the norm of a value. Its presence says cosine.
const NORM: u16 = 2;
/// Support function that is never called. Its presence lifts pgvector's limits of dimensions.
const WIDE: u16 = 3;
/// How many numbers of support functions there are.
const SUPPORT_FUNCTIONS: u16 = 3;

/// What our access methods can do, without callbacks.
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
        // Everything else is no: not ordered, unique, multicolumn, covering, clusterable, parallel; no bitmap, no marks.
        ..IndexAmRoutine::default()
    }
}

/// What a handler function returns.
fn handler(routine: IndexAmRoutine) -> Datum {
    // SAFETY: palloc0 gives a zeroed node of that size; zero is a valid value of every field.
    unsafe {
        let node = pg_sys::palloc0(size_of::<IndexAmRoutine>()).cast::<IndexAmRoutine>();
        *node = routine;
        Datum::from(node)
    }
}

/// Called once per process from `_PG_init`.
pub fn init() {
    hnsw::init();
    ivfflat::init();
}

/// A seed for random choices of the engine.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
