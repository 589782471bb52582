-- Models that lagoon.embed knows. Filled by lagoon.register_model; the table's privileges and policies say who may use which.
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
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    owner name NOT NULL DEFAULT current_user,
    batched boolean NOT NULL
);

COMMENT ON TABLE lagoon.models IS 'models of lagoon.embed, registered by lagoon.register_model';
COMMENT ON COLUMN lagoon.models.directory IS 'directory on the database server';
COMMENT ON COLUMN lagoon.models.max_tokens IS 'longer texts are cut, special tokens included';
COMMENT ON COLUMN lagoon.models.batched IS 'whether texts are inferred in batches; false if they would change each other in a batch';
COMMENT ON COLUMN lagoon.models.size IS 'bytes of all files';
COMMENT ON COLUMN lagoon.models.fingerprint IS 'BLAKE3 of all files; a model whose files differ is refused';
COMMENT ON COLUMN lagoon.models.owner IS 'role that may replace and drop it, besides superusers';

SELECT pg_catalog.pg_extension_config_dump('lagoon.models', '');

GRANT USAGE ON SCHEMA lagoon TO PUBLIC;
GRANT SELECT ON lagoon.models TO PUBLIC;

-- It reads any directory of the server, as its operating system user. drop_model() asks for the owner.
REVOKE ALL ON FUNCTION lagoon.register_model(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lagoon.register_model(text, text) TO pg_read_server_files;
