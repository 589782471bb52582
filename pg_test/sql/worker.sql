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

-- Our hook around utility statements leaves their errors as they are: with position, detail and context.
CREATE TABLE lagoon_error (a no_such_type);
CREATE TABLE lagoon_error (a int CHECK (a > 0));
DO $$ BEGIN EXECUTE 'INSERT INTO lagoon_error VALUES (0)'; EXCEPTION WHEN check_violation THEN
    DECLARE the_table text; the_constraint text;
    BEGIN
        GET STACKED DIAGNOSTICS the_table = TABLE_NAME, the_constraint = CONSTRAINT_NAME;
        RAISE NOTICE '% %', the_table, the_constraint;
    END;
END $$;
ALTER TABLE lagoon_error ADD COLUMN b int, ADD CHECK (c > 0);
COPY lagoon_error FROM stdin;
nonsense
\.
DROP TABLE lagoon_error;
