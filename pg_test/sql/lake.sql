-- CSV to dataset to foreign table, pushdown in EXPLAIN, bad input, rights.
SELECT current_setting('data_directory') AS dir \gset
\set csv :dir '/lagoon_regress_lake.csv'
\set csv2 :dir '/lagoon_regress_lake2.csv'
-- What a statement raises, with the machine's paths taken out.
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    message := regexp_replace(message, '[0-9]+-[0-9]+/', 'HOME/');
    RETURN SQLSTATE || ': ' || replace(message, current_setting('data_directory'), 'DIR')
        || CASE WHEN hint <> '' THEN E'\n' || replace(hint, current_setting('data_directory'), 'DIR') ELSE '' END;
END $$;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
        RETURN NEXT regexp_replace(line, 'Parquet files: .*', 'Parquet files: ...');
    END LOOP;
END $$;

COPY (SELECT i AS id, 'item ' || i AS name, to_char(i, 'FM000') AS code, i * 0.5 AS price, date '2024-01-01' + i AS day,
             timestamp '2024-01-01' + i * interval '1 hour' AS at, CASE WHEN i % 2 = 0 THEN 'true' ELSE 'false' END AS even,
             CASE WHEN i % 5 <> 0 THEN i % 5 END AS part
      FROM generate_series(1, 100) AS i) TO :'csv' (FORMAT csv, HEADER);
SELECT rows, bytes > 0 AS has_bytes, file LIKE '%/things/%.parquet' AS in_its_folder, id FROM lagoon.ingest('things', :'csv');
-- Again: the same dataset, the same file.
SELECT rows FROM lagoon.ingest('things', :'csv');
SELECT name, cardinality(files) AS files, rows, id FROM lagoon.datasets;
SELECT c ->> 'name' AS name, c ->> 'type' AS type FROM lagoon.datasets, jsonb_array_elements(columns) AS c;

CREATE FOREIGN TABLE things () SERVER lagoon OPTIONS (dataset 'things');
\d things
SELECT count(*), min(code), max(day), sum(price), count(part) FROM things;
SELECT even, count(*) FROM things GROUP BY even ORDER BY even;
SELECT * FROM things WHERE id IN (7, 10) ORDER BY id;

SELECT * FROM pg_temp.plan('SELECT name FROM things WHERE id > 90 AND code < ''095'' AND length(name) = 7');
SELECT * FROM pg_temp.plan('SELECT id FROM things WHERE even LIMIT 3');
SELECT * FROM pg_temp.plan('SELECT count(*) FROM things');
SET lagoon.pushdown = off;
SELECT * FROM pg_temp.plan('SELECT id FROM things WHERE even LIMIT 3');
RESET lagoon.pushdown;

-- A file with other columns is refused and the dataset stays as it was; one with the same joins it, or replaces it.
COPY (SELECT i AS id FROM generate_series(1, 10) AS i) TO :'csv2' (FORMAT csv, HEADER);
SELECT pg_temp.try(format('SELECT * FROM lagoon.ingest(%L, %L)', 'things', :'csv2'));
SELECT cardinality(files) AS files, rows FROM lagoon.datasets WHERE name = 'things';
SELECT rows FROM lagoon.ingest('numbers', :'csv2');
COPY (SELECT i AS id FROM generate_series(11, 15) AS i) TO :'csv2' (FORMAT csv, HEADER);
SELECT rows FROM lagoon.ingest('numbers', :'csv2');
SELECT cardinality(files) AS files, rows FROM lagoon.datasets WHERE name = 'numbers';
CREATE FOREIGN TABLE numbers () SERVER lagoon OPTIONS (dataset 'numbers');
SELECT sum(id) FROM numbers;
SELECT rows FROM lagoon.ingest('numbers', :'csv2', '{"replace": true}');
SELECT sum(id) FROM numbers;
-- What is rolled back was not there.
BEGIN;
SELECT lagoon.drop_dataset('numbers');
ROLLBACK;
SELECT sum(id) FROM numbers;

-- The files of a dataset under another name, and its drift.
SELECT :'dir' || '/lagoon/datasets/' || files[1] AS file FROM lagoon.datasets WHERE name = 'things' \gset
SELECT :'dir' || '/lagoon/datasets/' || files[1] AS other FROM lagoon.datasets WHERE name = 'numbers' \gset
SELECT lagoon.register_dataset('copies', :'file') = lagoon.register_dataset('copies', :'file') AS idempotent;
SELECT split_part(pg_temp.try(format('SELECT lagoon.register_dataset(%L, %L)', 'copies', :'other')), ' has ', 1);
SELECT name, type_name, logical_type, column_type FROM lagoon.parquet_schema(:'file');

