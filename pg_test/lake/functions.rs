//! What the engine computes in whole queries, against a heap copy. Every call has its recorded answers in the engine's own tests
//! (`crates/lake/src/expr/functions/tests`); here it is the way from PostgreSQL to the engine that is tested.

use pgrx::prelude::*;

use super::{Folder, edge_tables, explain, one, run};

/// Over the columns of the edge tables. Where PostgreSQL would have an error for some row, CASE leaves that out.
const CONDITIONS: &[&str] = &[
    "t LIKE '%\\_%'",
    "t NOT LIKE 'a%'",
    "t LIKE '50!%' ESCAPE '!'",
    "t COLLATE \"C\" ILIKE 'A%'",
    "upper(t COLLATE \"C\") = 'A'",
    "reverse(t) = t",
    "repeat(t, 2) = t || t",
    "lpad(t, 3, 'xy') <> t",
    "rpad(t, 3, 'é') = 'aéé'",
    "split_part(t, '_', 2) = 'b'",
    "translate(t, 'aé', 'x') = 'x'",
    "ascii(t) = 97",
    "concat(t, i4, NULL) <> t",
    "concat_ws('-', t, i8) <> t",
    "octet_length(y || y) = 2",
    "d + interval '1 month' = timestamp '2024-03-29'",
    "d - interval '1 day' < date '1970-01-01'",
    "d + tm > timestamp '1970-01-01'",
    "tm + interval '13 hours' < tm",
    "tm - time '01:00' > interval '1 hour'",
    "extract(minute FROM tm) = 34",
    "extract(epoch FROM ts - ts) = 0",
    "CASE WHEN ts > '0001-01-01' AND ts < '9999-12-31' THEN ts - timestamp '2000-01-01' END > interval '1 day'",
    "CASE WHEN ts > '0001-01-01' AND ts < '9999-12-31' THEN ts + interval '1 month 1 second' END < timestamp '2030-01-01'",
    "CASE WHEN tz > '0001-01-01' AND tz < '9999-12-31' THEN tz + interval '36 hours' END > timestamptz '1970-01-01'",
    "CASE WHEN tz > '0001-01-01' AND tz < '9999-12-31' THEN date_trunc('day', tz, 'UTC') END = tz",
    "tz AT TIME ZONE 'UTC' = ts",
    "tz > timestamp '1970-01-01 00:00'",
    "tz <= date '2024-01-01'",
    "d < timestamp '2000-01-01 12:00'",
    "make_date(2000 + id::integer, 2, 28) > d",
    "CASE WHEN f8 BETWEEN -10 AND 10 THEN power(f8, 2) END >= 1",
    "CASE WHEN f8 BETWEEN 0.5 AND 10 THEN ln(f8) END < 1",
    "sign(n) = -1",
    "(i4 & 1) = 1",
    "(i8 # 3) > i8",
    "i4::text::integer = i4",
];

#[pgrx::pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn lake_functions_in_whole_queries_answer_like_those_over_a_heap_table() {
        let folder = Folder::new("functions");
        edge_tables(&folder);
        run("SET LOCAL lagoon.pushdown = full");
        let ids = |sql: &str| {
            Spi::connect(|client| {
                let rows = client.select(sql, None, &[]).unwrap();
                rows.map(|row| row.get::<i64>(1).unwrap().unwrap()).collect::<Vec<_>>()
            })
        };
        for condition in CONDITIONS {
            let asked = |table: &str| format!("SELECT id FROM {table} WHERE {condition} ORDER BY id");
            let plan = explain(&asked("ft"));
            assert!(plan.contains("Lagoon Query"), "{condition}\n{plan}");
            assert_eq!(ids(&asked("ft")), ids(&asked("heap")), "{condition}");
        }
        let bits =
            |table: &str| one(&format!("SELECT concat_ws(' ', bit_and(i2), bit_or(i4), bit_xor(i8)) FROM {table}"));
        assert_eq!(bits("ft"), bits("heap"));
    }

    /// Letters of C.UTF-8 and of the default collation are more than those of ASCII.
    #[pg_test]
    fn lake_letters_of_other_collations_stay_in_postgres() {
        let folder = Folder::new("letters");
        edge_tables(&folder);
        run("SET LOCAL lagoon.pushdown = full");
        for condition in ["upper(t COLLATE \"C.utf8\") = 'É'", "t COLLATE \"C.utf8\" ILIKE 'É'"] {
            let plan = explain(&format!("SELECT id FROM ft WHERE {condition}"));
            assert!(plan.contains("letters are not those of C or POSIX"), "{condition}\n{plan}");
        }
    }
}
