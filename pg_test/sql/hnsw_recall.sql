-- What share of the nearest rows an index finds: lagoon.recall.
SELECT setseed(0.5);
CREATE SCHEMA "Odd schema";
CREATE TABLE "Odd schema"."Odd table" (i int PRIMARY KEY, "The vector" vector(16), h halfvec(16), s sparsevec(16), b bit(16));
INSERT INTO "Odd schema"."Odd table"
SELECT i, v, v, v, binary_quantize(v)::bit(16)
FROM (SELECT i, (SELECT array_agg(random() - 0.5 + i * 0 + d * 0) FROM generate_series(1, 16) d)::vector(16) AS v FROM generate_series(1, 1000) i) r;
INSERT INTO "Odd schema"."Odd table" (i, "The vector") VALUES (0, NULL), (-1, array_fill(0, ARRAY[16])::vector);
-- All operator classes.
DO $$
DECLARE
    name text;
    class text;
BEGIN
    FOR class, name IN
        SELECT opcname, CASE opcintype::regtype::text WHEN 'vector' THEN 'The vector' ELSE left(opcintype::regtype::text, 1) END
        FROM pg_opclass JOIN pg_am ON pg_am.oid = opcmethod WHERE amname = 'hnsw' ORDER BY opcname COLLATE "C"
    LOOP
        EXECUTE format('CREATE INDEX "An index" ON "Odd schema"."Odd table" USING hnsw (%I %I)', name, class);
        RAISE NOTICE '%: %', class, lagoon.recall('"Odd schema"."An index"', sample => 20) > 0.9;
        DROP INDEX "Odd schema"."An index";
    END LOOP;
END
$$;
-- It follows the session's settings, and asks this index and no other.
CREATE INDEX good ON "Odd schema"."Odd table" USING hnsw ("The vector" vector_l2_ops) WITH (m = 40, ef_construction = 200);
CREATE INDEX poor ON "Odd schema"."Odd table" USING hnsw ("The vector" vector_l2_ops) WITH (m = 2, ef_construction = 4);
SET hnsw.ef_search = 200;
SELECT lagoon.recall('"Odd schema".good') > 0.99 AS good;
SELECT lagoon.recall('"Odd schema".good', 10, 50) - lagoon.recall('"Odd schema".poor', 10, 50) > 0.05 AS differ;
-- Fewer candidates than are asked for cannot all be found.
SET hnsw.ef_search = 5;
SELECT lagoon.recall('"Odd schema".good', 10, 50) BETWEEN 0.3 AND 0.6 AS half;
SET hnsw.iterative_scan = strict_order;
SELECT lagoon.recall('"Odd schema".good', 10, 50) > 0.9 AS goes_on;
RESET hnsw.iterative_scan;
RESET hnsw.ef_search;
-- More than there are rows; settings that the measurement changes are as they were.
SET enable_indexscan = off;
SELECT lagoon.recall('"Odd schema".good', k => 1, sample => 5000) > 0.95 AS good;
SHOW enable_indexscan;
SHOW enable_seqscan;
RESET enable_indexscan;
DROP SCHEMA "Odd schema" CASCADE;

-- Expressions, predicates, rows that are not indexed, ties.
CREATE TABLE t (i int, val vector);
INSERT INTO t SELECT i, ARRAY[i % 7, i % 3]::vector FROM generate_series(1, 300) i;
INSERT INTO t VALUES (0, '[1,2,3]'), (0, '[0,0,0]'), (0, NULL);
CREATE INDEX by_expression ON t USING hnsw ((val::vector(2)) vector_l2_ops) WHERE (vector_dims(val) = 2);
CREATE INDEX by_function ON t USING hnsw ((l2_normalize(val)::vector(2)) vector_cosine_ops) WHERE vector_dims(val) = 2 AND i > 100;
SELECT lagoon.recall('by_expression', 5), lagoon.recall('by_function', 5);
DELETE FROM t;
SELECT lagoon.recall('by_expression') IS NULL AS of_nothing;
-- What goes wrong.
DO $$
DECLARE
    statement text;
    hint text;
BEGIN
    CREATE TABLE good (i int PRIMARY KEY);
    FOREACH statement IN ARRAY ARRAY[
        'SELECT lagoon.recall(''by_expression'', 0)',
        'SELECT lagoon.recall(''by_expression'', 10, 0)',
        'SELECT lagoon.recall(''good_pkey'')',
        'SELECT lagoon.recall(''good'')'
    ] LOOP
        BEGIN
            EXECUTE statement;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
            RAISE NOTICE '%: % (%)', SQLSTATE, SQLERRM, hint;
        END;
    END LOOP;
END
$$;
-- Settings and indexes come back after an ERROR too.
CREATE FUNCTION fail(vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS
$$BEGIN IF current_setting('lagoon_test.fail', true) = 'on' THEN RAISE 'on purpose'; END IF; RETURN $1; END$$;
INSERT INTO t VALUES (1, '[1,2]');
CREATE INDEX failing ON t USING hnsw ((fail(val)::vector(2)) vector_l2_ops);
DO $$
BEGIN
    PERFORM set_config('lagoon_test.fail', 'on', true);
    PERFORM lagoon.recall('failing');
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '%, enable_seqscan %', SQLERRM, current_setting('enable_seqscan');
END
$$;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM t WHERE vector_dims(val) = 2 ORDER BY val::vector(2) <-> '[1,2]';
DROP TABLE t, good;
DROP FUNCTION fail;
-- What an index says of rows runs as the owner of the table, whoever looks into it.
CREATE ROLE lagoon_index_owner;
CREATE SCHEMA owned AUTHORIZATION lagoon_index_owner;
GRANT USAGE ON SCHEMA owned TO public;
SET ROLE lagoon_index_owner;
CREATE FUNCTION owned.who(vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS
$$BEGIN IF current_user <> 'lagoon_index_owner' THEN RAISE 'called as %', current_user; END IF; RETURN $1; END$$;
CREATE TABLE owned.t (val vector(2));
INSERT INTO owned.t SELECT ARRAY[i, 1]::vector FROM generate_series(1, 20) i;
CREATE INDEX whose ON owned.t USING hnsw ((owned.who(val)::vector(2)) vector_l2_ops);
RESET ROLE;
SELECT lagoon.recall('owned.whose', 5, 3), (SELECT bool_and(passed) FROM lagoon.verify_index('owned.whose')) AS verified, current_user = session_user AS back;
DROP SCHEMA owned CASCADE;
DROP ROLE lagoon_index_owner;
