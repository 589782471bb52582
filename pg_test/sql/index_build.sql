-- What builds take: maintenance_work_mem, then a temporary file where PostgreSQL would make it and as large as it may be.
CREATE TABLE t AS SELECT ARRAY[sin(i), cos(i * 3), sin(i * 7)]::vector(3) AS v FROM generate_series(1, 8000) i;
-- the graph takes a little more than 3 MB, and as much is set aside for threads, if there are any
SET maintenance_work_mem = '3MB';
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
SELECT bool_and(passed) FROM lagoon.verify_index('t_v');
DROP INDEX t_v;
SET max_parallel_maintenance_workers = 0;
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
DROP INDEX t_v;
RESET max_parallel_maintenance_workers;
-- a limit of the file
SET temp_file_limit = '4MB';
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
CREATE INDEX t_v ON t USING ivfflat (v) WITH (lists = 10);
RESET temp_file_limit;
-- its folder
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE index_build LOCATION '';
SET temp_tablespaces = index_build;
SELECT 'pg_tblspc/' || oid || '/' || pg_ls_dir('pg_tblspc/' || oid) || '/pgsql_tmp' AS folder FROM pg_tablespace WHERE spcname = 'index_build' \gset
SELECT pg_stat_file(:'folder', true) IS NULL AS not_there_yet;
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
SELECT (pg_stat_file(:'folder')).isdir, (SELECT count(*) FROM pg_ls_dir(:'folder')) AS files;
DROP INDEX t_v;
RESET temp_tablespaces;
DROP TABLE t;
DROP TABLESPACE index_build;
