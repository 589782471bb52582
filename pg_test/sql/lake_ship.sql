-- Tables beside Parquet files: their rows are sent to the engine, and the answers are those of a statement over heap copies.
SELECT current_setting('data_directory') AS dir \gset
\set csv :dir '/lagoon_regress_ship.csv'
COPY (SELECT i AS id, i % 10 AS item, (i * 37 % 100) * 0.25 AS amount, to_char(date '2024-01-01' + i % 30, 'YYYY-MM-DD') AS day
      FROM generate_series(1, 300) AS i) TO :'csv' (FORMAT csv, HEADER);
SELECT rows FROM lagoon.ingest('sales', :'csv', '{"types": {"amount": "numeric(10,2)", "day": "date"}}');
CREATE SCHEMA lake;
CREATE SCHEMA heap;
CREATE SCHEMA side;
CREATE FOREIGN TABLE lake.sales () SERVER lagoon OPTIONS (dataset 'sales');
CREATE TABLE heap.sales AS SELECT * FROM lake.sales;
CREATE TABLE side.items (id int PRIMARY KEY, name varchar(20), kind text, cost numeric(8,2), since date, seen timestamptz,
                         mark uuid, extra jsonb);
INSERT INTO side.items
    SELECT i, 'item ' || i, CASE WHEN i % 3 <> 0 THEN 'kind ' || i % 2 END, i * 1.25, date '2024-01-01' + i,
           timestamptz '2024-01-01 12:00+00' + i * interval '1 hour', ('00000000-0000-0000-0000-00000000000' || i)::uuid,
           jsonb_build_object('i', i)
    FROM generate_series(0, 7) AS i;
ANALYZE side.items;

