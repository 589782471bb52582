-- What PostgreSQL answers, for tests.rs: psql -XAtq -f values.sql >values.tsv
-- Columns: function, types of the arguments, arguments, 'ok' or a SQLSTATE, and the answer as text or the message.
\pset fieldsep '\t'
\pset null '\\N'
set extra_float_digits = 1;
create function pg_temp.try(expression text, out state text, out answer text) language plpgsql as $$
begin
    execute 'select (' || expression || ')::text' into answer;
    state := 'ok';
exception when others then
    state := sqlstate;
    answer := sqlerrm;
end $$;
create temp table v (type text, value text);
insert into v values
    ('int2', '{0,1,-1,7,-7,181,182,32767,-32768}'), ('int4', '{0,1,-1,7,46341,2147483647,-2147483648}'),
    ('int8', '{0,1,-1,7,3037000500,9223372036854775807,-9223372036854775808}'),
    ('numeric(4,2)', '{0.00,0.01,-0.01,1.00,1.50,-2.50,99.99,-99.99,0.05}'), ('numeric(5,0)', '{0,1,-3,7,99999,10000}'),
    ('numeric(3,3)', '{0.000,0.001,-0.999,0.500}'),
    ('numeric(15,2)', '{0.00,0.01,-12345678.90,9999999999999.99,10000.00}'),
    ('numeric(38,10)',
     '{0.0000000000,0.0000000001,-9999999999999999999999999999.9999999999,12345678901234567890.0987654321,2.5000000000}'),
    ('numeric(38,0)', '{0,1,-7,99999999999999999999999999999999999999,-50000000000000000000000000000000000000}'),
    ('float4', '{0,-0,1,-1.5,2.5,3.4e38,1e-38,1.1,NaN,Infinity,-Infinity,32767.5,2147483648,16777217}'),
    ('float8', '{0,-0,1,-1.5,2.5,0.5,1.7e308,1e-308,3.4e38,1e-46,NaN,Infinity,-Infinity,32767.5,-32768.5,2147483647.5,9223372036854775807,0.1}');
update v set value = (select array_agg(x || '' order by o)::text from unnest(value::text[]) with ordinality u (x, o));
create temp view x as select type, u.value, o from v, unnest(v.value::text[]) with ordinality u (value, o);
create temp table calls (o serial, function text, types text, a text, b text, expression text);
-- Operators of two numbers.
insert into calls (function, types, a, b, expression)
select op, l.type || ';' || r.type, l.value, r.value, format('%L::%s %s %L::%s', l.value, l.type, op, r.value, r.type)
from unnest('{+,-,*,/,%}'::text[]) op, x l, x r
where (l.type = r.type or (l.o * 2 + r.o) % 4 = 0) -- a part of those of two types
  and ((l.type ~ '^int' and r.type ~ '^int' and (op <> '%' or l.type = r.type))
       or (l.type ~ '^numeric' and r.type ~ '^numeric')
       or (l.type ~ '^float' and r.type ~ '^float' and op <> '%'))
order by op, l.type, r.type, l.o, r.o;
-- Functions of one.
insert into calls (function, types, a, expression)
select f, type, value, format('%s(%L::%s)', f, value, type)
from unnest('{-,abs,round,trunc,ceil,floor,sqrt}'::text[]) f, x
where (f in ('-', 'abs') and type <> 'float4') or (type ~ '^numeric' and f <> 'sqrt') or type = 'float8'
order by f, type, o;
-- round and trunc to a number of digits, which is a constant.
insert into calls (function, types, a, b, expression)
select f, type || ';int4', value, d, format('%s(%L::%s, %s)', f, value, type, d)
from unnest('{round,trunc}'::text[]) f, x, unnest('{-40,-5,-1,0,1,2,5,12}'::int[]) d
where type ~ '^numeric' order by f, type, d, o;
-- Casts.
insert into calls (function, types, a, expression)
select 'cast ' || t, type, value, format('%L::%s::%s', value, type, t)
from unnest('{int2,int4,int8,float4,float8,numeric}'::text[]) t, x
where type <> t and not (type ~ '^float' and t = 'numeric') and not (type ~ '^numeric' and t = 'numeric')
order by t, type, o;
insert into calls (function, types, a, expression)
select 'cast ' || t, type, value, format('%L::%s::%s', value, type, t)
from unnest('{"numeric(3,1)","numeric(10,4)","numeric(38,2)","numeric(50,12)"}'::text[]) t, x
where type !~ '^float' order by t, type, o;
select function, types, a || coalesce(';' || b, ''), t.* from calls, pg_temp.try(expression) t order by o;
