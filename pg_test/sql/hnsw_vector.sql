-- What pgvector's users rely on, for type vector.
SET enable_seqscan = off;
SET client_min_messages = notice;

-- All four distances.
CREATE TABLE t (val vector(3));
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL);
CREATE INDEX ON t USING hnsw (val vector_l2_ops);
INSERT INTO t VALUES ('[1,2,4]');
SELECT * FROM t ORDER BY val <-> '[3,3,3]';
EXPLAIN (COSTS OFF) SELECT * FROM t ORDER BY val <-> '[3,3,3]';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <-> (SELECT NULL::vector)) s;
SELECT count(*) FROM t;
TRUNCATE t;
SELECT * FROM t ORDER BY val <-> '[3,3,3]';
DROP TABLE t;

CREATE TABLE t (val vector(3));
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL);
CREATE INDEX ON t USING hnsw (val vector_ip_ops);
INSERT INTO t VALUES ('[1,2,4]');
SELECT * FROM t ORDER BY val <#> '[3,3,3]';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <#> (SELECT NULL::vector)) s;
DROP TABLE t;

CREATE TABLE t (val vector(3));
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL);
CREATE INDEX ON t USING hnsw (val vector_cosine_ops);
INSERT INTO t VALUES ('[1,2,4]'), ('[0,0,0]');
SELECT * FROM t ORDER BY val <=> '[3,3,3]';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <=> '[0,0,0]') s;
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <=> (SELECT NULL::vector)) s;
DROP TABLE t;

CREATE TABLE t (val vector(3));
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL);
CREATE INDEX ON t USING hnsw (val vector_l1_ops);
INSERT INTO t VALUES ('[1,2,4]');
SELECT * FROM t ORDER BY val <+> '[3,3,3]';
DROP TABLE t;

-- Joins run the scan again for each row.
CREATE TABLE t (i int, val vector(2));
INSERT INTO t SELECT i, ARRAY[i, i]::vector FROM generate_series(1, 50) i;
CREATE INDEX ON t USING hnsw (val vector_l2_ops);
SELECT a.i, b.i FROM (SELECT * FROM t WHERE i % 10 = 0) a,
    LATERAL (SELECT * FROM t ORDER BY t.val <-> (a.val - '[0.25,0.25]') LIMIT 2) b ORDER BY 1, a.val <-> b.val, 2;
-- Deleted rows are gone, vacuumed or not, and their space is used again.
DELETE FROM t WHERE i BETWEEN 11 AND 45;
SELECT i FROM t ORDER BY val <-> '[27.9,27.9]' LIMIT 2;
VACUUM t;
SELECT i FROM t ORDER BY val <-> '[27,27]' LIMIT 2;
SELECT check_name, passed FROM lagoon.verify_index('t_val_idx');
SELECT pg_relation_size('t_val_idx') AS size \gset
INSERT INTO t SELECT i, ARRAY[i, i]::vector FROM generate_series(11, 45) i;
SELECT pg_relation_size('t_val_idx') = :size AS reused;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
REINDEX INDEX t_val_idx;
SELECT i FROM t ORDER BY val <-> '[28,28]' LIMIT 1;
REINDEX INDEX CONCURRENTLY t_val_idx;
SELECT i FROM t ORDER BY val <-> '[28,28]' LIMIT 1;
DELETE FROM t;
VACUUM t;
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <-> '[1,1]') s;
INSERT INTO t VALUES (1, '[1,1]');
SELECT i FROM t ORDER BY val <-> '[28,28]' LIMIT 1;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;

-- Twenty equal rows: one value gives ten rows for each of ef_search, as an element of pgvector.
CREATE TABLE t (val vector(3));
INSERT INTO t SELECT '[1,2,3]' FROM generate_series(1, 20);
CREATE INDEX ON t USING hnsw (val vector_l2_ops);
SET hnsw.ef_search = 1;
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <-> '[1,2,3]') s;
RESET hnsw.ef_search;
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <-> '[1,2,3]') s;
DROP TABLE t;

-- Unlogged, temporary, expression, partial, partitioned.
CREATE UNLOGGED TABLE t (val vector(3));
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL);
CREATE INDEX ON t USING hnsw (val vector_l2_ops);
SELECT * FROM t ORDER BY val <-> '[3,3,3]';
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;
CREATE TEMPORARY TABLE t (val vector);
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL);
CREATE INDEX t_index ON t USING hnsw ((val::vector(3)) vector_l2_ops) WHERE val IS NOT NULL;
INSERT INTO t VALUES ('[9,9,9]');
SELECT * FROM t WHERE val IS NOT NULL ORDER BY val::vector(3) <-> '[3,3,3]';
INSERT INTO t VALUES ('[1,2]');
DROP TABLE t;
CREATE TABLE t (i int, val vector(2)) PARTITION BY RANGE (i);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20);
INSERT INTO t SELECT i, ARRAY[i, 0]::vector FROM generate_series(0, 19) i;
CREATE INDEX ON t USING hnsw (val vector_l2_ops);
SELECT i FROM t ORDER BY val <-> '[9.6,0]' LIMIT 2;
DROP TABLE t;

