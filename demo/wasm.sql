\pset pager off
\timing off
\set ECHO none
CREATE PROCEDURE pg_temp.wait_for_other_build(old text) LANGUAGE plpgsql AS $$
BEGIN
    FOR attempt IN 1..1000 LOOP
        IF EXISTS (SELECT FROM lagoon.plugins WHERE name = 'package_rules' AND hash IS DISTINCT FROM old) THEN
            RETURN;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE EXCEPTION 'no other build of package_rules was installed within 10 s'
        USING HINT = 'See lagoon.plugin_status, lagoon.workers and the server log.';
END
$$;
SET client_min_messages = warning;
DROP TABLE IF EXISTS submissions;
RESET client_min_messages;
\o /dev/null
SELECT lagoon.remove_plugin(name, cascade => true) FROM lagoon.plugins WHERE name = 'package_rules';
\o
\set ECHO queries
\echo
\echo '\033[1m4. A trigger in WebAssembly checks and normalises rows; a new build takes over while we stay connected.\033[0m'
\echo 'package_rules.wasm and its manifest are copied into the watched folder, and the worker installs them:'
\! cp guest/examples/package_rules/package_rules.yaml "$GUESTS/package_rules.wasm" "$FUNCTIONS/"
CALL pg_temp.wait_for_other_build(NULL);
SELECT name, version, left(hash, 12) AS hash, bytes FROM lagoon.plugin_status;

CREATE FUNCTION check_package() RETURNS trigger LANGUAGE wasm AS 'package_rules:check_package';
CREATE TABLE submissions (name text, section text, maintainer text, email text);
CREATE TRIGGER check_package BEFORE INSERT OR UPDATE ON submissions FOR EACH ROW EXECUTE FUNCTION check_package();

INSERT INTO submissions VALUES ('  FFmpeg', 'VIDEO ', ' Jane   Doe ', 'Jane.Doe@Debian.ORG') RETURNING *;

\set ON_ERROR_STOP off
INSERT INTO submissions VALUES ('ffmpeg', 'video', 'Jane Doe', 'jane.doe(at)debian.org');
\echo 'SQLSTATE' :SQLSTATE
INSERT INTO submissions VALUES ('ffmpeg', 'films', 'Jane Doe', 'jane.doe@debian.org');
\echo 'SQLSTATE' :SQLSTATE
\set ON_ERROR_STOP on

\echo 'This build takes an address in .example:'
INSERT INTO submissions VALUES ('mutt', 'mail', 'Joe', 'joe@mail.example') RETURNING *;

\echo 'A changed build of the same module is copied into the folder; same connection, no DDL:'
SELECT hash AS old_hash FROM lagoon.plugins WHERE name = 'package_rules' \gset
\! cp "$GUESTS/package_rules_v2.wasm" "$FUNCTIONS/package_rules.wasm"
\timing on
CALL pg_temp.wait_for_other_build(:'old_hash');
\timing off
\set ON_ERROR_STOP off
INSERT INTO submissions VALUES ('mutt', 'mail', 'Joe', 'joe@mail.example') RETURNING *;
\echo 'SQLSTATE' :SQLSTATE
\set ON_ERROR_STOP on
SELECT * FROM submissions;
