//! Promises of the hnsw wing that hold within one transaction.

#[pgrx::pg_schema]
mod tests {
    use pgrx::{PgSqlErrorCode, PgTryBuilder, Spi, pg_test};

    fn run(sql: &str) {
        Spi::run(sql).unwrap();
    }

    fn int(sql: &str) -> i64 {
        Spi::get_one::<i64>(sql).unwrap().unwrap()
    }

    fn text(sql: &str) -> String {
        Spi::get_one::<String>(sql).unwrap().unwrap_or_default()
    }

    /// A table `t` of rows around 20 centres.
    fn table(rows: usize, dimensions: usize) {
        run("SELECT setseed(0.5)");
        run(&format!(
            "CREATE TABLE t AS SELECT i, (SELECT array_agg(sin(i % 20 * d) + random() * 0.3 + i * 0) \
             FROM generate_series(1, {dimensions}) d)::vector({dimensions}) AS v FROM generate_series(1, {rows}) i"
        ));
        run(&format!("ALTER TABLE t ALTER v TYPE vector({dimensions})"));
    }

    fn verified(index: &str) {
        let faults = text(&format!(
            "SELECT string_agg(check_name || ': ' || detail, '; ') FROM lagoon.verify_index('{index}') WHERE NOT passed"
        ));
        assert_eq!(faults, "");
        assert!(int(&format!("SELECT count(*) FROM lagoon.verify_index('{index}')")) >= 10);
    }

    /// Of the ten nearest rows by a sequential scan, how many the index finds, over 20 queries.
    fn recall(operator: &str) -> f64 {
        let ten = |row: &str| format!("SELECT t.i FROM t ORDER BY t.v {operator} {row}.v LIMIT 10");
        let both =
            format!("SELECT count(*) FROM (SELECT * FROM t WHERE i % 37 = 0 LIMIT 20) q, LATERAL ({}) n", ten("q"));
        let queries = int(&both.replace("count(*)", "count(DISTINCT q.i)"));
        run("SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on");
        run(&format!("CREATE TEMP TABLE truth ON COMMIT DROP AS {}", both.replace("count(*)", "q.i AS q, n.i AS n")));
        run("SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off");
        run(&format!("CREATE TEMP TABLE found ON COMMIT DROP AS {}", both.replace("count(*)", "q.i AS q, n.i AS n")));
        run("SET LOCAL enable_seqscan = on");
        let hits = int("SELECT count(*) FROM truth JOIN found USING (q, n)");
        run("DROP TABLE truth, found");
        hits as f64 / (queries * 10) as f64
    }

    #[pg_test]
    fn hnsw_finds_what_a_sequential_scan_finds() {
        table(2000, 12);
        for (class, operator) in
            [("vector_l2_ops", "<->"), ("vector_ip_ops", "<#>"), ("vector_cosine_ops", "<=>"), ("vector_l1_ops", "<+>")]
        {
            run(&format!("CREATE INDEX h ON t USING hnsw (v {class})"));
            let recall = recall(operator);
            assert!(recall > 0.95, "{class}: {recall}");
            verified("h");
            run("DROP INDEX h");
        }
    }

    #[pg_test]
    fn hnsw_is_chosen_for_order_by_and_limit_only() {
        table(5000, 24);
        run("CREATE INDEX h ON t USING hnsw (v vector_l2_ops); ANALYZE t");
        let plan = |query: &str| {
            let plan = Spi::get_one::<pgrx::Json>(&format!("EXPLAIN (FORMAT JSON) {query}")).unwrap().unwrap();
            plan.0.to_string()
        };
        let query = "SELECT v FROM t WHERE i = 7";
        let nearest = format!("SELECT i FROM t ORDER BY v <-> ({query}) LIMIT 5");
        assert!(plan(&nearest).contains("\"Index Name\":\"h\""), "{}", plan(&nearest));
        for other in ["SELECT i FROM t", "SELECT count(*) FROM t", "SELECT i FROM t ORDER BY i LIMIT 5"] {
            assert!(!plan(other).contains("\"Index Name\":\"h\""), "{}", plan(other));
        }
        let other_operator = nearest.replace("<->", "<=>");
        assert!(!plan(&other_operator).contains("\"Index Name\":\"h\""));
    }

