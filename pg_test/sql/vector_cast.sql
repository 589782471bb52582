-- Casts of vector from and to arrays.
CREATE FUNCTION failure(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

SELECT ARRAY[1,2]::vector AS "integer", '{1,2.5}'::real[]::vector AS "real", '{1,0.1}'::float8[]::vector AS "double", ARRAY[1.0,0.1]::vector AS "numeric", ARRAY[1,2]::vector(2) AS sized;
SELECT '{16777217}'::integer[]::vector, '{1e-46,-1e-46}'::float8[]::vector, '{1e-30}'::numeric[]::vector AS "numeric";
SELECT '[1,2.5]'::vector::real[], array_ndims('[1,2.5]'::vector::real[]), array_lower('[1]'::vector::real[], 1), pg_typeof('[1]'::vector::real[]);
SELECT a AS "array", failure(format('SELECT %L::%s::vector', v, a)), v FROM (VALUES
    ('real[]', '{}'), ('real[]', '{NULL}'), ('real[]', '{1,NULL}'), ('real[]', '{NaN}'), ('real[]', '{-Infinity}'), ('real[]', '{{1}}'),
    ('float8[]', '{4e38}'), ('float8[]', '{{1,2},{3,4}}'), ('numeric[]', '{NaN}'), ('numeric[]', '{1e40}'), ('numeric[]', '{1e-60}'), ('integer[]', '{}'), ('integer[]', '{1,NULL}')) AS t (a, v);
SELECT failure($$SELECT ARRAY[1,2,3]::vector(2)$$), failure($$SELECT array_agg(n)::vector FROM generate_series(1, 16001) AS n$$),
       failure($$SELECT array_to_vector('{1,2,3}'::integer[], 2, true)$$), failure($$SELECT '[1,2,3]'::vector::vector(2)$$);
-- bounds that do not begin at 1, and a null bitmap without a NULL
SELECT '[5:7]={1,2,3}'::real[]::vector AS bounds, array_remove(ARRAY[1,NULL,2], NULL)::vector AS removed, (ARRAY[NULL,1,2])[2:3]::float8[]::vector AS slice;
-- contexts: what is implicit, what needs an assignment
SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast
WHERE 'vector'::regtype IN (castsource, casttarget) AND NOT EXISTS (SELECT FROM pg_type WHERE oid IN (castsource, casttarget) AND typname IN ('halfvec', 'sparsevec'))
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
CREATE TABLE assigned (v vector(2));
INSERT INTO assigned VALUES (ARRAY[1,2]), (ARRAY[1.5,2]), ('{3,4}'::real[]), ('{5,6}'::float8[]);
SELECT v FROM assigned ORDER BY v;
CREATE FUNCTION total(real[]) RETURNS real LANGUAGE sql AS 'SELECT sum(x) FROM unnest($1) AS x';
SELECT total('[1,2,3]'::vector) AS implicit;
-- array operators stay unambiguous
SELECT ARRAY[1,2,3] = ARRAY[1,2,3] AS arrays;
