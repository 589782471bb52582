-- What the catalog says of the types: as many functions, operators, casts and aggregates as pgvector has, with their properties.
CREATE TEMPORARY VIEW types AS SELECT oid, typname FROM pg_type WHERE typname IN ('vector', 'halfvec', 'sparsevec');
CREATE TEMPORARY VIEW members AS SELECT classid::regclass AS catalog, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'lagoon');
-- functions of the types and of bit; pgvector has seven more for its access methods
SELECT prokind, count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND oid IN (SELECT objid FROM members WHERE catalog = 'pg_proc'::regclass) AND proname !~ '^(hnsw|ivfflat)' GROUP BY 1 ORDER BY 1;
SELECT count(*) AS operators FROM members WHERE catalog = 'pg_operator'::regclass;
SELECT count(*) AS casts FROM members WHERE catalog = 'pg_cast'::regclass;
-- all are immutable, strict and safe in parallel
SELECT proname FROM pg_proc WHERE prokind = 'f' AND oid IN (SELECT objid FROM members WHERE catalog = 'pg_proc'::regclass) AND pronamespace = 'public'::regnamespace AND proname !~ '^(hnsw|ivfflat)'
AND (provolatile <> 'i' OR NOT proisstrict OR proparallel <> 's');
SELECT typname, typlen, typbyval, typalign, typstorage, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typsubscript, typdefault IS NULL AS no_default, typcategory FROM pg_type
WHERE oid IN (SELECT oid FROM types) ORDER BY typname COLLATE "C";
SELECT oprname, oprleft::regtype, oprright::regtype, oprresult::regtype, oprcom::regoperator, oprnegate::regoperator, oprcode, oprrest, oprjoin, oprcanmerge, oprcanhash FROM pg_operator
WHERE oid IN (SELECT objid FROM members WHERE catalog = 'pg_operator'::regclass) ORDER BY oprleft::regtype::text COLLATE "C", oprname COLLATE "C";
SELECT opcname, opcintype::regtype, opcdefault FROM pg_opclass WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree') AND oid IN (SELECT objid FROM members WHERE catalog = 'pg_opclass'::regclass) ORDER BY opcname COLLATE "C";
SELECT aggfnoid::regprocedure, aggtransfn, aggfinalfn, aggcombinefn, aggtranstype::regtype, agginitval FROM pg_aggregate
WHERE aggfnoid IN (SELECT objid FROM members WHERE catalog = 'pg_proc'::regclass) ORDER BY aggfnoid::regprocedure::text COLLATE "C";
