//! CSV as COPY reads it.

use std::path::Path;

use pgrx::prelude::*;

const FILES: u64 = 250;

/// A small file of whatever makes reading CSV difficult.
fn generated(seed: u64) -> String {
    const PARTS: [&str; 16] =
        ["a", "a", "b", "é", " ", ",", ",", "\"", "\"", "\"\"", "\n", "\n", "\r\n", "\r", "\\", ";"];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    // Half of the files know one line end only, so that not all are refused.
    let only = if next(2) == 0 { 12 } else { 16 };
    (0..1 + next(24)).map(|_| PARTS[next(only) as usize]).collect()
}

#[pgrx::pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn ingest_reads_csv_as_copy_reads_it() {
        let data = Spi::get_one::<String>("SELECT current_setting('data_directory')").unwrap().unwrap();
        let path = Path::new(&data).join(format!("lagoon_test_{}.csv", std::process::id()));
        let shown = path.display();
        // Rows as text and the number of columns, or nothing where the file is refused.
        Spi::run(&format!(
            r#"CREATE FUNCTION pg_temp.ingested(OUT columns int, OUT rows text) LANGUAGE plpgsql AS $$
               BEGIN
                   PERFORM lagoon.ingest('t', '{shown}', '{{"header": false, "delimiter": ","}}');
                   CREATE FOREIGN TABLE t () SERVER lagoon OPTIONS (dataset 't');
                   SELECT string_agg(t::text, E'\n') INTO rows FROM t;
                   SELECT relnatts INTO columns FROM pg_class WHERE oid = 't'::regclass;
                   DROP FOREIGN TABLE t;
                   PERFORM lagoon.drop_dataset('t');
               EXCEPTION WHEN bad_copy_file_format THEN columns := NULL; END $$;
               CREATE FUNCTION pg_temp.copied(columns int) RETURNS text LANGUAGE plpgsql AS $$
               DECLARE rows text;
               BEGIN
                   EXECUTE (SELECT format('CREATE TEMP TABLE c (%s)', string_agg('c' || i || ' text', ', '))
                            FROM generate_series(1, columns) AS i);
                   COPY c FROM '{shown}' (FORMAT csv);
                   SELECT string_agg(c::text, E'\n') INTO rows FROM c;
                   DROP TABLE c;
                   RETURN rows;
               EXCEPTION WHEN bad_copy_file_format THEN RETURN NULL; END $$"#
        ))
        .unwrap();
        let mut accepted = 0;
        for seed in 1..=FILES {
            let text = generated(seed);
            std::fs::write(&path, &text).unwrap();
            let (columns, ingested) =
                Spi::get_two::<i32, String>("SELECT columns, rows FROM pg_temp.ingested()").unwrap();
            let copied = |columns: i32| Spi::get_one::<String>(&format!("SELECT pg_temp.copied({columns})")).unwrap();
            match columns {
                Some(columns) => assert_eq!(ingested, copied(columns), "seed {seed}: {text:?}"),
                None => (1..5).for_each(|columns| assert_eq!(None, copied(columns), "seed {seed}: {text:?}")),
            }
            accepted += usize::from(columns.is_some());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(accepted > 50, "only {accepted} of {FILES} files were read by either");
    }
}
