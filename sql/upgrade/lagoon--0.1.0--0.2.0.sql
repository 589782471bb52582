-- From 0.1.0, the version at commit 6e62f12, to 0.2.0. What cannot be carried over is said in a WARNING: PostgreSQL shows no
-- NOTICE of such a script. tests/upgrade.rs compares the outcome with what CREATE EXTENSION makes.
\echo Use "ALTER EXTENSION lagoon UPDATE TO '0.2.0'" to load this file. \quit

-- The first function that only the new library has: a session that has loaded the old one keeps it.
DO $$
BEGIN
    CREATE FUNCTION lagoon.check_trigger() RETURNS event_trigger LANGUAGE c
        AS 'MODULE_PATHNAME', 'lagoon_wasm_check_trigger';
EXCEPTION WHEN undefined_function THEN
    RAISE object_not_in_prerequisite_state USING
        MESSAGE = 'this session has loaded the library of lagoon 0.1.0',
        HINT = 'Start a new session. If lagoon is in shared_preload_libraries, restart the server first.';
END $$;
REVOKE ALL ON FUNCTION lagoon.check_trigger() FROM PUBLIC;

-- Plugins: they have owners, and copies that a dump restores before any data.
ALTER TABLE lagoon.plugins ADD COLUMN owner text COLLATE "C" NOT NULL DEFAULT current_user;
COMMENT ON COLUMN lagoon.plugins.owner IS 'name of the role that installed it; it and superusers may replace and remove it';
ALTER TABLE lagoon.plugin_errors ADD COLUMN fingerprint text;
COMMENT ON COLUMN lagoon.plugin_errors.fingerprint IS 'hash of the files that failed; workers do not retry them';
CREATE SCHEMA lagoon_plugin;
COMMENT ON SCHEMA lagoon_plugin IS 'copies of the plugins, which a dump restores before any data; never called';

DROP TRIGGER plugins_changed ON lagoon.plugins;
CREATE OR REPLACE FUNCTION lagoon.plugins_changed() RETURNS trigger LANGUAGE c SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'lagoon_wasm_plugins_changed';
CREATE TRIGGER plugins_changed AFTER INSERT OR UPDATE OR DELETE ON lagoon.plugins
    FOR EACH ROW EXECUTE FUNCTION lagoon.plugins_changed();
CREATE TRIGGER plugins_truncated AFTER TRUNCATE ON lagoon.plugins
    FOR EACH STATEMENT EXECUTE FUNCTION lagoon.plugins_changed();
ALTER TABLE lagoon.plugins ENABLE ALWAYS TRIGGER plugins_changed;
ALTER TABLE lagoon.plugins ENABLE ALWAYS TRIGGER plugins_truncated;
CREATE OR REPLACE VIEW lagoon.plugin_status AS
    SELECT coalesce(p.name, e.name) AS name, p.version, p.hash, pg_catalog.octet_length(p.wasm) AS bytes, p.enabled,
           p.installed_at, e.sqlstate AS error_sqlstate, e.message AS error_message, e.hint AS error_hint,
           e.path AS error_path, e.failed_at, p.owner, e.fingerprint IS NOT NULL AS quarantined
    FROM lagoon.plugins p FULL JOIN lagoon.plugin_errors e ON p.name OPERATOR(pg_catalog.=) e.name;
-- The trigger makes the copies. What is made in here belongs to the extension, which they must not: a dump would leave them out.
UPDATE lagoon.plugins SET owner = owner;
DO $$
DECLARE copy regprocedure;
BEGIN
    FOR copy IN SELECT oid FROM pg_catalog.pg_proc WHERE pronamespace = 'lagoon_plugin'::regnamespace LOOP
        EXECUTE format('ALTER EXTENSION lagoon DROP FUNCTION %s', copy);
    END LOOP;
END $$;

-- Models: their owner may drop them.
ALTER TABLE lagoon.models DROP COLUMN stamp;
ALTER TABLE lagoon.models RENAME COLUMN registered_by TO owner;
ALTER TABLE lagoon.models ALTER COLUMN owner SET DEFAULT current_user;
ALTER TABLE lagoon.models ADD COLUMN batched boolean NOT NULL DEFAULT true;
ALTER TABLE lagoon.models ALTER COLUMN batched DROP DEFAULT;
COMMENT ON COLUMN lagoon.models.batched IS 'whether texts are inferred in batches; false if they would change each other in a batch';
COMMENT ON COLUMN lagoon.models.owner IS 'role that may replace and drop it, besides superusers';
CREATE OR REPLACE FUNCTION lagoon.register_model(name text, directory text) RETURNS integer LANGUAGE c STRICT
    SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'register_model_wrapper';
