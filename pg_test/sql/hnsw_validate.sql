-- Operator classes are checked: amvalidate.
SELECT opcname, opcintype::regtype, amvalidate(o.oid) FROM pg_opclass o JOIN pg_am a ON a.oid = opcmethod
WHERE amname = 'hnsw' ORDER BY opcname COLLATE "C";

CREATE FUNCTION other_distance(vector, vector) RETURNS double precision LANGUAGE sql IMMUTABLE AS 'SELECT 0.0::float8';
CREATE FUNCTION one_l2_squared_distance(vector) RETURNS double precision LANGUAGE sql IMMUTABLE AS 'SELECT 0.0::float8';
CREATE OPERATOR CLASS nothing_ops FOR TYPE vector USING hnsw AS STORAGE vector;
CREATE OPERATOR CLASS no_operator_ops FOR TYPE vector USING hnsw AS FUNCTION 1 vector_l2_squared_distance(vector, vector);
CREATE OPERATOR CLASS no_function_ops FOR TYPE vector USING hnsw AS OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops;
CREATE OPERATOR CLASS unknown_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 other_distance(vector, vector);
CREATE OPERATOR CLASS signature_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 (vector, vector) one_l2_squared_distance(vector);
CREATE OPERATOR CLASS mixed_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 vector_l2_squared_distance(vector, vector);
CREATE OPERATOR CLASS search_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 = (vector, vector), FUNCTION 1 vector_l2_squared_distance(vector, vector);
CREATE OPERATOR CLASS second_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, OPERATOR 2 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_l2_squared_distance(vector, vector);
CREATE FUNCTION float8_l2_squared_distance(float8, float8) RETURNS double precision LANGUAGE sql IMMUTABLE AS 'SELECT 0.0::float8';
CREATE OPERATOR CLASS foreign_ops FOR TYPE float8 USING hnsw AS FUNCTION 1 float8_l2_squared_distance(float8, float8);
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname = 'nothing_ops';
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname = 'no_operator_ops';
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname = 'no_function_ops';
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname = 'unknown_ops';
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname = 'signature_ops';
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname = 'mixed_ops';
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname = 'search_ops';
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname = 'second_ops';
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname = 'foreign_ops';
CREATE TABLE t (val vector(3));
CREATE INDEX ON t USING hnsw (val unknown_ops);
DROP TABLE t;
DROP OPERATOR FAMILY nothing_ops USING hnsw;
DROP OPERATOR FAMILY no_operator_ops USING hnsw;
DROP OPERATOR FAMILY no_function_ops USING hnsw;
DROP OPERATOR FAMILY unknown_ops USING hnsw;
DROP OPERATOR FAMILY signature_ops USING hnsw;
DROP OPERATOR FAMILY mixed_ops USING hnsw;
DROP OPERATOR FAMILY search_ops USING hnsw;
DROP OPERATOR FAMILY second_ops USING hnsw;
DROP OPERATOR FAMILY foreign_ops USING hnsw;
DROP FUNCTION other_distance, one_l2_squared_distance, float8_l2_squared_distance;