-- Options and their bounds.
CREATE TABLE t (val vector(3));
CREATE INDEX ON t USING hnsw (val vector_l2_ops) WITH (m = 1);
CREATE INDEX ON t USING hnsw (val vector_l2_ops) WITH (m = 101);
CREATE INDEX ON t USING hnsw (val vector_l2_ops) WITH (ef_construction = 3);
CREATE INDEX ON t USING hnsw (val vector_l2_ops) WITH (ef_construction = 1001);
CREATE INDEX ON t USING hnsw (val vector_l2_ops) WITH (m = 16, ef_construction = 31);
CREATE INDEX ON t USING hnsw (val vector_l2_ops) WITH (m = 100, ef_construction = 200);
CREATE INDEX ON t USING hnsw (val vector_l2_ops) WITH (lists = 10);
CREATE INDEX ON t USING hnsw (val);
CREATE INDEX ON t USING hnsw (val vector_l2_ops, val vector_l2_ops);
CREATE UNIQUE INDEX ON t USING hnsw (val vector_l2_ops);
SHOW hnsw.ef_search;
SET hnsw.ef_search = 0;
SET hnsw.ef_search = 1001;
SELECT * FROM t ORDER BY val <-> '[1,2]';
DROP TABLE t;

-- Dimensions.
CREATE TABLE t (val vector);
CREATE INDEX ON t USING hnsw (val vector_l2_ops);
DROP TABLE t;
CREATE TABLE t (val vector(2000));
CREATE INDEX ON t USING hnsw (val vector_l2_ops);
DROP TABLE t;
CREATE TABLE t (val vector(2001));
CREATE INDEX ON t USING hnsw (val vector_l2_ops);
DROP TABLE t;

-- What each error is called.
DO $$
DECLARE
    statement text;
    hint text;
BEGIN
    CREATE TABLE wide (val vector(2001));
    CREATE TABLE loose (val vector);
    CREATE TABLE good (i int PRIMARY KEY, val vector(3));
    FOREACH statement IN ARRAY ARRAY[
        'CREATE INDEX ON wide USING hnsw (val vector_l2_ops)',
        'CREATE INDEX ON loose USING hnsw (val vector_l2_ops)',
        'CREATE INDEX ON good USING hnsw (val vector_l2_ops) WITH (ef_construction = 31)',
        'SELECT lagoon.verify_index(''good_pkey'')'
    ] LOOP
        BEGIN
            EXECUTE statement;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
            RAISE NOTICE '%: % (%)', SQLSTATE, SQLERRM, hint;
        END;
    END LOOP;
END
$$;
-- A graph that does not fit into memory.
CREATE TABLE t (i int, val vector(8));
INSERT INTO t SELECT i, ARRAY[i, i % 7, i % 11, i % 13, i % 17, i % 19, i % 23, i % 29]::vector FROM generate_series(1, 12000) i;
SET client_min_messages = warning;
SET maintenance_work_mem = '1MB';
CREATE INDEX small ON t USING hnsw (val vector_l2_ops);
SET maintenance_work_mem = '1GB';
CREATE INDEX large ON t USING hnsw (val vector_l2_ops);
RESET maintenance_work_mem;
RESET client_min_messages;
SELECT x AS index, bool_and(passed) AS passed, max(detail) FILTER (WHERE check_name = 'heap') AS heap
FROM unnest(ARRAY['small', 'large']) AS x, lagoon.verify_index(x::regclass) GROUP BY x;
SELECT lagoon.recall('small') > 0.9 AS small, lagoon.recall('large') > 0.9 AS large;
DROP TABLE t;

-- A new option is for the next build: plans go on with the index as it is.
CREATE TABLE t (i int, val vector(3));
INSERT INTO t SELECT i, ARRAY[i, 0, 0]::vector FROM generate_series(1, 1000) i;
CREATE INDEX ON t USING hnsw (val vector_l2_ops);
ALTER INDEX t_val_idx SET (m = 50);
SELECT i FROM t ORDER BY val <-> '[42,0,0]' LIMIT 1;
REINDEX INDEX t_val_idx;
-- Statistics count every page that a scan asks for.
BEGIN;
SELECT pg_stat_get_xact_blocks_hit('t_val_idx'::regclass) AS before \gset
SELECT count(*) FROM (SELECT i FROM t ORDER BY val <-> '[500,0,0]' LIMIT 40) s;
SELECT pg_stat_get_xact_blocks_hit('t_val_idx'::regclass) - :before > 40 AS all_counted,
    pg_stat_get_xact_blocks_fetched('t_val_idx'::regclass) >= pg_stat_get_xact_blocks_hit('t_val_idx'::regclass) AS fetched;
COMMIT;
DROP TABLE t;
