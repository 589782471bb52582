-- Language wasm: functions, triggers, traps, limits, exchange of a plugin.
--
-- "zoo" is crates/wasm/tests/zoo.wat, "one", "two" and "three" are
--   (module (func (export "lagoon_abi_1")) (func (export "answer") (result i32) (i32.const 1)))
-- with that number; `cargo run --release -p lagoon-wasm --example wat` turns such text into what stands here.
\set zoo '0061736d01000000013a0b60027f7f0060000060017f017f60027f7f017f60017e017e60027c7d017c60027f7f017e60047e7f7f7f017f6000017f60017c017f6000017e022502066c61676f6f6e056572726f720000066c61676f6f6e0b72657475726e5f6e756c6c0001031e1d010203020405060702080808030908080208080a0a0a0808080a02020205030100020606017f0141000b0792021e066d656d6f727902000c6c61676f6f6e5f6162695f3100020d6c61676f6f6e5f6275666665720003036164640004066e65676174650005067477696365380006057363616c650007046563686f0008056e756c6c730009076e6f7468696e67000a05636f756e74000b046661696c000c0570616e6963000d03646976000e087472756e63617465000f04626f6f6d0010047370696e00110464656570001204626f6d6200130477696c640014086661725f746578740015096c6f6e675f746578740016086261645f746578740017096661725f6572726f720018086e6f5f6572726f7200190462696732001a0c6d61726b5f636f6c756d6e73001b046d61726b001c046c696172001d057175696574001e0a91031d02000b0600418080040b0700200020016a0b05002000450b070020004201860b080020002001bba20b0c002000ad4220862001ad840b05002000a70b0600100141070b0b00230041016a240023000b0a004110412a100041000b09004110410e1000000b0700200020016d0b05002000aa0b0300000b090003400c000b41000b09004101200010126a0b1000034041e4004000417f470d000b000b0b0041ffffffff072802000b0d004290808080f0ffffffff000b090042ffffffff8f020b09004282808080800e0b0b00417c41e400100041000b0b004180014118100041000b060041f0a2040b090042a180808080080b800101017f20002d0011410171044041010f0b2000280218210120012d0000412d46044041000f0b20012d000041214604404110412a100041030f0b20012d0000413f46044041090f0b200141233a0000200041023a001120002d003141017104402000200035020037032805200020003502343703280b200041023a002141020b1600200042ffffffff07370318200041023a001141020b040041000b0b7d040041100b2a4c473432326261642076616c7565004974206973206120746573742e004769766520616e6f746865722e0041c0000b216e616d653a746578740a73697a653a696e74340a6f6c642e6e616d653a746578740041f0000b02fffe004180010b18303030303073756363657373206973206e6f206572726f72008201046e616d650004037a6f6f013f0900056572726f72010b72657475726e5f6e756c6c0d0570616e69630e036469761004626f6f6d11047370696e1204646565701304626f6d62140477696c640215021c020003726f7701046e616d651d010003726f7703130211010005616761696e13010005616761696e070801000563616c6c73'
\set one '0061736d010000000108026000006000017f03030200010719020c6c61676f6f6e5f6162695f31000006616e7377657200010a090202000b040041010b'
\set two '0061736d010000000108026000006000017f03030200010719020c6c61676f6f6e5f6162695f31000006616e7377657200010a090202000b040041020b'
\set three '0061736d010000000108026000006000017f03030200010719020c6c61676f6f6e5f6162695f31000006616e7377657200010a090202000b040041030b'
SET client_min_messages = warning;

