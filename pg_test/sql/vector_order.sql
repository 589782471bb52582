-- btree order of the three types is that of arrays with the same elements.
CREATE TABLE many AS SELECT n, a, a::vector AS v, a::vector::halfvec AS h, a::vector::sparsevec AS s
FROM (SELECT n, array_agg(abs(hashint4(n * 10 + i)) % 3 - 1 ORDER BY i)::real[] AS a FROM generate_series(1, 150) AS n, generate_series(1, 1 + n % 5) AS i GROUP BY n) AS t;
SELECT count(*) AS pairs, bool_and(vector_cmp(x.v, y.v) = btarraycmp(x.a, y.a)) AS vector, bool_and(halfvec_cmp(x.h, y.h) = btarraycmp(x.a, y.a)) AS halfvec, bool_and(sparsevec_cmp(x.s, y.s) = btarraycmp(x.a, y.a)) AS sparsevec
FROM many AS x, many AS y;
-- all six operators agree with the comparing function
SELECT bool_and((x.v < y.v, x.v <= y.v, x.v = y.v, x.v <> y.v, x.v >= y.v, x.v > y.v) = (c < 0, c <= 0, c = 0, c <> 0, c >= 0, c > 0)) AS vector,
       bool_and((x.h < y.h, x.h <= y.h, x.h = y.h, x.h <> y.h, x.h >= y.h, x.h > y.h) = (c < 0, c <= 0, c = 0, c <> 0, c >= 0, c > 0)) AS halfvec,
       bool_and((x.s < y.s, x.s <= y.s, x.s = y.s, x.s <> y.s, x.s >= y.s, x.s > y.s) = (c < 0, c <= 0, c = 0, c <> 0, c >= 0, c > 0)) AS sparsevec
FROM many AS x, many AS y, btarraycmp(x.a, y.a) AS c;
-- sorts, duplicates, merge joins and indexes
SELECT bool_and(a = b AND a = c AND a = d) AS same FROM
    (SELECT a, row_number() OVER (ORDER BY a, n) AS r FROM many) AS w JOIN (SELECT a AS b, row_number() OVER (ORDER BY v, n) AS r FROM many) AS x USING (r)
    JOIN (SELECT a AS c, row_number() OVER (ORDER BY h, n) AS r FROM many) AS y USING (r) JOIN (SELECT a AS d, row_number() OVER (ORDER BY s, n) AS r FROM many) AS z USING (r);
SELECT count(DISTINCT a), count(DISTINCT v), count(DISTINCT h), count(DISTINCT s) FROM many;
SET enable_hashjoin = off;
SET enable_nestloop = off;
SELECT count(*) FROM many AS x JOIN many AS y USING (a);
SELECT (SELECT count(*) FROM many AS x JOIN many AS y USING (v)) AS vector, (SELECT count(*) FROM many AS x JOIN many AS y USING (h)) AS halfvec, (SELECT count(*) FROM many AS x JOIN many AS y USING (s)) AS sparsevec;
CREATE INDEX ON many (v);
CREATE INDEX ON many (h);
CREATE INDEX ON many (s);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM many WHERE v >= '[0,1]';
SELECT count(*) FROM many WHERE h >= '[0,1]';
SELECT count(*) FROM many WHERE s >= '{2:1}/2';
RESET enable_seqscan;
SELECT count(*) FROM many WHERE a >= '{0,1}';
