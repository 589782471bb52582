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
