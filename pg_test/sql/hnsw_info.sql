-- What an index consists of: lagoon.index_info, one row.
SELECT setseed(0.5);
CREATE TABLE t (i int, val vector(3));
INSERT INTO t SELECT i, ARRAY[random(), random(), random()]::vector FROM generate_series(1, 500) i;
INSERT INTO t SELECT i, val FROM t WHERE i <= 20;
INSERT INTO t VALUES (0, NULL);
CREATE INDEX ON t USING hnsw (val vector_l2_ops) WITH (m = 4, ef_construction = 32);
SELECT format_version, metric, codes, dimensions, m, ef_construction, rows, elements, dead_elements, unreachable_elements FROM lagoon.index_info('t_val_idx');
CREATE VIEW sound AS
SELECT layer_elements[1] = elements AS layers, (SELECT sum(n) FROM unnest(degree_histogram) n) = elements AS degrees,
    cardinality(degree_histogram) AS degree_counts, meta_bytes, meta_bytes + node_bytes + code_bytes = total_bytes AS sums,
    total_bytes = pg_relation_size('t_val_idx') AS all_pages, bytes_per_row = total_bytes::float8 / rows AS per_row
FROM lagoon.index_info('t_val_idx');
SELECT * FROM sound;
SELECT cardinality(layer_elements) > 2 AS has_layers, free_slots AS free_before FROM lagoon.index_info('t_val_idx') \gset
\echo :has_layers
-- Deleted rows are counted until vacuum has removed them; then there are free slots.
DELETE FROM t WHERE i > 100;
SELECT rows, elements, free_slots - :free_before AS freed FROM lagoon.index_info('t_val_idx');
VACUUM t;
SELECT rows, elements, free_slots - :free_before AS freed, dead_elements, unreachable_elements FROM lagoon.index_info('t_val_idx');
SELECT * FROM sound;
DROP VIEW sound;
DROP TABLE t;

-- Rows with equal vectors, beyond the first four, take slots of their own; vacuum frees those that it empties.
CREATE TABLE t (i int, val vector(3));
INSERT INTO t SELECT i, '[1,2,3]' FROM generate_series(1, 100) i;
CREATE INDEX ON t USING hnsw (val vector_l2_ops) WITH (m = 4);
SELECT rows, elements, overflow_slots FROM lagoon.index_info('t_val_idx');
DELETE FROM t;
VACUUM t;
SELECT rows, elements, overflow_slots FROM lagoon.index_info('t_val_idx');
DROP TABLE t;

-- Every form of code, and an empty index.
CREATE TABLE t (v vector(40), h halfvec(3), s sparsevec(5), b bit(9));
CREATE INDEX v ON t USING hnsw (v vector_cosine_ops);
CREATE INDEX h ON t USING hnsw (h halfvec_ip_ops);
CREATE INDEX s ON t USING hnsw (s sparsevec_l1_ops);
CREATE INDEX b ON t USING hnsw (b bit_jaccard_ops);
SELECT n, metric, codes, centred, dimensions, rows, layer_elements, misfits, bytes_per_row, total_bytes
FROM unnest(ARRAY['v', 'h', 's', 'b']) n, lagoon.index_info(n::regclass);
DROP TABLE t;

-- Who may ask, and of what.
CREATE TABLE t (i int PRIMARY KEY, val vector(3));
CREATE INDEX ON t USING hnsw (val vector_l2_ops);
SELECT * FROM lagoon.index_info('t_pkey');
SELECT * FROM lagoon.index_info('t');
CREATE ROLE hnsw_stranger;
SET ROLE hnsw_stranger;
SELECT * FROM lagoon.index_info('t_val_idx');
SELECT lagoon.recall('t_val_idx');
RESET ROLE;
DROP TABLE t;
DROP ROLE hnsw_stranger;
