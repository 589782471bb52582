-- What the planner knows of Parquet files, with ANALYZE and without it, and how it joins them; partitions in both kinds of tables.
SELECT current_setting('data_directory') AS dir \gset
\set csv :dir '/lagoon_regress_planning.csv'
SET lagoon.pushdown = scan;
SET datestyle = iso; -- for COPY: only such dates are taken for dates
-- The rows that a plan expects at its top.
CREATE FUNCTION pg_temp.expected(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
-- The nodes of a plan from the top, with the tables that they read.
CREATE FUNCTION pg_temp.nodes(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN (SELECT string_agg(concat_ws(' ', node ->> 'Node Type', node ->> 'Relation Name'), ', ')
            FROM jsonb_path_query(plan::jsonb, 'strict $.** ? (exists (@."Node Type"))') AS node);
END $$;
COPY (SELECT i AS id, 'kind ' || i % 5 AS kind, date '2024-01-01' + i % 366 AS day,
             CASE WHEN i % 2 = 0 THEN i % 100 END AS half, 42 AS one
      FROM generate_series(1, 20000) AS i) TO :'csv' (FORMAT csv, HEADER);
SELECT file FROM lagoon.ingest('planning', :'csv') \gset
CREATE FOREIGN TABLE f () SERVER lagoon OPTIONS (dataset 'planning');
-- Without ANALYZE, from footers: rows, the share of NULLs, different values, ranges.
SELECT pg_temp.expected('SELECT * FROM f') AS of_all,
       pg_temp.expected('SELECT * FROM f WHERE half IS NULL') AS of_nulls,
       pg_temp.expected('SELECT * FROM f WHERE one = 42') AS of_one,
       pg_temp.expected('SELECT * FROM f WHERE one = 7') AS of_none;
SELECT pg_temp.expected('SELECT * FROM f WHERE id = 77') BETWEEN 1 AND 5 AS of_a_key,
       pg_temp.expected('SELECT * FROM f WHERE day = ''2024-02-29''') BETWEEN 30 AND 100 AS of_a_day,
       pg_temp.expected('SELECT * FROM f WHERE kind = ''kind 3''') BETWEEN 1000 AND 8000 AS of_a_kind,
       pg_temp.expected('SELECT kind FROM f GROUP BY kind') BETWEEN 2 AND 30 AS of_kinds;
SELECT pg_temp.expected('SELECT * FROM f WHERE id <= 5000') BETWEEN 4800 AND 5200 AS of_a_quarter,
       pg_temp.expected('SELECT * FROM f WHERE day >= ''2024-12-01''') BETWEEN 1500 AND 1900 AS of_a_month,
       pg_temp.expected('SELECT * FROM f WHERE day > ''2030-01-01''') <= 10 AS of_later;
SELECT count(*) AS analyzed FROM pg_stats WHERE tablename = 'f';
-- A sample of some rows: their number is still that of the footers.
SET default_statistics_target = 1;
ANALYZE f;
RESET default_statistics_target;
SELECT reltuples, relpages = ceil(size / 8192.0) AS of_the_file FROM pg_class, pg_stat_file(:'file') WHERE oid = 'f'::regclass;
-- Rows that are too large together are thinned out.
SET maintenance_work_mem = '1MB';
ANALYZE f;
RESET maintenance_work_mem;
SELECT attname, n_distinct FROM pg_stats WHERE tablename = 'f' AND attname IN ('id', 'kind', 'one') ORDER BY attname;
-- All rows, in the order of the file. What ANALYZE has seen counts more than footers.
ANALYZE f;
SELECT attname, null_frac, n_distinct, cardinality(most_common_vals::text::text[]) AS common FROM pg_stats
WHERE tablename = 'f' ORDER BY attname;
SELECT correlation FROM pg_stats WHERE tablename = 'f' AND attname = 'id';
SELECT pg_temp.expected('SELECT * FROM f WHERE kind = ''kind 3''') AS of_a_kind;
-- A join with a heap table keeps the small side in memory and reads the files once, with statistics and without.
CREATE FOREIGN TABLE g () SERVER lagoon OPTIONS (dataset 'planning');
CREATE TABLE small AS SELECT i * 1000::bigint AS id, 'small ' || i AS name FROM generate_series(1, 10) AS i;
ANALYZE small;
SELECT pg_temp.nodes('SELECT * FROM f JOIN small USING (id)');
SELECT pg_temp.nodes('SELECT * FROM small JOIN g USING (id)');
SELECT count(*), min(name), max(name) FROM small JOIN g USING (id);
-- ANALYZE is for owners, and reads files by their rights.
CREATE ROLE regress_planning;
GRANT SELECT ON g TO regress_planning;
SET client_min_messages = error; -- the warning differs between versions
SET ROLE regress_planning;
ANALYZE g;
RESET ROLE;
RESET client_min_messages;
SELECT count(*) AS analyzed FROM pg_stats WHERE tablename = 'g';
ALTER FOREIGN TABLE g OWNER TO regress_planning;
ANALYZE g;
DROP FOREIGN TABLE g;
DROP ROLE regress_planning;
-- Partitions.
CREATE TABLE sales (id bigint, kind text, day date, half bigint, one bigint) PARTITION BY RANGE (day);
CREATE FOREIGN TABLE sales_2024 PARTITION OF sales FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
    SERVER lagoon OPTIONS (dataset 'planning');
CREATE TABLE sales_2025 PARTITION OF sales FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO sales SELECT i, 'kind ' || i % 5, date '2025-01-01' + i % 365, NULL, 42 FROM generate_series(20001, 25000) AS i;
SELECT pg_temp.nodes('SELECT * FROM sales WHERE day = ''2024-05-01''');
SELECT pg_temp.nodes('SELECT * FROM sales WHERE day = ''2025-05-01''');
SELECT pg_temp.nodes('SELECT * FROM sales WHERE day BETWEEN ''2024-12-31'' AND ''2025-01-01''');
SELECT count(*), min(id), max(id) FROM sales WHERE day BETWEEN '2024-12-31' AND '2025-01-01';
SELECT kind, count(*) FROM sales GROUP BY kind ORDER BY kind;
ANALYZE sales;
SELECT relname, reltuples FROM pg_class WHERE relname LIKE 'sales%' ORDER BY relname;
SELECT n_distinct FROM pg_stats WHERE tablename = 'sales' AND attname = 'kind' AND inherited;
SET enable_partitionwise_join = on;
SELECT count(*) FROM sales AS a JOIN sales AS b USING (day, id);
RESET enable_partitionwise_join;