    #[pg_test]
    fn hnsw_serves_rows_inserted_and_updated_after_the_build() {
        table(200, 6);
        run("CREATE INDEX h ON t USING hnsw (v vector_l2_ops)");
        run(
            "INSERT INTO t SELECT i + 1000, v FROM t; UPDATE t SET v = v * array_fill(2, ARRAY[6])::vector WHERE i = 5",
        );
        verified("h");
        run("SET LOCAL enable_seqscan = off; SET LOCAL hnsw.ef_search = 500");
        assert_eq!(int("SELECT count(*) FROM (SELECT i FROM t ORDER BY v <-> '[0,0,0,0,0,0]') s"), 400);
        let nearest = "SELECT i::bigint FROM t ORDER BY v <-> (SELECT v FROM t WHERE i = 5) LIMIT 1";
        assert_eq!(int(nearest), 5);
    }

    #[pg_test]
    fn hnsw_builds_the_same_rows_with_and_without_threads_and_memory() {
        table(3000, 8);
        for (workers, memory) in [(0, "64MB"), (4, "64MB"), (2, "1MB"), (0, "1MB")] {
            run(&format!(
                "SET LOCAL max_parallel_maintenance_workers = {workers}; SET LOCAL maintenance_work_mem = '{memory}'"
            ));
            run("CREATE INDEX h ON t USING hnsw (v vector_cosine_ops) WITH (m = 8, ef_construction = 32)");
            verified("h");
            let recall = recall("<=>");
            assert!(recall > 0.9, "{workers} workers, {memory}: {recall}");
            run("DROP INDEX h");
        }
    }

    #[pg_test]
    fn hnsw_verify_counts_only_rows_that_belong_in_the_index() {
        run("CREATE TABLE t (i int, v vector(3))");
        run("INSERT INTO t VALUES (1, '[0,0,0]'), (2, '[1,2,3]'), (3, NULL), (4, '[1,1,1]')");
        run("CREATE INDEX c ON t USING hnsw (v vector_cosine_ops)");
        run("CREATE INDEX p ON t USING hnsw (v vector_l2_ops) WHERE i > 1");
        run("CREATE INDEX e ON t USING hnsw (((v + '[1,1,1]'::vector)::vector(3)) vector_l2_ops)");
        for (index, rows) in [("c", 2), ("p", 2), ("e", 3)] {
            verified(index);
            let heap = text(&format!("SELECT detail FROM lagoon.verify_index('{index}') WHERE check_name = 'heap'"));
            assert_eq!(heap, format!("{rows} rows of the table, each once in the index"));
        }
    }

    fn code(sql: &'static str) -> PgSqlErrorCode {
        PgTryBuilder::new(|| {
            Spi::run(sql).unwrap();
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION
        })
        .catch_others(|caught| match caught {
            pgrx::pg_sys::panic::CaughtError::PostgresError(report)
            | pgrx::pg_sys::panic::CaughtError::ErrorReport(report) => report.sql_error_code(),
            pgrx::pg_sys::panic::CaughtError::RustPanic { ereport, .. } => ereport.sql_error_code(),
        })
        .execute()
    }

    #[pg_test]
    fn hnsw_verify_refuses_what_is_no_hnsw_index() {
        run("CREATE TABLE t (i int PRIMARY KEY)");
        assert_eq!(code("SELECT lagoon.verify_index('t_pkey')"), PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE);
    }

    #[pg_test]
    fn hnsw_verify_is_for_the_owner_of_the_table() {
        run("CREATE TABLE t (v vector(3)); CREATE INDEX h ON t USING hnsw (v vector_l2_ops)");
        run("CREATE ROLE lagoon_vector_stranger; GRANT USAGE ON SCHEMA lagoon TO lagoon_vector_stranger");
        run("GRANT SELECT ON t TO lagoon_vector_stranger");
        run("SET LOCAL ROLE lagoon_vector_stranger");
        assert_eq!(code("SELECT lagoon.verify_index('h')"), PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE);
    }
}
