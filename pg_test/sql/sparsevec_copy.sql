-- The binary format of sparsevec: {dimensions, number of elements, zero, indices from 0, elements} in network order, and what it refuses.
SELECT sparsevec_send('{1:1,5:-2}/5'::sparsevec);
CREATE TABLE source (id integer, v sparsevec(5));
CREATE TABLE target (id integer, v sparsevec(5));
INSERT INTO source VALUES (1, '{1:1,5:-2}/5'), (2, NULL), (3, '{}/5'), (4, '{2:3e38,3:1e-45}/5');
\set copied `psql -XAtq -d :'DBNAME' -c "COPY source TO STDOUT (FORMAT binary)" | psql -XAtq -d :'DBNAME' -c "COPY target FROM STDIN (FORMAT binary)" 2>&1`
\echo :copied
SELECT * FROM target ORDER BY id;
SELECT count(*) AS same FROM source JOIN target USING (id) WHERE sparsevec_send(source.v) = sparsevec_send(target.v);
-- One column of one row: the header, one field of so many bytes, the trailer.
CREATE TABLE raw (v sparsevec);
\set head 'PGCOPY\\n\\377\\r\\n\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\001'
\set tail '\\377\\377'
\set two '\\000\\000\\000\\034\\000\\000\\000\\005\\000\\000\\000\\002\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\004\\077\\200\\000\\000\\300\\000\\000\\000'
\set empty '\\000\\000\\000\\014\\000\\000\\000\\005\\000\\000\\000\\000\\000\\000\\000\\000'
\set none '\\000\\000\\000\\014\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000'
\set below '\\000\\000\\000\\014\\377\\377\\377\\377\\000\\000\\000\\000\\000\\000\\000\\000'
\set wide '\\000\\000\\000\\014\\073\\232\\312\\001\\000\\000\\000\\000\\000\\000\\000\\000'
\set negative '\\000\\000\\000\\014\\000\\000\\000\\005\\377\\377\\377\\377\\000\\000\\000\\000'
\set many '\\000\\000\\000\\014\\000\\000\\116\\040\\000\\000\\076\\201\\000\\000\\000\\000'
\set more '\\000\\000\\000\\014\\000\\000\\000\\001\\000\\000\\000\\002\\000\\000\\000\\000'
\set unused '\\000\\000\\000\\024\\000\\000\\000\\005\\000\\000\\000\\001\\000\\000\\000\\001\\000\\000\\000\\000\\077\\200\\000\\000'
\set low '\\000\\000\\000\\024\\000\\000\\000\\005\\000\\000\\000\\001\\000\\000\\000\\000\\377\\377\\377\\377\\077\\200\\000\\000'
\set high '\\000\\000\\000\\024\\000\\000\\000\\005\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\005\\077\\200\\000\\000'
\set unsorted '\\000\\000\\000\\034\\000\\000\\000\\005\\000\\000\\000\\002\\000\\000\\000\\000\\000\\000\\000\\001\\000\\000\\000\\000\\077\\200\\000\\000\\077\\200\\000\\000'
\set twice '\\000\\000\\000\\034\\000\\000\\000\\005\\000\\000\\000\\002\\000\\000\\000\\000\\000\\000\\000\\001\\000\\000\\000\\001\\077\\200\\000\\000\\077\\200\\000\\000'
\set zero '\\000\\000\\000\\024\\000\\000\\000\\005\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000'
\set minus_zero '\\000\\000\\000\\024\\000\\000\\000\\005\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\000\\200\\000\\000\\000'
\set nan '\\000\\000\\000\\024\\000\\000\\000\\005\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\000\\177\\300\\000\\000'
\set infinite '\\000\\000\\000\\024\\000\\000\\000\\005\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\000\\377\\200\\000\\000'
\set cut '\\000\\000\\000\\030\\000\\000\\000\\005\\000\\000\\000\\002\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\001\\077\\200\\000\\000'
\set over '\\000\\000\\000\\030\\000\\000\\000\\005\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\000\\077\\200\\000\\000\\077\\200\\000\\000'
\set result `printf :'head':'two':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo two :result
\set result `printf :'head':'empty':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo empty :result
\set result `printf :'head':'none':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo none :result
\set result `printf :'head':'below':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo below :result
\set result `printf :'head':'wide':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo wide :result
\set result `printf :'head':'negative':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo negative :result
\set result `printf :'head':'many':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo many :result
\set result `printf :'head':'more':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo more :result
\set result `printf :'head':'unused':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo unused :result
\set result `printf :'head':'low':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo low :result
\set result `printf :'head':'high':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo high :result
\set result `printf :'head':'unsorted':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo unsorted :result
\set result `printf :'head':'twice':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo twice :result
\set result `printf :'head':'zero':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo zero :result
\set result `printf :'head':'minus_zero':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo minus_zero :result
\set result `printf :'head':'nan':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo nan :result
\set result `printf :'head':'infinite':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo infinite :result
\set result `printf :'head':'cut':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo cut :result
\set result `printf :'head':'over':'tail' | psql -XAtq -d :'DBNAME' -c 'COPY raw FROM STDIN (FORMAT binary)' 2>&1 | head -1`
\echo over :result
SELECT * FROM raw;
