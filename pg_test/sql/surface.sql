-- Everything that CREATE EXTENSION lagoon creates, as users and dumps see it. A change of the surface changes this output on
-- purpose, and comes with an upgrade script.
\pset format unaligned
\pset tuples_only on
\pset null -
CREATE TEMPORARY VIEW member AS
SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object
FROM pg_depend JOIN pg_extension e ON refobjid = e.oid
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'lagoon';
CREATE TEMPORARY VIEW comments AS
SELECT object, coalesce(' -- ' || obj_description(objid, classid::regclass::name), '') AS comment FROM member;

\echo == objects without properties of their own
SELECT object || comment FROM member JOIN comments USING (object)
WHERE classid::regclass::text NOT IN ('pg_proc', 'pg_operator', 'pg_cast', 'pg_opclass', 'pg_opfamily', 'pg_class', 'pg_type')
ORDER BY object COLLATE "C";
\echo == types
SELECT object || comment FROM member JOIN comments USING (object)
WHERE classid = 'pg_type'::regclass AND object !~ '^type (lagoon\.|.*\[\]$)' ORDER BY object COLLATE "C";
\echo == functions: result, volatility, strictness, parallel safety, cost, rights
SELECT object || ' -> ' || pg_get_function_result(p.oid) || ' ' || prokind::text || provolatile::text
    || CASE WHEN proisstrict THEN 's' ELSE '-' END || proparallel::text || CASE WHEN prosecdef THEN ' definer' ELSE '' END
    || ' ' || procost || coalesce(' ' || proacl::text, '') || coalesce(' ' || proconfig::text, '')
    || CASE WHEN pronargdefaults > 0 THEN ' (' || pg_get_function_arguments(p.oid) || ')' ELSE '' END || comment
FROM member JOIN comments USING (object) JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid
ORDER BY object COLLATE "C";
\echo == operators: function, commutator, negator, estimators
SELECT object || ' ' || oprcode || ' ' || oprcom::regoperator || ' ' || oprnegate::regoperator || ' ' || oprrest || ' ' || oprjoin || comment
FROM member JOIN comments USING (object) JOIN pg_operator o ON classid = 'pg_operator'::regclass AND objid = o.oid
ORDER BY object COLLATE "C";
\echo == casts: context, function
SELECT object || ' ' || castcontext::text || ' ' || castfunc::regprocedure
FROM member JOIN pg_cast c ON classid = 'pg_cast'::regclass AND objid = c.oid ORDER BY object COLLATE "C";
\echo == operator classes: default, operators, functions
SELECT object || CASE WHEN opcdefault THEN ' default' ELSE '' END
    || (SELECT string_agg(' ' || amopstrategy || ' ' || amopopr::regoperator, '' ORDER BY amopstrategy) FROM pg_amop WHERE amopfamily = opcfamily)
    || coalesce((SELECT string_agg(' ' || amprocnum || ' ' || amproc, '' ORDER BY amprocnum) FROM pg_amproc WHERE amprocfamily = opcfamily), '')
FROM member JOIN pg_opclass c ON classid = 'pg_opclass'::regclass AND objid = c.oid ORDER BY object COLLATE "C";
\echo == tables and views: rights, columns
SELECT object || coalesce(' ' || regexp_replace(relacl::text, 'arwdDxtm', 'arwdDxt', 'g'), '') || comment || E'\n'
    || (SELECT string_agg('    ' || attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END
            || coalesce(' default ' || pg_get_expr(adbin, adrelid), '') || coalesce(' -- ' || col_description(attrelid, attnum), ''), E'\n' ORDER BY attnum)
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
FROM member JOIN comments USING (object) JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid ORDER BY object COLLATE "C";
\echo == settings: type, default, range, context, unit
LOAD 'lagoon';
SELECT concat_ws(' ', name, vartype, quote_literal(boot_val), min_val, max_val, enumvals, context, unit, '--', short_desc)
FROM pg_settings WHERE name ~ '^(lagoon|hnsw|ivfflat)[.]' ORDER BY name COLLATE "C";
