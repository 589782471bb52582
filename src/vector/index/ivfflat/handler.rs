//! What PostgreSQL asks of an access method (`amapi.h`), and who answers.

use lagoon_vector::{Error, Method};
use pgrx::pg_guard;
use pgrx::pg_sys::{Datum, IndexAmRoutine, Oid};

use super::{build, cost, insert, options, scan, vacuum};
use crate::pg::error::OrRaise;
use crate::pg::function::sql_functions;
use crate::vector::index;

sql_functions! {
    fn ivfflat_handler(_request: i32) -> Result<Datum, Error> {
        Ok(index::handler(routine()))
    }

    fn ivfflat_wide_support(_nothing: i32) -> Result<Datum, Error> {
        Err(Error::NotCallable("ivfflat_wide_support"))
    }
}

/// Says what is wrong with an operator class and its family; true when nothing is.
#[pg_guard]
unsafe extern "C-unwind" fn amvalidate(class: Oid) -> bool {
    index::validate(Method::Ivfflat, class).or_raise()
}

fn routine() -> IndexAmRoutine {
    IndexAmRoutine {
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
        ..index::routine()
    }
}
