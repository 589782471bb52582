//! `lagoon.recall`: the share of the nearest rows that an index finds.

use std::ffi::CStr;
use std::mem::ManuallyDrop;

use lagoon_vector::Error;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::spi::{Spi, SpiClient, SpiError};

use super::open::OpenIndex;
use super::planner::{Allow, Planner};

#[pgrx::pg_schema]
mod lagoon {
    use pgrx::{default, pg_extern};

    use crate::pg::error::OrRaise;
    use crate::pg::regclass::Regclass;

    /// The share, 0 to 1, of the `k` nearest rows that an hnsw or ivfflat index finds for the vectors of up to `sample`
    /// random rows of its table, with the settings, the privileges and the row security of the session. NULL when nothing
    /// is indexed. Scans the table once for each vector.
    #[pg_extern(volatile, parallel_unsafe)]
    fn recall(index: Regclass, k: default!(i32, 10), sample: default!(i32, 100)) -> Option<f64> {
        super::recall(index.0, k, sample).or_raise()
    }
}

fn recall(oid: Oid, k: i32, sample: i32) -> Result<Option<f64>, Error> {
    for (name, value) in [("k", k), ("sample", sample)] {
        if value < 1 {
            return Err(Error::NotPositive(name));
        }
    }
    let index = OpenIndex::for_queries(oid)?;
    Spi::connect(|client| {
        let queries = Queries::of(client, &index)?;
        let _settings = Settings::push();
        let sample = queries.open_sample(client, sample)?;
        let (mut found, mut wanted) = (0, 0);
        while let Some((hits, of)) = queries.next(&index, &sample, k)? {
            found += hits;
            wanted += of;
        }
        drop(client.find_cursor(&sample).map_err(unexpected)?); // which closes it
        Ok((wanted > 0).then(|| found as f64 / wanted as f64))
    })
}

/// The queries on the table.
struct Queries {
    /// The type of the indexed values.
    type_id: Oid,
    /// Random indexed values; $1 is their number.
    sample: String,
    /// The $2 rows nearest to $1, by a scan of the table: their largest distance and their number. Rows that are not
    /// indexed are left out.
    exact: String,
    /// The number of the nearest rows by the index that are no farther than $3.
    approximate: String,
}

/// Table, indexed expression, predicate, operator, type, and the norm that must not be zero. Names are quoted, with schemas.
const DEFINITION: &str = "
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname),
       pg_catalog.pg_get_indexdef(i.indexrelid, 1, false),
       pg_catalog.pg_get_expr(i.indpred, i.indrelid),
       (SELECT pg_catalog.format('OPERATOR(%I.%s)', s.nspname, o.oprname)
        FROM pg_catalog.pg_amop a
        JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) a.amopopr
        JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) o.oprnamespace
        WHERE a.amopfamily OPERATOR(pg_catalog.=) opc.opcfamily AND a.amopstrategy OPERATOR(pg_catalog.=) 1
            AND a.amoplefttype OPERATOR(pg_catalog.=) opc.opcintype),
       opc.opcintype,
       (SELECT pg_catalog.format('%I.%I', s.nspname, f.proname)
        FROM pg_catalog.pg_amproc a
        JOIN pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) a.amproc::pg_catalog.oid
        JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) f.pronamespace
        WHERE a.amprocfamily OPERATOR(pg_catalog.=) opc.opcfamily AND a.amprocnum OPERATOR(pg_catalog.=) 2
            AND a.amproclefttype OPERATOR(pg_catalog.=) opc.opcintype)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_opclass opc ON opc.oid OPERATOR(pg_catalog.=) i.indclass[0]
WHERE i.indexrelid OPERATOR(pg_catalog.=) $1";

