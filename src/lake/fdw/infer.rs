//! `CREATE FOREIGN TABLE t () SERVER lagoon ...`: the columns come from the files.
//!
//! An event trigger that belongs to the extension does it, rather than a ProcessUtility hook: it is found through the
//! catalog, so it works in the very session that has not loaded the library yet; it needs no chain of hooks; it sees the
//! table as PostgreSQL made it, whatever way the statement came (function, DO, script); and it goes with DROP EXTENSION.

use lagoon_lake::source::table;
use lagoon_lake::{Error, Result};
use pgrx::prelude::*;

use super::options;
use crate::lake::error::spi;
use crate::lake::source::files;

/// Tables that the statement made with our wrapper, without columns, and that get none from a parent.
const NEW_TABLES: &str = "
SELECT c.oid, c.oid::pg_catalog.regclass::pg_catalog.text
FROM pg_catalog.pg_event_trigger_ddl_commands() AS d
JOIN pg_catalog.pg_class AS c ON c.oid = d.objid
JOIN pg_catalog.pg_foreign_table AS t ON t.ftrelid = c.oid
JOIN pg_catalog.pg_foreign_server AS s ON s.oid = t.ftserver
JOIN pg_catalog.pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
JOIN pg_catalog.pg_proc AS p ON p.oid = w.fdwhandler
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.command_tag = 'CREATE FOREIGN TABLE'
  AND c.relkind = 'f' AND c.relnatts = 0 AND p.prosrc = 'lagoon_parquet_handler'";

/// MaxHeapAttributeNumber of access/htup_details.h.
const MOST_COLUMNS: usize = 1600;
/// Columns that one ALTER TABLE adds. PostgreSQL keeps a descriptor of the table for each until the statement ends: 1,599 in
/// one take 390 MB, by fifties 180.
const AT_ONCE: usize = 50;

/// The body of the event trigger.
pub(super) fn after_ddl(fired: bool) -> Result<()> {
    if !fired {
        return Err(Error::NotSupported {
            message: "lagoon.infer_columns() is for event triggers only".to_owned(),
            hint: None,
        });
    }
    let tables: Vec<(pg_sys::Oid, String)> = Spi::connect(|client| {
        let rows = client.select(NEW_TABLES, None, &[])?;
        rows.map(|row| Ok((row.get::<pg_sys::Oid>(1)?, row.get::<String>(2)?)))
            .collect::<std::result::Result<Vec<_>, pgrx::spi::Error>>()
    })
    .map_err(spi)?
    .into_iter()
    .filter_map(|(oid, name)| Some((oid?, name?)))
    .collect();
    tables.iter().try_for_each(|(oid, name)| add_columns(*oid, name))
}

fn add_columns(oid: pg_sys::Oid, name: &str) -> Result<()> {
    let files = files::open(options::files_of(oid)?)?;
    let columns = files.first().map_or(0, |file| file.footer.columns.len());
    if columns > MOST_COLUMNS {
        return Err(Error::NotSupported {
            message: format!("the files have {columns} columns, more than the {MOST_COLUMNS} of a table"),
            hint: Some("Declare the columns that you need.".to_owned()),
        });
    }
    let columns = table::infer(&files)?;
    if columns.is_empty() {
        return Ok(());
    }
    columns.chunks(AT_ONCE).try_for_each(|columns| {
        let clauses = columns.iter().map(|column| {
            let name = pgrx::spi::quote_identifier(&column.name);
            format!("ADD COLUMN {name} pg_catalog.{}", column.ty.catalog_name())
        });
        let statement = format!("ALTER FOREIGN TABLE {name} {}", clauses.collect::<Vec<_>>().join(", "));
        Spi::connect_mut(|client| client.update(statement.as_str(), None, &[]).map(|_| ())).map_err(spi)
    })
}
