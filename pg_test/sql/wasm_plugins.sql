-- Plugins as objects: names, manifests, owners, copies, and what stands in tables because of them.
--
-- "one" answers 1; "twice" is (module (func (export "lagoon_abi_1"))
--   (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))), "thrice" the same with 3.
\set one '0061736d010000000108026000006000017f03030200010719020c6c61676f6f6e5f6162695f31000006616e7377657200010a090202000b040041010b'
\set twice '0061736d0100000001090260000060017f017f03030200010714020c6c61676f6f6e5f6162695f310000016600010a0c0202000b0700200041026c0b'
\set thrice '0061736d0100000001090260000060017f017f03030200010714020c6c61676f6f6e5f6162695f310000016600010a0c0202000b0700200041036c0b'
SET client_min_messages = warning;
CREATE FUNCTION state_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- Names and manifests: what a user can get wrong is the user's error.
SELECT what, state_of(format('SELECT lagoon.install_plugin(%L, %L, %L)', name, decode(:'one', 'hex'), manifest)) FROM (VALUES
    ('no name', '', '{}'),
    ('64 letters', repeat('a', 64), '{}'),
    ('long', repeat('Aä', 1000), '{}'),
    ('63 letters', repeat('a', 63), '{}'),
    ('a keyword', 'select', '{}'),
    ('null', 'x', 'null'),
    ('a list', 'x', '[]'),
    ('1e400', 'x', '{"limits": {"fuel": 1e400}}'),
    ('1e-400', 'x', '{"limits": {"fuel": 1e-400}}'),
    ('nested', 'x', '{"limits": ' || repeat('[', 200) || repeat(']', 200) || '}'),
    ('below zero', 'x', '{"limits": {"fuel": -1}}'),
    ('a fraction', 'x', '{"limits": {"memory": 1.5}}'),
    ('no unit', 'x', '{"limits": {"time": "1 h"}}'),
    ('no text', 'x', '{"version": 2}'),
    ('many permissions', 'x', '{"permissions": [' || repeat('"log", ', 64) || '"log"]}'),
    ('long', 'x', '{"description": "' || repeat('x', 70000) || '"}')) v(what, name, manifest);
