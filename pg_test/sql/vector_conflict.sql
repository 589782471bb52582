-- Where another type vector stands in the way, CREATE EXTENSION fails with one clear error and leaves nothing behind.
\set SHOW_CONTEXT never
DROP EXTENSION lagoon;
CREATE TYPE vector AS (a integer);
CREATE EXTENSION lagoon;
DO $$
BEGIN
    CREATE EXTENSION lagoon;
EXCEPTION WHEN duplicate_object THEN
    RAISE NOTICE '%', SQLSTATE;
END
$$;
SELECT count(*) FROM pg_namespace WHERE nspname = 'lagoon';
-- A type of that name elsewhere, of nobody's extension, is no obstacle.
CREATE SCHEMA other;
ALTER TYPE vector SET SCHEMA other;
CREATE EXTENSION lagoon;
SELECT '[1]'::vector;
DROP EXTENSION lagoon;
-- The extension can live in another schema.
CREATE EXTENSION lagoon SCHEMA other;
DROP TYPE other.vector;
CREATE EXTENSION lagoon SCHEMA other;
SELECT '[1,2]'::other.vector OPERATOR(other.<->) '[4,6]';
