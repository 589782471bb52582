//! Checks of CREATE TRIGGER for functions in language wasm.

use lagoon_wasm::Error;

use crate::pg::spi;
use crate::wasm::error::sql;

/// Bits of `pg_trigger.tgtype` (catalog/pg_trigger.h).
const ROW: i16 = 1;
const BEFORE: i16 = 2;
const INSTEAD: i16 = 64;

/// The triggers that the statement has created with functions in language wasm.
const QUERY: &str = "
SELECT t.tgtype, t.tgnargs
FROM pg_catalog.pg_event_trigger_ddl_commands() AS d
JOIN pg_catalog.pg_trigger AS t ON t.oid = d.objid
JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND l.lanname = 'wasm'";

/// The body of the event trigger. `fired`: whether it was called as one.
pub fn after_ddl(fired: bool) -> Result<(), Error> {
    if !fired {
        return Err(Error::UnsupportedTrigger("checked by an event trigger"));
    }
    let made = spi::read_latest(QUERY, &[], |row| Ok((row.get::<i16>(1)?, row.get::<i16>(2)?))).map_err(sql)?;
    made.into_iter().try_for_each(|(kind, arguments)| check(kind.unwrap_or(0), arguments.unwrap_or(0)))
}

/// Refuses the triggers that `row.rs` would refuse at their first row.
fn check(kind: i16, arguments: i16) -> Result<(), Error> {
    if kind & ROW == 0 {
        return Err(Error::UnsupportedTrigger("FOR EACH ROW"));
    }
    if kind & BEFORE == 0 || kind & INSTEAD != 0 {
        return Err(Error::UnsupportedTrigger("BEFORE triggers"));
    }
    if arguments > 0 {
        return Err(Error::UnsupportedTrigger("without arguments"));
    }
    Ok(())
}