-- Where a query runs, what is sent, and whether its rows are those of the heap.
CREATE FUNCTION pg_temp.whole(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; found text := 'nowhere'; sent text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
        IF line ~ 'Custom Scan \(Lagoon Query\)' THEN found := CASE WHEN line ~ '^Custom' THEN 'whole' ELSE 'part' END; END IF;
        IF line ~ ' Shipped: ' THEN sent := sent || regexp_replace(line, '.* Shipped: ', ', sent: '); END IF;
        IF line ~ 'Not whole: ' THEN found := regexp_replace(line, '.*Not whole: ', 'not whole: '); END IF;
    END LOOP;
    RETURN found || sent;
END $$;
CREATE FUNCTION pg_temp.answer(query text, path text, pushdown text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record; rows text := '';
BEGIN
    PERFORM set_config('search_path', path, true), set_config('lagoon.pushdown', pushdown, true);
    FOR r IN EXECUTE query LOOP
        rows := rows || r::text || E'\n';
    END LOOP;
    RETURN rows;
EXCEPTION WHEN others THEN
    RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
CREATE FUNCTION pg_temp.same(query text) RETURNS text LANGUAGE plpgsql SET search_path = lake, side, public SET lagoon.pushdown = full AS $$
DECLARE
    wanted text := pg_temp.answer(query, 'heap, side, public', 'off');
    got text := pg_temp.answer(query, 'lake, side, public', 'full');
BEGIN
    PERFORM set_config('search_path', 'lake, side, public', true), set_config('lagoon.pushdown', 'full', true);
    RETURN pg_temp.whole(query) || CASE WHEN wanted = got THEN '' ELSE format(E'\nwanted %s\ngot %s', wanted, got) END;
END $$;
SET search_path = lake, side, public;

\pset format unaligned
\pset tuples_only on
-- Joins.
SELECT pg_temp.same('SELECT s.id, i.name, i.cost FROM sales s JOIN items i ON i.id = s.item WHERE s.id < 30 ORDER BY s.id');
SELECT pg_temp.same('SELECT s.id, i.id FROM sales s LEFT JOIN items i ON i.id = s.item AND i.cost > 3 WHERE s.id < 30 ORDER BY 1, 2');
SELECT pg_temp.same('SELECT s.id, i.id FROM sales s RIGHT JOIN items i ON i.id = s.id - 5 AND s.amount > 3 ORDER BY 2, 1');
SELECT pg_temp.same('SELECT s.id, i.id FROM (SELECT id FROM sales WHERE id < 5) s FULL JOIN items i USING (id) ORDER BY 1, 2');
SELECT pg_temp.same('SELECT count(*) FROM sales, items');
SELECT pg_temp.same('SELECT i.kind, count(*), sum(s.amount), max(i.cost), avg(i.cost) FROM sales s JOIN items i ON i.id = s.item GROUP BY i.kind ORDER BY 2, 3');
SELECT pg_temp.same('SELECT i.since, i.seen, i.mark, s.day - i.since FROM sales s JOIN items i ON i.since = s.day WHERE s.id < 40 ORDER BY s.id');
SELECT pg_temp.same('SELECT a.name, b.name, count(*) FROM items a JOIN sales s ON s.item = a.id JOIN items b ON b.id = s.id % 4 GROUP BY a.id, b.id, a.name, b.name ORDER BY a.id, b.id');
-- Numerics without precision, with the digits that each has.
CREATE TABLE side.plain (id int, cost numeric, letter char(3));
INSERT INTO side.plain SELECT i, CASE WHEN i % 2 = 0 THEN i * 1.50 ELSE i END, 'a' FROM generate_series(0, 9) AS i;
ANALYZE side.plain;
SELECT pg_temp.same('SELECT sum(p.cost), max(s.id), count(p.cost) FROM sales s JOIN plain p ON p.id = s.item');
SELECT pg_temp.same('SELECT s.id, p.cost, p.cost * s.amount FROM sales s JOIN plain p ON p.id = s.item WHERE s.id < 20 ORDER BY s.id');
-- Conditions on such a table alone are PostgreSQL's, whatever they are.
SELECT pg_temp.same('SELECT s.id FROM sales s JOIN items i ON i.id = s.item WHERE i.extra @> ''{"i": 3}'' AND s.id < 50 ORDER BY 1');
SELECT pg_temp.same('SELECT s.id, i.id FROM sales s LEFT JOIN items i ON i.id = s.item AND i.extra ? ''i'' AND i.name ~ ''[1-3]$'' WHERE s.id < 12 ORDER BY 1');
SELECT pg_temp.same('SELECT s.id, i.id FROM sales s LEFT JOIN items i ON i.id = s.item WHERE i.cost IS NULL AND s.id < 30 ORDER BY 1');
-- Subqueries, views, common table expressions, set operations, functions.
SELECT pg_temp.same('SELECT count(*) FROM sales WHERE item IN (SELECT id FROM items WHERE cost > 3)');
SELECT pg_temp.same('SELECT count(*) FROM sales WHERE item NOT IN (SELECT id FROM items)');
SELECT pg_temp.same('SELECT count(*) FROM sales s WHERE EXISTS (SELECT FROM items i WHERE i.id = s.item AND i.cost > 3)');
SELECT pg_temp.same('SELECT count(*) FROM sales WHERE amount > (SELECT max(id) FROM items)');
SELECT pg_temp.same('SELECT i.id, (SELECT sum(amount) FROM sales s WHERE s.item = i.id) FROM items i ORDER BY 1');
SELECT pg_temp.same('WITH k AS (SELECT id, name FROM items ORDER BY cost DESC LIMIT 2) SELECT k.name, sum(amount) FROM sales JOIN k ON k.id = item GROUP BY k.name ORDER BY 2');
SELECT pg_temp.same('SELECT k.n, count(*) FROM sales s JOIN (SELECT kind, count(*) AS n FROM items GROUP BY kind) k ON k.n = s.item GROUP BY k.n ORDER BY 1');
SELECT pg_temp.same('SELECT id FROM sales WHERE id < 5 UNION SELECT id FROM items ORDER BY 1');
SELECT pg_temp.same('SELECT g, count(s.id) FROM generate_series(0, 3) AS g LEFT JOIN sales s ON s.item = g GROUP BY g ORDER BY g');
SELECT pg_temp.same('SELECT s.id, w FROM sales s JOIN unnest(ARRAY[''one'', ''two'', ''three'']) WITH ORDINALITY AS u(w, n) ON u.n = s.id ORDER BY 1');
CREATE VIEW side.cheap AS SELECT id, name, extra FROM side.items WHERE cost < 5;
CREATE VIEW side.guarded WITH (security_barrier) AS SELECT id, name FROM side.items WHERE cost < 5;
CREATE MATERIALIZED VIEW side.kept AS SELECT id, name FROM side.items WHERE cost > 5;
CREATE TABLE side.split (id int, word text) PARTITION BY RANGE (id);
CREATE TABLE side.split_low PARTITION OF side.split FOR VALUES FROM (0) TO (5);
CREATE TABLE side.split_high PARTITION OF side.split FOR VALUES FROM (5) TO (10);
INSERT INTO side.split SELECT i, 'word ' || i FROM generate_series(0, 9) AS i;
SELECT pg_temp.same('SELECT s.id, c.name FROM sales s JOIN cheap c ON c.id = s.item WHERE c.extra ? ''i'' AND s.id < 15 ORDER BY 1');
SELECT pg_temp.same('SELECT s.id, c.name FROM sales s JOIN guarded c ON c.id = s.item WHERE c.name <> ''item 2'' AND s.id < 15 ORDER BY 1');
SELECT pg_temp.same('SELECT s.id, k.name FROM sales s JOIN kept k ON k.id = s.item WHERE s.id < 15 ORDER BY 1');
SELECT pg_temp.same('SELECT s.id, p.word FROM sales s JOIN split p ON p.id = s.item WHERE p.id > 3 AND s.id < 15 ORDER BY 1');

-- Values that the engine has not: PostgreSQL's own plan takes over.
CREATE TABLE side.odd (id int, since date, seen timestamptz, cost numeric(8,2));
INSERT INTO side.odd VALUES (1, 'infinity', '2024-01-01', 1), (2, '2024-01-01', '-infinity', 2), (3, '2024-01-01', '2024-01-01', 'NaN');
SELECT pg_temp.same('SELECT s.id, o.since FROM sales s JOIN odd o ON o.id = s.item WHERE s.id < 15 ORDER BY s.id');
SELECT pg_temp.same('SELECT o.seen, count(*) FROM sales s JOIN odd o ON o.id = s.item GROUP BY o.seen ORDER BY o.seen');
SELECT pg_temp.same('SELECT max(o.cost), count(*) FROM sales s JOIN odd o ON o.id = s.item');
CREATE TABLE side.deep (id int, x numeric);
INSERT INTO side.deep VALUES (1, 1.5), (2, 1 / 3.0), (3, 1e30), (4, NULL);
SELECT pg_temp.same('SELECT s.id, d.x FROM sales s JOIN deep d ON d.id = s.item WHERE s.id < 15 ORDER BY s.id');
SET lagoon.pushdown = full;
CREATE FUNCTION pg_temp.lines(query text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        IF line ~ what THEN RETURN NEXT trim(line); END IF;
    END LOOP;
END $$;
SELECT pg_temp.lines('SELECT max(o.since) FROM sales s JOIN odd o ON o.id = s.item', 'Not in');
SELECT pg_temp.lines('SELECT max(i.since) FROM sales s JOIN items i ON i.id = s.item WHERE i.id < 3', 'hipped');

-- What stays with PostgreSQL.
SELECT pg_temp.same('SELECT p.letter, count(*) FROM sales s JOIN plain p ON p.id = s.item GROUP BY 1');
SELECT pg_temp.same('SELECT i.extra, count(*) FROM sales s JOIN items i ON i.id = s.item GROUP BY 1 ORDER BY 1');
SELECT pg_temp.same('SELECT s.id, i.ctid FROM sales s JOIN items i ON i.id = s.item ORDER BY 1');
SET lagoon.ship_rows = 9;
SELECT pg_temp.same('SELECT count(p.id) FROM sales s JOIN plain p ON p.id = s.item');
SELECT pg_temp.same('SELECT count(p.id) FROM sales s JOIN (SELECT id FROM plain ORDER BY id LIMIT 3) p ON p.id = s.item');
SET lagoon.ship_rows = 0;
SELECT pg_temp.same('SELECT count(i.id) FROM sales s JOIN items i ON i.id = s.item');
RESET lagoon.ship_rows;

-- Nearest neighbours, then a join with Parquet files.
CREATE TABLE side.points (id int, v vector(2));
INSERT INTO side.points SELECT i, format('[%s,%s]', i, i)::vector FROM generate_series(0, 9) AS i;
CREATE INDEX points_v_idx ON side.points USING hnsw (v vector_l2_ops);
SELECT pg_temp.same('SELECT k.id, k.distance, sum(s.amount) FROM (SELECT id, v <-> ''[3,3]'' AS distance FROM points ORDER BY v <-> ''[3,3]'' LIMIT 3) k
                     JOIN sales s ON s.item = k.id GROUP BY k.id, k.distance ORDER BY k.distance, k.id');
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT k.id, k.distance, sum(s.amount)
    FROM (SELECT id, v <-> '[3,3]' AS distance FROM points ORDER BY v <-> '[3,3]' LIMIT 3) k JOIN sales s ON s.item = k.id GROUP BY k.id, k.distance;
RESET enable_seqscan;

-- Statements that reach the planner in other ways.
PREPARE q(int) AS SELECT count(*) FROM sales s JOIN items i ON i.id = s.item WHERE i.id < $1;
EXECUTE q(2);
SET plan_cache_mode = force_generic_plan;
EXECUTE q(2);
EXECUTE q(5);
EXECUTE q(NULL);
INSERT INTO items (id, name) VALUES (8, 'item 8');
EXECUTE q(9);
DELETE FROM items WHERE id = 8;
EXECUTE q(9);
RESET plan_cache_mode;
BEGIN;
DECLARE c CURSOR FOR SELECT count(*) FROM sales s JOIN items i ON i.id = s.item;
DECLARE d CURSOR FOR SELECT s.id, o.since FROM sales s JOIN odd o ON o.id = s.item ORDER BY s.id;
FETCH 2 FROM d;
DELETE FROM items;
DELETE FROM odd;
FETCH c;
FETCH 2 FROM d;
ROLLBACK;
CREATE TEMP TABLE copied AS SELECT i.name, count(*) AS n FROM sales s JOIN items i ON i.id = s.item GROUP BY i.name;
SELECT * FROM copied ORDER BY name LIMIT 2;
CREATE FUNCTION pg_temp.looped() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE r record; low int := 6;
BEGIN
    FOR r IN SELECT i.name, count(*) AS n FROM sales s JOIN items i ON i.id = s.item WHERE i.id >= low GROUP BY i.id, i.name ORDER BY i.id LOOP
        RETURN NEXT r.name || ': ' || r.n;
    END LOOP;
END $$;
SELECT pg_temp.looped();

-- INSERT ... SELECT.
CREATE TABLE side.sums (n serial, item bigint, total numeric, tag text DEFAULT 'new', twice numeric GENERATED ALWAYS AS (total * 2) STORED);
EXPLAIN (COSTS OFF) INSERT INTO sums (item, total) SELECT item, sum(amount) FROM sales GROUP BY item ORDER BY item;
INSERT INTO sums (item, total) SELECT item, sum(amount) FROM sales GROUP BY item ORDER BY item;
SELECT n, item, tag, total = (SELECT sum(amount) FROM heap.sales s WHERE s.item = sums.item), twice = total * 2 FROM sums ORDER BY n LIMIT 3;
WITH t AS (SELECT item, max(amount) AS top FROM sales GROUP BY item)
    INSERT INTO sums (total, item) SELECT t.top, i.id FROM t JOIN items i ON i.id = t.item ORDER BY i.id DESC LIMIT 2 RETURNING n, item, tag;
INSERT INTO sums (item, total, tag) SELECT s.id, o.cost, 'odd' FROM sales s JOIN odd o ON o.id = s.item WHERE s.id < 4 ORDER BY s.id RETURNING n, item, total;
CREATE TABLE side.best (item bigint PRIMARY KEY, top numeric(10,2));
INSERT INTO best SELECT item, min(amount) FROM sales GROUP BY item;
INSERT INTO best SELECT item, max(amount) FROM sales GROUP BY item ON CONFLICT (item) DO UPDATE SET top = excluded.top;
SELECT count(*), bool_and(top = (SELECT max(amount) FROM heap.sales s WHERE s.item = best.item)) FROM best;
INSERT INTO best SELECT item, max(amount) FROM sales GROUP BY item ORDER BY item;

-- Parts, where the whole stays with PostgreSQL.
SET lagoon.ship_rows = 0;
SELECT pg_temp.same('SELECT i.name, t.s FROM items i JOIN (SELECT item, sum(amount) AS s FROM sales GROUP BY item) t ON t.item = i.id ORDER BY i.id');
SELECT pg_temp.same('SELECT i.name, t.s FROM items i JOIN (SELECT item, sum(amount) AS s FROM sales GROUP BY item) t ON t.item = i.id WHERE t.item > 3 AND t.s > 300 ORDER BY i.id');
SELECT pg_temp.same('SELECT i.id, t.item FROM items i LEFT JOIN (SELECT DISTINCT item FROM sales) t ON t.item = i.id AND t.item < 4 ORDER BY 1');
SELECT pg_temp.same('WITH t AS MATERIALIZED (SELECT item, count(*) AS n FROM sales GROUP BY item) SELECT i.id, t.n FROM items i LEFT JOIN t ON t.item = i.id ORDER BY 1');
SELECT pg_temp.same('SELECT id FROM items WHERE cost < (SELECT avg(amount) - 9 FROM sales) ORDER BY 1');
SELECT pg_temp.same('SELECT i.id, t.n FROM items i, (SELECT count(*) AS n FROM sales) t WHERE i.cost > t.n - 299 ORDER BY 1');
SELECT pg_temp.same('SELECT t.item, t.n, random() < 2 FROM (SELECT item, count(*) AS n FROM sales GROUP BY item) t ORDER BY 1');
SELECT pg_temp.same('SELECT t, i.id FROM items i JOIN (SELECT item, max(day) AS d FROM sales GROUP BY item) t ON t.item = i.id ORDER BY 2');
SELECT pg_temp.same('SELECT i.id, (SELECT sum(amount) FROM sales s WHERE s.item = i.id) FROM items i ORDER BY 1');
EXPLAIN (COSTS OFF) SELECT t.item, random() FROM (SELECT item, count(*) FROM sales GROUP BY item) t;
SET plan_cache_mode = force_generic_plan;
PREPARE part(int) AS SELECT i.id, t.n FROM items i JOIN (SELECT item, count(*) AS n FROM sales WHERE id <= $1 GROUP BY item) t ON t.item = i.id ORDER BY 1 LIMIT 2;
EXECUTE part(25);
EXECUTE part(300);
RESET plan_cache_mode;
INSERT INTO sums (item, total) SELECT i.id, t.m FROM items i JOIN (SELECT item, count(*) AS m FROM sales GROUP BY item) t ON t.item = i.id WHERE i.id = 7 RETURNING n, item, total;
RESET lagoon.ship_rows;

-- Rights and row security.
CREATE ROLE regress_ship;
GRANT USAGE ON SCHEMA lake, side TO regress_ship;
GRANT SELECT ON sales, cheap TO regress_ship;
SET ROLE regress_ship;
SELECT count(*) FROM sales s JOIN items i ON i.id = s.item;
SELECT count(*) FROM sales s JOIN cheap c ON c.id = s.item;
RESET ROLE;
GRANT SELECT (id, name) ON items TO regress_ship;
SET ROLE regress_ship;
SELECT count(i.name) FROM sales s JOIN items i ON i.id = s.item;
SELECT count(i.cost) FROM sales s JOIN items i ON i.id = s.item;
RESET ROLE;
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON items TO regress_ship USING (id < 3);
PREPARE seen AS SELECT count(i.name) FROM sales s JOIN items i ON i.id = s.item;
EXECUTE seen;
SET ROLE regress_ship;
EXECUTE seen;
SELECT pg_temp.whole('SELECT count(i.name) FROM sales s JOIN items i ON i.id = s.item WHERE i.name <> ''item 1''');
SELECT count(i.name) FROM sales s JOIN items i ON i.id = s.item WHERE i.name <> 'item 1';
RESET ROLE;
REVOKE SELECT ON sales FROM regress_ship;
SET lagoon.ship_rows = 0;
SET ROLE regress_ship;
SELECT count(t.n) FROM (SELECT item, count(*) AS n FROM sales GROUP BY item) t JOIN items i ON i.id = t.item;
RESET ROLE;
RESET lagoon.ship_rows;

SET client_min_messages = warning;
DROP SCHEMA lake CASCADE;
DROP SCHEMA heap CASCADE;
DROP SCHEMA side CASCADE;
DROP OWNED BY regress_ship;
DROP ROLE regress_ship;
SELECT lagoon.drop_dataset('sales');
