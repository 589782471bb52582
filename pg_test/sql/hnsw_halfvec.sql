-- Indexes over type halfvec.
SET enable_seqscan = off;

-- All four distances.
CREATE TABLE t (val halfvec(3));
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL);
CREATE INDEX ON t USING hnsw (val halfvec_l2_ops);
INSERT INTO t VALUES ('[1,2,4]');
SELECT * FROM t ORDER BY val <-> '[3,3,3]';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <-> (SELECT NULL::halfvec)) s;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;

CREATE TABLE t (val halfvec(3));
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL);
CREATE INDEX ON t USING hnsw (val halfvec_ip_ops);
INSERT INTO t VALUES ('[1,2,4]');
SELECT * FROM t ORDER BY val <#> '[3,3,3]';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <#> (SELECT NULL::halfvec)) s;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;

CREATE TABLE t (val halfvec(3));
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL);
CREATE INDEX ON t USING hnsw (val halfvec_cosine_ops);
INSERT INTO t VALUES ('[1,2,4]');
SELECT * FROM t ORDER BY val <=> '[3,3,3]';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <=> '[0,0,0]') s;
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <=> (SELECT NULL::halfvec)) s;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;

CREATE TABLE t (val halfvec(3));
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL);
CREATE INDEX ON t USING hnsw (val halfvec_l1_ops);
INSERT INTO t VALUES ('[1,2,4]');
SELECT * FROM t ORDER BY val <+> '[3,3,3]';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <+> (SELECT NULL::halfvec)) s;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;

-- From 32 dimensions on codes are quantised; distances are exact, and the order is that of a sort.
CREATE TABLE t (i int, val halfvec(100));
INSERT INTO t SELECT i, (SELECT array_agg(sin(i * d)) FROM generate_series(1, 100) d)::halfvec FROM generate_series(1, 200) i;
CREATE INDEX ON t USING hnsw (val halfvec_l2_ops);
SET hnsw.ef_search = 200;
WITH q AS MATERIALIZED (SELECT val AS query FROM t WHERE i = 17)
SELECT i, distance = l2_distance(val, query) AS exact, distance > lag(distance) OVER () AS ascends
FROM q, LATERAL (SELECT i, val, val <-> query AS distance FROM t ORDER BY val <-> query LIMIT 5) s;
SELECT codes, rows FROM lagoon.index_info('t_val_idx');
DELETE FROM t WHERE i % 2 = 0;
VACUUM t;
SELECT count(*), bool_and(i % 2 = 1) AS odd FROM (SELECT i FROM t ORDER BY val <-> (SELECT val FROM t WHERE i = 17)) s;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
RESET hnsw.ef_search;
DROP TABLE t;

-- An index of half the size over a column of type vector, found by queries with the same cast.
CREATE TABLE t (val vector(3));
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), ('[1,1,1]'), (NULL);
CREATE INDEX ON t USING hnsw ((val::halfvec(3)) halfvec_l2_ops);
EXPLAIN (COSTS OFF) SELECT val FROM t ORDER BY val::halfvec(3) <-> '[3,3,3]' LIMIT 2;
SELECT val FROM t ORDER BY val::halfvec(3) <-> '[3,3,3]' LIMIT 2;
DROP TABLE t;

-- Partial, unlogged, partitioned, CONCURRENTLY, REINDEX.
CREATE UNLOGGED TABLE t (i int, val halfvec(3));
INSERT INTO t VALUES (1, '[0,0,0]'), (2, '[1,2,3]'), (3, '[1,1,1]'), (4, NULL);
CREATE INDEX CONCURRENTLY ON t USING hnsw (val halfvec_l2_ops) WHERE i > 1;
INSERT INTO t VALUES (1, '[3,3,3]'), (5, '[2,2,2]');
SELECT i FROM t WHERE i > 1 ORDER BY val <-> '[3,3,3]';
REINDEX INDEX CONCURRENTLY t_val_idx;
SELECT i FROM t WHERE i > 1 ORDER BY val <-> '[3,3,3]';
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;
CREATE TABLE t (i int, val halfvec(2)) PARTITION BY HASH (i);
CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE INDEX ON t USING hnsw (val halfvec_l2_ops);
CREATE TABLE t2 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO t SELECT i, ARRAY[i, 0]::halfvec FROM generate_series(0, 19) i;
SELECT i FROM t ORDER BY val <-> '[9.4,0]' LIMIT 3;
SELECT * FROM lagoon.verify_index('t_val_idx');
SELECT lagoon.recall('t1_val_idx');
DROP TABLE t;

-- Dimensions.
CREATE TABLE t (val halfvec(3));
CREATE INDEX ON t USING hnsw (val halfvec_l2_ops);
INSERT INTO t VALUES ('[1,2]');
SELECT * FROM t ORDER BY val <-> '[1,2]';
DROP TABLE t;
CREATE TABLE t (val halfvec(4000), over halfvec(4001), loose halfvec);
CREATE INDEX ON t USING hnsw (val halfvec_l2_ops);
CREATE INDEX ON t USING hnsw (over halfvec_l2_ops);
CREATE INDEX ON t USING hnsw (loose halfvec_l2_ops);
CREATE INDEX ON t USING hnsw (val vector_l2_ops);
DROP TABLE t;
