-- Whole statements in the engine: each gives what PostgreSQL gives over a heap copy, or stays with PostgreSQL for a reason.
SELECT current_setting('data_directory') AS dir \gset
\set csv :dir '/lagoon_regress_query.csv'
COPY (SELECT i AS id, i % 7 AS part, CASE WHEN i % 11 <> 0 THEN 'name ' || i % 13 END AS name, (i * 37 % 1000) * 0.25 AS price,
             to_char(date '2024-01-01' + i % 90, 'YYYY-MM-DD') AS day,
             CASE WHEN i % 3 = 0 THEN 'true' ELSE 'false' END AS flag, (i * 1.5)::float8 AS weight
      FROM generate_series(1, 500) AS i) TO :'csv' (FORMAT csv, HEADER);
SELECT rows FROM lagoon.ingest('items', :'csv', '{"types": {"price": "numeric(10,2)", "day": "date", "weight": "double precision"}}');
COPY (SELECT i AS id, 'part ' || i AS title, CASE WHEN i <> 3 THEN i END AS code FROM generate_series(0, 8) AS i)
    TO :'csv' (FORMAT csv, HEADER);
SELECT rows FROM lagoon.ingest('parts', :'csv');
CREATE SCHEMA lake;
CREATE SCHEMA heap;
CREATE FOREIGN TABLE lake.items () SERVER lagoon OPTIONS (dataset 'items');
CREATE FOREIGN TABLE lake.parts () SERVER lagoon OPTIONS (dataset 'parts');
CREATE TABLE heap.items AS SELECT * FROM lake.items;
CREATE TABLE heap.parts AS SELECT * FROM lake.parts;

