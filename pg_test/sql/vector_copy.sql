-- The binary format: {dimensions, zero, elements} in network order, and what it refuses.
SELECT vector_send('[1,-2,0.5]'::vector);
CREATE TABLE source (id integer, v vector(3));
CREATE TABLE target (id integer, v vector(3));
INSERT INTO source VALUES (1, '[1,-2,0.5]'), (2, NULL), (3, '[3e38,1e-45,-0]');
\set copied `psql -XAtq -d :'DBNAME' -c "COPY source TO STDOUT (FORMAT binary)" | psql -XAtq -d :'DBNAME' -c "COPY target FROM STDIN (FORMAT binary)" 2>&1`
\echo :copied
SELECT * FROM target ORDER BY id;
-- One column of one row: the header, one field of so many bytes, the trailer.
CREATE TABLE raw (v vector);
\set head 'PGCOPY\\n\\377\\r\\n\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\001'
\set tail '\\377\\377'
\set two '\\0\\0\\0\\014\\0\\002\\0\\0\\077\\200\\0\\0\\300\\0\\0\\0'
\set none '\\0\\0\\0\\004\\0\\0\\0\\0'
\set many '\\0\\0\\0\\004\\076\\201\\0\\0'
\set negative '\\0\\0\\0\\004\\377\\377\\0\\0'
\set unused '\\0\\0\\0\\010\\0\\001\\0\\001\\077\\200\\0\\0'
\set nan '\\0\\0\\0\\010\\0\\001\\0\\0\\177\\300\\0\\0'
\set infinite '\\0\\0\\0\\010\\0\\001\\0\\0\\377\\200\\0\\0'
\set cut '\\0\\0\\0\\010\\0\\002\\0\\0\\077\\200\\0\\0'
\set over '\\0\\0\\0\\014\\0\\001\\0\\0\\077\\200\\0\\0\\077\\200\\0\\0'
\set result `printf :'head':'two':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo two :result
\set result `printf :'head':'none':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo none :result
\set result `printf :'head':'many':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo many :result
\set result `printf :'head':'negative':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo negative :result
\set result `printf :'head':'unused':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo unused :result
\set result `printf :'head':'nan':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo nan :result
\set result `printf :'head':'infinite':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo infinite :result
\set result `printf :'head':'cut':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo cut :result
\set result `printf :'head':'over':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo over :result
SELECT * FROM raw;
