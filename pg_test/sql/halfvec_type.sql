-- Type halfvec: text, modifiers, operators, functions, at the limits of two-byte elements. Texts of errors are what clients of pgvector expect.

-- An error as "SQLSTATE message".
CREATE FUNCTION failure(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

-- text; elements are rounded to the nearest, ties to even
SELECT v::halfvec FROM (VALUES ('[1,2,3]'), (E' [ 1\t,\n2 , -3.50 ]\r\x0b\x0c '), ('[.5,1.,+2,-0,1e2,1E-2]'), ('[0x1p3,0X.8]'), ('[1e-46,-1e-46]')) AS t (v);
SELECT '[2048,2049,2050,2051,0.1,65504,65519.996,6.1e-5,6e-8,2.9e-8]'::halfvec;
SELECT quote_literal(v) AS input, failure(format('SELECT %L::halfvec', v)) FROM (VALUES
    (''), ('['), ('[,'), ('[]'), ('[ ]'), ('1,2'), ('[1'), ('[1,]'), ('[1,,2]'), ('[1a]'), ('[1]9'), ('{1}'), ('[1}'),
    ('[NaN]'), ('[Infinity]'), ('[1,-inf]'), ('[65520]'), ('[1,-65520.5]'), ('[4e38]'), ('[1e400]'), ('[0x1p16]')) AS t (v);
-- every value of two bytes that is finite is read as it was written
SELECT count(*) AS finite, count(*) FILTER (WHERE v = v::text::halfvec) AS same
FROM (SELECT ARRAY[((CASE WHEN e = 0 THEN m ELSE m + 1024 END) * 2.0 ^ (greatest(e, 1) - 25))::real]::halfvec AS v FROM generate_series(0, 30) AS e, generate_series(0, 1023) AS m) AS t;

-- type modifier and storage
CREATE TABLE items (id integer PRIMARY KEY, embedding halfvec(3));
SELECT format_type(atttypid, atttypmod), attstorage FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'embedding';
INSERT INTO items VALUES (1, '[1,2,3]'), (2, '[4,5,6]'), (3, NULL), (4, ARRAY[7,8,9]);
INSERT INTO items VALUES (5, '[1,2]');
SELECT m AS modifier, failure(format('SELECT ''[1,2,3]''::halfvec(%s)', m)) FROM (VALUES ('2'), ('0'), ('-1'), ('16001'), ('3,2'), ('''a''')) AS t (m);
SELECT pg_column_size('[1,2,3]'::halfvec) AS three, pg_column_size(array_fill(0, ARRAY[16000])::halfvec) AS longest;

-- limits
SELECT vector_dims(('[' || repeat('0,', 15999) || '0]')::halfvec);
SELECT failure($$SELECT ('[' || repeat('0,', 16000) || '0]')::halfvec$$), failure($$SELECT array_fill(0, ARRAY[16000])::halfvec || '[1]'$$);

-- short, long, out of line, compressed: every form in which a value is stored
CREATE TABLE forms (id integer, v halfvec);
INSERT INTO forms SELECT n, array_fill(0.5, ARRAY[n])::halfvec FROM unnest(ARRAY[1, 2, 59, 60, 61, 500, 3000]) AS n;
ALTER TABLE forms ALTER v SET STORAGE extended;
INSERT INTO forms SELECT 16000, array_fill(0.5, ARRAY[16000])::halfvec;
SELECT id, vector_dims(v), v <#> v AS product, pg_column_size(v) < 2 * id AS smaller FROM forms ORDER BY id;

-- distances; sums are of real, so they do not overflow where elements would
SELECT '[1,2]'::halfvec <-> '[4,6]' AS l2, '[1,2]'::halfvec <#> '[4,6]' AS ip, '[1,0]'::halfvec <=> '[0,2]' AS cosine, '[1,2]'::halfvec <+> '[4,6]' AS l1;
SELECT l2_distance('[1,2]'::halfvec, '[4,6]'), inner_product('[1,2]'::halfvec, '[4,6]'), cosine_distance('[1,0]'::halfvec, '[0,2]'), l1_distance('[1,2]'::halfvec, '[4,6]');
SELECT halfvec_l2_squared_distance('[1,2]', '[4,6]'), halfvec_negative_inner_product('[1,2]', '[4,6]'), halfvec_spherical_distance('[1,0]', '[0,1]');
SELECT '[1,2]'::halfvec <=> '[2,4]' AS same, '[1,1]'::halfvec <=> '[-1,-1]' AS opposite, '[1,2]'::halfvec <=> '[0,0]' AS zero, '[65504]'::halfvec <=> '[65504]' AS large;
SELECT '[65504]'::halfvec <-> '[-65504]' AS l2, inner_product('[65504]'::halfvec, '[65504]'), '[65504]'::halfvec <+> '[-65504]' AS l1;
SELECT o AS operator, failure(format('SELECT ''[1,2]''::halfvec %s ''[3]''', o)) FROM unnest(ARRAY['<->', '<#>', '<=>', '<+>', '+', '-', '*']) AS o;
-- what halves hold exactly has the distances of vector
SELECT count(*) AS pairs, bool_and(a <-> b = a::halfvec <-> b::halfvec) AS l2, bool_and(a <#> b = a::halfvec <#> b::halfvec) AS ip,
       bool_and(a <=> b = a::halfvec <=> b::halfvec) AS cosine, bool_and(a <+> b = a::halfvec <+> b::halfvec) AS l1, bool_and(vector_norm(a) = l2_norm(a::halfvec)) AS norm
FROM (SELECT array_agg((i * 7919 + n * 31) % 17 - 8)::vector AS a, array_agg((i * 104729 + n) % 13 - 6)::vector AS b
      FROM generate_series(1, 200) AS n, generate_series(1, n) AS i GROUP BY n) AS t;

-- functions
SELECT vector_dims('[1,2,3]'::halfvec), l2_norm('[3,4]'::halfvec), l2_norm('[65504,65504]'::halfvec)::real, l2_norm('[0,0]'::halfvec);
SELECT l2_normalize('[3,4]'::halfvec), l2_normalize('[0,0]'::halfvec), l2_normalize('[65504]'::halfvec), l2_normalize('[6e-8,0]'::halfvec);
SELECT binary_quantize('[1,0,-1]'::halfvec), binary_quantize('[0,0.1,-0.2,-0.3,0.4,0.5,0.6,-0.7,0.8,-0.9,6e-8]'::halfvec), binary_quantize('[-0]'::halfvec);
SELECT subvector('[1,2,3,4,5]'::halfvec, 1, 3), subvector('[1,2,3,4,5]'::halfvec, -1, 3), subvector('[1,2,3,4,5]'::halfvec, 3, 2147483647),
       subvector('[1,2,3,4,5]'::halfvec, -2147483644, 2147483647);
SELECT s AS start, n AS count, failure(format('SELECT subvector(''[1,2,3]''::halfvec, %s, %s)', s, n))
FROM (VALUES (1, 0), (2, -1), (-1, 2), (4, 1), (2147483647, 10), (-2147483648, -2147483648)) AS t (s, n);

-- arithmetic
SELECT '[1,2,3]'::halfvec + '[4,5,6]' AS sum, '[1,2,3]'::halfvec - '[4,5,6]' AS difference, '[1,2,3]'::halfvec * '[4,5,6]' AS product, '[1,2]'::halfvec || '[3]' AS concat;
SELECT '[2048]'::halfvec + '[1]' AS rounded, '[65504]'::halfvec + '[15]' AS largest;
SELECT e AS expression, failure('SELECT ' || e) FROM (VALUES
    ($$'[65504]'::halfvec + '[16]'$$), ($$'[-65504]'::halfvec - '[16]'$$), ($$'[256]'::halfvec * '[256]'$$), ($$'[1e-4]'::halfvec * '[1e-4]'$$), ($$'[0]'::halfvec * '[1e-4]'$$),
    ($$'[1e-4,256]'::halfvec * '[1e-4,256]'$$)) AS t (e);

-- order
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, halfvec_cmp(a, b)
FROM (VALUES ('[1,2,3]'::halfvec, '[1,2,3]'::halfvec), ('[1,2]', '[1,2,3]'), ('[2,3]', '[1,2,3]'), ('[0]', '[-0]')) AS t (a, b);
CREATE INDEX ON items (embedding);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE embedding = '[4,5,6]';
SELECT id FROM items WHERE embedding = '[4,5,6]';
SELECT id FROM items WHERE embedding > '[1,2,3]';
SELECT id FROM items ORDER BY embedding DESC NULLS LAST;
