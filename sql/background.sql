GRANT USAGE ON SCHEMA lagoon TO PUBLIC;

-- What launcher and workers do; see docs/operations/workers.md. An error text may quote data, so not everybody sees it.
CREATE VIEW lagoon.workers AS
SELECT s.pid, d.datname AS database, s.role, s.state, s.started, s.last_run, s.runs, s.failures, s.restarts, s.last_error
FROM lagoon.worker_status() AS s
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.database;

REVOKE ALL ON FUNCTION lagoon.worker_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lagoon.worker_status() TO pg_monitor;
GRANT SELECT ON lagoon.workers TO pg_monitor;

COMMENT ON VIEW lagoon.workers IS 'background processes of Lagoon: the launcher and the worker of each database';