-- The SQLSTATE of a statement, where that is what counts.
CREATE FUNCTION state_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS OR query_canceled THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- Functions
SELECT lagoon.install_plugin('zoo', decode(:'zoo', 'hex'));
SELECT lagoon.install_plugin('zoo', decode(:'zoo', 'hex'));
SELECT name, version, bytes > 1000 AS bytes, enabled, error_message FROM lagoon.plugin_status;
CREATE FUNCTION add(int, int) RETURNS int LANGUAGE wasm IMMUTABLE STRICT PARALLEL SAFE AS 'zoo:add';
CREATE FUNCTION negate(bool) RETURNS bool LANGUAGE wasm STRICT AS 'zoo:negate';
CREATE FUNCTION small(smallint, smallint) RETURNS smallint LANGUAGE wasm STRICT AS 'zoo:add';
CREATE FUNCTION twice8(bigint) RETURNS bigint LANGUAGE wasm STRICT AS 'zoo:twice8';
CREATE FUNCTION scale(float8, real) RETURNS float8 LANGUAGE wasm STRICT AS 'zoo:scale';
CREATE FUNCTION echo(text) RETURNS text LANGUAGE wasm STRICT AS 'zoo:echo';
CREATE FUNCTION echov(varchar) RETURNS varchar LANGUAGE wasm STRICT AS ' zoo:echo ';
CREATE FUNCTION nulls(int, text) RETURNS int LANGUAGE wasm AS 'zoo:nulls';
CREATE FUNCTION nothing(int) RETURNS int LANGUAGE wasm STRICT AS 'zoo:nothing';
CREATE FUNCTION count_calls() RETURNS int LANGUAGE wasm STRICT AS 'zoo:count';
SELECT add(40, 2), add(40, NULL), negate(false), small(1::int2, 2::int2), twice8(5000000000), scale(1.5, -2);
SELECT echo('größer'), echo(''), echo(NULL), echov('v'), length(echo(repeat('x', 60000)));
SELECT nulls(1, 'a'), nulls(NULL, 'a'), nulls(1, NULL), nulls(NULL, NULL), nothing(1);
SELECT small(30000::int2, 30000::int2);
SELECT sum(add(i, 1)) FROM generate_series(1, 1000) i;

-- What a function cannot be
CREATE FUNCTION bad() RETURNS int LANGUAGE wasm AS 'zoo';
CREATE FUNCTION bad() RETURNS int LANGUAGE wasm AS 'nowhere:add';
CREATE FUNCTION bad() RETURNS int LANGUAGE wasm STRICT AS 'zoo:nowhere';
CREATE FUNCTION bad(int) RETURNS int LANGUAGE wasm STRICT AS 'zoo:add';
CREATE FUNCTION bad(int, int) RETURNS int LANGUAGE wasm AS 'zoo:add';
CREATE FUNCTION bad(numeric) RETURNS int LANGUAGE wasm STRICT AS 'zoo:add';
CREATE FUNCTION bad(int, int) RETURNS SETOF int LANGUAGE wasm STRICT AS 'zoo:add';
CREATE FUNCTION bad(VARIADIC int[]) RETURNS int LANGUAGE wasm STRICT AS 'zoo:add';
CREATE FUNCTION bad(anyelement) RETURNS anyelement LANGUAGE wasm STRICT AS 'zoo:add';
CREATE PROCEDURE bad(int, int) LANGUAGE wasm AS 'zoo:add';
-- A dump is restored before its plugins are.
SET check_function_bodies = off;
CREATE FUNCTION later() RETURNS int LANGUAGE wasm STRICT AS 'later:answer';
RESET check_function_bodies;
SELECT later();
DROP FUNCTION later();

-- Traps are errors, and the session goes on with a new instance.
CREATE FUNCTION quotient(int, int) RETURNS int LANGUAGE wasm STRICT AS 'zoo:div';
CREATE FUNCTION boom() RETURNS int LANGUAGE wasm STRICT AS 'zoo:boom';
CREATE FUNCTION panic() RETURNS int LANGUAGE wasm STRICT AS 'zoo:panic';
CREATE FUNCTION fail() RETURNS int LANGUAGE wasm STRICT AS 'zoo:fail';
CREATE FUNCTION deep(int) RETURNS int LANGUAGE wasm STRICT AS 'zoo:deep';
CREATE FUNCTION bomb() RETURNS int LANGUAGE wasm STRICT AS 'zoo:bomb';
CREATE FUNCTION wild() RETURNS int LANGUAGE wasm STRICT AS 'zoo:wild';
CREATE FUNCTION spin() RETURNS int LANGUAGE wasm STRICT AS 'zoo:spin';
CREATE FUNCTION far_text() RETURNS text LANGUAGE wasm STRICT AS 'zoo:far_text';
CREATE FUNCTION bad_text() RETURNS text LANGUAGE wasm STRICT AS 'zoo:bad_text';
SELECT count_calls(), count_calls();
SELECT fail();
SELECT count_calls() AS same_instance;
SELECT quotient(1, 0);
SELECT count_calls() AS new_instance;
SELECT panic();
SELECT call, state_of('SELECT ' || call) FROM unnest(ARRAY['quotient(1, 0)', 'boom()', 'fail()', 'deep(1)', 'bomb()', 'wild()',
    'far_text()', 'bad_text()', 'add(1, 2)']) call;

