-- Type vector: text, modifiers, operators, functions. Texts of errors are what clients of pgvector expect.

-- An error as "SQLSTATE message".
CREATE FUNCTION failure(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

-- text
SELECT v::vector FROM (VALUES ('[1,2,3]'), (E' [ 1\t,\n2 , -3.50 ]\r\x0b\x0c '), ('[.5,1.,+2,-0,1e2,1E-2]'), ('[1e-46,-1e-46]')) AS t (v);
SELECT '[100000,1000000,1234567,0.0001,0.00001,0.1,3.4028235e38,1.1754944e-38,1e-45]'::vector;
SELECT v = v::text::vector AS same FROM (SELECT array_agg(((i * 7919) % 10007)::real / 9973)::vector AS v FROM generate_series(1, 2000) AS i) AS t;
SELECT '[hello,1]'::vector;
SELECT '1,2,3'::vector;
SELECT '[1,2,3]9'::vector;
SELECT quote_literal(v) AS input, failure(format('SELECT %L::vector', v)) FROM (VALUES
    (''), ('['), ('[ '), ('[,'), ('[]'), ('[ ]'), ('[,]'), ('[1'), ('[1,'), ('[1,]'), ('[1,,2]'), ('[1, ,2]'), ('[1a]'), ('[1 2]'), ('[--1]'), ('[.]'),
    ('[1e]'), ('[[1]]'), ('{1}'), ('[1}'), ('[é]'),
    ('[NaN]'), ('[nan,1]'), ('[Infinity]'), ('[1,-inf]'), ('[4e38]'), ('[1,-4e38]'), ('[1e400]')) AS t (v);

-- type modifier
CREATE TABLE items (id integer PRIMARY KEY, embedding vector(3));
SELECT format_type(atttypid, atttypmod), attstorage FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'embedding';
INSERT INTO items VALUES (1, '[1,2,3]'), (2, '[4,5,6]'), (3, NULL);
INSERT INTO items VALUES (4, '[1,2]');
INSERT INTO items VALUES (4, ARRAY[1,2]);
SELECT '[1,2,3]'::vector(3), '{"[1,2]"}'::vector(2)[];
SELECT m AS modifier, failure(format('SELECT ''[1,2,3]''::vector(%s)', m)) FROM (VALUES ('2'), ('0'), ('-1'), ('16001'), ('3,2'), ('''a''')) AS t (m);

-- limits
SELECT vector_dims(('[' || repeat('0,', 15999) || '0]')::vector);
SELECT failure($$SELECT ('[' || repeat('0,', 16000) || '0]')::vector$$);
SELECT failure($$SELECT array_fill(0, ARRAY[16000])::vector || '[1]'$$);

-- short, long, out of line, compressed: every form in which a value is stored
CREATE TABLE forms (id integer, v vector);
INSERT INTO forms SELECT n, array_fill(0.5, ARRAY[n])::vector FROM unnest(ARRAY[1, 29, 30, 31, 500, 3000]) AS n;
ALTER TABLE forms ALTER v SET STORAGE extended;
INSERT INTO forms SELECT 16000, array_fill(0.5, ARRAY[16000])::vector;
SELECT id, vector_dims(v), v <#> v AS product, pg_column_size(v) < 4 * id AS smaller FROM forms ORDER BY id;

-- distances
SELECT '[1,2]'::vector <-> '[4,6]' AS l2, '[1,2]'::vector <#> '[4,6]' AS ip, '[1,0]'::vector <=> '[0,2]' AS cosine, '[1,2]'::vector <+> '[4,6]' AS l1;
SELECT l2_distance('[1,2]'::vector, '[4,6]'), inner_product('[1,2]'::vector, '[4,6]'), cosine_distance('[1,0]'::vector, '[0,2]'), l1_distance('[1,2]'::vector, '[4,6]');
SELECT vector_l2_squared_distance('[1,2]', '[4,6]'), vector_negative_inner_product('[1,2]', '[4,6]'), vector_spherical_distance('[1,0]', '[0,1]');
SELECT '[1,2]'::vector <=> '[2,4]' AS same, '[1,1]'::vector <=> '[-1.1,-1.1]' AS opposite, '[1,2]'::vector <=> '[0,0]' AS zero, '[3e38]'::vector <=> '[3e38]' AS large;
SELECT l2_distance('[3e38]'::vector, '[-3e38]'), inner_product('[3e38]'::vector, '[3e38]'), l1_distance('[3e38]'::vector, '[-3e38]');
SELECT o AS operator, failure(format('SELECT ''[1,2]''::vector %s ''[3]''', o)) FROM unnest(ARRAY['<->', '<#>', '<=>', '<+>', '+', '-', '*']) AS o;
SELECT NULL::vector <-> '[1]' IS NULL AS strict;
SELECT oprname, oprcom = oid AS commutes FROM pg_operator WHERE oprleft = 'vector'::regtype AND oprname ~ '^<[-#=+]>$' ORDER BY oprname COLLATE "C";

-- functions
SELECT vector_dims('[1,2,3]'::vector), vector_norm('[3,4]'), vector_norm('[3e37,4e37]')::real, vector_norm('[0,0]');
SELECT l2_normalize('[3,4]'::vector), l2_normalize('[0,0]'::vector), l2_normalize('[3e38]'::vector), l2_normalize('[1e-45,0]'::vector);
SELECT subvector('[1,2,3,4,5]'::vector, 1, 3), subvector('[1,2,3,4,5]'::vector, -1, 3), subvector('[1,2,3,4,5]'::vector, 3, 2147483647),
       subvector('[1,2,3,4,5]'::vector, -2147483644, 2147483647);
SELECT s AS start, n AS count, failure(format('SELECT subvector(''[1,2,3]''::vector, %s, %s)', s, n))
FROM (VALUES (1, 0), (2, -1), (-1, 2), (4, 1), (2147483647, 10), (-2147483648, -2147483648)) AS t (s, n);

-- arithmetic
SELECT '[1,2,3]'::vector + '[4,5,6]' AS sum, '[1,2,3]'::vector - '[4,5,6]' AS difference, '[1,2,3]'::vector * '[4,5,6]' AS product, '[1,2]'::vector || '[3]' AS concat;
SELECT e AS expression, failure('SELECT ' || e) FROM (VALUES
    ($$'[3e38]'::vector + '[3e38]'$$), ($$'[-3e38]'::vector - '[3e38]'$$), ($$'[1e37]'::vector * '[1e37]'$$), ($$'[1e-37]'::vector * '[1e-37]'$$), ($$'[0]'::vector * '[1e-37]'$$)) AS t (e);

-- order
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, vector_cmp(a, b)
FROM (VALUES ('[1,2,3]'::vector, '[1,2,3]'::vector), ('[1,2]', '[1,2,3]'), ('[2,3]', '[1,2,3]'), ('[0]', '[-0]')) AS t (a, b);
CREATE INDEX ON items (embedding);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE embedding = '[4,5,6]';
SELECT id FROM items WHERE embedding = '[4,5,6]';
SELECT id FROM items WHERE embedding > '[1,2,3]';
SELECT id FROM items ORDER BY embedding DESC NULLS LAST;
RESET enable_seqscan;
SELECT DISTINCT v FROM unnest(ARRAY['[2]', '[1]', '[1,1]', '[1]', NULL]::vector[]) AS v ORDER BY v;
