-- What codes an index of ivfflat takes, as of hnsw: by the values, and what comes later and does not fit is counted.
SET client_min_messages = warning;
SELECT setseed(0.5);
CREATE TABLE noise AS
SELECT i, (SELECT array_agg(random() - 0.5 + i * 0 + d * 0) FROM generate_series(1, 32) d) AS x FROM generate_series(1, 2000) i;
CREATE VIEW codes AS
SELECT c.relname::text AS index, i.codes, i.centred, i.misfits, i.total_bytes = pg_relation_size(c.oid)
    AND i.total_bytes = i.meta_bytes + i.head_bytes + i.centre_bytes + i.entry_bytes + i.unused_bytes AS sums
FROM pg_class c JOIN pg_am a ON a.oid = c.relam, LATERAL lagoon.ivfflat_info(c.oid) i WHERE a.amname = 'ivfflat' AND c.relkind = 'i';

-- Plain noise; the same around a point far away; one element ten thousand times as large as the others; of all lengths.
CREATE TABLE plain (v vector(32), i int);
CREATE TABLE common (v vector(32));
CREATE TABLE mixed (v vector(32));
CREATE TABLE lengths (v vector(32));
INSERT INTO plain SELECT x::vector, i FROM noise;
INSERT INTO common SELECT (SELECT array_agg(100 + e ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))::vector FROM noise;
INSERT INTO mixed SELECT (x[1] * 10000 || x[2:])::vector FROM noise;
INSERT INTO lengths SELECT (SELECT array_agg(power(10, i % 7 - 3) * e ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))::vector FROM noise;
CREATE INDEX plain_v ON plain USING ivfflat (v vector_l2_ops) WITH (lists = 20);
CREATE INDEX common_v ON common USING ivfflat (v vector_l2_ops) WITH (lists = 20);
CREATE INDEX common_cosine ON common USING ivfflat (v vector_cosine_ops) WITH (lists = 20);
CREATE INDEX mixed_v ON mixed USING ivfflat (v vector_l2_ops) WITH (lists = 20);
CREATE INDEX lengths_v ON lengths USING ivfflat (v vector_ip_ops) WITH (lists = 20);
CREATE INDEX few ON plain USING ivfflat (v vector_l2_ops) WITH (lists = 2) WHERE i <= 900;
CREATE INDEX half ON common USING ivfflat ((v::halfvec(32)) halfvec_l2_ops) WITH (lists = 20);
-- Of lengths over seven magnitudes the sample that the build draws decides.
SELECT index, CASE index WHEN 'mixed_v' THEN (codes <> '8 bits')::text WHEN 'lengths_v' THEN (codes ~ 'bits')::text ELSE codes END AS codes, misfits, sums
FROM codes ORDER BY index;
SELECT index, centred FROM codes WHERE index IN ('plain_v', 'common_v', 'few') ORDER BY index;
SET ivfflat.probes = 20;
SELECT index, lagoon.recall(index::regclass, 10, 20) = 1 AS all_found FROM codes WHERE index NOT IN ('few', 'half') ORDER BY index;
SELECT index, (SELECT bool_and(passed) FROM lagoon.verify_index(index::regclass)) AS passed FROM codes ORDER BY index;

-- An empty table knows nothing; REINDEX has it learn.
TRUNCATE common;
SELECT index, codes, centred, sums FROM codes WHERE index = 'common_v';
INSERT INTO common SELECT (SELECT array_agg(100 + e ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))::vector FROM noise;
SELECT misfits < 20 AS hardly_any FROM codes WHERE index = 'common_v';
REINDEX INDEX CONCURRENTLY common_v;
SELECT index, codes, centred, misfits FROM codes WHERE index = 'common_v';

-- Rows that come later: like those that were there, and close together far away.
SELECT detail FROM lagoon.verify_index('plain_v') WHERE check_name = 'codes';
INSERT INTO plain SELECT (SELECT array_agg(e * 0.9 ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))::vector FROM noise WHERE i <= 500;
SELECT misfits <= 2 AS hardly_any FROM codes WHERE index = 'plain_v';
INSERT INTO plain SELECT (SELECT array_agg(100 * o + e / 100 ORDER BY o) FROM unnest(x) WITH ORDINALITY u(e, o))::vector, -i FROM noise WHERE i <= 500;
SELECT misfits BETWEEN 400 AND 500 AS most FROM codes WHERE index = 'plain_v';
-- How many depends on where lists begin, so the WARNING with that number is not shown; that of hnsw is.
SET client_min_messages = error;
SELECT passed, regexp_replace(detail, 'for \d+', 'for N') AS detail FROM lagoon.verify_index('plain_v') WHERE check_name = 'codes';
RESET client_min_messages;
-- They are found all the same, and in order.
SELECT lagoon.recall('plain_v', 10, 20) = 1 AS all_found;
REINDEX INDEX plain_v;
SELECT codes <> '8 bits' AS finer, misfits FROM codes WHERE index = 'plain_v';
SELECT bool_and(passed) FROM lagoon.verify_index('plain_v');
DROP VIEW codes;
DROP TABLE noise, plain, common, mixed, lengths;
