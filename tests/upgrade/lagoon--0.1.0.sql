-- The install script of 0.1.0: the files of sql/ at commit 6e62f12, and the functions that pgrx declared there.

-- Type vector with its functions, operators, aggregates and casts. Names, signatures, cast contexts and selectivity estimators
-- are pgvector's, so that clients, ORMs, dumps and plans made for it work here. Everything stands in the schema of the extension.

-- Two types of that name in one database would confuse every client, and there can be one access method hnsw only.
DO $$
DECLARE
    owner text;
BEGIN
    SELECT coalesce(e.extname::text, 'none') INTO owner
    FROM pg_catalog.pg_type t
    LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e'
    LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    WHERE t.typname = 'vector'
      AND (e.extname IS NOT NULL
           OR t.typnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = pg_catalog.current_schema()))
    ORDER BY e.extname NULLS LAST
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = 'type "vector" already exists',
            DETAIL = CASE owner WHEN 'none' THEN 'It belongs to no extension.'
                     ELSE pg_catalog.format('It belongs to extension "%s".', owner) END,
            HINT = 'Lagoon brings type vector and access method hnsw itself. Use a database without pgvector, or drop that one first.';
    END IF;
END
$$;

CREATE TYPE vector;

CREATE FUNCTION vector_in(cstring, oid, integer) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_out(vector) RETURNS cstring
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_recv(internal, oid, integer) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_send(vector) RETURNS bytea
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_typmod_in(cstring[]) RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;

-- Out of line but not compressed: floats do not shrink, and a slice of one is never wanted.
CREATE TYPE vector (
    INPUT = vector_in,
    OUTPUT = vector_out,
    RECEIVE = vector_recv,
    SEND = vector_send,
    TYPMOD_IN = vector_typmod_in,
    STORAGE = external
);
COMMENT ON TYPE vector IS 'vector of single-precision numbers';

-- Distances and norms