SELECT state_of('SELECT lagoon.install_plugin(NULL, '''')'), state_of('SELECT lagoon.install_plugin(''x'', NULL)');
SELECT left(name, 10) AS name, owner, quarantined FROM lagoon.plugin_status;

-- Nothing is written where nothing may be.
BEGIN READ ONLY;
SELECT lagoon.install_plugin('x', decode(:'one', 'hex'));
ROLLBACK;
BEGIN READ ONLY;
SELECT lagoon.remove_plugin('select');
ROLLBACK;
BEGIN READ ONLY;
SELECT lagoon.reload_plugins();
ROLLBACK;

-- Each plugin is also the body of a function, which a dump restores before any data; it follows the table.
CREATE VIEW copies AS SELECT left(proname, 10) AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE nspname = 'lagoon_plugin' ORDER BY 1;
SELECT * FROM copies;
UPDATE lagoon.plugins SET name = 'other' WHERE name = 'select';
SELECT * FROM copies;
DELETE FROM lagoon.plugins WHERE name = 'other';
SELECT * FROM copies;
TRUNCATE lagoon.plugins;
SELECT * FROM copies;

-- What functions have computed and is stored is named when their plugin is replaced.
SELECT lagoon.install_plugin('numbers', decode(:'twice', 'hex'));
CREATE FUNCTION f(int) RETURNS int LANGUAGE wasm IMMUTABLE STRICT AS 'numbers:f';
CREATE FUNCTION g(n int) RETURNS int IMMUTABLE BEGIN ATOMIC SELECT f(n); END;
CREATE FUNCTION less(int, int) RETURNS bool IMMUTABLE BEGIN ATOMIC SELECT f($1) < f($2); END;
CREATE FUNCTION compared(int, int) RETURNS int IMMUTABLE BEGIN ATOMIC SELECT f($1) - f($2); END;
CREATE OPERATOR <<< (FUNCTION = less, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR CLASS odd_ops FOR TYPE int USING btree AS OPERATOR 1 <<<, FUNCTION 1 compared(int, int);
SELECT lagoon.install_plugin('numbers', decode(:'thrice', 'hex'));
CREATE DOMAIN small AS int CHECK (f(VALUE) < 1000);
CREATE TABLE t (n int CONSTRAINT t_small CHECK (g(n) < 1000), doubled int GENERATED ALWAYS AS (f(n)) STORED, d int DEFAULT f(1));
CREATE INDEX t_f ON t (f(n));
CREATE INDEX t_g ON t (n) WHERE g(n) > 3;
CREATE INDEX t_odd ON t (n odd_ops);
CREATE TABLE p (n int) PARTITION BY RANGE (f(n));
CREATE VIEW v AS SELECT f(n) FROM t;
SELECT lagoon.install_plugin('numbers', decode(:'twice', 'hex'));
SELECT lagoon.install_plugin('numbers', decode(:'twice', 'hex'));
SELECT lagoon.install_plugin('numbers', decode(:'twice', 'hex'), '{"version": "2"}');
DROP TABLE t, p CASCADE;
DROP DOMAIN small;

-- Who installed a plugin owns it. EXECUTE on the functions is all that it takes to install one.
CREATE ROLE wasm_author;
CREATE ROLE wasm_rival;
GRANT EXECUTE ON FUNCTION lagoon.install_plugin(text, bytea, jsonb), lagoon.remove_plugin(text, boolean) TO wasm_author, wasm_rival;
SET ROLE wasm_author;
SELECT lagoon.install_plugin('authored', decode(:'one', 'hex'));
SELECT lagoon.install_plugin('authored', decode(:'twice', 'hex'));
SELECT lagoon.install_plugin('numbers', decode(:'thrice', 'hex'));
SELECT current_user;
SET ROLE wasm_rival;
SELECT lagoon.install_plugin('authored', decode(:'one', 'hex'));
SELECT lagoon.remove_plugin('authored');
SELECT count(*) FROM lagoon.plugins;
RESET ROLE;
SELECT name, owner FROM lagoon.plugins ORDER BY name;
SELECT lagoon.install_plugin('authored', decode(:'one', 'hex'));
SELECT name, owner FROM lagoon.plugins ORDER BY name;
GRANT wasm_author TO wasm_rival;
SET ROLE wasm_rival;
SELECT lagoon.remove_plugin('authored');
RESET ROLE;
DROP OWNED BY wasm_author, wasm_rival;
DROP ROLE wasm_author, wasm_rival;

-- Triggers that cannot be are refused when they are created.
CREATE FUNCTION trap() RETURNS trigger LANGUAGE wasm AS 'numbers:nothing';
SET check_function_bodies = off;
CREATE FUNCTION trap() RETURNS trigger LANGUAGE wasm AS 'numbers:nothing';
RESET check_function_bodies;
CREATE TABLE things (id int);
CREATE VIEW seen AS SELECT * FROM things;
CREATE TRIGGER t AFTER INSERT ON things FOR EACH ROW EXECUTE FUNCTION trap();
CREATE TRIGGER t BEFORE INSERT ON things FOR EACH STATEMENT EXECUTE FUNCTION trap();
CREATE TRIGGER t BEFORE TRUNCATE ON things FOR EACH STATEMENT EXECUTE FUNCTION trap();
CREATE TRIGGER t BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION trap('argument');
CREATE TRIGGER t INSTEAD OF INSERT ON seen FOR EACH ROW EXECUTE FUNCTION trap();
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON things DEFERRABLE FOR EACH ROW EXECUTE FUNCTION trap();
CREATE TRIGGER t BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION trap();
CREATE OR REPLACE TRIGGER t AFTER INSERT ON things FOR EACH ROW EXECUTE FUNCTION trap();
SELECT tgname FROM pg_trigger WHERE tgrelid IN ('things'::regclass, 'seen'::regclass);
DROP TABLE things CASCADE;

-- Copies go with the extension, and keep nobody from dropping it.
DROP OPERATOR CLASS odd_ops USING btree;
DROP FUNCTION trap(), f(int) CASCADE;
DROP EXTENSION lagoon;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'lagoon%';