-- CSV that is not as it seems.
\set bad :dir '/lagoon_regress_bad.csv'
COPY (SELECT unnest(ARRAY['a|b', '1|x', '2|y|z'])) TO :'bad';
SELECT pg_temp.try(format('SELECT * FROM lagoon.ingest(%L, %L, %L)', 'bad', :'bad', '{"delimiter": "|"}'));
COPY (SELECT unnest(ARRAY['a', '1', '2', 'three'])) TO :'bad';
SELECT pg_temp.try(format('SELECT * FROM lagoon.ingest(%L, %L, %L)', 'bad', :'bad', '{"sample_rows": 2}'));
SELECT rows FROM lagoon.ingest('bad', :'bad');
SELECT columns FROM lagoon.datasets WHERE name = 'bad';
SELECT pg_temp.try(format('SELECT * FROM lagoon.ingest(%L, %L, %L)', 'bad', :'bad', '{"delimeter": "|"}'));
SELECT pg_temp.try(format('SELECT * FROM lagoon.ingest(%L, %L)', '../bad', :'bad'));
SELECT pg_temp.try(format('SELECT * FROM lagoon.ingest(%L, %L)', 'bad', 'relative.csv'));
SELECT pg_temp.try(format('SELECT * FROM lagoon.ingest(%L, %L)', 'bad', :'dir' || '/nothing.csv'));

-- Files that are not Parquet files.
CREATE FOREIGN TABLE not_parquet (a text) SERVER lagoon OPTIONS (path :'csv');
SELECT pg_temp.try('SELECT * FROM not_parquet');
SELECT pg_temp.try(format('CREATE FOREIGN TABLE nothing () SERVER lagoon OPTIONS (path %L)', :'csv'));
\set cut :dir '/lagoon_regress_cut.parquet'
SELECT lo_from_bytea(0, substr(pg_read_binary_file(:'file'), 1, 500)) AS cut_oid \gset
SELECT lo_export(:cut_oid, :'cut'), lo_unlink(:cut_oid);
CREATE FOREIGN TABLE cut (a text) SERVER lagoon OPTIONS (path :'cut');
SELECT pg_temp.try('SELECT * FROM cut');
CREATE FOREIGN TABLE gone (a text) SERVER lagoon OPTIONS (path '/nonexistent/x.parquet');
SELECT pg_temp.try('SELECT * FROM gone');
CREATE FOREIGN TABLE wrong (id text, nobody int) SERVER lagoon OPTIONS (path :'file');
SELECT pg_temp.try('SELECT id FROM wrong') LIKE 'HV004: column "id" is text in the table but bigint in file %' AS says_both_types;

-- Options.
CREATE FOREIGN TABLE o (a int) SERVER lagoon OPTIONS (file '/x');
CREATE FOREIGN TABLE o (a int) SERVER lagoon;
CREATE FOREIGN TABLE o (a int) SERVER lagoon OPTIONS (path '/x', dataset 'y');
CREATE FOREIGN TABLE o (a int) SERVER lagoon OPTIONS (path 'x.parquet');
ALTER SERVER lagoon OPTIONS (ADD path '/x');
CREATE FOREIGN TABLE o () SERVER lagoon OPTIONS (dataset 'unheard_of');
-- A table cannot be written.
INSERT INTO numbers VALUES (1);

-- Rights: a role reads below lagoon.data_directories and the datasets that it was granted; it writes nothing.
CREATE ROLE regress_lake_reader;
GRANT pg_read_all_settings TO regress_lake_reader;
GRANT USAGE ON FOREIGN SERVER lagoon TO regress_lake_reader;
GRANT CREATE ON SCHEMA public TO regress_lake_reader;
SET ROLE regress_lake_reader;
SELECT pg_temp.try('CREATE FOREIGN TABLE mine () SERVER lagoon OPTIONS (dataset ''numbers'')');
RESET ROLE;
SELECT lagoon.grant_dataset('numbers', 'regress_lake_reader');
SET ROLE regress_lake_reader;
CREATE FOREIGN TABLE mine () SERVER lagoon OPTIONS (dataset 'numbers');
SELECT sum(id) FROM mine;
SELECT pg_temp.try(format('CREATE FOREIGN TABLE yours () SERVER lagoon OPTIONS (path %L)', :'file'));
SELECT pg_temp.try(format('SELECT * FROM lagoon.parquet_schema(%L)', '/etc/passwd'));
SELECT pg_temp.try('SELECT * FROM lagoon.datasets');
SELECT pg_temp.try(format('SELECT * FROM lagoon.ingest(%L, %L)', 'x', :'csv'));
SELECT pg_temp.try('SET lagoon.data_directories = ''/''');
RESET ROLE;
SET lagoon.data_directories = :'dir';
SET ROLE regress_lake_reader;
CREATE FOREIGN TABLE yours () SERVER lagoon OPTIONS (path :'file');
SELECT count(*) FROM yours;
SELECT pg_temp.try(format('CREATE FOREIGN TABLE up () SERVER lagoon OPTIONS (path %L)', :'dir' || '/../x.parquet'));
RESET ROLE;
RESET lagoon.data_directories;
-- The owner's rights decide, as for a view, and they decide at execution.
SELECT split_part(pg_temp.try('SELECT count(*) FROM yours'), ' "', 1);

-- Cancelled in the middle; nothing is left behind, the session goes on.
SET statement_timeout = '50ms';
SELECT count(*) FROM things a, things b, things c, things d, things e;
RESET statement_timeout;
SELECT count(*) FROM things;

DROP OWNED BY regress_lake_reader;
DROP ROLE regress_lake_reader;
DROP EXTENSION lagoon;
DROP EXTENSION lagoon CASCADE;
\d things