DROP FUNCTION lagoon.drop_model(text);
CREATE FUNCTION lagoon.drop_model(name text) RETURNS void LANGUAGE c STRICT
    SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'drop_model_wrapper';
-- Fingerprints of their files are made in another order, and whether texts are batched is to be found out.
DO $$
DECLARE model record;
BEGIN
    FOR model IN SELECT name, directory FROM lagoon.models ORDER BY name LOOP
        BEGIN
            PERFORM lagoon.register_model(model.name, model.directory);
        EXCEPTION WHEN others THEN
            RAISE WARNING USING
                MESSAGE = format('model %s could not be registered again: %s', quote_ident(model.name), SQLERRM),
                HINT = format('It is refused until SELECT lagoon.register_model(%L, %L).', model.name, model.directory);
        END;
    END LOOP;
END $$;

-- Datasets: they have owners and readers. Everybody goes on reading those that everybody could read, by where their files
-- are; the others are for superusers, pg_read_server_files and whom they are granted to. Files below the dataset directory
-- are called by their path there, and fingerprints follow neither the order of columns nor whether they have NULLs.
ALTER TABLE lagoon.datasets ADD COLUMN owner regrole, ADD COLUMN readers regrole[] NOT NULL DEFAULT '{}';
CREATE FUNCTION lagoon.upgrade_fingerprint(cstring) RETURNS cstring LANGUAGE c STRICT
    AS 'MODULE_PATHNAME', 'lagoon_dataset_fingerprint';
WITH home AS (
    SELECT rtrim(coalesce(nullif(current_setting('lagoon.dataset_directory', true), ''),
        current_setting('data_directory') || '/lagoon/datasets'), '/') || '/' AS folder
), open AS (
    SELECT folder FROM home
    UNION ALL SELECT rtrim(trim(folder), '/') || '/'
    FROM unnest(string_to_array(current_setting('lagoon.data_directories', true), ',')) AS folder WHERE trim(folder) ^@ '/'
)
UPDATE lagoon.datasets SET
    owner = (SELECT relowner FROM pg_catalog.pg_class WHERE oid = 'lagoon.datasets'::regclass),
    readers = CASE WHEN NOT EXISTS (SELECT FROM unnest(files) AS file WHERE file LIKE '%/../%'
            OR NOT EXISTS (SELECT FROM open WHERE file ^@ open.folder)) THEN '{-}'::regrole[] ELSE '{}' END,
    fingerprint = lagoon.upgrade_fingerprint(columns::text::cstring)::text,
    path = CASE WHEN path ^@ folder THEN substr(path, length(folder) + 1) ELSE path END,
    files = ARRAY(SELECT CASE WHEN file ^@ folder THEN substr(file, length(folder) + 1) ELSE file END
        FROM unnest(files) WITH ORDINALITY AS u (file, n) ORDER BY n)
FROM home;
ALTER TABLE lagoon.datasets ALTER COLUMN owner SET NOT NULL;
DROP FUNCTION lagoon.upgrade_fingerprint(cstring);

DROP FUNCTION lagoon.drop_dataset(text);
CREATE FUNCTION lagoon.drop_dataset(name text) RETURNS void LANGUAGE c STRICT
    AS 'MODULE_PATHNAME', 'drop_dataset_wrapper';
CREATE FUNCTION lagoon.grant_dataset(name text, role text) RETURNS void LANGUAGE c STRICT
    AS 'MODULE_PATHNAME', 'grant_dataset_wrapper';
CREATE FUNCTION lagoon.revoke_dataset(name text, role text) RETURNS void LANGUAGE c STRICT
    AS 'MODULE_PATHNAME', 'revoke_dataset_wrapper';
CREATE FUNCTION lagoon.set_dataset_owner(name text, role text) RETURNS void LANGUAGE c STRICT
    AS 'MODULE_PATHNAME', 'set_dataset_owner_wrapper';
