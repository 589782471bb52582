-- Indexes over type sparsevec.
SET enable_seqscan = off;

-- All four distances.
CREATE TABLE t (val sparsevec(3));
INSERT INTO t VALUES ('{}/3'), ('{1:1,2:2,3:3}/3'), ('{1:1,2:1,3:1}/3'), (NULL);
CREATE INDEX ON t USING hnsw (val sparsevec_l2_ops);
INSERT INTO t VALUES ('{1:1,2:2,3:4}/3');
SELECT * FROM t ORDER BY val <-> '{1:3,2:3,3:3}/3';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <-> (SELECT NULL::sparsevec)) s;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;

CREATE TABLE t (val sparsevec(3));
INSERT INTO t VALUES ('{}/3'), ('{1:1,2:2,3:3}/3'), ('{1:1,2:1,3:1}/3'), (NULL);
CREATE INDEX ON t USING hnsw (val sparsevec_ip_ops);
INSERT INTO t VALUES ('{1:1,2:2,3:4}/3');
SELECT * FROM t ORDER BY val <#> '{1:3,2:3,3:3}/3';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <#> (SELECT NULL::sparsevec)) s;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;

CREATE TABLE t (val sparsevec(3));
INSERT INTO t VALUES ('{}/3'), ('{1:1,2:2,3:3}/3'), ('{1:1,2:1,3:1}/3'), (NULL);
CREATE INDEX ON t USING hnsw (val sparsevec_cosine_ops);
INSERT INTO t VALUES ('{1:1,2:2,3:4}/3');
SELECT * FROM t ORDER BY val <=> '{1:3,2:3,3:3}/3';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <=> '{}/3') s;
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <=> (SELECT NULL::sparsevec)) s;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;

CREATE TABLE t (val sparsevec(3));
INSERT INTO t VALUES ('{}/3'), ('{1:1,2:2,3:3}/3'), ('{1:1,2:1,3:1}/3'), (NULL);
CREATE INDEX ON t USING hnsw (val sparsevec_l1_ops);
INSERT INTO t VALUES ('{1:1,2:2,3:4}/3');
SELECT * FROM t ORDER BY val <+> '{1:3,2:3,3:3}/3';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <+> (SELECT NULL::sparsevec)) s;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;

-- Short and long values beside each other: a long one takes the places of several.
CREATE TABLE t (i int, val sparsevec(1000000));
CREATE FUNCTION sparse(i int, elements int) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS
$$SELECT format('{%s}/1000000', string_agg(format('%s:%s', d * 7 + i, i % 10 + 1), ','))::sparsevec FROM generate_series(1, elements) d$$;
INSERT INTO t SELECT i, sparse(i, CASE WHEN i % 10 = 0 THEN 1000 ELSE 5 END) FROM generate_series(1, 100) i;
CREATE INDEX ON t USING hnsw (val sparsevec_l2_ops);
SET hnsw.ef_search = 200;
INSERT INTO t SELECT i, sparse(i, CASE WHEN i % 10 = 0 THEN 1000 ELSE 5 END) FROM generate_series(101, 200) i;
SELECT i FROM t ORDER BY val <-> sparse(150, 1000) LIMIT 1;
SELECT i FROM t ORDER BY val <-> sparse(33, 5) LIMIT 1;
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <-> sparse(33, 5)) s;
DELETE FROM t WHERE i % 4 = 0;
VACUUM t;
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <-> sparse(33, 5)) s;
INSERT INTO t SELECT i, sparse(i, 1000) FROM generate_series(201, 210) i;
SELECT i FROM t ORDER BY val <-> sparse(207, 1000) LIMIT 1;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
SELECT codes, rows FROM lagoon.index_info('t_val_idx');
RESET hnsw.ef_search;

-- At most 1,000 elements that are not zero, in rows and in queries.
INSERT INTO t VALUES (0, sparse(1, 1001));
SELECT i FROM t ORDER BY val <-> sparse(1, 1001) LIMIT 1;
DROP TABLE t;
CREATE TABLE t (val sparsevec(1000000));
INSERT INTO t VALUES (sparse(1, 1001));
CREATE INDEX ON t USING hnsw (val sparsevec_l2_ops);
DROP TABLE t;
DROP FUNCTION sparse;

-- Dimensions; any number that the type has.
CREATE TABLE t (val sparsevec(3), wide sparsevec(1000000000), loose sparsevec);
CREATE INDEX ON t USING hnsw (val sparsevec_l2_ops);
CREATE INDEX ON t USING hnsw (wide sparsevec_l2_ops);
CREATE INDEX ON t USING hnsw (loose sparsevec_l2_ops);
INSERT INTO t (val) VALUES ('{1:1}/2');
SELECT val FROM t ORDER BY val <-> '{1:1}/2';
INSERT INTO t (wide) VALUES ('{999999999:1}/1000000000'), ('{1:1}/1000000000');
SELECT wide FROM t ORDER BY wide <-> '{999999999:2}/1000000000';
DROP TABLE t;

-- Unlogged, partial, over an expression, CONCURRENTLY.
CREATE UNLOGGED TABLE t (i int, val vector(3));
INSERT INTO t VALUES (1, '[0,0,0]'), (2, '[1,2,3]'), (3, '[1,1,1]'), (4, NULL);
CREATE INDEX CONCURRENTLY t_val_idx ON t USING hnsw ((val::sparsevec(3)) sparsevec_l2_ops) WHERE i > 1;
INSERT INTO t VALUES (1, '[3,3,3]'), (5, '[2,2,2]');
SELECT i FROM t WHERE i > 1 ORDER BY val::sparsevec(3) <-> '{1:3,2:3,3:3}/3';
REINDEX INDEX CONCURRENTLY t_val_idx;
SELECT i FROM t WHERE i > 1 ORDER BY val::sparsevec(3) <-> '{1:3,2:3,3:3}/3';
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;