-- Limits
SET statement_timeout = '50ms';
SELECT spin();
RESET statement_timeout;
SET lagoon.wasm_time_limit = '30ms';
SELECT spin();
RESET lagoon.wasm_time_limit;
SELECT lagoon.install_plugin('frugal', decode(:'zoo', 'hex'),
    '{"version": "2.1", "limits": {"memory": "1MB", "fuel": 100000, "time": "1s"}}');
CREATE FUNCTION frugal_spin() RETURNS int LANGUAGE wasm STRICT AS 'frugal:spin';
CREATE FUNCTION frugal_bomb() RETURNS int LANGUAGE wasm STRICT AS 'frugal:bomb';
SELECT frugal_spin();
SELECT frugal_bomb();
SELECT name, version, manifest FROM lagoon.plugins ORDER BY name;

-- Logging wants a permission. "talker" is
--   (module (import "lagoon" "log" (func $log (param i32 i32 i32))) (memory (export "memory") 1)
--     (data (i32.const 8) "hello") (func (export "lagoon_abi_1")) (func (export "say") (param i32) (result i32)
--       (call $log (local.get 0) (i32.const 8) (i32.const 5)) (local.get 0)))
\set talker '0061736d01000000010f0360037f7f7f0060000060017f017f020e01066c61676f6f6e036c6f67000003030201020503010001071f03066d656d6f727902000c6c61676f6f6e5f6162695f3100010373617900020a110202000b0c00200041084105100020000b0b0b010041080b0568656c6c6f000d046e616d6501060100036c6f67'
SELECT lagoon.install_plugin('talker', decode(:'talker', 'hex'));
SELECT lagoon.install_plugin('talker', decode(:'talker', 'hex'), '{"permissions": ["log"]}');
CREATE FUNCTION say(int) RETURNS int LANGUAGE wasm STRICT AS 'talker:say';
SELECT say(4);
SET client_min_messages = notice;
SELECT say(i) FROM generate_series(0, 3) i;
SET client_min_messages = warning;

-- What a plugin cannot be
SELECT what, state_of(format('SELECT lagoon.install_plugin(%L, %L, %L)', name, wasm, manifest)) FROM (VALUES
    ('not wasm', 'x', '\x68656c6c6f20776f726c64'::bytea, '{}'),
    ('empty', 'x', '', '{}'),
    ('truncated', 'x', substr(decode(:'zoo', 'hex'), 1, 500), '{}'),
    ('component', 'x', '\x0061736d0d000100', '{}'),
    ('no ABI', 'x', '\x0061736d01000000', '{}'),
    ('name', 'X-1', decode(:'one', 'hex'), '{}'),
    ('other name', 'x', decode(:'one', 'hex'), '{"name": "y"}'),
    ('unknown key', 'x', decode(:'one', 'hex'), '{"limits": {"memroy": 1}}'),
    ('permission', 'x', decode(:'one', 'hex'), '{"permissions": ["http"]}'),
    ('too little memory', 'x', decode(:'zoo', 'hex'), '{"limits": {"memory": "64kB"}}')) v(what, name, wasm, manifest);

