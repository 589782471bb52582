-- What psql's \df+ and \d+ say of all that users call in the schema lagoon.
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

COMMENT ON COLUMN lagoon.memory.pid IS 'process ID';
COMMENT ON COLUMN lagoon.memory.used IS 'bytes that are counted now';
COMMENT ON COLUMN lagoon.memory.memory_limit IS 'lagoon.memory_limit of its last statement';
COMMENT ON COLUMN lagoon.memory.peak IS 'most bytes that were counted at a time since it began';

COMMENT ON COLUMN lagoon.workers.pid IS 'process ID while it runs';
COMMENT ON COLUMN lagoon.workers.database IS 'database of a worker; null for the launcher';
COMMENT ON COLUMN lagoon.workers.role IS 'launcher or worker';
COMMENT ON COLUMN lagoon.workers.state IS 'waiting, starting, running, idle, backing off or stopped';
COMMENT ON COLUMN lagoon.workers.last_error IS 'last error of a task; may quote data';
