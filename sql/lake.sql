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
    refreshed timestamptz NOT NULL DEFAULT pg_catalog.now(),
    owner regrole NOT NULL,
    readers regrole[] NOT NULL DEFAULT '{}' -- "-" is everybody
);
COMMENT ON TABLE lagoon.datasets IS 'named sets of Parquet files: see lagoon.ingest and lagoon.register_dataset';
SELECT pg_catalog.pg_extension_config_dump('lagoon.datasets', '');

-- Reading it takes no right on a dataset. It shows paths of the server, so it is for those who may read them or watch the server.
REVOKE ALL ON lagoon.datasets FROM PUBLIC;
GRANT SELECT ON lagoon.datasets TO pg_read_server_files, pg_monitor;

REVOKE ALL ON FUNCTION lagoon.ingest(text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION lagoon.register_dataset(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lagoon.ingest(text, text, jsonb) TO pg_write_server_files;
GRANT EXECUTE ON FUNCTION lagoon.register_dataset(text, text) TO pg_write_server_files;
REVOKE ALL ON FUNCTION lagoon.remove_orphaned_files(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lagoon.remove_orphaned_files(interval) TO pg_write_server_files;

-- What the engine has of the server's memory; see docs/operations/limits.md.
CREATE VIEW lagoon.memory AS SELECT s.pid, s.used, s.memory_limit, s.peak FROM lagoon.memory_status() AS s;
REVOKE ALL ON FUNCTION lagoon.memory_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lagoon.memory_status() TO pg_monitor;
GRANT SELECT ON lagoon.memory TO pg_monitor;
COMMENT ON VIEW lagoon.memory IS 'memory that the Parquet engine has, in bytes: a row for each process that has used it';
