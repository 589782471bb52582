\pset pager off
\timing on
\echo
\echo '\033[1m2. The CSV becomes a Parquet file and a dataset; the dataset is a foreign table.\033[0m'
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lagoon;
RESET client_min_messages;

SELECT * FROM lagoon.ingest('packages', :'catalogue', '{"replace": true}');

DROP FOREIGN TABLE IF EXISTS packages;
CREATE FOREIGN TABLE packages () SERVER lagoon OPTIONS (dataset 'packages');
\d packages

SELECT section, count(*) AS packages, pg_size_pretty(sum(installed_size) * 1024) AS installed
FROM packages
WHERE section NOT LIKE '%/%'
GROUP BY section
ORDER BY sum(installed_size) DESC
LIMIT 8;

EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, SUMMARY OFF, TIMING OFF)
SELECT count(*), sum(installed_size) FROM packages WHERE section = 'video' AND installed_size > 1000;
