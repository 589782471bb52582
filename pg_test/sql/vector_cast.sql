-- Casts of vector, halfvec and sparsevec, between them and from and to arrays.
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
-- halfvec and sparsevec of arrays
SELECT t AS type, a AS "array", v, failure(format('SELECT %L::%s::%s', v, a, t)) FROM (VALUES
    ('real[]', '{}'), ('real[]', '{1,NULL}'), ('real[]', '{NaN}'), ('float8[]', '{-Infinity}'), ('real[]', '{{1}}'), ('real[]', '{65520}'), ('real[]', '{65519.996}'), ('integer[]', '{1,-70000}'),
    ('float8[]', '{4e38}'), ('float8[]', '{65520.1,NaN}'), ('numeric[]', '{NaN}'), ('numeric[]', '{1e40}'), ('numeric[]', '{70000}'), ('integer[]', '{}')) AS t (a, v), unnest(ARRAY['halfvec', 'sparsevec']) AS u (t)
ORDER BY t, a COLLATE "C", v COLLATE "C";
SELECT ARRAY[1,2]::halfvec(2) AS "integer", '{1,2.5}'::real[]::halfvec AS "real", '{1,0.1}'::float8[]::halfvec AS "double", ARRAY[1.0,0.1]::halfvec AS "numeric", '[1,0.1]'::halfvec::real[];
SELECT ARRAY[1,0,2]::sparsevec(3) AS "integer", '{0,2.5}'::real[]::sparsevec AS "real", '{0.1,1e-60}'::float8[]::sparsevec AS "double", ARRAY[0.0,0.1]::sparsevec AS "numeric";
SELECT failure($$SELECT ARRAY[1,2,3]::halfvec(2)$$), failure($$SELECT array_agg(n % 10)::halfvec FROM generate_series(1, 16001) AS n$$), failure($$SELECT '[1,2,3]'::halfvec::halfvec(2)$$),
       failure($$SELECT ARRAY[1,2,3]::sparsevec(2)$$), failure($$SELECT '{}/3'::sparsevec::sparsevec(2)$$);
-- between the types: nothing is lost but what the narrower one rounds away
SELECT '[1,0.1,65504]'::vector::halfvec, '[1,0.1,-0]'::halfvec::vector, '[0,1.5,0,-2]'::vector::sparsevec, '[0,1.5,-0,-2]'::halfvec::sparsevec, '{2:1.5}/3'::sparsevec::vector, '{2:0.1}/3'::sparsevec::halfvec;
SELECT e AS expression, failure('SELECT ' || e) FROM (VALUES
    ($$'[65520]'::vector::halfvec$$), ($$'{1:-1e6}/1'::sparsevec::halfvec$$), ($$'[1,2]'::vector::halfvec(3)$$), ($$'[1,2]'::halfvec::vector(3)$$), ($$'[1,2]'::vector::sparsevec(3)$$),
    ($$'[1,2]'::halfvec::sparsevec(3)$$), ($$'{}/2'::sparsevec::vector(3)$$), ($$'{}/2'::sparsevec::halfvec(3)$$), ($$'{}/16001'::sparsevec::vector$$), ($$'{}/16001'::sparsevec::halfvec$$)) AS t (e);
SELECT bool_and(v::halfvec::vector = v AND v::sparsevec::vector = v AND v::halfvec::sparsevec = v::sparsevec AND v::sparsevec::halfvec = v::halfvec) AS same
FROM (SELECT array_agg(greatest((i * 7919 + n) % 9 - 4, 0))::vector AS v FROM generate_series(1, 100) AS n, generate_series(1, n) AS i GROUP BY n) AS t;
-- contexts: what is implicit, what needs an assignment
SELECT castsource::regtype, casttarget::regtype, castcontext, castmethod FROM pg_cast
WHERE 'vector'::regtype IN (castsource, casttarget) OR 'halfvec'::regtype IN (castsource, casttarget) OR 'sparsevec'::regtype IN (castsource, casttarget)
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
CREATE TABLE assigned (v vector(2));
INSERT INTO assigned VALUES (ARRAY[1,2]), (ARRAY[1.5,2]), ('{3,4}'::real[]), ('{5,6}'::float8[]);
SELECT v FROM assigned ORDER BY v;
CREATE FUNCTION total(real[]) RETURNS real LANGUAGE sql AS 'SELECT sum(x) FROM unnest($1) AS x';
SELECT total('[1,2,3]'::vector) AS implicit;
-- operators of two types go to the narrower one
SELECT '[1,2]'::vector <-> '[4,6]'::halfvec AS half, '[1,2]'::halfvec <-> '{1:4,2:6}/2'::sparsevec AS sparse, pg_typeof('[1]'::vector + '[1]'::halfvec);
-- array operators stay unambiguous
SELECT ARRAY[1,2,3] = ARRAY[1,2,3] AS arrays;
