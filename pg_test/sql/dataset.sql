-- What becomes of a dataset's files, who may read it, what a standby and a dump see of it, and CSV files that are not as they seem.
SELECT current_setting('data_directory') AS dir \gset
SELECT :'dir' || '/lagoon/datasets/' || system_identifier || '-' || oid AS home
FROM pg_control_system(), pg_database WHERE datname = current_database() \gset
SET regress.home = :'home';
\set csv :dir '/lagoon_regress_dataset.csv'
\set csv2 :dir '/lagoon_regress_dataset2.csv'
-- How many files the folder of a dataset has; NULL if there is no such folder.
CREATE FUNCTION pg_temp.files(dataset text) RETURNS bigint LANGUAGE sql AS $$
    SELECT nullif((SELECT count(*) FROM pg_ls_dir(folder, true, false) AS f, pg_ls_dir(folder || '/' || f, true, false)), 0)
    FROM (SELECT current_setting('regress.home') || '/' || dataset) AS h (folder)
$$;
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    message := replace(regexp_replace(message, '[0-9]+-[0-9]+/', 'HOME/', 'g'), current_setting('data_directory'), 'DIR');
    RETURN SQLSTATE || ': ' || regexp_replace(message, '[0-9a-f]{32}', 'HASH', 'g') || CASE WHEN hint <> '' THEN E'\n' || hint ELSE '' END;