-- Row triggers. "mark" skips rows without a name and those that begin with '-' stay, with '!' fail; else the first letter
-- becomes '#' and size the length of the old name.
CREATE FUNCTION mark() RETURNS trigger LANGUAGE wasm AS 'zoo:mark';
CREATE FUNCTION liar() RETURNS trigger LANGUAGE wasm AS 'zoo:liar';
SELECT mark();
CREATE TABLE things (id serial, gone int, name text, size int, short varchar(3));
ALTER TABLE things DROP COLUMN gone;
CREATE TRIGGER mark BEFORE INSERT OR UPDATE OR DELETE ON things FOR EACH ROW EXECUTE FUNCTION mark();
INSERT INTO things (name) VALUES ('apple'), (NULL), ('-pear'), ('größe') RETURNING *;
INSERT INTO things (name) VALUES ('fine'), ('!wrong');
INSERT INTO things (name) VALUES ('?');
UPDATE things SET name = 'longer name' WHERE name = '#pple' RETURNING *;
UPDATE things SET size = 0 WHERE name = '-pear' RETURNING *;
DELETE FROM things WHERE name = '-pear' RETURNING *;
SELECT * FROM things ORDER BY id;
CREATE TABLE narrow (name text);
CREATE TRIGGER mark BEFORE INSERT ON narrow FOR EACH ROW EXECUTE FUNCTION mark();
INSERT INTO narrow VALUES ('a');
ALTER TABLE narrow ADD size text;
INSERT INTO narrow VALUES ('a');
ALTER TABLE narrow ALTER size TYPE int USING 0;
INSERT INTO narrow VALUES ('a') RETURNING *;
DROP TRIGGER mark ON narrow;
CREATE TRIGGER liar BEFORE INSERT ON narrow FOR EACH ROW EXECUTE FUNCTION liar();
INSERT INTO narrow VALUES ('a');
DROP TRIGGER liar ON narrow;
DROP TABLE things, narrow;

-- A plugin is exchanged: the next statement sees it, a rollback takes it back.
SELECT lagoon.install_plugin('which', decode(:'one', 'hex'));
CREATE FUNCTION which() RETURNS int LANGUAGE wasm STRICT AS 'which:answer';
SELECT which();
SELECT lagoon.install_plugin('which', decode(:'two', 'hex'));
SELECT which();
BEGIN;
SELECT lagoon.install_plugin('which', decode(:'three', 'hex'));
SELECT which();
ROLLBACK;
SELECT which();
BEGIN;
SAVEPOINT before;
SELECT lagoon.install_plugin('which', decode(:'three', 'hex'));
ROLLBACK TO before;
SELECT which();
COMMIT;
-- In one statement all calls see one version, the one that it began with.
SELECT which() AS before, lagoon.install_plugin('which', decode(:'three', 'hex')), which() AS after;
SELECT which();
-- In a loop of PL/pgSQL each statement sees the version of its time.
DO $$
DECLARE
    seen int[];
    other bytea := (SELECT wasm FROM lagoon.plugins WHERE name = 'which');
BEGIN
    FOR i IN 1..3 LOOP
        -- the byte behind "i32.const"
        PERFORM lagoon.install_plugin('which', set_byte(other, position('\x41030b'::bytea IN other), i * 10));
        seen := seen || which();
    END LOOP;
    RAISE WARNING 'seen %', seen;
END $$;
-- A version without what functions need is refused, and the old one stays.
SELECT lagoon.install_plugin('which', decode(:'zoo', 'hex'));
SELECT which();
UPDATE lagoon.plugins SET enabled = false WHERE name = 'which';
SELECT which();
UPDATE lagoon.plugins SET enabled = true WHERE name = 'which';
SELECT which();

-- Privileges: nobody creates functions or installs plugins without being allowed to; everybody calls.
CREATE ROLE wasm_user;
GRANT CREATE ON SCHEMA public TO wasm_user;
GRANT USAGE ON SCHEMA lagoon TO wasm_user;
SET ROLE wasm_user;
SELECT add(1, 2);
SELECT count_calls() AS instance_of_its_own;
CREATE FUNCTION mine(int, int) RETURNS int LANGUAGE wasm STRICT AS 'zoo:add';
SELECT lagoon.install_plugin('x', '');
SELECT lagoon.reload_plugins();
SELECT count(*) FROM lagoon.plugins;
RESET ROLE;
GRANT USAGE ON LANGUAGE wasm TO wasm_user;
SET ROLE wasm_user;
CREATE FUNCTION mine(int, int) RETURNS int LANGUAGE wasm STRICT AS 'zoo:add';
SELECT mine(1, 2);
RESET ROLE;
DROP OWNED BY wasm_user;
DROP ROLE wasm_user;

-- Removal
SELECT lagoon.remove_plugin('nowhere');
SELECT lagoon.remove_plugin('which');
SELECT lagoon.remove_plugin('which', cascade => true);
SELECT which();
SELECT lagoon.install_plugin_file('/nowhere/x.wasm');
SELECT * FROM lagoon.reload_plugins();
DROP EXTENSION lagoon;
DROP EXTENSION lagoon CASCADE;
SELECT add(1, 2);
