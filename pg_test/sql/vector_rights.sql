-- Who may look into an index: what reads its pages and holds off writers is for the owner of the table; lagoon.recall asks for
-- rows as any query does.
CREATE ROLE lagoon_keeper;
CREATE ROLE lagoon_reader;
CREATE ROLE lagoon_stranger;
CREATE SCHEMA kept AUTHORIZATION lagoon_keeper;
GRANT USAGE ON SCHEMA kept TO public;
SET ROLE lagoon_keeper;
CREATE TABLE kept.t (i int, v vector(3), note text);
INSERT INTO kept.t SELECT i, ARRAY[i, i % 7, 1]::vector FROM generate_series(1, 200) AS i;
CREATE INDEX graph ON kept.t USING hnsw (v vector_l2_ops);
CREATE INDEX lists ON kept.t USING ivfflat (v vector_l2_ops) WITH (lists = 2);
CREATE INDEX partial ON kept.t USING hnsw (v vector_l2_ops) WHERE i > 100;
CREATE INDEX expression ON kept.t USING hnsw ((l2_normalize(v)::vector(3)) vector_l2_ops);
CREATE FUNCTION kept.failure(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
    value text;
BEGIN
    EXECUTE command INTO value;
    RETURN coalesce(value, 'NULL');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' ', SQLSTATE, SQLERRM, '(' || nullif(hint, '') || ')');
END
$$;
CREATE VIEW kept.calls AS SELECT * FROM unnest(ARRAY[
    $$SELECT rows FROM lagoon.index_info('kept.graph')$$, $$SELECT rows FROM lagoon.ivfflat_info('kept.lists')$$,
    $$SELECT bool_and(passed) FROM lagoon.verify_index('kept.graph')$$, $$SELECT bool_and(passed) FROM lagoon.verify_index('kept.lists')$$,
    $$SELECT lagoon.recall('kept.graph', 5, 10)$$, $$SELECT lagoon.recall('kept.partial', 5, 10)$$, $$SELECT lagoon.recall('kept.expression', 5, 10)$$]) AS call;
GRANT SELECT ON kept.calls TO public;
SELECT call, kept.failure(call) FROM kept.calls;
RESET ROLE;
SELECT call, kept.failure(call) FROM kept.calls;
SET ROLE lagoon_stranger;
SELECT call, kept.failure(call) FROM kept.calls;
RESET ROLE;
-- SELECT is enough for recall, on the column where nothing else is read.
GRANT SELECT ON kept.t TO lagoon_reader;
SET ROLE lagoon_reader;
SELECT call, kept.failure(call) FROM kept.calls;
RESET ROLE;
REVOKE SELECT ON kept.t FROM lagoon_reader;
GRANT SELECT (v) ON kept.t TO lagoon_reader;
GRANT SELECT (note) ON kept.t TO lagoon_stranger;
SET ROLE lagoon_reader;
SELECT call, kept.failure(call) FROM kept.calls WHERE call LIKE '%recall%';
SET ROLE lagoon_stranger;
SELECT call, kept.failure(call) FROM kept.calls WHERE call LIKE '%recall%';
RESET ROLE;
-- Rows that row security hides are not counted: of those that are left, each is asked for among those that are left.
GRANT SELECT ON kept.t TO lagoon_reader;
ALTER TABLE kept.t ENABLE ROW LEVEL SECURITY;
SET ROLE lagoon_reader;
SELECT count(*) FROM kept.t;
SELECT call, kept.failure(call) FROM kept.calls;
RESET ROLE;
CREATE POLICY few ON kept.t TO lagoon_reader USING (i <= 20);
SET ROLE lagoon_reader;
SELECT count(*) FROM kept.t;
SELECT call, kept.failure(call) FROM kept.calls WHERE call LIKE '%recall%';
SET row_security = off;
SELECT call, kept.failure(call) FROM kept.calls WHERE call LIKE '%recall%';
RESET row_security;
RESET ROLE;
SELECT call, kept.failure(call) FROM kept.calls WHERE call LIKE '%recall%';
-- What is no index of ours, or nothing at all.
CREATE VIEW kept.view AS SELECT 1 AS one;
CREATE TABLE kept.parts (i int, v vector(3)) PARTITION BY RANGE (i);
CREATE INDEX partitioned ON kept.parts USING hnsw (v vector_l2_ops);
CREATE INDEX plain ON kept.t (i);
CREATE SEQUENCE kept.numbers;
SELECT f AS function, o AS object, kept.failure(format('SELECT lagoon.%s(%s)', f, o))
FROM unnest(ARRAY['index_info', 'ivfflat_info', 'verify_index', 'recall']) AS f,
    unnest(ARRAY['0', '4294967295::oid', '''kept.view''', '''kept.parts''', '''kept.partitioned''', '''kept.plain''', '''kept.t''', '''kept.numbers''', '''pg_class''', 'NULL']) AS o
ORDER BY f, o;
SELECT kept.failure(call) FROM unnest(ARRAY[
    $$SELECT lagoon.index_info('kept.lists')$$, $$SELECT lagoon.ivfflat_info('kept.graph')$$, $$SELECT lagoon.recall('kept.graph', -1)$$,
    $$SELECT lagoon.recall('kept.graph', 2147483647, 2)$$, $$SELECT lagoon.recall('kept.graph', 1, -2147483648)$$, $$SELECT lagoon.recall('kept.graph', NULL)$$,
    $$SELECT lagoon.recall('kept.graph', 1, 2147483647)$$]) AS call;
DROP SCHEMA kept CASCADE;
DROP ROLE lagoon_keeper, lagoon_reader, lagoon_stranger;
