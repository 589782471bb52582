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