impl Queries {
    fn of(client: &SpiClient<'_>, index: &OpenIndex) -> Result<Self, Error> {
        let row = client.select(DEFINITION, Some(1), &[index.oid().into()]).map_err(unexpected)?.first();
        let text = |column| row.get::<String>(column).map_err(unexpected);
        let (Some(table), Some(key), Some(operator)) = (text(1)?, text(2)?, text(4)?) else {
            return Err(index.unreadable());
        };
        let type_id = row.get::<Oid>(5).map_err(unexpected)?.unwrap_or(Oid::INVALID);
        let predicate = text(3)?.unwrap_or_else(|| "true".to_owned());
        let is_value = match text(6)? {
            Some(norm) => format!("{norm}({key}) OPERATOR(pg_catalog.>) 0"),
            None => format!("{key} IS NOT NULL"),
        };
        // CASE, because the expression may be an ERROR for rows where the predicate does not hold.
        let indexed = format!("CASE WHEN {predicate} THEN {is_value} ELSE false END");
        let nearest = |what: &str, which: &str| {
            format!(
                "SELECT {what} FROM (SELECT {key} {operator} $1 AS d FROM ONLY {table} WHERE {which} \
                 ORDER BY {key} {operator} $1 LIMIT $2) AS nearest"
            )
        };
        Ok(Self {
            type_id,
            sample: format!("SELECT {key} FROM ONLY {table} WHERE {indexed} ORDER BY pg_catalog.random() LIMIT $1"),
            exact: nearest("pg_catalog.max(d), pg_catalog.count(d)", &indexed),
            approximate: nearest(
                "pg_catalog.count(*) FILTER (WHERE d OPERATOR(pg_catalog.<=) $3)",
                &format!("({predicate})"),
            ),
        })
    }

    /// Opens a cursor over up to `count` values. Returns its name.
    fn open_sample(&self, client: &SpiClient<'_>, count: i32) -> Result<String, Error> {
        let cursor = client.try_open_cursor(self.sample.as_str(), &[i64::from(count).into()]).map_err(unexpected)?;
        Ok(cursor.detach_into_name())
    }

    /// The number of the `k` rows nearest to the next value that the index finds, and the number of such rows; None after
    /// the last value. Rows at the same distance are interchangeable.
    fn next(&self, index: &OpenIndex, sample: &str, k: i32) -> Result<Option<(i64, i64)>, Error> {
        // In a connection of its own, whose memory is freed at its end.
        Spi::connect(|client| {
            let mut cursor = ManuallyDrop::new(client.find_cursor(sample).map_err(unexpected)?); // it stays open
            let rows = cursor.fetch(1).map_err(unexpected)?.first();
            if rows.is_empty() {
                return Ok(None);
            }
            let Some(vector) = rows.get_datum_by_ordinal(1).map_err(unexpected)? else { return Ok(Some((0, 0))) };
            self.hits(client, index, vector, k).map(Some)
        })
    }

    fn hits(&self, client: &SpiClient<'_>, index: &OpenIndex, vector: Datum, k: i32) -> Result<(i64, i64), Error> {
        // SAFETY: a value of that type, which lives as long as the connection.
        let arguments = || [unsafe { DatumWithOid::new(vector, self.type_id) }, i64::from(k).into()];
        let (furthest, of) = {
            let _planner = Planner::allow(index.table(), Allow::NoIndex);
            let row = client.select(self.exact.as_str(), None, &arguments()).map_err(unexpected)?.first();
            (row.get::<f64>(1).map_err(unexpected)?, row.get::<i64>(2).map_err(unexpected)?.unwrap_or_default())
        };
        let Some(furthest) = furthest else { return Ok((0, 0)) };
        let planner = Planner::allow(index.table(), Allow::Only(index.oid()));
        let [vector, count] = arguments();
        let row = client.select(self.approximate.as_str(), None, &[vector, count, furthest.into()]);
        let found = row.map_err(unexpected)?.first().get::<i64>(1).map_err(unexpected)?.unwrap_or_default();
        if !planner.was_found() {
            return Err(index.unreadable());
        }
        Ok((found.min(of), of))
    }
}

fn unexpected(error: SpiError) -> Error {
    Error::Query(error.to_string())
}

/// Settings under which an index is used whenever possible, until this is dropped or an ERROR ends the transaction.
struct Settings(i32);

impl Settings {
    const VALUES: [(&'static CStr, &'static CStr); 4] = [
        (c"enable_seqscan", c"off"),
        (c"enable_indexscan", c"on"),
        (c"max_parallel_workers_per_gather", c"0"),
        (c"jit", c"off"),
    ];

    fn push() -> Self {
        // SAFETY: known settings of the user; the level is closed on drop or by the end of the (sub)transaction.
        unsafe {
            let level = pg_sys::NewGUCNestLevel();
            for (name, value) in Self::VALUES {
                pg_sys::set_config_option(
                    name.as_ptr(),
                    value.as_ptr(),
                    pg_sys::GucContext::PGC_USERSET,
                    pg_sys::GucSource::PGC_S_SESSION,
                    pg_sys::GucAction::GUC_ACTION_SAVE,
                    true,
                    0,
                    false,
                );
            }
            Self(level)
        }
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the level that push() has index.
            unsafe { pg_sys::AtEOXact_GUC(true, self.0) }
        }
    }
}