CREATE FUNCTION l2_distance(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_distance(vector, vector) IS 'Euclidean distance, implements <->';
CREATE FUNCTION inner_product(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION cosine_distance(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cosine_distance(vector, vector) IS '1 - cosine of the angle, implements <=>';
CREATE FUNCTION l1_distance(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l1_distance(vector, vector) IS 'taxicab distance, implements <+>';
CREATE FUNCTION vector_l2_squared_distance(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_negative_inner_product(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_negative_inner_product(vector, vector) IS 'negative inner product, implements <#>';
CREATE FUNCTION vector_spherical_distance(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_dims(vector) RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_norm(vector) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_norm(vector) IS 'Euclidean length';

CREATE OPERATOR <-> (FUNCTION = l2_distance, LEFTARG = vector, RIGHTARG = vector, COMMUTATOR = <->);
CREATE OPERATOR <#> (FUNCTION = vector_negative_inner_product, LEFTARG = vector, RIGHTARG = vector, COMMUTATOR = <#>);
CREATE OPERATOR <=> (FUNCTION = cosine_distance, LEFTARG = vector, RIGHTARG = vector, COMMUTATOR = <=>);
CREATE OPERATOR <+> (FUNCTION = l1_distance, LEFTARG = vector, RIGHTARG = vector, COMMUTATOR = <+>);
COMMENT ON OPERATOR <-> (vector, vector) IS 'Euclidean distance';
COMMENT ON OPERATOR <#> (vector, vector) IS 'negative inner product';
COMMENT ON OPERATOR <=> (vector, vector) IS 'cosine distance';
COMMENT ON OPERATOR <+> (vector, vector) IS 'taxicab distance';

-- Arithmetic

CREATE FUNCTION vector_add(vector, vector) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_sub(vector, vector) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_mul(vector, vector) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_concat(vector, vector) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION l2_normalize(vector) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_normalize(vector) IS 'the vector divided by its Euclidean length';
CREATE FUNCTION binary_quantize(vector) RETURNS bit
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION binary_quantize(vector) IS 'one bit an element: whether it is above zero';
CREATE FUNCTION subvector(vector, integer, integer) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION subvector(vector, integer, integer) IS 'elements from a position, counted from 1, and how many';

CREATE OPERATOR + (FUNCTION = vector_add, LEFTARG = vector, RIGHTARG = vector, COMMUTATOR = +);
CREATE OPERATOR - (FUNCTION = vector_sub, LEFTARG = vector, RIGHTARG = vector);
CREATE OPERATOR * (FUNCTION = vector_mul, LEFTARG = vector, RIGHTARG = vector, COMMUTATOR = *);
CREATE OPERATOR || (FUNCTION = vector_concat, LEFTARG = vector, RIGHTARG = vector);

-- Order

CREATE FUNCTION vector_lt(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_le(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_eq(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_ne(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_ge(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_gt(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_cmp(vector, vector) RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR < (
    FUNCTION = vector_lt, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    FUNCTION = vector_le, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    FUNCTION = vector_eq, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR <> (
    FUNCTION = vector_ne, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR >= (
    FUNCTION = vector_ge, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    FUNCTION = vector_gt, LEFTARG = vector, RIGHTARG = vector,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS vector_ops DEFAULT FOR TYPE vector USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 vector_cmp(vector, vector);

-- Aggregates

CREATE FUNCTION vector_accum(double precision[], vector) RETURNS double precision[]
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_combine(double precision[], double precision[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_avg(double precision[]) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;

CREATE AGGREGATE avg(vector) (
    SFUNC = vector_accum,
    STYPE = double precision[],
    FINALFUNC = vector_avg,
    COMBINEFUNC = vector_combine,
    INITCOND = '{0}',
    PARALLEL = safe
);
CREATE AGGREGATE sum(vector) (
    SFUNC = vector_add,
    STYPE = vector,
    COMBINEFUNC = vector_add,
    PARALLEL = safe
);

-- Casts. To real[] is implicit and from arrays only by assignment, so that array operators stay unambiguous.

CREATE FUNCTION vector(vector, integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_vector(integer[], integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_vector(real[], integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_vector(double precision[], integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_vector(numeric[], integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_to_float4(vector, integer, boolean) RETURNS real[]
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;

CREATE CAST (vector AS vector) WITH FUNCTION vector(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (vector AS real[]) WITH FUNCTION vector_to_float4(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (integer[] AS vector) WITH FUNCTION array_to_vector(integer[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (real[] AS vector) WITH FUNCTION array_to_vector(real[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (double precision[] AS vector) WITH FUNCTION array_to_vector(double precision[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (numeric[] AS vector) WITH FUNCTION array_to_vector(numeric[], integer, boolean) AS ASSIGNMENT;

-- Type halfvec: as vector, with elements of two bytes. Functions that share their name with those of vector have a C symbol of their own.

CREATE TYPE halfvec;

CREATE FUNCTION halfvec_in(cstring, oid, integer) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_out(halfvec) RETURNS cstring
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_recv(internal, oid, integer) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_send(halfvec) RETURNS bytea
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_typmod_in(cstring[]) RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;

-- Out of line but not compressed: floats do not shrink, and a slice of one is never wanted.
CREATE TYPE halfvec (
    INPUT = halfvec_in,
    OUTPUT = halfvec_out,
    RECEIVE = halfvec_recv,
    SEND = halfvec_send,
    TYPMOD_IN = halfvec_typmod_in,
    STORAGE = external
);
COMMENT ON TYPE halfvec IS 'vector of half-precision numbers';

-- Distances and norms

CREATE FUNCTION l2_distance(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'halfvec_l2_distance' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_distance(halfvec, halfvec) IS 'Euclidean distance, implements <->';
CREATE FUNCTION inner_product(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'halfvec_inner_product' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION cosine_distance(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'halfvec_cosine_distance' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cosine_distance(halfvec, halfvec) IS '1 - cosine of the angle, implements <=>';
CREATE FUNCTION l1_distance(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'halfvec_l1_distance' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l1_distance(halfvec, halfvec) IS 'taxicab distance, implements <+>';
CREATE FUNCTION halfvec_l2_squared_distance(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_negative_inner_product(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_negative_inner_product(halfvec, halfvec) IS 'negative inner product, implements <#>';
CREATE FUNCTION halfvec_spherical_distance(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_dims(halfvec) RETURNS integer
    AS 'MODULE_PATHNAME', 'halfvec_vector_dims' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION l2_norm(halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'halfvec_l2_norm' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_norm(halfvec) IS 'Euclidean length';

CREATE OPERATOR <-> (FUNCTION = l2_distance, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = <->);
CREATE OPERATOR <#> (FUNCTION = halfvec_negative_inner_product, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = <#>);
CREATE OPERATOR <=> (FUNCTION = cosine_distance, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = <=>);
CREATE OPERATOR <+> (FUNCTION = l1_distance, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = <+>);
COMMENT ON OPERATOR <-> (halfvec, halfvec) IS 'Euclidean distance';
COMMENT ON OPERATOR <#> (halfvec, halfvec) IS 'negative inner product';
COMMENT ON OPERATOR <=> (halfvec, halfvec) IS 'cosine distance';
COMMENT ON OPERATOR <+> (halfvec, halfvec) IS 'taxicab distance';

-- Arithmetic

CREATE FUNCTION halfvec_add(halfvec, halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_sub(halfvec, halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_mul(halfvec, halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_concat(halfvec, halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION l2_normalize(halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'halfvec_l2_normalize' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_normalize(halfvec) IS 'the vector divided by its Euclidean length';
CREATE FUNCTION binary_quantize(halfvec) RETURNS bit
    AS 'MODULE_PATHNAME', 'halfvec_binary_quantize' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION binary_quantize(halfvec) IS 'one bit an element: whether it is above zero';
CREATE FUNCTION subvector(halfvec, integer, integer) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'halfvec_subvector' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION subvector(halfvec, integer, integer) IS 'elements from a position, counted from 1, and how many';

CREATE OPERATOR + (FUNCTION = halfvec_add, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = +);
CREATE OPERATOR - (FUNCTION = halfvec_sub, LEFTARG = halfvec, RIGHTARG = halfvec);
CREATE OPERATOR * (FUNCTION = halfvec_mul, LEFTARG = halfvec, RIGHTARG = halfvec, COMMUTATOR = *);
CREATE OPERATOR || (FUNCTION = halfvec_concat, LEFTARG = halfvec, RIGHTARG = halfvec);

-- Order

CREATE FUNCTION halfvec_lt(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_le(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_eq(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_ne(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_ge(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_gt(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_cmp(halfvec, halfvec) RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR < (
    FUNCTION = halfvec_lt, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    FUNCTION = halfvec_le, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    FUNCTION = halfvec_eq, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR <> (
    FUNCTION = halfvec_ne, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR >= (
    FUNCTION = halfvec_ge, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    FUNCTION = halfvec_gt, LEFTARG = halfvec, RIGHTARG = halfvec,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS halfvec_ops DEFAULT FOR TYPE halfvec USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 halfvec_cmp(halfvec, halfvec);

-- Aggregates

CREATE FUNCTION halfvec_accum(double precision[], halfvec) RETURNS double precision[]
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_combine(double precision[], double precision[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'vector_combine' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_avg(double precision[]) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;

CREATE AGGREGATE avg(halfvec) (
    SFUNC = halfvec_accum,
    STYPE = double precision[],
    FINALFUNC = halfvec_avg,
    COMBINEFUNC = halfvec_combine,
    INITCOND = '{0}',
    PARALLEL = safe
);
CREATE AGGREGATE sum(halfvec) (
    SFUNC = halfvec_add,
    STYPE = halfvec,
    COMBINEFUNC = halfvec_add,
    PARALLEL = safe
);

-- Casts. From vector is implicit, the other way only by assignment, so that operators with one of each stay unambiguous.

CREATE FUNCTION halfvec(halfvec, integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_to_vector(halfvec, integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_to_halfvec(vector, integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_halfvec(integer[], integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_halfvec(real[], integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_halfvec(double precision[], integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_halfvec(numeric[], integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_to_float4(halfvec, integer, boolean) RETURNS real[]
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;

CREATE CAST (halfvec AS halfvec) WITH FUNCTION halfvec(halfvec, integer, boolean) AS IMPLICIT;
CREATE CAST (halfvec AS vector) WITH FUNCTION halfvec_to_vector(halfvec, integer, boolean) AS ASSIGNMENT;
CREATE CAST (vector AS halfvec) WITH FUNCTION vector_to_halfvec(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (halfvec AS real[]) WITH FUNCTION halfvec_to_float4(halfvec, integer, boolean) AS ASSIGNMENT;
CREATE CAST (integer[] AS halfvec) WITH FUNCTION array_to_halfvec(integer[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (real[] AS halfvec) WITH FUNCTION array_to_halfvec(real[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (double precision[] AS halfvec) WITH FUNCTION array_to_halfvec(double precision[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (numeric[] AS halfvec) WITH FUNCTION array_to_halfvec(numeric[], integer, boolean) AS ASSIGNMENT;

-- Type sparsevec: only elements that are not zero are stored, with their positions.

CREATE TYPE sparsevec;

CREATE FUNCTION sparsevec_in(cstring, oid, integer) RETURNS sparsevec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_out(sparsevec) RETURNS cstring
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_recv(internal, oid, integer) RETURNS sparsevec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_send(sparsevec) RETURNS bytea
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_typmod_in(cstring[]) RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE sparsevec (
    INPUT = sparsevec_in,
    OUTPUT = sparsevec_out,
    RECEIVE = sparsevec_recv,
    SEND = sparsevec_send,
    TYPMOD_IN = sparsevec_typmod_in,
    STORAGE = external
);
COMMENT ON TYPE sparsevec IS 'sparse vector of single-precision numbers';

-- Distances and norms

CREATE FUNCTION l2_distance(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'sparsevec_l2_distance' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_distance(sparsevec, sparsevec) IS 'Euclidean distance, implements <->';
CREATE FUNCTION inner_product(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'sparsevec_inner_product' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION cosine_distance(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'sparsevec_cosine_distance' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cosine_distance(sparsevec, sparsevec) IS '1 - cosine of the angle, implements <=>';
CREATE FUNCTION l1_distance(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'sparsevec_l1_distance' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l1_distance(sparsevec, sparsevec) IS 'taxicab distance, implements <+>';
CREATE FUNCTION sparsevec_l2_squared_distance(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_negative_inner_product(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_negative_inner_product(sparsevec, sparsevec) IS 'negative inner product, implements <#>';
CREATE FUNCTION l2_norm(sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'sparsevec_l2_norm' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_norm(sparsevec) IS 'Euclidean length';
CREATE FUNCTION l2_normalize(sparsevec) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'sparsevec_l2_normalize' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_normalize(sparsevec) IS 'the vector divided by its Euclidean length';

CREATE OPERATOR <-> (FUNCTION = l2_distance, LEFTARG = sparsevec, RIGHTARG = sparsevec, COMMUTATOR = <->);
CREATE OPERATOR <#> (FUNCTION = sparsevec_negative_inner_product, LEFTARG = sparsevec, RIGHTARG = sparsevec, COMMUTATOR = <#>);
CREATE OPERATOR <=> (FUNCTION = cosine_distance, LEFTARG = sparsevec, RIGHTARG = sparsevec, COMMUTATOR = <=>);
CREATE OPERATOR <+> (FUNCTION = l1_distance, LEFTARG = sparsevec, RIGHTARG = sparsevec, COMMUTATOR = <+>);
COMMENT ON OPERATOR <-> (sparsevec, sparsevec) IS 'Euclidean distance';
COMMENT ON OPERATOR <#> (sparsevec, sparsevec) IS 'negative inner product';
COMMENT ON OPERATOR <=> (sparsevec, sparsevec) IS 'cosine distance';
COMMENT ON OPERATOR <+> (sparsevec, sparsevec) IS 'taxicab distance';

-- Order

CREATE FUNCTION sparsevec_lt(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_le(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_eq(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_ne(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_ge(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_gt(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_cmp(sparsevec, sparsevec) RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR < (
    FUNCTION = sparsevec_lt, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR <= (
    FUNCTION = sparsevec_le, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR = (
    FUNCTION = sparsevec_eq, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR <> (
    FUNCTION = sparsevec_ne, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = eqsel, JOIN = eqjoinsel
);
CREATE OPERATOR >= (
    FUNCTION = sparsevec_ge, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
CREATE OPERATOR > (
    FUNCTION = sparsevec_gt, LEFTARG = sparsevec, RIGHTARG = sparsevec,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);

CREATE OPERATOR CLASS sparsevec_ops DEFAULT FOR TYPE sparsevec USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 sparsevec_cmp(sparsevec, sparsevec);

-- Casts. From the dense types is implicit, the other way only by assignment, so that operators with one of each stay unambiguous.

CREATE FUNCTION sparsevec(sparsevec, integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_to_sparsevec(vector, integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_sparsevec(integer[], integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_sparsevec(real[], integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_sparsevec(double precision[], integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_sparsevec(numeric[], integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;

CREATE CAST (sparsevec AS sparsevec) WITH FUNCTION sparsevec(sparsevec, integer, boolean) AS IMPLICIT;
CREATE CAST (sparsevec AS vector) WITH FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) AS ASSIGNMENT;
CREATE CAST (vector AS sparsevec) WITH FUNCTION vector_to_sparsevec(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (sparsevec AS halfvec) WITH FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) AS ASSIGNMENT;
CREATE CAST (halfvec AS sparsevec) WITH FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) AS IMPLICIT;
CREATE CAST (integer[] AS sparsevec) WITH FUNCTION array_to_sparsevec(integer[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (real[] AS sparsevec) WITH FUNCTION array_to_sparsevec(real[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (double precision[] AS sparsevec) WITH FUNCTION array_to_sparsevec(double precision[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (numeric[] AS sparsevec) WITH FUNCTION array_to_sparsevec(numeric[], integer, boolean) AS ASSIGNMENT;

-- Distances of PostgreSQL's own type bit.

CREATE FUNCTION hamming_distance(bit, bit) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION hamming_distance(bit, bit) IS 'number of bits that differ, implements <~>';
CREATE FUNCTION jaccard_distance(bit, bit) RETURNS double precision
    AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION jaccard_distance(bit, bit) IS '1 - bits set in both / bits set in either, implements <%>';

CREATE OPERATOR <~> (FUNCTION = hamming_distance, LEFTARG = bit, RIGHTARG = bit, COMMUTATOR = <~>);
CREATE OPERATOR <%> (FUNCTION = jaccard_distance, LEFTARG = bit, RIGHTARG = bit, COMMUTATOR = <%>);
COMMENT ON OPERATOR <~> (bit, bit) IS 'Hamming distance';
COMMENT ON OPERATOR <%> (bit, bit) IS 'Jaccard distance';

-- The access method hnsw and its operator classes. Names and support functions are pgvector's; none is a default.

CREATE FUNCTION hnsw_handler(internal) RETURNS index_am_handler
    LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION hnsw_handler(internal) IS 'access method hnsw';

CREATE ACCESS METHOD hnsw TYPE INDEX HANDLER hnsw_handler;
COMMENT ON ACCESS METHOD hnsw IS 'approximate nearest neighbours through a navigable small world graph';

CREATE OPERATOR CLASS vector_l2_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_l2_squared_distance(vector, vector);

CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_negative_inner_product(vector, vector);

CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_negative_inner_product(vector, vector),
    FUNCTION 2 vector_norm(vector);

CREATE OPERATOR CLASS vector_l1_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 l1_distance(vector, vector);

CREATE OPERATOR CLASS halfvec_l2_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_l2_squared_distance(halfvec, halfvec);

CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_negative_inner_product(halfvec, halfvec);

CREATE OPERATOR CLASS halfvec_cosine_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_negative_inner_product(halfvec, halfvec),
    FUNCTION 2 l2_norm(halfvec);

CREATE OPERATOR CLASS halfvec_l1_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <+> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 l1_distance(halfvec, halfvec);

CREATE OPERATOR CLASS sparsevec_l2_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <-> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_l2_squared_distance(sparsevec, sparsevec);

CREATE OPERATOR CLASS sparsevec_ip_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <#> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_negative_inner_product(sparsevec, sparsevec);

CREATE OPERATOR CLASS sparsevec_cosine_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <=> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_negative_inner_product(sparsevec, sparsevec),
    FUNCTION 2 l2_norm(sparsevec);

CREATE OPERATOR CLASS sparsevec_l1_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <+> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 l1_distance(sparsevec, sparsevec);

CREATE OPERATOR CLASS bit_hamming_ops FOR TYPE bit USING hnsw AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 hamming_distance(bit, bit);

CREATE OPERATOR CLASS bit_jaccard_ops FOR TYPE bit USING hnsw AS
    OPERATOR 1 <%> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 jaccard_distance(bit, bit);

-- Up to the 16,000 dimensions of the types. Support function 3 says so; it is never called.

CREATE FUNCTION hnsw_wide_support(internal) RETURNS internal
    LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION hnsw_wide_support(internal) IS 'marks operator classes of hnsw for all dimensions of a type';

CREATE OPERATOR CLASS vector_l2_wide_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_l2_squared_distance(vector, vector),
    FUNCTION 3 hnsw_wide_support(internal);

CREATE OPERATOR CLASS vector_ip_wide_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_negative_inner_product(vector, vector),
    FUNCTION 3 hnsw_wide_support(internal);

CREATE OPERATOR CLASS vector_cosine_wide_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_negative_inner_product(vector, vector),
    FUNCTION 2 vector_norm(vector),
    FUNCTION 3 hnsw_wide_support(internal);

CREATE OPERATOR CLASS vector_l1_wide_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 l1_distance(vector, vector),
    FUNCTION 3 hnsw_wide_support(internal);

CREATE OPERATOR CLASS halfvec_l2_wide_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_l2_squared_distance(halfvec, halfvec),
    FUNCTION 3 hnsw_wide_support(internal);

CREATE OPERATOR CLASS halfvec_ip_wide_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_negative_inner_product(halfvec, halfvec),
    FUNCTION 3 hnsw_wide_support(internal);

CREATE OPERATOR CLASS halfvec_cosine_wide_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_negative_inner_product(halfvec, halfvec),
    FUNCTION 2 l2_norm(halfvec),
    FUNCTION 3 hnsw_wide_support(internal);

CREATE OPERATOR CLASS halfvec_l1_wide_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <+> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 l1_distance(halfvec, halfvec),
    FUNCTION 3 hnsw_wide_support(internal);

-- The access method ivfflat and its operator classes. Names and defaults are pgvector's.

CREATE FUNCTION ivfflat_handler(internal) RETURNS index_am_handler
    LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION ivfflat_handler(internal) IS 'access method ivfflat';

CREATE ACCESS METHOD ivfflat TYPE INDEX HANDLER ivfflat_handler;
COMMENT ON ACCESS METHOD ivfflat IS 'approximate nearest neighbours through lists around centres';

CREATE OPERATOR CLASS vector_l2_ops DEFAULT FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_l2_squared_distance(vector, vector);

CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_negative_inner_product(vector, vector);

CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_negative_inner_product(vector, vector),
    FUNCTION 2 vector_norm(vector);

CREATE OPERATOR CLASS halfvec_l2_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_l2_squared_distance(halfvec, halfvec);

CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_negative_inner_product(halfvec, halfvec);

CREATE OPERATOR CLASS halfvec_cosine_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_negative_inner_product(halfvec, halfvec),
    FUNCTION 2 l2_norm(halfvec);

CREATE OPERATOR CLASS bit_hamming_ops FOR TYPE bit USING ivfflat AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
    FUNCTION 1 hamming_distance(bit, bit);

-- Up to the 16,000 dimensions of the types. Support function 3 says so; it is never called.

CREATE FUNCTION ivfflat_wide_support(internal) RETURNS internal
    LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION ivfflat_wide_support(internal) IS 'marks operator classes of ivfflat for all dimensions of a type';

CREATE OPERATOR CLASS vector_l2_wide_ops FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_l2_squared_distance(vector, vector),
    FUNCTION 3 ivfflat_wide_support(internal);

CREATE OPERATOR CLASS vector_ip_wide_ops FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_negative_inner_product(vector, vector),
    FUNCTION 3 ivfflat_wide_support(internal);

CREATE OPERATOR CLASS vector_cosine_wide_ops FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_negative_inner_product(vector, vector),
    FUNCTION 2 vector_norm(vector),
    FUNCTION 3 ivfflat_wide_support(internal);

CREATE OPERATOR CLASS halfvec_l2_wide_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_l2_squared_distance(halfvec, halfvec),
    FUNCTION 3 ivfflat_wide_support(internal);

CREATE OPERATOR CLASS halfvec_ip_wide_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_negative_inner_product(halfvec, halfvec),
    FUNCTION 3 ivfflat_wide_support(internal);

CREATE OPERATOR CLASS halfvec_cosine_wide_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_negative_inner_product(halfvec, halfvec),
    FUNCTION 2 l2_norm(halfvec),
    FUNCTION 3 ivfflat_wide_support(internal);

CREATE SCHEMA lagoon;

CREATE  FUNCTION lagoon."reload_plugins"() RETURNS TABLE (
	"name" TEXT,
	"outcome" TEXT,
	"message" TEXT
)
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'reload_plugins_wrapper';

CREATE  FUNCTION lagoon."recall"(
	"index" regclass,
	"k" INT DEFAULT 10,
	"sample" INT DEFAULT 100
) RETURNS double precision
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'recall_wrapper';

CREATE  FUNCTION lagoon."install_plugin"(
	"name" TEXT,
	"wasm" bytea,
	"manifest" jsonb DEFAULT NULL
) RETURNS TEXT
LANGUAGE c
AS 'MODULE_PATHNAME', 'install_plugin_wrapper';

CREATE  FUNCTION lagoon."install_plugin_file"(
	"path" TEXT
) RETURNS TEXT
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'install_plugin_file_wrapper';

CREATE  FUNCTION lagoon."remove_plugin"(
	"name" TEXT,
	"cascade" bool DEFAULT false
) RETURNS void
STRICT
LANGUAGE c
AS 'MODULE_PATHNAME', 'remove_plugin_wrapper';

-- Plugins are rows: their bytes are backed up, replicated and rolled back like all data. Compiled code is a cache on disk.
-- src/wasm/catalog.rs reads this table by column number: add columns at the end only.
CREATE TABLE lagoon.plugins (
    name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    version text NOT NULL,
    hash text NOT NULL,
    wasm bytea NOT NULL,
    manifest jsonb NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    installed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE lagoon.plugins IS 'WebAssembly plugins; change it through lagoon.install_plugin() and its siblings';
COMMENT ON COLUMN lagoon.plugins.hash IS 'BLAKE3 of the module';
SELECT pg_catalog.pg_extension_config_dump('lagoon.plugins', '');

-- Why the last reload of a plugin failed. Not dumped: it is about files of this server.
CREATE TABLE lagoon.plugin_errors (
    name text COLLATE "C" PRIMARY KEY,
    path text NOT NULL,
    sqlstate text NOT NULL,
    message text NOT NULL,
    hint text,
    failed_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION lagoon.plugins_changed() RETURNS trigger LANGUAGE c
    AS 'MODULE_PATHNAME', 'lagoon_wasm_plugins_changed';
REVOKE ALL ON FUNCTION lagoon.plugins_changed() FROM PUBLIC;
CREATE TRIGGER plugins_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lagoon.plugins
    FOR EACH STATEMENT EXECUTE FUNCTION lagoon.plugins_changed();
-- Also when the rows arrive by logical replication.
ALTER TABLE lagoon.plugins ENABLE ALWAYS TRIGGER plugins_changed;

CREATE VIEW lagoon.plugin_status AS
    SELECT coalesce(p.name, e.name) AS name, p.version, p.hash, pg_catalog.octet_length(p.wasm) AS bytes, p.enabled,
           p.installed_at, e.sqlstate AS error_sqlstate, e.message AS error_message, e.hint AS error_hint,
           e.path AS error_path, e.failed_at
    FROM lagoon.plugins p FULL JOIN lagoon.plugin_errors e ON p.name OPERATOR(pg_catalog.=) e.name;
COMMENT ON VIEW lagoon.plugin_status IS 'Installed WebAssembly plugins and the last failure to reload each';

CREATE FUNCTION lagoon.wasm_call_handler() RETURNS language_handler LANGUAGE c
    AS 'MODULE_PATHNAME', 'lagoon_wasm_call_handler';
CREATE FUNCTION lagoon.wasm_validator(oid) RETURNS void LANGUAGE c STRICT
    AS 'MODULE_PATHNAME', 'lagoon_wasm_validator';

-- Trusted: a guest reaches nothing but its own memory and what its manifest allows. Still, only superusers create such
-- functions until an administrator grants USAGE.
CREATE TRUSTED LANGUAGE wasm HANDLER lagoon.wasm_call_handler VALIDATOR lagoon.wasm_validator;
COMMENT ON LANGUAGE wasm IS 'functions and row triggers of WebAssembly plugins: AS ''plugin:export''';
REVOKE ALL ON LANGUAGE wasm FROM PUBLIC;

REVOKE ALL ON FUNCTION lagoon.install_plugin(text, bytea, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION lagoon.install_plugin_file(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION lagoon.remove_plugin(text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION lagoon.reload_plugins() FROM PUBLIC;

CREATE  FUNCTION lagoon."index_info"(
	"index" regclass
) RETURNS TABLE (
	"format_version" INT,
	"metric" TEXT,
	"codes" TEXT,
	"dimensions" INT,
	"m" INT,
	"ef_construction" INT,
	"rows" bigint,
	"elements" bigint,
	"layer_elements" bigint[],
	"degree_histogram" bigint[],
	"dead_elements" bigint,
	"unreachable_elements" bigint,
	"free_slots" bigint,
	"meta_bytes" bigint,
	"node_bytes" bigint,
	"code_bytes" bigint,
	"total_bytes" bigint,
	"bytes_per_row" double precision
)
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'index_info_wrapper';

CREATE  FUNCTION lagoon."ivfflat_info"(
	"index" regclass
) RETURNS TABLE (
	"format_version" INT,
	"metric" TEXT,
	"codes" TEXT,
	"dimensions" INT,
	"lists" INT,
	"rows" bigint,
	"empty_lists" INT,
	"min_list_rows" bigint,
	"median_list_rows" bigint,
	"max_list_rows" bigint,
	"max_list_pages" bigint,
	"free_slots" bigint,
	"meta_bytes" bigint,
	"head_bytes" bigint,
	"centre_bytes" bigint,
	"entry_bytes" bigint,
	"unused_bytes" bigint,
	"total_bytes" bigint,
	"bytes_per_row" double precision
)
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'ivfflat_info_wrapper';

CREATE  FUNCTION lagoon."parquet_schema"(
	"path" TEXT
) RETURNS TABLE (
	"uri" TEXT,
	"name" TEXT,
	"type_name" TEXT,
	"type_length" INT,
	"repetition_type" TEXT,
	"num_children" INT,
	"converted_type" TEXT,
	"scale" INT,
	"precision" INT,
	"field_id" INT,
	"logical_type" TEXT,
	"column_type" TEXT
)
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'parquet_schema_wrapper';

CREATE  FUNCTION lagoon."drop_dataset"(
	"name" TEXT
) RETURNS void
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'drop_dataset_wrapper';

CREATE  FUNCTION lagoon."ingest"(
	"name" TEXT,
	"source" TEXT,
	"options" jsonb DEFAULT '{}'
) RETURNS TABLE (
	"id" uuid,
	"file" TEXT,
	"rows" bigint,
	"bytes" bigint
)
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'ingest_wrapper';

CREATE  FUNCTION lagoon."register_dataset"(
	"name" TEXT,
	"path" TEXT
) RETURNS uuid
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'register_dataset_wrapper';

-- Parquet files as foreign tables.
CREATE FUNCTION lagoon.parquet_handler() RETURNS fdw_handler
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'lagoon_parquet_handler';
CREATE FUNCTION lagoon.parquet_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'lagoon_parquet_validator';
CREATE FOREIGN DATA WRAPPER lagoon_parquet HANDLER lagoon.parquet_handler VALIDATOR lagoon.parquet_validator;
CREATE SERVER lagoon FOREIGN DATA WRAPPER lagoon_parquet;

-- CREATE FOREIGN TABLE t () SERVER lagoon OPTIONS (path '...') takes the columns from the files.
CREATE FUNCTION lagoon.infer_columns() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'lagoon_infer_columns';
CREATE EVENT TRIGGER lagoon_infer_columns ON ddl_command_end
    WHEN TAG IN ('CREATE FOREIGN TABLE') EXECUTE FUNCTION lagoon.infer_columns();

-- Named sets of files with one schema. Rows are written by the functions below, as the owner of this table.
CREATE TABLE lagoon.datasets (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    fingerprint text NOT NULL,
    path text NOT NULL,
    files text[] NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    columns jsonb NOT NULL,
    created timestamptz NOT NULL DEFAULT pg_catalog.now(),
    refreshed timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE lagoon.datasets IS 'named sets of Parquet files: see lagoon.ingest and lagoon.register_dataset';
SELECT pg_catalog.pg_extension_config_dump('lagoon.datasets', '');

-- It shows paths of the server, so it is for those who may read them or watch the server.
REVOKE ALL ON lagoon.datasets FROM PUBLIC;
GRANT SELECT ON lagoon.datasets TO pg_read_server_files, pg_monitor;

REVOKE ALL ON FUNCTION lagoon.ingest(text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION lagoon.register_dataset(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION lagoon.drop_dataset(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lagoon.ingest(text, text, jsonb) TO pg_write_server_files;
GRANT EXECUTE ON FUNCTION lagoon.register_dataset(text, text) TO pg_write_server_files;
GRANT EXECUTE ON FUNCTION lagoon.drop_dataset(text) TO pg_write_server_files;

CREATE  FUNCTION lagoon."verify_index"(
	"index" regclass
) RETURNS TABLE (
	"check_name" TEXT,
	"passed" bool,
	"detail" TEXT
)
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'verify_index_wrapper';

CREATE  FUNCTION lagoon."worker_status"() RETURNS TABLE (
	"pid" INT,
	"database" oid,
	"role" TEXT,
	"state" TEXT,
	"started" timestamp with time zone,
	"last_run" timestamp with time zone,
	"runs" bigint,
	"failures" bigint,
	"restarts" INT,
	"last_error" TEXT
)
STRICT VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'worker_status_wrapper';

GRANT USAGE ON SCHEMA lagoon TO PUBLIC;

-- What launcher and workers do; see README, "Workers". An error text may quote data, so not everybody sees it.
CREATE VIEW lagoon.workers AS
SELECT s.pid, d.datname AS database, s.role, s.state, s.started, s.last_run, s.runs, s.failures, s.restarts, s.last_error
FROM lagoon.worker_status() AS s
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.database;

REVOKE ALL ON FUNCTION lagoon.worker_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lagoon.worker_status() TO pg_monitor;
GRANT SELECT ON lagoon.workers TO pg_monitor;

COMMENT ON VIEW lagoon.workers IS 'background processes of Lagoon: the launcher and the worker of each database';

CREATE  FUNCTION lagoon."embed_status"() RETURNS TABLE (
	"library" TEXT,
	"loaded" bool,
	"version" TEXT,
	"build" TEXT,
	"minimum_version" TEXT,
	"threads" INT,
	"models_loaded" bigint,
	"texts" bigint,
	"tokens" bigint,
	"batches" bigint,
	"inference_ms" double precision
)
STRICT VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'embed_status_wrapper';

CREATE  FUNCTION lagoon."embed"(
	"model" text,
	"inputs" text[]
) RETURNS vector[]
STRICT STABLE PARALLEL RESTRICTED  COST 1000000
LANGUAGE c
AS 'MODULE_PATHNAME', 'embed_texts_wrapper';

CREATE  FUNCTION lagoon."register_model"(
	"name" text,
	"directory" text
) RETURNS INT
STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'register_model_wrapper';

CREATE  FUNCTION lagoon."drop_model"(
	"name" text
) RETURNS void
STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'drop_model_wrapper';

CREATE  FUNCTION lagoon."embed"(
	"model" text,
	"input" text
) RETURNS vector
STRICT STABLE PARALLEL RESTRICTED  COST 100000
LANGUAGE c
AS 'MODULE_PATHNAME', 'embed_text_wrapper';

-- Models that lagoon.embed knows. Filled by lagoon.register_model; the table's privileges say who may use them.
CREATE TABLE lagoon.models (
    name text PRIMARY KEY,
    directory text NOT NULL,
    dimension integer NOT NULL CHECK (dimension > 0),
    max_tokens integer NOT NULL,
    pooling text NOT NULL,
    normalize boolean NOT NULL,
    prompts jsonb NOT NULL DEFAULT '{}',
    default_prompt text,
    size bigint NOT NULL,
    fingerprint text NOT NULL,
    stamp text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    registered_by name NOT NULL DEFAULT session_user
);

COMMENT ON TABLE lagoon.models IS 'models of lagoon.embed, registered by lagoon.register_model';
COMMENT ON COLUMN lagoon.models.directory IS 'directory on the database server';
COMMENT ON COLUMN lagoon.models.max_tokens IS 'longer texts are cut, special tokens included';
COMMENT ON COLUMN lagoon.models.size IS 'bytes of all files';
COMMENT ON COLUMN lagoon.models.fingerprint IS 'BLAKE3 of all files; a model whose files differ is refused';
COMMENT ON COLUMN lagoon.models.stamp IS 'sizes and times of all files; while it holds they are not read again';

SELECT pg_catalog.pg_extension_config_dump('lagoon.models', '');

GRANT USAGE ON SCHEMA lagoon TO PUBLIC;
GRANT SELECT ON lagoon.models TO PUBLIC;

-- They read any directory of the server, as its operating system user.
REVOKE ALL ON FUNCTION lagoon.register_model(text, text), lagoon.drop_model(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lagoon.register_model(text, text), lagoon.drop_model(text) TO pg_read_server_files;
