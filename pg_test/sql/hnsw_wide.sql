-- Operator classes for more dimensions than pgvector's.
SET enable_seqscan = off;
SET hnsw.ef_search = 100;
CREATE FUNCTION wide(i int, dimensions int) RETURNS vector LANGUAGE sql IMMUTABLE AS
$$SELECT array_agg(sin(i * d) + i * 0.01)::vector FROM generate_series(1, dimensions) d$$;

-- Builds, inserts, vacuums; the order is that of a sort. Of each operator class.
CREATE PROCEDURE try(element text, dimensions int, class text, operator text) LANGUAGE plpgsql AS $$
DECLARE
    query text := format('SELECT array_agg(i) FROM (SELECT i FROM t ORDER BY val %s wide(7, %s)::%s LIMIT 10) s', operator, dimensions, element);
    by_index int[];
    by_sort int[];
    plan text;
BEGIN
    EXECUTE format('CREATE TABLE t (i int, val %s(%s))', element, dimensions);
    INSERT INTO t SELECT i, wide(i, dimensions)::halfvec FROM generate_series(1, 30) i;
    EXECUTE format('CREATE INDEX wide_index ON t USING hnsw (val %s)', class);
    INSERT INTO t SELECT i, wide(i, dimensions)::halfvec FROM generate_series(31, 60) i;
    DELETE FROM t WHERE i % 3 = 0;
    EXECUTE format('EXPLAIN (COSTS OFF, FORMAT JSON) SELECT i FROM t ORDER BY val %s wide(7, %s)::%s LIMIT 10', operator, dimensions, element) INTO plan;
    IF plan !~ 'wide_index' THEN RAISE 'no index'; END IF;
    EXECUTE query INTO by_index;
    SET LOCAL enable_indexscan = off;
    SET LOCAL enable_seqscan = on;
    EXECUTE query INTO by_sort;
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_indexscan = on;
    RAISE NOTICE '%(%) %: %', element, dimensions, class, by_index = by_sort;
END $$;
CREATE PROCEDURE finish() LANGUAGE plpgsql AS $$
DECLARE
    passed bool;
    seen int;
BEGIN
    SELECT bool_and(v.passed) INTO passed FROM lagoon.verify_index('wide_index') v;
    SELECT rows INTO seen FROM lagoon.index_info('wide_index');
    RAISE NOTICE 'verified %, % rows', passed, seen;
    DROP TABLE t;
END $$;
CALL try('vector', 3072, 'vector_l2_wide_ops', '<->');
VACUUM t;
CALL finish();
CALL try('vector', 3072, 'vector_ip_wide_ops', '<#>');
VACUUM t;
CALL finish();
CALL try('vector', 3072, 'vector_cosine_wide_ops', '<=>');
VACUUM t;
CALL finish();
CALL try('vector', 3072, 'vector_l1_wide_ops', '<+>');
VACUUM t;
CALL finish();
CALL try('vector', 16000, 'vector_l2_wide_ops', '<->');
VACUUM t;
CALL finish();
CALL try('halfvec', 4001, 'halfvec_l2_wide_ops', '<->');
VACUUM t;
CALL finish();
CALL try('halfvec', 4001, 'halfvec_ip_wide_ops', '<#>');
VACUUM t;
CALL finish();
CALL try('halfvec', 4001, 'halfvec_cosine_wide_ops', '<=>');
VACUUM t;
CALL finish();
CALL try('halfvec', 4001, 'halfvec_l1_wide_ops', '<+>');
VACUUM t;
CALL finish();
CALL try('halfvec', 16000, 'halfvec_cosine_wide_ops', '<=>');
VACUUM t;
CALL finish();
DROP PROCEDURE try, finish;

-- Few dimensions will do too; the plain classes keep pgvector's limits.
CREATE TABLE t (val vector(3), v vector(2001), h halfvec(4001));
CREATE INDEX ON t USING hnsw (val vector_l2_wide_ops);
INSERT INTO t VALUES ('[1,2,3]'), ('[4,5,6]');
SELECT val FROM t ORDER BY val <-> '[4,4,4]' LIMIT 1;
CREATE INDEX ON t USING hnsw (v vector_l2_ops);
CREATE INDEX ON t USING hnsw (h halfvec_l2_ops);
DROP TABLE t;
DROP FUNCTION wide;
