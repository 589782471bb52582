-- Indexes over type bit.
SET enable_seqscan = off;

-- Both distances. Rows of equal distance come in any order.
CREATE TABLE t (val bit(3));
INSERT INTO t VALUES (B'000'), (B'100'), (B'111'), (NULL);
CREATE INDEX ON t USING hnsw (val bit_hamming_ops);
INSERT INTO t VALUES (B'110');
SELECT * FROM t ORDER BY val <~> B'111';
EXPLAIN (COSTS OFF) SELECT * FROM t ORDER BY val <~> B'111';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <~> (SELECT NULL::bit)) s;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;
CREATE TABLE t (val bit(4));
INSERT INTO t VALUES (B'0000'), (B'1100'), (B'1111'), (NULL);
CREATE INDEX ON t USING hnsw (val bit_jaccard_ops);
INSERT INTO t VALUES (B'1110');
SELECT val, val <%> B'1111' AS distance FROM t ORDER BY val <%> B'1111';
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <%> B'0000') s;
SELECT count(*) FROM (SELECT * FROM t ORDER BY val <%> (SELECT NULL::bit)) s;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;

-- Signs of a vector first, the vectors themselves for those that are near.
CREATE TABLE t (i int, val vector(64));
INSERT INTO t SELECT i, (SELECT array_agg(sin(i * d)) FROM generate_series(1, 64) d)::vector FROM generate_series(1, 300) i;
CREATE INDEX signs ON t USING hnsw ((binary_quantize(val)::bit(64)) bit_hamming_ops);
EXPLAIN (COSTS OFF) SELECT i FROM t ORDER BY binary_quantize(val)::bit(64) <~> binary_quantize('[1,2,3]'::vector) LIMIT 40;
SELECT i FROM (SELECT i, val FROM t ORDER BY binary_quantize(val)::bit(64) <~> (SELECT binary_quantize(val) FROM t WHERE i = 42) LIMIT 40) s
ORDER BY val <-> (SELECT val FROM t WHERE i = 42) LIMIT 1;
DELETE FROM t WHERE i % 3 = 0;
VACUUM t;
SELECT codes, dimensions, rows FROM lagoon.index_info('signs');
SELECT bool_and(passed) FROM lagoon.verify_index('signs');
DROP TABLE t;

-- Unlogged, partial, CONCURRENTLY.
CREATE UNLOGGED TABLE t (i int, val bit(8));
INSERT INTO t SELECT i, i::bit(8) FROM generate_series(0, 100) i;
CREATE INDEX CONCURRENTLY ON t USING hnsw (val bit_hamming_ops) WHERE i > 10;
INSERT INTO t VALUES (5, B'11111111'), (101, B'11111110');
SELECT i FROM t WHERE i > 10 ORDER BY val <~> B'11111111' LIMIT 1;
REINDEX INDEX CONCURRENTLY t_val_idx;
SELECT i FROM t WHERE i > 10 ORDER BY val <~> B'11111111' LIMIT 1;
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
DROP TABLE t;

-- Lengths.
CREATE TABLE t (val bit(64000), over bit(64001), loose bit varying(64), one bit);
CREATE INDEX ON t USING hnsw (val bit_hamming_ops);
CREATE INDEX ON t USING hnsw (over bit_hamming_ops);
CREATE INDEX ON t USING hnsw (loose bit_hamming_ops);
CREATE INDEX ON t USING hnsw ((loose::bit(64001)) bit_hamming_ops);
CREATE INDEX ON t USING hnsw (one bit_hamming_ops);
INSERT INTO t (val) VALUES (repeat('01', 32000)::bit(64000)), (repeat('1', 64000)::bit(64000));
SELECT left(val::text, 4) AS val FROM t ORDER BY val <~> repeat('1', 64000)::bit(64000);
SELECT bool_and(passed) FROM lagoon.verify_index('t_val_idx');
SELECT one FROM t ORDER BY one <~> B'11';
DROP TABLE t;

-- An index gives the order of one distance: two are for a Sort.
CREATE TABLE t (val bit(8));
INSERT INTO t SELECT i::bit(8) FROM generate_series(0, 255) i;
CREATE INDEX ON t USING hnsw (val bit_hamming_ops);
SELECT val FROM t ORDER BY val <~> B'00000000', val <~> B'11110000', val::int LIMIT 6;
SELECT val <~> B'00000000' AS first, val <~> B'11110000' AS second FROM t ORDER BY 1, 2 LIMIT 20;
DROP TABLE t;
