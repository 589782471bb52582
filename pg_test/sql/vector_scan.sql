-- Rows leave an index scan in the order of the distances of their values, of which the codes of the index know little here:
-- the values differ by less than the step of a code.
SET max_parallel_workers_per_gather = 0;
SET hnsw.ef_search = 400;
SET ivfflat.probes = 10;
SELECT setseed(0.5);
CREATE TABLE items (i int, note text, v vector(40), h halfvec(40)) WITH (fillfactor = 50);
CREATE FUNCTION value(spread float8) RETURNS vector LANGUAGE sql VOLATILE AS
    'SELECT array_agg(sin(d) + spread * random())::vector FROM generate_series(1, 40) AS d';
INSERT INTO items (i, v) SELECT i, value(0.01) FROM generate_series(1, 500) AS i;
UPDATE items SET h = v;
CREATE TABLE query AS SELECT value(0.01) AS v;

-- Which index a query takes, and whether it says what a sort says.
CREATE FUNCTION asked(what text, nearest text, rows int DEFAULT 30) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    query text := format('SELECT i, %1$s AS d FROM %2$s ORDER BY %1$s LIMIT %3$s', nearest, what, rows);
    plan json;
    found text;
    sorted text;
BEGIN
    PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
    EXECUTE 'EXPLAIN (COSTS OFF, FORMAT JSON) ' || query INTO plan;
    EXECUTE format('SELECT json_agg(q) FROM (%s) AS q', query) INTO found;
    PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true);
    EXECUTE format('SELECT json_agg(q) FROM (%s) AS q', query) INTO sorted;
    RETURN format('%s: %s', plan #>> '{0,Plan,Plans,1,Index Name}', CASE WHEN found = sorted THEN 'as sorted' ELSE 'differs' END);
END
$$;
CREATE FUNCTION all_metrics(method text, metrics text[], options text DEFAULT '') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    metric text;
    kind text;
    operator text;
BEGIN
    FOREACH metric IN ARRAY metrics LOOP
        FOREACH kind IN ARRAY ARRAY['vector', 'halfvec'] LOOP
            operator = CASE metric WHEN 'l2' THEN '<->' WHEN 'ip' THEN '<#>' WHEN 'cosine' THEN '<=>' ELSE '<+>' END;
            EXECUTE format('CREATE INDEX %1$s_%2$s_%3$s ON items USING %1$s (%4$s %2$s_%3$s_ops) %5$s', method, kind, metric, left(kind, 1), options);
            RETURN NEXT asked('items', format('%s %s (SELECT v::%s FROM query)', left(kind, 1), operator, kind));
            EXECUTE format('DROP INDEX %s_%s_%s', method, kind, metric);
        END LOOP;
    END LOOP;
END
$$;
SELECT all_metrics('hnsw', '{l2,ip,cosine,l1}');
SELECT all_metrics('ivfflat', '{l2,ip,cosine}', 'WITH (lists = 5)');

-- The plan is an index scan, and nothing else.
CREATE INDEX by_value ON items USING hnsw (v vector_l2_ops);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT i FROM items ORDER BY v <-> (SELECT v FROM query) LIMIT 10;
RESET enable_seqscan;
-- Rows that were updated in place, that got another value, and that are gone.
UPDATE items SET note = 'seen' WHERE i % 2 = 0;
SELECT asked('items', 'v <-> (SELECT v FROM query)');
UPDATE items SET v = value(0.01) WHERE i % 3 = 0;
SELECT asked('items', 'v <-> (SELECT v FROM query)');
DELETE FROM items WHERE i % 5 = 0;
SELECT asked('items', 'v <-> (SELECT v FROM query)');
VACUUM items;
SELECT asked('items', 'v <-> (SELECT v FROM query)');
-- Another query for each row.
SET enable_seqscan = off;
CREATE TABLE pairs AS SELECT o.i, n.i AS other, n.place FROM (SELECT * FROM items WHERE i < 40) AS o,
    LATERAL (SELECT i, row_number() OVER () AS place FROM (SELECT i FROM items ORDER BY v <-> o.v LIMIT 5) AS five) AS n;
SET enable_indexscan = off;
SET enable_seqscan = on;
SELECT count(*), count(*) FILTER (WHERE n.i = other) AS as_sorted FROM items AS o JOIN pairs USING (i), LATERAL
    (SELECT i FROM items ORDER BY v <-> o.v OFFSET place - 1 LIMIT 1) AS n;
RESET enable_indexscan;
-- An open cursor sees what it saw when it was opened, deleted rows and old values included, and one that is held as well.
SET enable_seqscan = off;
BEGIN;
CREATE TABLE expected AS SELECT i, row_number() OVER () AS place FROM (SELECT i FROM items ORDER BY v <-> (SELECT v FROM query) LIMIT 50) AS q;
DECLARE open CURSOR FOR SELECT i FROM items ORDER BY v <-> (SELECT v FROM query) LIMIT 50;
DECLARE held CURSOR WITH HOLD FOR SELECT i FROM items ORDER BY v <-> (SELECT v FROM query) LIMIT 50;
MOVE 1 FROM open;
SAVEPOINT changes;
DELETE FROM items WHERE i % 2 = 0;
UPDATE items SET v = value(10) WHERE i % 2 = 1;
CREATE FUNCTION same(cursor refcursor, place int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    row_of record;
    seen int[];
BEGIN
    LOOP
        FETCH cursor INTO row_of;
        EXIT WHEN NOT FOUND;
        seen = seen || row_of.i;
    END LOOP;
    RETURN CASE WHEN seen = (SELECT array_agg(i ORDER BY e.place) FROM expected AS e WHERE e.place > same.place) THEN 'the same ' || cardinality(seen) ELSE 'others' END;
END
$$;
SELECT same('open', 1);
COMMIT;
SELECT same('held', 0);
CLOSE held;
DROP TABLE items;

-- Expressions, predicates, columns with a default that old rows do not hold, and values that are stored out of line.
CREATE TABLE items (i int, v vector(40), big vector(1500));
ALTER TABLE items ALTER big SET STORAGE EXTERNAL;
INSERT INTO items SELECT i, value(0.01), (SELECT array_agg(sin(d) + 0.01 * random() + 0 * i) FROM generate_series(1, 1500) AS d)::vector FROM generate_series(1, 200) AS i;
CREATE INDEX by_expression ON items USING hnsw ((v::halfvec(40)) halfvec_cosine_ops);
SELECT asked('items', '(v::halfvec(40)) <=> (SELECT v::halfvec FROM query)');
DROP INDEX by_expression;
CREATE INDEX by_predicate ON items USING hnsw (v vector_l2_ops) WHERE i % 2 = 0;
SELECT asked('items WHERE i % 2 = 0', 'v <-> (SELECT v FROM query)');
DROP INDEX by_predicate;
CREATE INDEX by_big ON items USING hnsw (big vector_l2_ops);
SELECT asked('items', 'big <-> (SELECT big FROM items WHERE i = 7)', 20);
DROP INDEX by_big;
CREATE INDEX by_big ON items USING ivfflat (big vector_l2_ops) WITH (lists = 3);
SELECT asked('items', 'big <-> (SELECT big FROM items WHERE i = 7)', 20);
DROP INDEX by_big;
DO $$ BEGIN EXECUTE format('ALTER TABLE items ADD added vector(40) DEFAULT %L', (SELECT v FROM items WHERE i = 3)); END $$;
UPDATE items SET added = value(0.01) WHERE i > 5;
CREATE INDEX by_added ON items USING hnsw (added vector_l2_ops);
SELECT asked('items WHERE i > 4', 'added <-> (SELECT v FROM items WHERE i = 3)', 100);
DROP INDEX by_added;
-- An error while a row is read ends the statement and nothing else. In strict order each is read.
SET hnsw.iterative_scan = strict_order;
CREATE FUNCTION fragile(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_setting('test.fragile', true) = 'on' THEN
        RAISE 'broken';
    END IF;
    RETURN v;
END
$$;
CREATE INDEX by_function ON items USING hnsw ((fragile(v)::vector(40)) vector_l2_ops);
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT i FROM items ORDER BY fragile(v)::vector(40) <-> (SELECT v FROM query) LIMIT 7) AS q;
SET test.fragile = on;
SELECT count(*) FROM (SELECT i FROM items ORDER BY fragile(v)::vector(40) <-> (SELECT v FROM query) LIMIT 7) AS q;
DO $$
BEGIN
    FOR n IN 1..3 LOOP
        BEGIN
            PERFORM i FROM items ORDER BY fragile(v)::vector(40) <-> (SELECT v FROM query) LIMIT 7;
        EXCEPTION WHEN raise_exception THEN
            RAISE NOTICE '%', SQLERRM;
        END;
    END LOOP;
END
$$;
SET test.fragile = off;
RESET hnsw.iterative_scan;
SELECT asked('items', 'fragile(v)::vector(40) <-> (SELECT v FROM query)');
DROP INDEX by_function;

-- To nothing everything is equally far: all rows come.
SET enable_seqscan = off;
CREATE INDEX by_value ON items USING hnsw (v vector_cosine_ops);
SELECT count(*) FROM (SELECT i FROM items ORDER BY v <=> NULL LIMIT 150) AS q;
SELECT count(*) FROM (SELECT i FROM items ORDER BY v <=> array_fill(0, ARRAY[40])::vector LIMIT 150) AS q;
DROP INDEX by_value;
CREATE INDEX by_value ON items USING ivfflat (v vector_cosine_ops) WITH (lists = 3);
SELECT count(*) FROM (SELECT i FROM items ORDER BY v <=> NULL LIMIT 150) AS q;
SELECT count(*) FROM (SELECT i FROM items ORDER BY v <=> array_fill(0, ARRAY[40])::vector LIMIT 150) AS q;
DROP INDEX by_value;

-- strict_order leaves out hardly anything, whatever the codes say, and a filter on the distance gets what there is.
CREATE INDEX by_value ON items USING hnsw (v vector_l2_ops);
SET hnsw.ef_search = 20;
SET hnsw.iterative_scan = strict_order;
CREATE VIEW passing AS SELECT i, v <-> (SELECT v FROM query) AS d FROM items WHERE i % 3 = 0 ORDER BY v <-> (SELECT v FROM query) LIMIT 40;
SELECT count(*) >= 38 AS nearly_all, bool_and(d >= before) AS ascends FROM (SELECT d, lag(d, 1, 0.0) OVER () AS before FROM passing) AS q;
SET hnsw.iterative_scan = relaxed_order;
SELECT count(*) FROM passing;
