//! `lagoon.recall`: what share of the nearest rows an index finds.

use std::ffi::CStr;

use lagoon_vector::Error;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::spi::{Spi, SpiClient, SpiError};

use super::planner::{Allow, Planner};
use crate::index::Opened;

#[pgrx::pg_schema]
mod lagoon {
    use pgrx::{PgRelation, default, pg_extern};

    use crate::pg::error::OrRaise;

    /// The share, 0 to 1, of the `k` nearest rows that an hnsw or ivfflat index finds for the vectors of up to `sample` random rows of
    /// its table, with the settings of the session. NULL when nothing is indexed. Scans the table once for each vector.
    #[pg_extern(volatile, parallel_unsafe)]
    fn recall(index: PgRelation, k: default!(i32, 10), sample: default!(i32, 100)) -> Option<f64> {
        let oid = index.oid();
        drop(index);
        super::recall(oid, k, sample).or_raise()
    }
}

fn recall(oid: Oid, k: i32, sample: i32) -> Result<Option<f64>, Error> {
    for (name, value) in [("k", k), ("sample", sample)] {
        if value < 1 {
            return Err(Error::NotPositive(name));
        }
    }
    let opened = Opened::new(oid)?;
    Spi::connect(|client| {
        let queries = Queries::of(client, &opened)?;
        let _settings = Settings::push();
        let (mut found, mut wanted) = (0, 0);
        for vector in queries.sample(client, sample)? {
            let (hits, of) = queries.hits(&opened, vector, k)?;
            found += hits;
            wanted += of;
        }
        Ok((wanted > 0).then(|| found as f64 / wanted as f64))
    })
}

/// What is asked of the table, as SQL.
struct Queries {
    /// The type of what is indexed.
    type_id: Oid,
    /// Random indexed values; $1 is how many.
    sample: String,
    /// Distances of the nearest rows to $1, by the index; $2 is how many.
    approximate: String,
    /// As above, by the table. Rows that are not indexed are left out.
    exact: String,
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
    fn of(client: &SpiClient<'_>, opened: &Opened) -> Result<Self, Error> {
        let row = client.select(DEFINITION, Some(1), &[opened.oid().into()]).map_err(unexpected)?.first();
        let text = |column| row.get::<String>(column).map_err(unexpected);
        let (Some(table), Some(key), Some(operator)) = (text(1)?, text(2)?, text(4)?) else {
            return Err(opened.unreadable());
        };
        let type_id = row.get::<Oid>(5).map_err(unexpected)?.unwrap_or(Oid::INVALID);
        let predicate = text(3)?.unwrap_or_else(|| "true".to_owned());
        let is_value = match text(6)? {
            Some(norm) => format!("{norm}({key}) OPERATOR(pg_catalog.>) 0"),
            None => format!("{key} IS NOT NULL"),
        };
        // CASE, because the expression may be an ERROR for rows where the predicate does not hold.
        let indexed = format!("CASE WHEN {predicate} THEN {is_value} ELSE false END");
        let nearest = |which: &str| {
            format!("SELECT {key} {operator} $1 FROM ONLY {table} WHERE {which} ORDER BY {key} {operator} $1 LIMIT $2")
        };
        Ok(Self {
            type_id,
            sample: format!("SELECT {key} FROM ONLY {table} WHERE {indexed} ORDER BY pg_catalog.random() LIMIT $1"),
            approximate: nearest(&format!("({predicate})")),
            exact: nearest(&indexed),
        })
    }

    /// Up to `count` values. They live as long as the connection.
    fn sample(&self, client: &SpiClient<'_>, count: i32) -> Result<Vec<Datum>, Error> {
        let rows = client.select(self.sample.as_str(), None, &[i64::from(count).into()]).map_err(unexpected)?;
        let mut values = Vec::with_capacity(rows.len());
        let mut rows = rows.first();
        for _ in 0..rows.len() {
            values.extend(rows.get_datum_by_ordinal(1).map_err(unexpected)?);
            rows.next();
        }
        Ok(values)
    }

    /// How many of the `k` nearest rows the index finds, and how many there are. At equal distance any row will do.
    fn hits(&self, opened: &Opened, vector: Datum, k: i32) -> Result<(usize, usize), Error> {
        let exact = {
            let _planner = Planner::allow(opened.table(), Allow::NoIndex);
            self.distances(&self.exact, vector, k)?
        };
        let Some(furthest) = exact.last() else { return Ok((0, 0)) };
        let found = {
            let planner = Planner::allow(opened.table(), Allow::Only(opened.oid()));
            let found = self.distances(&self.approximate, vector, k)?;
            if !planner.was_found() {
                return Err(opened.unreadable());
            }
            found
        };
        Ok((found.iter().filter(|distance| *distance <= furthest).count().min(exact.len()), exact.len()))
    }

    /// In a connection of its own, whose memory goes at its end.
    fn distances(&self, query: &str, vector: Datum, k: i32) -> Result<Vec<f64>, Error> {
        Spi::connect(|client| {
            // SAFETY: a value of that type, which lives as long as the outer connection.
            let vector = unsafe { DatumWithOid::new(vector, self.type_id) };
            let rows = client.select(query, None, &[vector, i64::from(k).into()])?;
            rows.filter_map(|row| row.get::<f64>(1).transpose()).collect::<Result<Vec<_>, _>>()
        })
        .map_err(unexpected)
    }
}

fn unexpected(error: SpiError) -> Error {
    Error::Query(error.to_string())
}

/// Settings under which an index is used whenever it can be. Gone when dropped, and after an ERROR with its transaction.
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
            // SAFETY: the level that push() has opened.
            unsafe { pg_sys::AtEOXact_GUC(true, self.0) }
        }
    }
}
