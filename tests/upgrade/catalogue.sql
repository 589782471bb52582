-- All that the extension owns, as text without oids: what an upgraded database and a new one must agree in, beyond
-- pg_test/sql/surface.sql.
\pset format unaligned
\pset tuples_only on
\pset null -
SET search_path = pg_catalog;
CREATE TEMPORARY VIEW member AS
SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object
FROM pg_depend JOIN pg_extension e ON refobjid = e.oid
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'lagoon';
CREATE TEMPORARY VIEW relation AS
SELECT c.* FROM pg_class c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid;

\echo == members, their rights at creation
SELECT object, (SELECT initprivs FROM pg_init_privs i WHERE (i.classoid, i.objoid, i.objsubid) = (m.classid, m.objid, 0)),
    obj_description(objid, classid::regclass::name)
FROM member m ORDER BY object COLLATE "C";
\echo == extension
SELECT extnamespace::regnamespace, extrelocatable, extversion, ARRAY(SELECT c::regclass FROM unnest(extconfig) c ORDER BY c::regclass::text), extcondition
FROM pg_extension WHERE extname = 'lagoon';
\echo == functions
SELECT pg_get_functiondef(p.oid), proacl, proowner::regrole
FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid AND prokind = 'f' ORDER BY object COLLATE "C";
SELECT object, aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggtranstype::regtype, agginitval
FROM member JOIN pg_aggregate a ON classid = 'pg_proc'::regclass AND objid = a.aggfnoid ORDER BY object COLLATE "C";
\echo == types
SELECT object, typlen, typbyval, typalign, typstorage, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typacl
FROM member JOIN pg_type t ON classid = 'pg_type'::regclass AND objid = t.oid ORDER BY object COLLATE "C";
\echo == relations
SELECT oid::regclass, relkind, relpersistence, relrowsecurity, relacl, relowner::regrole FROM relation ORDER BY oid::regclass::text COLLATE "C";
SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid),
    attcollation::regcollation, attacl, col_description(attrelid, attnum)
FROM pg_attribute JOIN relation r ON attrelid = r.oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped ORDER BY attrelid::regclass::text COLLATE "C", attnum;
SELECT oid::regclass, pg_get_viewdef(oid) FROM relation WHERE relkind = 'v' ORDER BY oid::regclass::text COLLATE "C";
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN relation r ON conrelid = r.oid ORDER BY 1, 2;
SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN relation r ON indrelid = r.oid ORDER BY 1;
SELECT pg_get_triggerdef(t.oid), tgenabled FROM pg_trigger t JOIN relation r ON tgrelid = r.oid ORDER BY tgname;
\echo == schemas, languages, wrappers, servers, event triggers
SELECT object, nspacl, nspowner::regrole FROM member JOIN pg_namespace n ON classid = 'pg_namespace'::regclass AND objid = n.oid ORDER BY object COLLATE "C";
SELECT object, lanacl, lanpltrusted, lanplcallfoid::regproc, laninline::regproc, lanvalidator::regproc
FROM member JOIN pg_language l ON classid = 'pg_language'::regclass AND objid = l.oid;
SELECT object, fdwacl, fdwhandler::regproc, fdwvalidator::regproc, fdwoptions
FROM member JOIN pg_foreign_data_wrapper f ON classid = 'pg_foreign_data_wrapper'::regclass AND objid = f.oid;
SELECT object, srvacl, srvoptions FROM member JOIN pg_foreign_server s ON classid = 'pg_foreign_server'::regclass AND objid = s.oid;
SELECT object, evtevent, evtfoid::regproc, evtenabled, evttags
FROM member JOIN pg_event_trigger t ON classid = 'pg_event_trigger'::regclass AND objid = t.oid ORDER BY object COLLATE "C";
