-- The binary format of halfvec: {dimensions, zero, elements of two bytes} in network order, and what it refuses.
SELECT halfvec_send('[1,-2,0.5]'::halfvec);
CREATE TABLE source (id integer, v halfvec(3));
CREATE TABLE target (id integer, v halfvec(3));
INSERT INTO source VALUES (1, '[1,-2,0.5]'), (2, NULL), (3, '[65504,6e-8,-0]');
\set copied `psql -XAtq -d :'DBNAME' -c "COPY source TO STDOUT (FORMAT binary)" | psql -XAtq -d :'DBNAME' -c "COPY target FROM STDIN (FORMAT binary)" 2>&1`
\echo :copied
SELECT * FROM target ORDER BY id;
SELECT count(*) AS same FROM source JOIN target USING (id) WHERE halfvec_send(source.v) = halfvec_send(target.v);
-- One column of one row: the header, one field of so many bytes, the trailer.
CREATE TABLE raw (v halfvec);
\set head 'PGCOPY\\n\\377\\r\\n\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\001'
\set tail '\\377\\377'
\set two '\\000\\000\\000\\010\\000\\002\\000\\000\\074\\000\\300\\000'
\set none '\\000\\000\\000\\004\\000\\000\\000\\000'
\set many '\\000\\000\\000\\004\\076\\201\\000\\000'
\set negative '\\000\\000\\000\\004\\377\\377\\000\\000'
\set unused '\\000\\000\\000\\006\\000\\001\\000\\001\\074\\000'
\set nan '\\000\\000\\000\\006\\000\\001\\000\\000\\176\\000'
\set infinite '\\000\\000\\000\\006\\000\\001\\000\\000\\374\\000'
\set cut '\\000\\000\\000\\006\\000\\002\\000\\000\\074\\000'
\set over '\\000\\000\\000\\010\\000\\001\\000\\000\\074\\000\\074\\000'
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
