-- Type sparsevec: text, modifiers, operators, functions. Texts of errors are what clients of pgvector expect.

-- An error as "SQLSTATE message".
CREATE FUNCTION failure(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

-- text; indices count from 1 and come out sorted; zeros are not stored
SELECT v::sparsevec FROM (VALUES ('{1:1.5,3:-3.5}/5'), (E' { 1\t: 1 ,\n 5 : 2 } / 5\r\x0b\x0c '), ('{5:1,3:2,1:3}/5'), ('{+1:.5,02:1e2}/+3'), ('{}/5'), ('{ }/ 1'),
    ('{1:0,2:-0,9:0}/5'), ('{2:0x1p3}/2'), ('{1000000000:1}/1000000000'), ('{1:3.4028235e38,2:1e-45}/2')) AS t (v);
SELECT '{0:1}/5'::sparsevec;
SELECT '1:1/5'::sparsevec;
SELECT '{1:1}/5x'::sparsevec;
SELECT '{1:1}'::sparsevec;
SELECT quote_literal(v) AS input, failure(format('SELECT %L::sparsevec', v)) FROM (VALUES
    (''), ('{'), ('{ '), ('{}'), ('{}/'), ('{}/ '), ('{:}/5'), ('{,}/5'), ('{1}/5'), ('{1:}/5'), ('{1:1,}/5'), ('{1:1,,2:2}/5'), ('{1:1 2:2}/5'), ('{1:a}/5'), ('{a:1}/5'), ('{1:1a}/5'),
    ('{1.5:1}/5'), ('{1:1}5'), ('{1:1]/5'), ('[1,2]'), ('{1:1}/a'), ('{1:1}/1.5'), ('{é:1}/5'),
    ('{}/0'), ('{}/-1'), ('{}/1000000001'), ('{}/9223372036854775808'), ('{}/-9223372036854775809'),
    ('{0:1}/5'), ('{-1:1}/5'), ('{6:1}/5'), ('{2147483648:1}/5'), ('{-9223372036854775809:1}/5'), ('{1:1,1:2}/5'),
    ('{1:NaN}/5'), ('{1:Infinity}/5'), ('{1:-inf}/5'), ('{1:4e38}/5'), ('{1:1e400}/5'), ('{1:1e-46}/5'), ('{1:-1e-400}/5'), ('{1:0x1p-200}/5')) AS t (v);

-- type modifier and storage
CREATE TABLE items (id integer PRIMARY KEY, embedding sparsevec(5));
SELECT format_type(atttypid, atttypmod), attstorage FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'embedding';
INSERT INTO items VALUES (1, '{1:1}/5'), (2, '{2:1}/5'), (3, NULL), (4, ARRAY[0,0,0,0,-1]);
INSERT INTO items VALUES (5, '{1:1}/4');
SELECT m AS modifier, failure(format('SELECT ''{1:1}/5''::sparsevec(%s)', m)) FROM (VALUES ('5'), ('6'), ('0'), ('-1'), ('1000000001'), ('5,2'), ('''a''')) AS t (m);
SELECT pg_column_size('{}/5'::sparsevec) AS none, pg_column_size('{1:1,3:1}/1000000000'::sparsevec) AS two;

-- limits
SELECT l2_norm(array_fill(1, ARRAY[16000])::sparsevec), l2_norm(('{' || string_agg(i || ':1', ',') || '}/1000000000')::sparsevec) FROM generate_series(1, 16000) AS i;
SELECT failure(format('SELECT %L::sparsevec', '{' || string_agg(i || ':1', ',') || '}/1000000000')) FROM generate_series(1, 16001) AS i;
SELECT failure($$SELECT array_fill(1, ARRAY[16001])::sparsevec$$), failure($$SELECT (array_fill(0, ARRAY[16001]) || 1)::sparsevec$$), (array_fill(0, ARRAY[20000]) || 1)::sparsevec;

-- short, long, out of line, compressed: every form in which a value is stored
CREATE TABLE forms (id integer, v sparsevec);
INSERT INTO forms SELECT n, array_fill(0.5, ARRAY[n])::sparsevec FROM unnest(ARRAY[1, 13, 14, 15, 500, 3000]) AS n;
ALTER TABLE forms ALTER v SET STORAGE extended;
INSERT INTO forms SELECT 16000, array_fill(0.5, ARRAY[16000])::sparsevec;
SELECT id, v <#> v AS product, pg_column_size(v) < 8 * id AS smaller FROM forms ORDER BY id;

-- distances
SELECT '{1:1,2:2}/3'::sparsevec <-> '{1:4,2:6}/3' AS l2, '{1:1,2:2}/3'::sparsevec <#> '{1:4,2:6}/3' AS ip, '{1:1}/3'::sparsevec <=> '{2:2}/3' AS cosine, '{1:1,2:2}/3'::sparsevec <+> '{1:4,2:6}/3' AS l1;
SELECT l2_distance('{1:3}/3'::sparsevec, '{3:4}/3'), inner_product('{1:3,3:2}/3'::sparsevec, '{3:4}/3'), cosine_distance('{1:1}/3'::sparsevec, '{1:2}/3'), l1_distance('{1:3}/3'::sparsevec, '{3:-4}/3');
SELECT sparsevec_l2_squared_distance('{1:1}/2', '{2:2}/2'), sparsevec_negative_inner_product('{1:1}/2', '{1:2}/2');
SELECT '{1:1}/2'::sparsevec <=> '{}/2' AS zero, '{1:1,2:1}/2'::sparsevec <=> '{1:-1.1,2:-1.1}/2' AS opposite, '{1:3e38}/2'::sparsevec <-> '{1:-3e38}/2' AS l2, '{}/2'::sparsevec <-> '{}/2' AS none;
SELECT o AS operator, failure(format('SELECT ''{1:1}/2''::sparsevec %s ''{1:1}/3''', o)) FROM unnest(ARRAY['<->', '<#>', '<=>', '<+>']) AS o;
-- whatever is stored, distances are those of vector
SELECT count(*) AS pairs, bool_and(a <-> b = a::sparsevec <-> b::sparsevec) AS l2, bool_and(a <#> b = a::sparsevec <#> b::sparsevec) AS ip,
       bool_and((a <=> b) IS NOT DISTINCT FROM (a::sparsevec <=> b::sparsevec)) AS cosine, bool_and(a <+> b = a::sparsevec <+> b::sparsevec) AS l1, bool_and(vector_norm(a) = l2_norm(a::sparsevec)) AS norm
FROM (SELECT array_agg(greatest((i * 7919 + n * 31) % 17 - 11, 0))::vector AS a, array_agg(least((i * 104729 + n) % 13 - 5, 0))::vector AS b
      FROM generate_series(1, 200) AS n, generate_series(1, n) AS i GROUP BY n) AS t;

-- functions
SELECT l2_norm('{1:3,2:4}/9'::sparsevec), l2_norm('{1:3e37,2:4e37}/2'::sparsevec)::real, l2_norm('{}/3'::sparsevec);
SELECT l2_normalize('{1:3,9:4}/9'::sparsevec), l2_normalize('{}/9'::sparsevec), l2_normalize('{2:3e38}/9'::sparsevec), l2_normalize('{1:3e38,2:1e-37}/9'::sparsevec) AS vanished;

-- order: by elements, then by dimensions, as vector
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, sparsevec_cmp(a, b)
FROM (VALUES ('{1:1}/3'::sparsevec, '{1:1}/3'::sparsevec), ('{1:1}/2', '{1:1}/3'), ('{1:1}/2', '{1:1,3:-1}/3'), ('{1:1}/3', '{1:1,3:-1}/3'), ('{2:1}/3', '{1:1}/3'), ('{2:1}/3', '{1:-1}/3'), ('{}/1', '{}/2')) AS t (a, b);
CREATE INDEX ON items (embedding);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE embedding = '{2:1}/5';
SELECT id FROM items WHERE embedding = '{2:1}/5';
SELECT id FROM items WHERE embedding > '{5:-1}/5' ORDER BY id;
SELECT id FROM items ORDER BY embedding DESC NULLS LAST;
