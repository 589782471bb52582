-- Scans that go on while rows are asked for: hnsw.iterative_scan.
SET enable_seqscan = off;
SHOW hnsw.iterative_scan;
SHOW hnsw.max_scan_tuples;
SHOW hnsw.scan_mem_multiplier;
CREATE TABLE t (i int, val vector(3));
SELECT setseed(0.5);
INSERT INTO t SELECT i, ARRAY[random(), random(), random()]::vector FROM generate_series(1, 2000) i;
CREATE INDEX ON t USING hnsw (val vector_l2_ops);

-- Off: the filter applies to the candidates, and fewer rows than the LIMIT are left.
SELECT count(*) < 11 AS few FROM (SELECT i FROM t WHERE i % 100 = 0 ORDER BY val <-> '[0.5,0.5,0.5]' LIMIT 11) s;
-- Both others give all that there are, strict_order in the order of a sort.
CREATE VIEW nearest AS SELECT row_number() OVER () AS place, i, val <-> '[0.5,0.5,0.5]' AS distance
FROM (SELECT i, val FROM t WHERE i % 100 = 0 ORDER BY val <-> '[0.5,0.5,0.5]' LIMIT 11) s;
SET enable_indexscan = off;
SET enable_seqscan = on;
CREATE TABLE truth AS SELECT * FROM nearest;
SET enable_seqscan = off;
RESET enable_indexscan;
SET hnsw.iterative_scan = strict_order;
SELECT count(*) > 8 AS right_rows FROM nearest JOIN truth USING (i);
SELECT bool_and(ascends) FROM (SELECT distance >= lag(distance, 1, 0.0) OVER () AS ascends FROM nearest) s;
SELECT count(DISTINCT i) > 1900 AS nearly_all, count(*) - count(DISTINCT i) AS twice FROM (SELECT i FROM t ORDER BY val <-> '[0.5,0.5,0.5]') s;
SET hnsw.iterative_scan = relaxed_order;
SELECT count(*) FROM nearest;
SELECT count(DISTINCT i) AS all_rows, count(*) - count(DISTINCT i) AS twice FROM (SELECT i FROM t ORDER BY val <-> '[0.5,0.5,0.5]') s;
-- It ends after about so many rows.
SET hnsw.max_scan_tuples = 1;
SELECT count(*) < 2000 AS ends FROM (SELECT i FROM t ORDER BY val <-> '[0.5,0.5,0.5]') s;
RESET hnsw.max_scan_tuples;
DROP VIEW nearest;
DROP TABLE t, truth;

-- Where codes are not exact the order is that of the values all the same.
CREATE TABLE t (i int, val vector(40));
INSERT INTO t SELECT i, (SELECT array_agg(sin(i * d)) FROM generate_series(1, 40) d)::vector FROM generate_series(1, 500) i;
CREATE INDEX ON t USING hnsw (val vector_cosine_ops);
SET hnsw.iterative_scan = strict_order;
SELECT count(*) > 30 AS most, bool_and(ascends) FROM (SELECT distance >= lag(distance, 1, -1.0) OVER () AS ascends FROM
    (SELECT val <=> (SELECT val FROM t WHERE i = 3) AS distance FROM t WHERE i % 10 = 3 ORDER BY val <=> (SELECT val FROM t WHERE i = 3) LIMIT 50) s) s;
DROP TABLE t;

-- Bounds.
SET hnsw.iterative_scan = on;
SET hnsw.iterative_scan = 'strict';
SET hnsw.max_scan_tuples = 0;
SET hnsw.max_scan_tuples = 2147483647;
SET hnsw.max_scan_tuples = 2147483648;
SET hnsw.scan_mem_multiplier = 0.9;
SET hnsw.scan_mem_multiplier = 1000;
SET hnsw.scan_mem_multiplier = 1001;
SET hnsw.iterative_scan = off;
SET hnsw.no_such_setting = 1;
