-- Inputs that nobody gives by mistake: each is answered, or an error that says what is wrong with it, of bounded length.
CREATE FUNCTION failure(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    value text;
BEGIN
    EXECUTE command INTO value;
    RETURN 'no error: ' || left(value, 60);
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || left(SQLERRM, 80) || CASE WHEN length(SQLERRM) > 80 THEN format(' and %s more', length(SQLERRM) - 80) ELSE '' END;
END
$$;
SELECT e AS expression, failure('SELECT ' || e) FROM (VALUES
    -- texts
    ($$('[1' || repeat(' ', 3000000) || ',2]')::vector$$),
    ($$(repeat(' ', 3000000) || '{1:1' || repeat(' ', 3000000) || '}/2')::sparsevec$$),
    ($$('[0.' || repeat('1', 60000) || ']')::vector$$),
    ($$('[0.' || repeat('1', 70000) || ']')::vector$$),
    ($$('[' || repeat('1', 60000) || ']')::vector$$),
    ($$('{1:' || repeat('1', 70000) || '}/1')::sparsevec$$),
    ($$('{' || repeat('1', 70000) || ':1}/1')::sparsevec$$),
    ($$('{}/' || repeat('1', 60000))::sparsevec$$),
    ($$repeat('x', 3000000)::vector$$),
    ($$repeat('x', 3000000)::halfvec$$),
    ($$repeat('x', 3000000)::sparsevec$$),
    ($$('[' || repeat('é', 3000000) || ']')::vector$$),
    ($$repeat('[', 3000000)::vector$$),
    ($$('{' || repeat('1:0,', 3000000))::sparsevec$$),
    -- arrays
    ($$array_fill(1::real, ARRAY[3000000])::vector$$),
    ($$array_fill(1::float8, ARRAY[3000000])::halfvec$$),
    ($$array_fill(1, ARRAY[3000000])::sparsevec$$),
    ($$array_fill(0::real, ARRAY[3000000])::sparsevec$$),
    ($$(array_fill(0::numeric, ARRAY[300000]) || 1.5)::sparsevec$$),
    ($$(array_fill(0::real, ARRAY[300000]) || 'NaN'::real)::sparsevec$$),
    ($$ARRAY[1e400]::vector$$),
    ($$ARRAY[1e-400, 1.5]::vector$$),
    ($$ARRAY['NaN'::numeric]::vector$$),
    ($$array_fill(1e400, ARRAY[16001])::vector$$),
    ($$array_to_vector(ARRAY[[1,2],[3,4]], -1, true)$$),
    ($$array_to_vector('[5:6]={1,2}'::int[], -1, true)$$),
    -- modifiers, which a cast never has
    ($$vector('[1,2]'::vector, -2, true)$$),
    ($$vector('[1,2]'::vector, 2147483647, true)$$),
    ($$halfvec('[1,2]'::halfvec, -2147483648, true)$$),
    ($$sparsevec('{}/2'::sparsevec, 0, true)$$),
    ($$array_to_vector(ARRAY[1,2], -5, true)$$),
    ($$sparsevec_to_vector('{}/2'::sparsevec, -5, true)$$),
    ($$'[1]'::vector(2147483648)$$), ($$'[1]'::vector(-1)$$), ($$'[1]'::vector(16001)$$), ($$'{}/1'::sparsevec(1000000001)$$), ($$'[1]'::halfvec(1, 1)$$), ($$'[1]'::vector('x')$$),
    -- states
    ($$vector_accum(array_fill(1::float8, ARRAY[1000000]), '[1]')$$),
    ($$vector_combine(array_fill(1::float8, ARRAY[1000000]), '{1,1}')$$),
    ($$vector_accum('{NaN}', '[1]')$$), ($$vector_avg('{-1,5}')$$), ($$vector_avg('{Infinity,5}')$$), ($$vector_avg('{0,5}')$$), ($$vector_accum('[3:4]={1,1}', '[1]')$$),
    ($$halfvec_avg('{{1,2},{3,4}}')$$), ($$vector_avg('{NULL,1}')$$)) AS t (e);
-- Longer than what is looked at at a time.
SELECT hamming_distance(b, ~b), jaccard_distance(b, b), jaccard_distance(b, ~b) FROM (SELECT repeat('10', 20000001)::bit varying AS b) AS t;
DROP FUNCTION failure;