END $$;
-- Text as a file on the server, byte for byte.
CREATE FUNCTION pg_temp.write(path text, content bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE object oid := lo_from_bytea(0, content);
BEGIN
    PERFORM lo_export(object, path), lo_unlink(object);
END $$;
SELECT pg_temp.write(:'csv', E'id,name\n1,a\n2,\n3,""\n'), pg_temp.write(:'csv2', E'id,name\n4,d\n');

-- Reading takes no transaction id.
SELECT rows FROM lagoon.ingest('d', :'csv');
CREATE FOREIGN TABLE d () SERVER lagoon OPTIONS (dataset 'd');
BEGIN;
SELECT id, name, name IS NULL AS is_null FROM d;
SELECT pg_current_xact_id_if_assigned() IS NULL AS without_id;
COMMIT;
-- The catalogue does not say where the dataset directory is.
SELECT files[1] = replace(:'home', :'dir' || '/lagoon/datasets/', '') || '/d/' || fingerprint || '/' || split_part(files[1], '/', 4) AS relative
FROM lagoon.datasets;
SET lagoon.dataset_directory = '/nonexistent';
SELECT pg_temp.try('SELECT * FROM d');
RESET lagoon.dataset_directory;

-- What is rolled back leaves no file.
BEGIN;
SELECT rows FROM lagoon.ingest('r', :'csv');
SELECT pg_temp.files('r');
ROLLBACK;
SELECT pg_temp.files('r');
BEGIN;
SAVEPOINT s;
SELECT rows FROM lagoon.ingest('r', :'csv');
ROLLBACK TO s;
SELECT pg_temp.files('r');
SELECT rows FROM lagoon.ingest('r', :'csv2');
SAVEPOINT s;
SELECT rows FROM lagoon.ingest('r', :'csv');
RELEASE s;
SELECT pg_temp.files('r');
ROLLBACK;
SELECT pg_temp.files('r');
-- A file that was there before stays.
BEGIN;
SELECT rows FROM lagoon.ingest('d', :'csv');
ROLLBACK;
SELECT count(*) FROM d;

-- What is dropped goes at commit, and only then.
BEGIN;
SELECT lagoon.drop_dataset('d');
SELECT pg_temp.files('d');
ROLLBACK;
SELECT count(*) FROM d;
BEGIN;
SAVEPOINT s;
SELECT lagoon.drop_dataset('d');
ROLLBACK TO s;
COMMIT;
SELECT count(*) FROM d;
-- Dropped and made again in one transaction.
BEGIN;
SELECT lagoon.drop_dataset('d');
SELECT rows FROM lagoon.ingest('d', :'csv');
COMMIT;
SELECT count(*) FROM d;
-- Made and read in one function.
CREATE FUNCTION pg_temp.made_and_read(csv text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lagoon.ingest('f', csv);
    CREATE FOREIGN TABLE f () SERVER lagoon OPTIONS (dataset 'f');
    RETURN (SELECT count(*) FROM f);
END $$;
SELECT pg_temp.made_and_read(:'csv');
DROP FOREIGN TABLE f;
SELECT lagoon.drop_dataset('f');
-- Replaced.
SELECT rows FROM lagoon.ingest('d', :'csv2', '{"replace": true}');
SELECT pg_temp.files('d');
-- Another dataset has the file too.
SELECT :'dir' || '/lagoon/datasets/' || files[1] AS file FROM lagoon.datasets \gset
SELECT lagoon.register_dataset('copy', :'file') IS NOT NULL AS registered;
SELECT lagoon.drop_dataset('d');
CREATE FOREIGN TABLE copy () SERVER lagoon OPTIONS (dataset 'copy');
SELECT * FROM copy;
SELECT lagoon.drop_dataset('copy');
SELECT pg_temp.files('d');
SELECT pg_temp.try('SELECT * FROM d');

-- What no dataset has goes when it is old enough.
SELECT rows FROM lagoon.ingest('d', :'csv');
SELECT split_part(files[1], '/', 3) AS fingerprint FROM lagoon.datasets \gset
SELECT pg_temp.write(:'home' || '/d/' || :'fingerprint' || '/orphan.parquet', 'x'), pg_temp.write(:'home' || '/.ingest-1-1.tmp', 'xy');
SELECT count(*) FROM lagoon.remove_orphaned_files();
BEGIN;
SELECT regexp_replace(file, '.*/', '') AS file, bytes FROM lagoon.remove_orphaned_files('0') ORDER BY 1;
COMMIT;
SELECT pg_temp.files('d');
SELECT count(*) FROM d;
BEGIN;
SELECT lagoon.drop_dataset('d');
SELECT count(*) FROM lagoon.remove_orphaned_files('0');
ROLLBACK;
SELECT count(*) FROM d;
SELECT pg_temp.try('SELECT lagoon.remove_orphaned_files(''-1 s'')');

-- Who may: the owner, whom he grants it to, and nobody who happens to know the name.
CREATE ROLE regress_dataset_owner;
CREATE ROLE regress_dataset_reader;
CREATE ROLE regress_dataset_writer;
GRANT pg_read_all_settings TO regress_dataset_owner, regress_dataset_reader, regress_dataset_writer;
GRANT pg_write_server_files, pg_read_server_files TO regress_dataset_owner;
GRANT pg_write_server_files TO regress_dataset_writer;
GRANT USAGE ON FOREIGN SERVER lagoon TO regress_dataset_reader, regress_dataset_owner, regress_dataset_writer;
GRANT CREATE ON SCHEMA public TO regress_dataset_reader, regress_dataset_owner, regress_dataset_writer;
SET ROLE regress_dataset_owner;
SELECT rows FROM lagoon.ingest('owned', :'csv');
CREATE FOREIGN TABLE owned () SERVER lagoon OPTIONS (dataset 'owned');
GRANT SELECT ON owned TO regress_dataset_reader;
SET ROLE regress_dataset_reader;
SELECT count(*) FROM owned;
CREATE FOREIGN TABLE peek (id bigint) SERVER lagoon OPTIONS (dataset 'owned');
SELECT pg_temp.try('SELECT * FROM peek');
SELECT pg_temp.try('CREATE FOREIGN TABLE peek2 () SERVER lagoon OPTIONS (dataset ''owned'')');
SELECT pg_temp.try('SELECT lagoon.grant_dataset(''owned'', ''regress_dataset_reader'')');
SELECT pg_temp.try('SELECT lagoon.drop_dataset(''owned'')');
SET ROLE regress_dataset_owner;
SELECT lagoon.grant_dataset('owned', 'regress_dataset_reader'), lagoon.grant_dataset('owned', 'regress_dataset_reader');
SELECT owner, readers FROM lagoon.datasets WHERE name = 'owned';
SET ROLE regress_dataset_reader;
SELECT count(*) FROM peek;
SET ROLE regress_dataset_owner;
SELECT lagoon.revoke_dataset('owned', 'regress_dataset_reader'), lagoon.grant_dataset('owned', 'public');
SET ROLE regress_dataset_reader;
SELECT count(*) FROM peek;
SET ROLE regress_dataset_owner;
SELECT lagoon.revoke_dataset('owned', 'public');
SET ROLE regress_dataset_reader;
SELECT pg_temp.try('SELECT count(*) FROM peek');
SET ROLE regress_dataset_owner;
SELECT pg_temp.try('SELECT lagoon.grant_dataset(''owned'', ''regress_nobody'')');
SELECT pg_temp.try('SELECT lagoon.grant_dataset(''nothing'', ''public'')');
-- Somebody else who may write files does not replace it, and is not told its columns.
SET ROLE regress_dataset_writer;
SELECT pg_temp.try(format('SELECT lagoon.ingest(%L, %L)', 'owned', '/nonexistent.csv'));
SELECT pg_temp.try(format('SELECT lagoon.register_dataset(%L, %L)', 'owned', '/nonexistent.parquet'));
SELECT pg_temp.try('SELECT lagoon.set_dataset_owner(''owned'', ''regress_dataset_writer'')');
RESET ROLE;
SELECT lagoon.set_dataset_owner('owned', 'regress_dataset_writer');
SELECT pg_temp.try('SELECT count(*) FROM owned');
-- When the owner's role is dropped, superusers and readers are left.
DROP OWNED BY regress_dataset_writer;
DROP ROLE regress_dataset_writer;
SELECT lagoon.grant_dataset('owned', 'regress_dataset_owner');
SELECT count(*) FROM owned;
SELECT lagoon.set_dataset_owner('owned', 'postgres');
DROP OWNED BY regress_dataset_reader, regress_dataset_owner;
DROP ROLE regress_dataset_reader, regress_dataset_owner;

-- Several files, of which a later one has a column more.
SELECT pg_temp.write(:'csv', E'id\n1\n'), pg_temp.write(:'csv2', E'id,more\n2,x\n');
SELECT rows FROM lagoon.ingest('drift1', :'csv') UNION ALL SELECT rows FROM lagoon.ingest('drift2', :'csv2');
SELECT pg_temp.try(format('SELECT lagoon.register_dataset(%L, %L)', 'both', :'home' || '/drift?/*/*.parquet'));
SELECT pg_temp.try(format('CREATE FOREIGN TABLE every () SERVER lagoon OPTIONS (path %L)', :'home' || '/drift?/*/*.parquet'));
\set both :home '/drift?/*/*.parquet'
CREATE FOREIGN TABLE every (id bigint) SERVER lagoon OPTIONS (path :'both');
SELECT sum(id) FROM every;

-- CSV that is not as it seems.
CREATE FUNCTION pg_temp.ingest(content bytea, options jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE path text := current_setting('data_directory') || '/lagoon_regress_dataset_bad.csv'; outcome text;
BEGIN
    PERFORM pg_temp.write(path, content);
    outcome := pg_temp.try(format('SELECT lagoon.ingest(%L, %L, %L)', 'bad', path, options));
    RETURN outcome ||
        coalesce((SELECT format(': %s rows, ', rows) || string_agg(c ->> 'name' || ' ' || (c ->> 'type'), ', ')
                  FROM lagoon.datasets, jsonb_array_elements(columns) AS c WHERE name = 'bad' GROUP BY rows), '');
END $$;
CREATE FUNCTION pg_temp.again(content bytea, options jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE outcome text;
BEGIN
    outcome := pg_temp.ingest(content, options);
    IF EXISTS (SELECT FROM lagoon.datasets WHERE name = 'bad') THEN PERFORM lagoon.drop_dataset('bad'); END IF;
    RETURN outcome;
END $$;
SELECT pg_temp.again(E'a,b\n1,"x\n2,y\n3,z\n');
SELECT pg_temp.again(E'v\n1\n\n3\n\n5\n');
SELECT pg_temp.again(E'a,b\n1,x\n\n2,y\n');
SELECT pg_temp.again(E'id;name\n1;a\n');
SELECT pg_temp.again(E'a;b,c\n1;2,3\n');
SELECT pg_temp.again(E'a;b,c\n1;2,3\n', '{"delimiter": ","}');
SELECT pg_temp.again(E'a\r\n1\n2\r\n');
SELECT pg_temp.again('\x1f8b080000000000');
SELECT pg_temp.again('\xfffe69006400');
SELECT pg_temp.again('\x61e40a310a');
SELECT pg_temp.again(E'ctid\n1\n');
SELECT pg_temp.again((repeat(',', 1048576) || E'\n')::bytea);
\set VERBOSITY terse
DROP EXTENSION lagoon CASCADE;
