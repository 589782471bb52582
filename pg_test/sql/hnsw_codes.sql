-- What codes an index takes: the build chooses them by the values, and values that come later and do not fit are counted.
SELECT setseed(0.5);
CREATE TABLE noise AS
SELECT i, (SELECT array_agg(random() - 0.5 + i * 0 + d * 0) FROM generate_series(1, 32) d) AS x FROM generate_series(1, 2000) i;
CREATE VIEW codes AS
SELECT c.relname::text AS index, i.codes, i.centred, i.misfits, i.meta_bytes, i.meta_bytes + i.node_bytes + i.code_bytes = i.total_bytes
    AND i.total_bytes = pg_relation_size(c.oid) AS sums
FROM pg_class c JOIN pg_am a ON a.oid = c.relam, LATERAL lagoon.index_info(c.oid) i WHERE a.amname = 'hnsw' AND c.relkind = 'i';

-- Plain noise; the same around a point far away; one element ten thousand times as large as the others, and it alone is 8 bits.
CREATE TABLE plain (v vector(32), i int);
CREATE TABLE common (v vector(32));
CREATE TABLE mixed (v vector(32));
CREATE TABLE half (v halfvec(32));
INSERT INTO plain SELECT x::vector, i FROM noise;
INSERT INTO common SELECT (SELECT array_agg(100 + e ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))::vector FROM noise;
INSERT INTO mixed SELECT (x[1] * 10000 || x[2:])::vector FROM noise;
INSERT INTO half SELECT v::halfvec FROM common;
CREATE INDEX plain_v ON plain USING hnsw (v vector_l2_ops);
CREATE INDEX common_v ON common USING hnsw (v vector_l2_ops);
CREATE INDEX common_cosine ON common USING hnsw (v vector_cosine_ops);
CREATE INDEX mixed_v ON mixed USING hnsw (v vector_l2_ops);
CREATE INDEX half_v ON half USING hnsw (v halfvec_l2_ops);
SELECT index, CASE index WHEN 'mixed_v' THEN (codes <> '8 bits')::text ELSE codes END AS codes, misfits, sums
FROM codes ORDER BY index;
SELECT index, centred, meta_bytes FROM codes WHERE index IN ('plain_v', 'common_v') ORDER BY index;
SET hnsw.ef_search = 100;
SELECT index, lagoon.recall(index::regclass, 10, 20) > 0.95 AS good FROM codes ORDER BY index;

-- An expression, a predicate that holds for few, and what is built over few rows.
CREATE INDEX expression ON common USING hnsw ((v::halfvec(32)) halfvec_l2_ops);
CREATE INDEX partial ON plain USING hnsw (v vector_l2_ops) WHERE i <= 1200;
CREATE INDEX few ON plain USING hnsw (v vector_l2_ops) WHERE i <= 900;
CREATE UNLOGGED TABLE empty (v vector(32));
CREATE INDEX empty_v ON empty USING hnsw (v vector_l2_ops);
SELECT index, codes, centred, misfits, sums FROM codes WHERE index IN ('expression', 'partial', 'few', 'empty_v') ORDER BY index;
TRUNCATE common;
SELECT index, codes, centred, sums FROM codes WHERE index LIKE 'common%' ORDER BY index;
INSERT INTO common SELECT (SELECT array_agg(100 + e ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))::vector FROM noise;
SELECT index, misfits < 20 AS hardly_any FROM codes WHERE index LIKE 'common%' ORDER BY index;
REINDEX TABLE CONCURRENTLY common;
SELECT index, codes, misfits FROM codes WHERE index LIKE 'common%' ORDER BY index;

-- Rows that come later: like those that were there, and close together far away.
SELECT detail FROM lagoon.verify_index('plain_v') WHERE check_name = 'codes';
INSERT INTO plain SELECT (SELECT array_agg(e * 0.9 ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))::vector FROM noise WHERE i <= 500;
SELECT misfits <= 5 AS hardly_any FROM codes WHERE index = 'plain_v';
INSERT INTO plain SELECT (SELECT array_agg(100 * o + e / 100 ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))::vector, -i FROM noise WHERE i <= 500;
SELECT misfits BETWEEN 400 AND 500 AS most FROM codes WHERE index = 'plain_v';
\set VERBOSITY terse
SELECT passed, regexp_replace(detail, 'for \d+', 'for N') AS detail FROM lagoon.verify_index('plain_v') WHERE check_name = 'codes';
\set VERBOSITY default
REINDEX INDEX plain_v;
SELECT codes <> '8 bits' AS finer, misfits FROM codes WHERE index = 'plain_v';
SELECT bool_and(passed) FROM lagoon.verify_index('plain_v');
SELECT lagoon.recall('plain_v', 10, 20) > 0.95 AS good;
