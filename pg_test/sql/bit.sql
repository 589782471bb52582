-- Distances of bit strings, of any length and in every form of storage.
SELECT '1010'::bit(4) <~> '0110' AS hamming, '1010'::bit(4) <%> '1110' AS jaccard, hamming_distance('111', '000'), jaccard_distance('1100', '1000');
SELECT jaccard_distance('11', '00') AS disjoint, jaccard_distance('00', '00') AS none, hamming_distance('', '') AS empty_hamming, jaccard_distance('', '') AS empty_jaccard;
SELECT B'101'::varbit <~> B'100'::varbit AS varying, NULL::bit(3) <~> B'101' IS NULL AS strict;
SELECT hamming_distance('111', '00');
SELECT jaccard_distance('1111', '000');
SELECT B'1' <~> B'10'::varbit;
-- lengths around every step of the kernels, against bits counted one by one
SELECT count(*) AS lengths, bool_and(a <~> b = differ) AS hamming, bool_and(a <%> b = CASE WHEN common = 0 THEN 1 ELSE 1 - common / either::float8 END) AS jaccard
FROM (SELECT n, string_agg((i * 7919 % 5 % 2)::text, '' ORDER BY i)::varbit AS a, string_agg((i * 31 % 7 % 2)::text, '' ORDER BY i)::varbit AS b,
             count(*) FILTER (WHERE i * 7919 % 5 % 2 <> i * 31 % 7 % 2) AS differ, count(*) FILTER (WHERE i * 7919 % 5 % 2 = 1 AND i * 31 % 7 % 2 = 1) AS common,
             count(*) FILTER (WHERE i * 7919 % 5 % 2 = 1 OR i * 31 % 7 % 2 = 1) AS either
      FROM (SELECT generate_series(1, 140) UNION VALUES (511), (512), (513), (1023), (1024), (1025), (64000)) AS l (n), generate_series(1, n) AS i GROUP BY n) AS t;
CREATE TABLE forms (n integer, b varbit);
INSERT INTO forms SELECT n, repeat('10', n / 2)::varbit FROM unnest(ARRAY[8, 1000, 100000]) AS n;
ALTER TABLE forms ALTER b SET STORAGE external;
INSERT INTO forms SELECT 100000, repeat('10', 50000)::varbit;
SELECT n, b <~> ~b AS hamming, b <%> b AS jaccard, pg_column_size(b) * 8 < n AS smaller FROM forms ORDER BY n, smaller;
-- the bits of a vector
SELECT binary_quantize('[1,0,-1]'::vector), binary_quantize('[0,0.1,-0.2,-0.3,0.4,0.5,0.6,-0.7,0.8,-0.9,1e-45]'::vector), binary_quantize('[-0]'::vector), pg_typeof(binary_quantize('[1]'::vector));
SELECT bool_and(length(q) = n AND q = string::varbit) AS quantized
FROM (SELECT n, binary_quantize(array_agg(i * 7919 % 5 - 2 ORDER BY i)::vector) AS q, string_agg(CASE WHEN i * 7919 % 5 > 2 THEN '1' ELSE '0' END, '' ORDER BY i) AS string
      FROM generate_series(1, 40) AS n, generate_series(1, n) AS i GROUP BY n) AS t;
SELECT binary_quantize('[1,-1,1]'::vector)::bit(3) <~> binary_quantize('[1,1,-1]'::halfvec)::bit(3) AS distance;
