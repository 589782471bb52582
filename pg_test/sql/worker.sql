-- Launcher and workers as a DBA sees them. What they do is tested from outside, in tests/worker.rs.
\d lagoon.workers
SELECT role, state, database, failures, last_error FROM lagoon.workers WHERE role = 'launcher';

-- Errors may quote data: for superusers and members of pg_monitor.
CREATE ROLE lagoon_stranger;
CREATE ROLE lagoon_monitor IN ROLE pg_monitor;
SET ROLE lagoon_stranger;
SELECT count(*) > 0 AS visible FROM lagoon.workers;
SELECT count(*) > 0 AS visible FROM lagoon.worker_status();
SET ROLE lagoon_monitor;
SELECT count(*) > 0 AS visible FROM lagoon.workers;
RESET ROLE;
DROP ROLE lagoon_stranger, lagoon_monitor;

-- Settings of the server, not of a session.
SET lagoon.functions_directory = '/tmp';
SET lagoon.worker_restart_interval = '1s';
ALTER SYSTEM SET lagoon.worker_restart_interval = '0s';
ALTER SYSTEM SET lagoon.worker_restart_interval = '2h';
SHOW lagoon.worker_restart_interval;