CREATE FUNCTION lagoon.remove_orphaned_files(older_than interval DEFAULT '1 day') RETURNS TABLE (file text, bytes bigint)
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'remove_orphaned_files_wrapper';
REVOKE ALL ON FUNCTION lagoon.remove_orphaned_files(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lagoon.remove_orphaned_files(interval) TO pg_write_server_files;

-- Indexes: more columns.
DROP FUNCTION lagoon.index_info(regclass);
CREATE FUNCTION lagoon.index_info(index regclass) RETURNS TABLE (
        format_version integer, metric text, codes text, centred boolean, dimensions integer, m integer,
        ef_construction integer, rows bigint, elements bigint, layer_elements bigint[], degree_histogram bigint[],
        dead_elements bigint, unreachable_elements bigint, misfits bigint, overflow_slots bigint, free_slots bigint,
        meta_bytes bigint, node_bytes bigint, code_bytes bigint, total_bytes bigint, bytes_per_row double precision)
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'index_info_wrapper';
DROP FUNCTION lagoon.ivfflat_info(regclass);
CREATE FUNCTION lagoon.ivfflat_info(index regclass) RETURNS TABLE (
        format_version integer, metric text, codes text, centred boolean, dimensions integer, lists integer, rows bigint,
        misfits bigint, empty_lists integer, min_list_rows bigint, median_list_rows bigint, max_list_rows bigint,
        max_list_pages bigint, free_slots bigint, meta_bytes bigint, head_bytes bigint, centre_bytes bigint,
        entry_bytes bigint, unused_bytes bigint, total_bytes bigint, bytes_per_row double precision)
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'ivfflat_info_wrapper';

COMMENT ON FUNCTION lagoon.verify_index(regclass) IS 'checks an hnsw or ivfflat index: one row for each check';
COMMENT ON FUNCTION lagoon.recall(regclass, integer, integer) IS 'share of the true k nearest rows that an index finds, measured with the vectors of random rows';
COMMENT ON FUNCTION lagoon.index_info(regclass) IS 'contents and sizes of an hnsw index';
COMMENT ON FUNCTION lagoon.ivfflat_info(regclass) IS 'contents and sizes of an ivfflat index';

COMMENT ON FUNCTION lagoon.ingest(text, text, jsonb) IS 'converts a CSV file on the server to a Parquet file of a dataset';
COMMENT ON FUNCTION lagoon.register_dataset(text, text) IS 'registers Parquet files on the server as a dataset, or refreshes it';
COMMENT ON FUNCTION lagoon.drop_dataset(text) IS 'drops a dataset, and the files that lagoon.ingest wrote for it';
COMMENT ON FUNCTION lagoon.grant_dataset(text, text) IS 'lets a role, or public, read a dataset';
COMMENT ON FUNCTION lagoon.revoke_dataset(text, text) IS 'revokes what lagoon.grant_dataset has granted';
COMMENT ON FUNCTION lagoon.set_dataset_owner(text, text) IS 'changes the owner of a dataset';
COMMENT ON FUNCTION lagoon.remove_orphaned_files(interval) IS 'deletes files in the dataset directory that no dataset has and that are older than this';
COMMENT ON FUNCTION lagoon.parquet_schema(text) IS 'schema tree of a Parquet file on the server';
COMMENT ON COLUMN lagoon.datasets.id IS 'UUID (version 5) of the name';
COMMENT ON COLUMN lagoon.datasets.fingerprint IS 'hash of the schema';
COMMENT ON COLUMN lagoon.datasets.path IS 'path that was registered, or the folder below lagoon.dataset_directory';
COMMENT ON COLUMN lagoon.datasets.files IS 'files; those that lagoon.ingest wrote by their path below lagoon.dataset_directory';
COMMENT ON COLUMN lagoon.datasets.rows IS 'rows of all files';
COMMENT ON COLUMN lagoon.datasets.bytes IS 'bytes of all files';
COMMENT ON COLUMN lagoon.datasets.columns IS 'names and types of the columns';
COMMENT ON COLUMN lagoon.datasets.refreshed IS 'when files were last added or checked';
COMMENT ON COLUMN lagoon.datasets.owner IS 'role that may change, drop and grant it, besides superusers';
COMMENT ON COLUMN lagoon.datasets.readers IS 'roles that may read it; - is PUBLIC';

COMMENT ON FUNCTION lagoon.embed(text, text) IS 'vector of a text';
COMMENT ON FUNCTION lagoon.embed(text, text[]) IS 'vectors of texts, inferred in batches';
COMMENT ON FUNCTION lagoon.register_model(text, text) IS 'registers a model from a directory on the server, or replaces it; returns its dimension';
COMMENT ON FUNCTION lagoon.drop_model(text) IS 'drops a model; its files stay';
COMMENT ON FUNCTION lagoon.embed_status() IS 'ONNX Runtime library and counters of this session';
COMMENT ON COLUMN lagoon.models.dimension IS 'number of elements of its vectors';
COMMENT ON COLUMN lagoon.models.pooling IS 'how the vectors of tokens are pooled';
COMMENT ON COLUMN lagoon.models.normalize IS 'whether its vectors have length 1';
COMMENT ON COLUMN lagoon.models.prompts IS 'prompts of the model''s files, by name';
COMMENT ON COLUMN lagoon.models.default_prompt IS 'name of the prompt that is put before each text';

COMMENT ON FUNCTION lagoon.install_plugin(text, bytea, jsonb) IS 'installs a WebAssembly plugin, or replaces it';
COMMENT ON FUNCTION lagoon.install_plugin_file(text) IS 'installs a WebAssembly plugin from a module or manifest file on the server';
COMMENT ON FUNCTION lagoon.remove_plugin(text, boolean) IS 'removes a WebAssembly plugin; cascade drops the functions that use it';
COMMENT ON FUNCTION lagoon.reload_plugins() IS 'installs the plugins that have changed in lagoon.functions_directory';
COMMENT ON COLUMN lagoon.plugins.version IS 'version of the manifest';
COMMENT ON COLUMN lagoon.plugins.wasm IS 'the module';
COMMENT ON COLUMN lagoon.plugins.manifest IS 'the manifest, sizes in bytes and times in milliseconds';
COMMENT ON COLUMN lagoon.plugins.enabled IS 'whether its functions can be called';
COMMENT ON TABLE lagoon.plugin_errors IS 'last failed reload of each plugin; see lagoon.plugin_status';
COMMENT ON COLUMN lagoon.plugin_status.bytes IS 'size of the module';
COMMENT ON COLUMN lagoon.plugin_status.error_message IS 'why the last reload failed';
COMMENT ON COLUMN lagoon.plugin_status.quarantined IS 'whether workers ignore the failed files until they change';

COMMENT ON COLUMN lagoon.workers.pid IS 'process ID while it runs';
COMMENT ON COLUMN lagoon.workers.database IS 'database of a worker; null for the launcher';
COMMENT ON COLUMN lagoon.workers.role IS 'launcher or worker';
COMMENT ON COLUMN lagoon.workers.state IS 'waiting, starting, running, idle, backing off or stopped';
COMMENT ON COLUMN lagoon.workers.last_error IS 'last error of a task; may quote data';

-- The engine's memory.
CREATE FUNCTION lagoon.memory_status() RETURNS TABLE (pid integer, used bigint, memory_limit bigint, peak bigint)
    LANGUAGE c STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'memory_status_wrapper';
CREATE VIEW lagoon.memory AS SELECT s.pid, s.used, s.memory_limit, s.peak FROM lagoon.memory_status() AS s;
REVOKE ALL ON FUNCTION lagoon.memory_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lagoon.memory_status() TO pg_monitor;
GRANT SELECT ON lagoon.memory TO pg_monitor;
COMMENT ON VIEW lagoon.memory IS 'memory that the Parquet engine has, in bytes: a row for each process that has used it';
COMMENT ON COLUMN lagoon.memory.pid IS 'process ID';
COMMENT ON COLUMN lagoon.memory.used IS 'bytes that are counted now';
COMMENT ON COLUMN lagoon.memory.memory_limit IS 'lagoon.memory_limit of its last statement';
COMMENT ON COLUMN lagoon.memory.peak IS 'most bytes that were counted at a time since it began';

CREATE EVENT TRIGGER lagoon_check_trigger ON ddl_command_end
    WHEN TAG IN ('CREATE TRIGGER') EXECUTE FUNCTION lagoon.check_trigger();

DO $$
DECLARE old text;
BEGIN
    SELECT string_agg(format('REINDEX INDEX %s;', c.oid::regclass), E'\n' ORDER BY c.oid) INTO old
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
    WHERE a.amname IN ('hnsw', 'ivfflat') AND c.relkind = 'i' AND c.relpersistence <> 't';
    IF old IS NOT NULL THEN
        RAISE WARNING 'indexes with methods hnsw and ivfflat have an older format and are refused until they are built again'
            USING HINT = old;
    END IF;
END $$;
