-- The access method ivfflat: every operator class, what is not indexed, options, settings, limits, and what an index is made of.
SET enable_seqscan = off;
SET client_min_messages = warning; -- tables are small: every build would say so

-- every operator class: with all lists read, the order is that of the table
CREATE TABLE items (id int PRIMARY KEY, v vector(40), h halfvec(40), b bit(40));
INSERT INTO items
SELECT i, array_agg(sin(i * j) ORDER BY j)::vector, array_agg(sin(i * j) ORDER BY j)::vector::halfvec,
       string_agg(CASE WHEN sin(i * j) > 0 THEN '1' ELSE '0' END, '' ORDER BY j)::bit(40)
FROM generate_series(1, 600) i, generate_series(1, 40) j GROUP BY i;
SET ivfflat.probes = 10;
CREATE FUNCTION agrees(index text, operator text, col text) RETURNS TABLE (plan text, same boolean, rows bigint) LANGUAGE plpgsql AS $$
DECLARE
    query text := format('SELECT array_agg(id ORDER BY n), count(*) FROM (SELECT id, row_number() OVER () AS n FROM (SELECT id FROM items ORDER BY %I %s (SELECT %1$I FROM items WHERE id = 7)) a) b', col, operator);
    found int[]; exact int[]; line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        plan := coalesce(plan, substring(line FROM 'Index Scan using (items_\w+)'));
    END LOOP;
    EXECUTE query INTO found, rows;
    SET LOCAL enable_indexscan = off;
    EXECUTE query INTO exact, rows;
    SET LOCAL enable_indexscan = on;
    -- rows at the same distance may come in any order
    same := found[1:3] = exact[1:3] AND (SELECT array_agg(x ORDER BY x) FROM unnest(found) x) = (SELECT array_agg(x ORDER BY x) FROM unnest(exact) x);
    RETURN NEXT;
END $$;
CREATE INDEX items_v ON items USING ivfflat (v) WITH (lists = 10);
SELECT * FROM agrees('items_v', '<->', 'v');
DROP INDEX items_v;
CREATE INDEX items_v ON items USING ivfflat (v vector_ip_ops) WITH (lists = 10);
SELECT * FROM agrees('items_v', '<#>', 'v');
DROP INDEX items_v;
CREATE INDEX items_v ON items USING ivfflat (v vector_cosine_ops) WITH (lists = 10);
SELECT * FROM agrees('items_v', '<=>', 'v');
CREATE INDEX items_h ON items USING ivfflat (h halfvec_l2_ops) WITH (lists = 10);
SELECT * FROM agrees('items_h', '<->', 'h');
DROP INDEX items_h;
CREATE INDEX items_h ON items USING ivfflat (h halfvec_ip_ops) WITH (lists = 10);
SELECT * FROM agrees('items_h', '<#>', 'h');
DROP INDEX items_h;
CREATE INDEX items_h ON items USING ivfflat (h halfvec_cosine_ops) WITH (lists = 10);
SELECT * FROM agrees('items_h', '<=>', 'h');
CREATE INDEX items_b ON items USING ivfflat (b bit_hamming_ops) WITH (lists = 10);
SELECT plan, rows FROM agrees('items_b', '<~>', 'b');
\d items

-- more probes find more; all lists find everything
SET ivfflat.probes = 1;
SELECT count(*) < 600 AS some FROM (SELECT 1 FROM items ORDER BY v <=> (SELECT v FROM items WHERE id = 7)) s;
SET ivfflat.iterative_scan = relaxed_order;
SELECT count(*) FROM (SELECT 1 FROM items ORDER BY v <=> (SELECT v FROM items WHERE id = 7)) s;
SET ivfflat.max_probes = 2;
SELECT count(*) < 600 AS some FROM (SELECT 1 FROM items ORDER BY v <=> (SELECT v FROM items WHERE id = 7)) s;
RESET ivfflat.iterative_scan;
RESET ivfflat.max_probes;
SET ivfflat.probes = 10;

-- inserts, updates, deletes, vacuum
INSERT INTO items SELECT id + 1000, v, h, b FROM items;
UPDATE items SET v = v WHERE id % 5 = 0;
DELETE FROM items WHERE id % 2 = 0;
VACUUM items;
SELECT count(*), count(*) FILTER (WHERE passed) AS passed FROM lagoon.verify_index('items_v');
SELECT check_name, detail FROM lagoon.verify_index('items_v') WHERE check_name IN ('metapage', 'heap');
SELECT lists, rows, codes, metric, empty_lists FROM lagoon.ivfflat_info('items_v');
SELECT metric, codes, dimensions, rows FROM lagoon.ivfflat_info('items_b');
SELECT lagoon.recall('items_v', 10, 20), lagoon.recall('items_h', 10, 20), lagoon.recall('items_b', 10, 20);
-- space of deleted rows is used again
SELECT pg_relation_size('items_h') AS size \gset
INSERT INTO items SELECT id + 1, v, h, b FROM items;
SELECT pg_relation_size('items_h') <= :size * 1.1 AS reused;
REINDEX INDEX items_v;
REINDEX INDEX CONCURRENTLY items_h;
SELECT bool_and(passed) FROM lagoon.verify_index('items_v');
SELECT bool_and(passed) FROM lagoon.verify_index('items_h');
SELECT * FROM lagoon.ivfflat_info('items_pkey');
SELECT * FROM lagoon.index_info('items_v');
DROP TABLE items;
DROP FUNCTION agrees;

