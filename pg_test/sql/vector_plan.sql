-- An index is chosen only where it can give the rows that are asked for; what other plans give, it must not lose.
SELECT setseed(0.5);
CREATE TABLE items (i int, c int, v vector(128));
INSERT INTO items SELECT i, i % 50, (SELECT array_agg(random() + i * 0 + d * 0) FROM generate_series(1, 128) AS d)::vector FROM generate_series(1, 3000) AS i;
CREATE INDEX by_vector ON items USING hnsw (v vector_l2_ops);
ANALYZE items;
CREATE FUNCTION asked(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan text;
    rows bigint;
BEGIN
    query = replace(query, 'NEAREST', 'v <-> array_fill(0.5, ARRAY[128])::vector');
    FOR plan IN EXECUTE 'EXPLAIN (COSTS OFF, FORMAT JSON) ' || query LOOP END LOOP;
    EXECUTE format('SELECT count(*) FROM (%s) AS q', query) INTO rows;
    RETURN format('%s, %s rows', CASE WHEN plan LIKE '%by_vector%' THEN 'index' ELSE 'other plan' END, rows);
END
$$;
CREATE TABLE queries (n serial, query text);
INSERT INTO queries (query) VALUES
    ('SELECT i FROM items ORDER BY NEAREST LIMIT 10'),
    ('SELECT i FROM items ORDER BY NEAREST LIMIT 40'),
    ('SELECT i FROM items ORDER BY NEAREST LIMIT 41'),
    ('SELECT i FROM items ORDER BY NEAREST LIMIT 10 OFFSET 30'),
    ('SELECT i FROM items ORDER BY NEAREST LIMIT 10 OFFSET 31'),
    ('SELECT i FROM items ORDER BY NEAREST LIMIT 10 OFFSET 200'),
    ('SELECT i FROM items ORDER BY NEAREST OFFSET 2990'),
    ('SELECT i FROM items ORDER BY NEAREST LIMIT ALL'),
    ('SELECT i FROM items ORDER BY NEAREST'),
    ('SELECT i FROM items WHERE c <> 1 ORDER BY NEAREST LIMIT 10'),
    ('SELECT i FROM items WHERE c < 25 ORDER BY NEAREST LIMIT 10'),
    ('SELECT i FROM items WHERE c < 5 ORDER BY NEAREST LIMIT 10'),
    ('SELECT i FROM items WHERE c = 1 ORDER BY NEAREST LIMIT 10'),
    ('SELECT i FROM items WHERE c = 1 ORDER BY NEAREST LIMIT 1 OFFSET 50'),
    -- of a filter on the distance the planner knows nothing, but the smallest come first
    ('SELECT i FROM items WHERE NEAREST < 100 ORDER BY NEAREST LIMIT 20'),
    ('SELECT i FROM items WHERE NEAREST < 100 AND c = 1 ORDER BY NEAREST LIMIT 20'),
    ('SELECT i FROM items JOIN generate_series(0, 49) AS g ON g = c ORDER BY NEAREST LIMIT 10'),
    ('SELECT i FROM items JOIN generate_series(0, 49) AS g ON g = c ORDER BY NEAREST LIMIT 10 OFFSET 100'),
    ('SELECT o.i, n.i AS other FROM items o, LATERAL (SELECT i FROM items ORDER BY v <-> o.v LIMIT 5) n WHERE o.i = 3'),
    ('SELECT o.i, n.i AS other FROM items o, LATERAL (SELECT i FROM items ORDER BY v <-> o.v LIMIT 50) n WHERE o.i = 3');
SELECT query, asked(query) FROM queries ORDER BY n;
-- Where the scan goes on after its candidates, it gives the rows.
SET hnsw.iterative_scan = strict_order;
SELECT query, asked(query) FROM queries WHERE query LIKE '%OFFSET 200' OR query LIKE '%c = 1 ORDER BY NEAREST LIMIT 10' OR query LIKE '%NEAREST' ORDER BY n;
SET hnsw.max_scan_tuples = 100;
SELECT query, asked(query) FROM queries WHERE query LIKE '%OFFSET 200' OR query LIKE '%c = 1 ORDER BY NEAREST LIMIT 10' ORDER BY n;
RESET hnsw.max_scan_tuples;
RESET hnsw.iterative_scan;
-- Who says that there is to be no other plan gets none.
SET enable_seqscan = off;
SELECT query, asked(query) FROM queries WHERE query LIKE '%OFFSET 200' OR query LIKE '%c = 1 ORDER BY NEAREST LIMIT 10' ORDER BY n;
RESET enable_seqscan;
-- A LIMIT that nobody knows yet is taken for a small one.
SET plan_cache_mode = force_generic_plan;
PREPARE nearest AS SELECT i FROM items ORDER BY v <-> (SELECT v FROM items WHERE i = 77) LIMIT $1;
EXPLAIN (COSTS OFF) EXECUTE nearest (500);
RESET plan_cache_mode;
EXPLAIN (COSTS OFF) EXECUTE nearest (500);
DEALLOCATE nearest;
-- Another index serves a selective filter.
CREATE INDEX ON items (c);
CREATE INDEX by_vector_of_1 ON items USING hnsw (v vector_l2_ops) WHERE c = 1;
SELECT query, asked(query) FROM queries WHERE query LIKE '%c = 1 ORDER BY NEAREST LIMIT%' OR query LIKE '%c < 5 %' ORDER BY n;
DROP TABLE items;
-- Partitions share what is asked for; equal ones here.
CREATE TABLE items (i int, v vector(128)) PARTITION BY HASH (i);
CREATE TABLE items_0 PARTITION OF items FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE items_1 PARTITION OF items FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO items SELECT i, (SELECT array_agg(random() + i * 0 + d * 0) FROM generate_series(1, 128) AS d)::vector FROM generate_series(1, 4000) AS i;
CREATE INDEX by_vector_0 ON items_0 USING hnsw (v vector_l2_ops);
CREATE INDEX by_vector_1 ON items_1 USING hnsw (v vector_l2_ops);
ANALYZE items;
SELECT query, asked(query) FROM (VALUES
    ('SELECT i FROM items ORDER BY NEAREST LIMIT 10'),
    ('SELECT i FROM items ORDER BY NEAREST LIMIT 60'),
    ('SELECT i FROM items ORDER BY NEAREST LIMIT 10 OFFSET 200')) AS t (query);
DROP TABLE items;
-- ivfflat gives the rows of its lists.
CREATE TABLE items (i int, c int, v vector(128));
INSERT INTO items SELECT i, i % 50, (SELECT array_agg(random() + i * 0 + d * 0) FROM generate_series(1, 128) AS d)::vector FROM generate_series(1, 3000) AS i;
CREATE INDEX by_vector ON items USING ivfflat (v vector_l2_ops) WITH (lists = 20);
ANALYZE items;
CREATE VIEW lists AS SELECT n, query, asked(query) AS by_lists FROM queries
WHERE query ~ 'NEAREST( LIMIT (10|40)| LIMIT 10 OFFSET (30|200))?$' AND query !~ 'JOIN';
SELECT query, regexp_replace(by_lists, 'index, .*', 'index') AS by_lists FROM lists ORDER BY n;
SET ivfflat.iterative_scan = relaxed_order;
SELECT query, by_lists FROM lists ORDER BY n;
RESET ivfflat.iterative_scan;
DROP VIEW lists;
DROP TABLE items, queries;
DROP FUNCTION asked;
