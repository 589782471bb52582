-- Plugins are rows: their bytes are backed up, replicated and rolled back like all data. Compiled code is a cache on disk.
-- src/wasm/plugins/catalog.rs reads this table by column number: add columns at the end only.
CREATE TABLE lagoon.plugins (
    name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    version text NOT NULL,
    hash text NOT NULL,
    wasm bytea NOT NULL,
    manifest jsonb NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    installed_at timestamptz NOT NULL DEFAULT now(),
    owner text COLLATE "C" NOT NULL DEFAULT current_user
);
COMMENT ON TABLE lagoon.plugins IS 'WebAssembly plugins; change it through lagoon.install_plugin() and its siblings';
COMMENT ON COLUMN lagoon.plugins.hash IS 'BLAKE3 of the module';
COMMENT ON COLUMN lagoon.plugins.owner IS 'name of the role that installed it; it and superusers may replace and remove it';
SELECT pg_catalog.pg_extension_config_dump('lagoon.plugins', '');

-- Why the last reload of a plugin failed. Not dumped: it is about files of this server.
CREATE TABLE lagoon.plugin_errors (
    name text COLLATE "C" PRIMARY KEY,
    path text NOT NULL,
    sqlstate text NOT NULL,
    message text NOT NULL,
    hint text,
    failed_at timestamptz NOT NULL DEFAULT now(),
    fingerprint text
);
COMMENT ON COLUMN lagoon.plugin_errors.fingerprint IS 'hash of the files that failed; workers do not retry them';

-- The plugins once more, as bodies of functions: see src/wasm/plugins/copies.rs.
CREATE SCHEMA lagoon_plugin;
COMMENT ON SCHEMA lagoon_plugin IS 'copies of the plugins, which a dump restores before any data; never called';

-- With the rights of the extension's owner, who owns the copies.
CREATE FUNCTION lagoon.plugins_changed() RETURNS trigger LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'lagoon_wasm_plugins_changed';
REVOKE ALL ON FUNCTION lagoon.plugins_changed() FROM PUBLIC;
CREATE TRIGGER plugins_changed AFTER INSERT OR UPDATE OR DELETE ON lagoon.plugins
    FOR EACH ROW EXECUTE FUNCTION lagoon.plugins_changed();
CREATE TRIGGER plugins_truncated AFTER TRUNCATE ON lagoon.plugins
    FOR EACH STATEMENT EXECUTE FUNCTION lagoon.plugins_changed();
-- Also when the rows arrive by logical replication, which fires row triggers alone.
ALTER TABLE lagoon.plugins ENABLE ALWAYS TRIGGER plugins_changed;
ALTER TABLE lagoon.plugins ENABLE ALWAYS TRIGGER plugins_truncated;

-- What a trigger in language wasm cannot be is refused when it is created, not at its first row.
CREATE FUNCTION lagoon.check_trigger() RETURNS event_trigger LANGUAGE c
    AS 'MODULE_PATHNAME', 'lagoon_wasm_check_trigger';
REVOKE ALL ON FUNCTION lagoon.check_trigger() FROM PUBLIC;
CREATE EVENT TRIGGER lagoon_check_trigger ON ddl_command_end
    WHEN TAG IN ('CREATE TRIGGER') EXECUTE FUNCTION lagoon.check_trigger();

CREATE VIEW lagoon.plugin_status AS
    SELECT coalesce(p.name, e.name) AS name, p.version, p.hash, pg_catalog.octet_length(p.wasm) AS bytes, p.enabled,
           p.installed_at, e.sqlstate AS error_sqlstate, e.message AS error_message, e.hint AS error_hint,
           e.path AS error_path, e.failed_at, p.owner, e.fingerprint IS NOT NULL AS quarantined
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
