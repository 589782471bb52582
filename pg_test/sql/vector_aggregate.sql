-- avg and sum of vector and halfvec, alone, grouped, over windows and in parallel.
CREATE FUNCTION failure(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]', '[3,5,7]', NULL]::vector[]) AS v;
SELECT avg(v) IS NULL AS avg, sum(v) IS NULL AS sum FROM unnest(ARRAY[]::vector[]) AS v;
SELECT avg(v) FROM unnest(ARRAY['[3e38]', '[3e38]']::vector[]) AS v;
SELECT failure($$SELECT avg(v) FROM unnest(ARRAY['[1,2]', '[3]']::vector[]) AS v$$), failure($$SELECT sum(v) FROM unnest(ARRAY['[1,2]', '[3]']::vector[]) AS v$$),
       failure($$SELECT sum(v) FROM unnest(ARRAY['[3e38]', '[3e38]']::vector[]) AS v$$);
SELECT g % 3 AS remainder, avg(ARRAY[g, -g]::vector) FROM generate_series(1, 9) AS g GROUP BY 1 ORDER BY 1;
SELECT g, avg(v) OVER (ORDER BY g), sum(v) OVER (ORDER BY g), avg(v) OVER (ORDER BY g ROWS 1 PRECEDING) AS moving FROM (SELECT g, ARRAY[g]::vector AS v FROM generate_series(1, 4) AS g) AS t ORDER BY g;

-- halfvec: a sum must fit its elements, the sums within an average need not
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]', '[3,5,7]', NULL]::halfvec[]) AS v;
SELECT avg(v) IS NULL AS avg, sum(v) IS NULL AS sum FROM unnest(ARRAY[]::halfvec[]) AS v;
SELECT avg(v) FROM unnest(ARRAY['[65504,-65504]', '[65504,-65504]']::halfvec[]) AS v;
SELECT failure($$SELECT avg(v) FROM unnest(ARRAY['[1,2]', '[3]']::halfvec[]) AS v$$), failure($$SELECT sum(v) FROM unnest(ARRAY['[1,2]', '[3]']::halfvec[]) AS v$$),
       failure($$SELECT sum(v) FROM unnest(ARRAY['[65504]', '[65504]']::halfvec[]) AS v$$);
SELECT g, avg(v) OVER (ORDER BY g), sum(v) OVER (ORDER BY g), avg(v) OVER (ORDER BY g ROWS 1 PRECEDING) AS moving FROM (SELECT g, ARRAY[g]::halfvec AS v FROM generate_series(1, 4) AS g) AS t ORDER BY g;

-- in parallel: partial states are combined; sums of these numbers are exact in any order
CREATE TABLE many AS SELECT g, ARRAY[g % 100, g % 7, 0.5]::vector(3) AS v, ARRAY[g % 3 - 1, 0, g % 2 - 0.5]::halfvec(3) AS h FROM generate_series(1, 20000) AS g;
ANALYZE many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v) FROM many;
SELECT avg(v), sum(v) FROM many;
EXPLAIN (COSTS OFF) SELECT avg(h), sum(h) FROM many;
SELECT avg(h), sum(h) FROM many;
-- workers that see no row
SELECT avg(v) IS NULL AS avg, sum(v) IS NULL AS sum, avg(h) IS NULL AS half FROM many WHERE g < 0;
SET max_parallel_workers_per_gather = 0;
SELECT avg(v), sum(v), avg(h), sum(h) FROM many;

-- the functions behind them, called by hand, change nothing but their result
WITH state AS MATERIALIZED (SELECT '{1,1,2}'::float8[] AS s) SELECT vector_accum(s, '[3,4]'), vector_combine(s, s), vector_avg(s), s FROM state;
SELECT vector_accum('{0}', '[1,2]'), vector_combine('{0}', '{2,3}'), vector_combine('{2,3}', '{0}'), vector_avg('{0}') IS NULL AS none;
SELECT e AS expression, failure('SELECT ' || e) FROM (VALUES
    ($$vector_accum('{}', '[1]')$$), ($$vector_accum('{NULL}', '[1]')$$), ($$vector_accum('{{0}}', '[1]')$$), ($$vector_accum('{0,0}', '[1,2]')$$),
    ($$vector_combine('{}', '{0}')$$), ($$vector_combine('{0}', '{0}')$$), ($$vector_combine('{1,2}', '{1,2,3}')$$), ($$vector_combine('{1,1.7e308}', '{1,1.7e308}')$$), ($$vector_combine('{1,2}', '{NULL,2}')$$),
    ($$vector_avg('{}')$$), ($$vector_avg('{1}')$$), ($$vector_avg('{1,NaN}')$$), ($$vector_avg('{1,1e300}')$$),
    ($$vector_avg(array_fill(1::float8, ARRAY[16002]))$$), ($$vector_combine('{0}', array_fill(1::float8, ARRAY[16002]))$$)) AS t (e);
WITH state AS MATERIALIZED (SELECT '{1,1,2}'::float8[] AS s) SELECT halfvec_accum(s, '[3,4]'), halfvec_combine(s, s), halfvec_avg(s), s FROM state;
SELECT e AS expression, failure('SELECT ' || e) FROM (VALUES
    ($$halfvec_accum('{}', '[1]')$$), ($$halfvec_accum('{NULL}', '[1]')$$), ($$halfvec_accum('{{0}}', '[1]')$$), ($$halfvec_accum('{0,0}', '[1,2]')$$), ($$halfvec_combine('{}', '{0}')$$),
    ($$halfvec_avg('{}')$$), ($$halfvec_avg('{1}')$$), ($$halfvec_avg('{1,NaN}')$$), ($$halfvec_avg('{1,65520}')$$), ($$halfvec_avg('{1,1e300}')$$), ($$halfvec_avg(array_fill(1::float8, ARRAY[16002]))$$)) AS t (e);