-- Where a query runs, and whether its rows are those of the heap.
CREATE FUNCTION pg_temp.whole(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; found text := 'nowhere';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
        IF line ~ 'Custom Scan \(Lagoon Query\)' THEN RETURN 'whole'; END IF;
        IF line ~ 'Not whole: ' THEN found := regexp_replace(line, '.*Not whole: ', 'not whole: '); END IF;
    END LOOP;
    RETURN found;
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
CREATE FUNCTION pg_temp.same(query text) RETURNS text LANGUAGE plpgsql SET search_path = lake SET lagoon.pushdown = full AS $$
DECLARE wanted text := pg_temp.answer(query, 'heap', 'off'); got text := pg_temp.answer(query, 'lake', 'full');
BEGIN
    PERFORM set_config('search_path', 'lake', true), set_config('lagoon.pushdown', 'full', true);
    RETURN pg_temp.whole(query) || CASE WHEN wanted = got THEN '' ELSE format(E'\nwanted %s\ngot %s', wanted, got) END;
END $$;

\pset format unaligned
\pset tuples_only on
-- Columns, filters, expressions.
SELECT pg_temp.same('SELECT id, name FROM items WHERE part = 3 AND name LIKE ''name 1%'' ORDER BY id');
SELECT pg_temp.same('SELECT * FROM items WHERE name IS NULL ORDER BY id DESC LIMIT 5 OFFSET 2');
SELECT pg_temp.same('SELECT id + 1, price * 2, upper(name), ''x'', now() > ''2020-01-01'' FROM items ORDER BY id LIMIT 20');
SELECT pg_temp.same('SELECT CASE part WHEN 1 THEN ''one'' WHEN 2 THEN ''two'' ELSE name END FROM items ORDER BY id');
SELECT pg_temp.same('SELECT coalesce(name, ''none''), nullif(part, 2), greatest(part, 3, id), least(price, 10) FROM items ORDER BY id');
SELECT pg_temp.same('SELECT id FROM items WHERE name IS DISTINCT FROM ''name 1'' AND (flag OR part IN (1, 2)) ORDER BY id');
SELECT pg_temp.same('SELECT id / (id - 5) FROM items ORDER BY id');
SELECT pg_temp.same('SELECT CASE WHEN id <> 5 THEN id / (id - 5) END FROM items ORDER BY id');
SELECT pg_temp.same('SELECT price / 3, round(price / 7, 3) FROM items ORDER BY id');
-- Groups.
SELECT pg_temp.same('SELECT count(*), count(name), sum(id), sum(price), avg(id), avg(price), min(day), max(price) FROM items');
SELECT pg_temp.same('SELECT part, count(*), avg(price), sum(price) * 2 FROM items GROUP BY part HAVING count(*) > 71 ORDER BY part');
SELECT pg_temp.same('SELECT part % 2, flag, count(DISTINCT name) FROM items GROUP BY 1, 2 ORDER BY 1, 2');
SELECT pg_temp.same('SELECT part, flag, sum(id) FROM items GROUP BY GROUPING SETS ((part), (flag), (part, flag), ()) ORDER BY 1, 2');
SELECT pg_temp.same('SELECT part, sum(id) FILTER (WHERE flag) FROM items GROUP BY part ORDER BY sum(id) DESC, part');
SELECT pg_temp.same('SELECT avg(id) FROM items WHERE id < 0');
SELECT pg_temp.same('SELECT part, avg(price) FROM items GROUP BY part ORDER BY avg(price), part');
SELECT pg_temp.same('SELECT part, GROUPING(part), GROUPING(flag, part), sum(id) FROM items GROUP BY ROLLUP (part, flag) ORDER BY 3, 1, 4');
SELECT pg_temp.same('SELECT part, count(*) FROM items GROUP BY ROLLUP (part) HAVING part = 3 OR GROUPING(part) = 1 ORDER BY 1');
SELECT pg_temp.same('SELECT part, count(*) FROM items GROUP BY ROLLUP (part) HAVING part = -3');
SELECT pg_temp.same('SELECT count(*) FROM items HAVING false');
SELECT pg_temp.same('SELECT sum(10 / (id - 5)) FILTER (WHERE id <> 5) FROM items');
-- Digits that differ from row to row.
SELECT pg_temp.same('SELECT id, price / part, price / 7 * 3 FROM items WHERE part > 0 ORDER BY id');
SELECT pg_temp.same('SELECT part, sum(CASE WHEN flag THEN price ELSE 0 END), 100.00 * sum(CASE WHEN flag THEN price ELSE 0 END) / sum(price) FROM items GROUP BY part ORDER BY part');
SELECT pg_temp.same('SELECT part, sum(s) FROM (SELECT part, sum(price * price * price) AS s FROM items GROUP BY part, flag) x GROUP BY part ORDER BY sum(s) DESC, part');
SELECT pg_temp.same('SELECT coalesce(price / nullif(part, 0), 0) FROM items ORDER BY id');
SELECT pg_temp.same('SELECT DISTINCT price / 3 FROM items ORDER BY 1');
-- DISTINCT.
SELECT pg_temp.same('SELECT DISTINCT part, flag FROM items ORDER BY part, flag');
SELECT pg_temp.same('SELECT DISTINCT ON (part) part, id, name FROM items ORDER BY part, price DESC, id');
SELECT pg_temp.same('SELECT part, count(*) FROM (SELECT part FROM items ORDER BY part OFFSET 3 FETCH FIRST 75 ROWS WITH TIES) t GROUP BY part ORDER BY part');
-- Joins.
SELECT pg_temp.same('SELECT i.id, p.title FROM items i JOIN parts p ON p.id = i.part WHERE i.id < 30 ORDER BY i.id');
SELECT pg_temp.same('SELECT p.id, count(i.id) FROM parts p LEFT JOIN items i ON i.part = p.id AND i.flag GROUP BY p.id ORDER BY p.id');
SELECT pg_temp.same('SELECT id, title, name FROM items FULL JOIN parts USING (id) WHERE id < 12 ORDER BY id');
SELECT pg_temp.same('SELECT a.id, b.id FROM parts a, parts b WHERE a.id < b.id AND b.id < 4 ORDER BY 1, 2');
SELECT pg_temp.same('SELECT p.id, l.id FROM parts p, LATERAL (SELECT id FROM items i WHERE i.part = p.id ORDER BY price, id LIMIT 1) l ORDER BY 1');
-- Subqueries.
SELECT pg_temp.same('SELECT id FROM parts p WHERE EXISTS (SELECT FROM items i WHERE i.part = p.id) ORDER BY id');
SELECT pg_temp.same('SELECT id FROM parts p WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.part = p.id) ORDER BY id');
SELECT pg_temp.same('SELECT id FROM items WHERE part IN (SELECT code FROM parts WHERE id > 4) ORDER BY id');
SELECT pg_temp.same('SELECT id FROM items WHERE part NOT IN (SELECT code FROM parts) ORDER BY id');
SELECT pg_temp.same('SELECT id FROM items WHERE (part, id) IN (SELECT code, id FROM parts) ORDER BY id');
SELECT pg_temp.same('SELECT id, (SELECT max(price) FROM items i WHERE i.part = p.id) FROM parts p ORDER BY id');
SELECT pg_temp.same('SELECT id FROM items i WHERE price > (SELECT avg(price) FROM items j WHERE j.part = i.part) ORDER BY id');
SELECT pg_temp.same('SELECT id FROM items WHERE price > ALL (SELECT price FROM items WHERE part = 1) ORDER BY id');
SELECT pg_temp.same('SELECT s.part, s.n FROM (SELECT part, count(*) AS n FROM items GROUP BY part) s WHERE s.n > 71 ORDER BY 1');
SELECT pg_temp.same('WITH a AS (SELECT part, sum(id) AS s FROM items GROUP BY part), b AS (SELECT max(s) AS m FROM a)
                     SELECT a.part FROM a, b WHERE a.s = b.m');
-- Set operations, VALUES.
SELECT pg_temp.same('SELECT id FROM parts UNION SELECT part FROM items ORDER BY 1');
SELECT pg_temp.same('SELECT part FROM items INTERSECT ALL SELECT id FROM parts ORDER BY 1');
SELECT pg_temp.same('SELECT id FROM parts EXCEPT SELECT part FROM items ORDER BY 1');
SELECT pg_temp.same('SELECT i.id, v.word FROM items i JOIN (VALUES (1, ''one''), (2, ''two'')) AS v(part, word) USING (part) ORDER BY 1 LIMIT 9');
-- Windows.
SELECT pg_temp.same('SELECT id, row_number() OVER (PARTITION BY part ORDER BY id), sum(price) OVER (PARTITION BY part ORDER BY id) FROM items ORDER BY id');
SELECT pg_temp.same('SELECT id, avg(price) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW), lag(id) OVER (ORDER BY id) FROM items ORDER BY id');
SELECT pg_temp.same('SELECT part, sum(id), rank() OVER (ORDER BY sum(id) DESC) FROM items GROUP BY part ORDER BY part');
-- What stays.
SELECT pg_temp.same('SELECT tableoid IS NULL FROM parts');
SELECT pg_temp.same('SELECT p::text FROM parts p ORDER BY id');
SELECT pg_temp.same('SELECT id FROM parts WHERE random() < 2 ORDER BY id');
SELECT pg_temp.same('SELECT generate_series(1, 2), id FROM parts ORDER BY 2, 1');
SELECT pg_temp.same('SELECT string_agg(title, '','' ORDER BY id) FROM parts');
SELECT pg_temp.same('SELECT p.id FROM parts p JOIN generate_series(1, 3) g ON g = p.id ORDER BY 1');
SELECT pg_temp.same('WITH RECURSIVE r AS (SELECT min(id) AS n FROM parts UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r');

-- Statements that reach the planner in other ways.
SET search_path = lake, public;
SET lagoon.pushdown = full;
PREPARE q(int, text) AS SELECT count(*), max(name) FROM items WHERE part = $1 AND name > $2;
EXECUTE q(1, 'name 2');
EXECUTE q(2, 'name');
EXECUTE q(NULL, 'name');
SET plan_cache_mode = force_generic_plan;
EXECUTE q(1, 'name 2');
EXECUTE q(2, 'name');
EXPLAIN (COSTS OFF) EXECUTE q(2, 'name');
RESET plan_cache_mode;
CREATE FUNCTION counted(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM lake.items WHERE part = $1';
CREATE FUNCTION looped() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN SELECT part, sum(id) AS s FROM lake.items GROUP BY part ORDER BY part LOOP
        RETURN NEXT r.part || ': ' || r.s;
    END LOOP;
END $$;
SELECT counted(p) FROM generate_series(0, 2) AS p;
SELECT * FROM looped();
CREATE TEMP TABLE copied AS SELECT part, count(*) AS n FROM items GROUP BY part;
SELECT * FROM copied ORDER BY part;
COPY (SELECT part, max(price) FROM items GROUP BY part ORDER BY part LIMIT 2) TO STDOUT;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, name FROM items ORDER BY id;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH LAST FROM c;
FETCH FIRST FROM c;
DECLARE d CURSOR FOR SELECT id FROM items ORDER BY id;
FETCH 3 FROM d;
COMMIT;
EXPLAIN (COSTS OFF) SELECT part, avg(price) FROM items GROUP BY part ORDER BY part LIMIT 3;

-- Rights: of the columns that are looked at, of the owner of a view.
CREATE VIEW seen AS SELECT part, count(*) AS n FROM items GROUP BY part;
CREATE ROLE regress_query;
GRANT USAGE ON SCHEMA lake TO regress_query;
GRANT SELECT (id, part) ON items TO regress_query;
GRANT SELECT ON seen TO regress_query;
SET ROLE regress_query;
SELECT sum(id) FROM items;
SELECT sum(price) FROM items;
SELECT count(*) FROM items, parts;
SELECT * FROM seen ORDER BY part LIMIT 1;
RESET ROLE;

-- A plan that is kept notices that its table has changed.
PREPARE kept AS SELECT sum(id) FROM parts;
EXECUTE kept;
ALTER FOREIGN TABLE parts OPTIONS (SET dataset 'items');
ALTER FOREIGN TABLE parts DROP COLUMN title, DROP COLUMN code;
EXECUTE kept;
DROP FOREIGN TABLE parts;
EXECUTE kept;

SET client_min_messages = warning;
DROP SCHEMA lake CASCADE;
DROP SCHEMA heap CASCADE;
DROP OWNED BY regress_query;
DROP ROLE regress_query;
SELECT lagoon.drop_dataset('items'), lagoon.drop_dataset('parts');