-- NULL, and zero under cosine, are not indexed
CREATE TABLE t (v vector(3));
INSERT INTO t VALUES ('[0,0,0]'), ('[1,2,3]'), (NULL);
CREATE INDEX t_v ON t USING ivfflat (v vector_cosine_ops) WITH (lists = 1);
SELECT * FROM t ORDER BY v <=> '[3,3,3]';
SELECT rows FROM lagoon.ivfflat_info('t_v');
DROP TABLE t;

-- expression, partial, partitioned, unlogged, temporary, concurrently
CREATE TABLE t (id int, a real[], v vector(2), kind text) PARTITION BY RANGE (id);
CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100);
CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (100) TO (200);
INSERT INTO t SELECT i, ARRAY[i, 1], ARRAY[i, 2], CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END FROM generate_series(0, 199) i;
CREATE INDEX t_a ON t USING ivfflat ((a::vector(2)) vector_l2_ops) WITH (lists = 2);
CREATE INDEX t_even ON t USING ivfflat (v) WITH (lists = 2) WHERE kind = 'even';
SELECT id FROM t ORDER BY a::vector(2) <-> '[120,1]' LIMIT 3;
SELECT id FROM t WHERE kind = 'even' ORDER BY v <-> '[120,2]' LIMIT 3;
SELECT * FROM lagoon.ivfflat_info('t_a');
SELECT rows FROM lagoon.ivfflat_info('t_1_v_idx');
DROP TABLE t;
CREATE UNLOGGED TABLE t (v vector(2));
CREATE INDEX ON t USING ivfflat (v) WITH (lists = 3);
INSERT INTO t SELECT ARRAY[i, i] FROM generate_series(1, 20) i;
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <-> '[1,1]') s;
DROP TABLE t;
CREATE TEMP TABLE t (v vector(2));
INSERT INTO t SELECT ARRAY[i, i] FROM generate_series(1, 20) i;
CREATE INDEX CONCURRENTLY ON t USING ivfflat (v) WITH (lists = 3);
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <-> '[1,1]') s;
DROP TABLE t;

-- a scan that has little memory reads its lists again and returns the same
CREATE TABLE t AS SELECT i AS id, ARRAY[sin(i), cos(i * 2)]::vector(2) AS v FROM generate_series(1, 10000) i;
CREATE INDEX t_v ON t USING ivfflat (v) WITH (lists = 4);
SET work_mem = '64kB';
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE distance < before) AS out_of_order
FROM (SELECT id, distance, lag(distance) OVER () AS before
      FROM (SELECT id, v <-> '[0,0]' AS distance FROM t ORDER BY v <-> '[0,0]') r) s;
RESET work_mem;
DROP TABLE t;

-- without threads
SET max_parallel_maintenance_workers = 0;
CREATE TABLE t AS SELECT ARRAY[sin(i), cos(i * 2)]::vector(2) AS v FROM generate_series(1, 3000) i;
CREATE INDEX t_v ON t USING ivfflat (v) WITH (lists = 20);
SELECT bool_and(passed) FROM lagoon.verify_index('t_v');
SELECT lagoon.recall('t_v', 10, 20) > 0.5 AS found;
RESET max_parallel_maintenance_workers;
DROP TABLE t;

-- settings and options
RESET ivfflat.probes;
SHOW ivfflat.probes;
SET ivfflat.probes = 0;
SET ivfflat.probes = 32769;
SHOW ivfflat.iterative_scan;
SET ivfflat.iterative_scan = strict_order;
SET ivfflat.max_probes = 0;
SET ivfflat.no_such_setting = 1;
RESET client_min_messages;
CREATE TABLE t (v vector(3), h halfvec(4001), one vector(1), loose vector, s sparsevec(3), w vector(3000));
CREATE INDEX ON t USING ivfflat (v);
CREATE INDEX ON t USING ivfflat (v) WITH (lists = 0);
CREATE INDEX ON t USING ivfflat (v) WITH (lists = 32769);
CREATE INDEX ON t USING ivfflat (v) WITH (m = 16);
CREATE INDEX ON t USING ivfflat (v vector_l1_ops);
CREATE INDEX ON t USING ivfflat (h halfvec_l2_ops);
CREATE INDEX ON t USING ivfflat (one vector_ip_ops);
CREATE INDEX ON t USING ivfflat (loose);
CREATE INDEX ON t USING ivfflat (s);
CREATE INDEX ON t USING ivfflat (w);
CREATE INDEX ON t USING ivfflat (v, w);
CREATE UNIQUE INDEX ON t USING ivfflat (v);
-- more dimensions, with classes of our own
SET client_min_messages = warning;
INSERT INTO t (w) SELECT array_agg(sin(i * j) ORDER BY j) FROM generate_series(1, 50) i, generate_series(1, 3000) j GROUP BY i;
CREATE INDEX t_w ON t USING ivfflat (w vector_l2_wide_ops) WITH (lists = 2);
SELECT bool_and(passed) FROM lagoon.verify_index('t_w');
SELECT rows FROM lagoon.ivfflat_info('t_w');
-- dimensions of a row and of a query
SELECT * FROM t ORDER BY v <-> '[1,2]';
INSERT INTO t (w) VALUES ('[1]');
SET maintenance_work_mem = '1MB';
CREATE INDEX ON t USING ivfflat (w vector_l2_wide_ops) WITH (lists = 1000);
RESET maintenance_work_mem;
DROP TABLE t;

-- the operator classes are valid
SELECT opcname, opcdefault, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod WHERE amname = 'ivfflat' ORDER BY 1, opcintype::regtype::text;
