//! Stored values that depend on a plugin's functions: replacing the plugin does not recompute them.

use lagoon_wasm::Error;
use pgrx::pg_sys;

use crate::pg::{log, spi};
use crate::wasm::error::sql;

/// Maximum number of names in a message.
const SHOWN: usize = 20;

/// Indexes, partitioned tables, generated columns and CHECK constraints that use the functions, directly or through operators,
/// operator classes, aggregates and SQL functions.
const QUERY: &str = "
WITH RECURSIVE code (classid, objid) AS (
    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, f FROM pg_catalog.unnest($1) AS f
  UNION
    SELECT n.classid, n.objid FROM code AS c, LATERAL (
        SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d
        WHERE d.refclassid = c.classid AND d.refobjid = c.objid AND d.classid IN ('pg_catalog.pg_proc'::pg_catalog.regclass,
            'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass,
            'pg_catalog.pg_opfamily'::pg_catalog.regclass, 'pg_catalog.pg_amop'::pg_catalog.regclass,
            'pg_catalog.pg_amproc'::pg_catalog.regclass)
      UNION ALL
        -- An index depends on its operator class, which owns the entries that depend on functions and operators.
        SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend AS d
        WHERE d.classid = c.classid AND d.objid = c.objid
          AND c.classid IN ('pg_catalog.pg_amop'::pg_catalog.regclass, 'pg_catalog.pg_amproc'::pg_catalog.regclass)
          AND d.refclassid IN ('pg_catalog.pg_opclass'::pg_catalog.regclass, 'pg_catalog.pg_opfamily'::pg_catalog.regclass)
    ) AS n
)
SELECT DISTINCT CASE
    WHEN r.relkind IN ('i', 'I') THEN 'index ' || r.oid::pg_catalog.regclass::pg_catalog.text
    WHEN r.relkind = 'p' THEN 'partitions of table ' || r.oid::pg_catalog.regclass::pg_catalog.text
    WHEN a.attnum IS NOT NULL THEN 'generated column ' || pg_catalog.quote_ident(a.attname) || ' of table '
        || a.attrelid::pg_catalog.regclass::pg_catalog.text
    ELSE pg_catalog.pg_describe_object(d.classid, d.objid, 0) END AS what
FROM code AS c
JOIN pg_catalog.pg_depend AS d ON d.refclassid = c.classid AND d.refobjid = c.objid
LEFT JOIN pg_catalog.pg_class AS r ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND r.oid = d.objid
LEFT JOIN pg_catalog.pg_attrdef AS e ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND e.oid = d.objid
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.adrelid AND a.attnum = e.adnum AND a.attgenerated <> ''
LEFT JOIN pg_catalog.pg_constraint AS k
    ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid AND k.contype = 'c'
WHERE r.relkind IN ('i', 'I', 'p') OR a.attnum IS NOT NULL OR k.oid IS NOT NULL
ORDER BY 1";

/// Reports in a WARNING which stored values depend on the functions of a replaced plugin.
pub fn warn(plugin: &str, functions: &[pg_sys::Oid]) -> Result<(), Error> {
    if functions.is_empty() {
        return Ok(());
    }
    let found = spi::read_latest(QUERY, &[functions.to_vec().into()], |row| row.get::<String>(1)).map_err(sql)?;
    let names: Vec<String> = found.into_iter().flatten().collect();
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len().saturating_sub(SHOWN);
    let mut list = names.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        list.push_str(&format!(" and {more} more"));
    }
    log::warning_with(
        format!("plugin \"{plugin}\" was replaced, but values that its old functions have computed are stored"),
        format!("Such values may be stored in {list}."),
        "If the functions return other values now, REINDEX the indexes, UPDATE the rows of generated columns and partitions, \
         and check the rows against the constraints.",
    );
    Ok(())
}
