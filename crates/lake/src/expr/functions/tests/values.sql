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
where ((l.o + r.o) % 2 = 0 or l.o < 3) and (l.type = r.type or (l.o * 2 + r.o) % 4 = 0) -- a part of those of two types
  and ((l.type ~ '^int' and r.type ~ '^int' and (op <> '%' or l.type = r.type))
       or (l.type ~ '^numeric' and r.type ~ '^numeric')
       or (l.type ~ '^float' and r.type ~ '^float' and op <> '%'))
order by op, l.type, r.type, l.o, r.o;
-- Comparisons of two types.
insert into calls (function, types, a, b, expression)
select op, l.type || ';' || r.type, l.value, r.value, format('%L::%s %s %L::%s', l.value, l.type, op, r.value, r.type)
from unnest('{<,=,>=}'::text[]) op, x l, x r
where (l.o + 2 * r.o) % 3 < 2 and (l.type ~ '^float' and r.type ~ '^float' or l.type < r.type
      and (l.type ~ '^int' and r.type ~ '^int' or l.type ~ '^numeric' and r.type ~ '^numeric'))
order by op, l.type, r.type, l.o, r.o;
-- Functions of one.
insert into calls (function, types, a, expression)
select f, type, value, format('%s(%L::%s)', f, value, type)
from unnest('{-,abs,round,trunc,ceil,floor,sqrt}'::text[]) f, x
where f in ('-', 'abs') or (type ~ '^numeric' and f <> 'sqrt') or type = 'float8'
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
insert into calls (function, types, a, expression)
select 'cast text', type, value, format('%L::%s', value, type) from x where type !~ '^float' order by type, o;
-- Dates are days and timestamps microseconds since 1970 here; those that are infinite the ends of the integers.
create function pg_temp.d(n int4) returns date language sql as $$
    select case n when 2147483647 then 'infinity' when -2147483648 then '-infinity' else date '1970-01-01' + n end $$;
create function pg_temp.n(d date) returns int4 language sql as $$
    select case d when 'infinity' then 2147483647 when '-infinity' then -2147483648 else d - date '1970-01-01' end $$;
create function pg_temp.t(n int8) returns timestamp language sql as $$
    select case n when 9223372036854775807 then 'infinity' when -9223372036854775808 then '-infinity'
        else date '1970-01-01' + div(n, 86400000000)::int4 + mod(n, 86400000000) / 1000 * interval '1 millisecond'
            + mod(n, 1000) * interval '1 microsecond' end $$;
create function pg_temp.n(t timestamp) returns numeric language sql as $$
    select case t when 'infinity' then 9223372036854775807 when '-infinity' then -9223372036854775808
        else trunc(extract(epoch from t) * 1000000) end $$;
create temp table days as select * from unnest('{0,-1,1,59,10957,11016,11381,18262,19358,19722,19723,20453,-719162,-719163,
    -719528,-755000,-1000000,-2440588,-2440587,2932896,2145042905,2147483647,-2147483648}'::int4[]) with ordinality u (n, o);
create temp table times as select n, row_number() over () as o from (
    select n::int8 * 86400000000 + t as n from days, unnest('{0,1,45296789012,86399999999}'::int8[]) t
    where n between -2440588 and 3000000 and (o + t) % 2 = 0
    union all select unnest('{9223372036854775807,-9223372036854775808,9223371331200000000,-1,-999999}'::int8[])) x;
insert into calls (function, types, a, b, expression)
select '+', 'date;int4', d.n, m, format('pg_temp.n(pg_temp.d(%s) + %s)', d.n, m)
from days d, unnest('{0,1,-1,365,2147483647,-2147483648}'::int4[]) m order by m, d.o;
insert into calls (function, types, a, b, expression)
select '+', 'int4;date', m, d.n, format('pg_temp.n((%s)::int4 + pg_temp.d(%s))', m, d.n)
from days d, unnest('{-1,365,2147483647}'::int8[]) m order by m, d.o;
insert into calls (function, types, a, b, expression)
select '-', 'date;int4', d.n, m, format('pg_temp.n(pg_temp.d(%s) - (%s)::int4)', d.n, m)
from days d, unnest('{0,1,-1,365,2147483647,-2147483648}'::int8[]) m order by m, d.o;
insert into calls (function, types, a, b, expression)
select '-', 'date;date', a.n, b.n, format('pg_temp.d(%s) - pg_temp.d(%s)', a.n, b.n)
from days a, days b where (a.o + b.o) % 5 = 0 order by a.o, b.o;
insert into calls (function, types, a, expression)
select 'cast timestamp', 'date', n, format('pg_temp.n(pg_temp.d(%s)::timestamp)', n) from days order by o;
insert into calls (function, types, a, expression)
select 'cast date', 'timestamp', n, format('pg_temp.n(pg_temp.t(%s)::date)', n) from times order by o;
insert into calls (function, types, a, expression)
select 'extract ' || f, 'date', n, format('extract(%s from pg_temp.d(%s))', f, n)
from unnest('{day,dow,isodow,doy,week,month,quarter,year,isoyear,decade,century,millennium,julian,epoch}'::text[]) f, days
order by f, o;
insert into calls (function, types, a, expression)
select g || ' ' || f, 'timestamp', n,
    format(case g when 'extract' then '%s(%s from pg_temp.t(%s))' else '%s(%L, pg_temp.t(%s))' end, g, f, n)
from unnest('{extract,date_part}'::text[]) g, times, unnest('{microseconds,milliseconds,second,minute,hour,day,dow,isodow,doy,
    week,month,quarter,year,isoyear,decade,century,millennium,epoch}'::text[]) f
where g = 'extract' or f in ('second', 'milliseconds', 'epoch', 'year', 'dow') order by g, f, o;
insert into calls (function, types, a, expression)
select 'date_trunc ' || f, 'timestamp', n, format('pg_temp.n(date_trunc(%L, pg_temp.t(%s)))', f, n)
from times, unnest('{microseconds,milliseconds,second,minute,hour,day,week,month,quarter,year,decade,century,
    millennium}'::text[]) f order by f, o;
insert into calls (function, types, a, expression)
select 'date_part ' || f, 'date', n, format('date_part(%L, pg_temp.d(%s))', f, n)
from unnest('{year,dow,epoch}'::text[]) f, days order by f, o;
insert into calls (function, types, a, expression)
select g || ' epoch', 'timestamptz', n, format('%s(%s pg_temp.t(%s) at time zone ''UTC'')', g,
    case g when 'extract' then 'epoch from' else '''epoch'',' end, n)
from unnest('{extract,date_part}'::text[]) g, times order by g, o;
insert into calls (function, types, a, b, expression)
select op, 'date;timestamp', d.n, t.n, format('pg_temp.d(%s) %s pg_temp.t(%s)', d.n, op, t.n)
from unnest('{<,<=,=,<>,>=,>}'::text[]) op, days d, times t where (d.o + t.o) % 7 = 1 order by op, d.o, t.o;
insert into calls (function, types, a, b, expression)
select op, 'timestamp;date', t.n, d.n, format('pg_temp.t(%s) %s pg_temp.d(%s)', t.n, op, d.n)
from unnest('{<,<=,=,<>,>=,>}'::text[]) op, days d, times t where (d.o + t.o) % 13 = 0 order by op, d.o, t.o;
-- Intervals are months, days and microseconds, times of day microseconds.
set timezone = 'UTC';
create function pg_temp.i(n text) returns interval language sql as $$
    select make_interval(months => p[1]::int4, days => p[2]::int4) + div(p[3], 1000000) * interval '1 second'
        + mod(p[3], 1000000) * interval '1 microsecond' from (select string_to_array(n, ',')::numeric[] as p) x $$;
create function pg_temp.n(i interval) returns text language sql as $$
    select concat_ws(',', extract(year from i) * 12 + extract(month from i), extract(day from i),
        extract(hour from i) * 3600000000 + extract(minute from i) * 60000000 + extract(microseconds from i)) $$;
create function pg_temp.c(n int8) returns time language sql as $$
    select case n when 86400000000 then '24:00' else time '00:00' + mod(n, 1000000) * interval '1 microsecond'
        + n / 1000000 * interval '1 second' end $$;
create function pg_temp.n(t time) returns int8 language sql as $$ select (extract(epoch from t) * 1000000)::int8 $$;
create temp table intervals as select * from unnest(array['0,0,0', '1,0,0', '-1,0,0', '12,-30,1', '-13,45,-86400000001', '0,1,0',
    '0,-1,0', '0,0,1', '0,0,-1', '0,0,9000000000000000', '0,0,-9000000000000000', '3500000,0,0', '-3500000,0,0', '0,100000000,0',
    '2000000000,0,0', '1,-1,43200000000', '-1,-30,-45296789012', '0,30,0', '0,31,-86400000000']) with ordinality u (i, o);
create temp table clocks as select * from unnest('{0,1,45296789012,86399999999,86400000000,59999999}'::int8[]) with ordinality u (n, o);
create temp table late as select * from unnest('{0,19722,19752,19782,-719163,-2440588,-2440587,106751989,106751990,106751991,106751992,
    106762909,106762939,106762940,2145042905,2147483647,-2147483648}'::int4[]) with ordinality u (n, o);
create temp table moments as select * from unnest('{0,-1,1706702400000000,1709164799999999,-62135596800000000,-62135596800000001,
    -210866803200000000,-210866803199999999,9223372036854775805,9223372022400000000,9223372036854775807,-9223372036854775808,
    1704067199000001}'::int8[]) with ordinality u (n, o);
insert into calls (function, types, a, expression)
select 'cast timestamp', 'date', n, format('pg_temp.n(pg_temp.d(%s)::timestamp)', n) from late order by o;
insert into calls (function, types, a, b, expression)
select op, 'date;interval', n, i, format('pg_temp.n(pg_temp.d(%s) %s pg_temp.i(%L))', n, op, i)
from unnest('{+,-}'::text[]) op, late l, intervals i order by op, l.o, i.o;
insert into calls (function, types, a, b, expression)
select '+', 'interval;date', i, n, format('pg_temp.n(pg_temp.i(%L) + pg_temp.d(%s))', i, n)
from late l, intervals i where (l.o + i.o) % 3 = 0 order by l.o, i.o;
insert into calls (function, types, a, b, expression)
select op, 'timestamp;interval', n, i, format('pg_temp.n(pg_temp.t(%s) %s pg_temp.i(%L))', n, op, i)
from unnest('{+,-}'::text[]) op, moments l, intervals i order by op, l.o, i.o;
insert into calls (function, types, a, b, expression)
select '+', 'interval;timestamp', i, n, format('pg_temp.n(pg_temp.i(%L) + pg_temp.t(%s))', i, n)
from moments l, intervals i where (l.o + i.o) % 3 = 0 order by l.o, i.o;
insert into calls (function, types, a, expression)
select op || ' ' || i, 'timestamptz', n,
    format('pg_temp.n(((pg_temp.t(%s) at time zone ''UTC'') %s pg_temp.i(%L)) at time zone ''UTC'')', n, op, i)
from unnest('{+,-}'::text[]) op, moments l, intervals i where i like '0,0,%' order by op, i.o, l.o;
insert into calls (function, types, a, b, expression)
select '+', 'date;time', d.n, c.n, format('pg_temp.n(pg_temp.d(%s) + pg_temp.c(%s))', d.n, c.n) from late d, clocks c order by d.o, c.o;
insert into calls (function, types, a, b, expression)
select '+', 'time;date', c.n, d.n, format('pg_temp.n(pg_temp.c(%s) + pg_temp.d(%s))', c.n, d.n) from late d, clocks c order by d.o, c.o;
insert into calls (function, types, a, b, expression)
select op, 'time;interval', n, i, format('pg_temp.n(pg_temp.c(%s) %s pg_temp.i(%L))', n, op, i)
from unnest('{+,-}'::text[]) op, clocks l, intervals i order by op, l.o, i.o;
insert into calls (function, types, a, b, expression)
select '+', 'interval;time', i, n, format('pg_temp.n(pg_temp.i(%L) + pg_temp.c(%s))', i, n)
from clocks l, intervals i where (l.o + i.o) % 2 = 0 order by l.o, i.o;
insert into calls (function, types, a, b, expression)
select '-', 'time;time', a.n, b.n, format('pg_temp.n(pg_temp.c(%s) - pg_temp.c(%s))', a.n, b.n) from clocks a, clocks b order by a.o, b.o;
insert into calls (function, types, a, b, expression)
select '-', 'timestamp;timestamp', a.n, b.n, format('pg_temp.n(pg_temp.t(%s) - pg_temp.t(%s))', a.n, b.n)
from moments a, moments b where not (abs(a.n::numeric - b.n) > 9223372036854775807 and a.n + 0.0 < 9223372036854775807 and a.n > -9223372036854775808)
order by a.o, b.o;
insert into calls (function, types, a, b, expression)
select '-', 'timestamptz;timestamptz', a.n, b.n,
    format('pg_temp.n((pg_temp.t(%s) at time zone ''UTC'') - (pg_temp.t(%s) at time zone ''UTC''))', a.n, b.n)
from moments a, moments b where abs(a.o - b.o) < 3 and a.o < 9 and b.o < 9 order by a.o, b.o;
insert into calls (function, types, a, b, expression)
select op, 'interval;interval', a.i, b.i, format('pg_temp.i(%L) %s pg_temp.i(%L)', a.i, op, b.i)
from unnest('{<,<=,=,<>,>=,>}'::text[]) op, intervals a, intervals b where (a.o + b.o) % 4 = 0 or a.o > 17 and b.o < 3 order by op, a.o, b.o;
insert into calls (function, types, a, expression)
select g || ' ' || f, 'time', n, format(case g when 'extract' then '%s(%s from pg_temp.c(%s))' else '%s(%L, pg_temp.c(%s))' end, g, f, n)
from unnest('{extract,date_part}'::text[]) g, clocks, unnest('{microseconds,milliseconds,second,minute,hour,epoch}'::text[]) f order by g, f, o;
insert into calls (function, types, a, expression)
select g || ' ' || f, 'interval', i, format(case g when 'extract' then '%s(%s from pg_temp.i(%L))' else '%s(%L, pg_temp.i(%L))' end, g, f, i)
from unnest('{extract,date_part}'::text[]) g, intervals, unnest('{microseconds,milliseconds,second,minute,hour,day,month,quarter,year,
    decade,century,millennium,epoch}'::text[]) f order by g, f, o;
insert into calls (function, types, a, expression)
select 'date_part ' || f, 'timestamp', n, format('date_part(%L, pg_temp.t(%s))', f, n)
from (select i * 1234567891234 % 4000000000000000 as n, i from generate_series(1, 60) i) x, unnest('{second,milliseconds}'::text[]) f order by f, i;
insert into calls (function, types, a, b, expression)
select 'make_date', 'int4;int4;int4', y, m || ';' || d, format('make_date((%s)::int4, %s, %s)::date', y, m, d)
from unnest('{2024,2023,1900,1,0,-1,-5,-4713,-4714,5874897,5874898,2147483647}'::int8[]) y, unnest('{-1,0,1,2,6,11,12,13}'::int4[]) m,
    unnest('{-1,0,1,3,23,24,28,29,30,31,32}'::int4[]) d where (y + m * 3 + d) % 2 = 0 or m = 2 order by y, m, d;
update calls set expression = format('pg_temp.n(%s)', expression) where function = 'make_date';
insert into calls (function, types, a, expression)
select 'timezone ' || z, t, n, format(case t when 'timestamp' then 'pg_temp.n(timezone(''UTC'', timezone(%L, pg_temp.t(%s))))'
    else 'pg_temp.n(timezone(%L, timezone(''UTC'', pg_temp.t(%s))))' end, z, n)
from unnest('{utc,GMT,Etc/UTC}'::text[]) z, unnest('{timestamp,timestamptz}'::text[]) t, moments order by z, t, o;
insert into calls (function, types, a, expression)
select 'date_trunc ' || f || ' UTC', 'timestamptz', n,
    format('pg_temp.n(timezone(''UTC'', date_trunc(%L, timezone(''UTC'', pg_temp.t(%s)), ''UTC'')))', f, n)
from unnest('{second,hour,day,week,month,year,century}'::text[]) f, moments order by f, o;
-- Text.
create temp table s as select * from unnest(array['', 'a', 'Hello World', '  pad  ', 'éa漢字x', 'xyxyx', 'AbC', '%_\x',
    'ÄÖß ab', '😀😀b', 'abcabcabc']) with ordinality u (s, o);
insert into calls (function, types, a, expression)
select f, 'text', s, format('%s(%L::text collate "C")', f, s)
from unnest('{length,octet_length,upper,lower,btrim,ltrim,rtrim}'::text[]) f, s order by f, o;
insert into calls (function, types, a, expression)
select f, 'bytea', s, format('%s(convert_to(%L, ''UTF8''))', f, s) from unnest('{length,octet_length}'::text[]) f, s order by f, o;
insert into calls (function, types, a, b, expression)
select f, 'text;int4', s, n, format('%s(%L::text, %s)', f, s, n)
from unnest('{substr,left,right}'::text[]) f, s, unnest('{-2147483648,-3,-1,0,1,2,3,100,2147483647}'::int4[]) n
order by f, n, o;
insert into calls (function, types, a, b, expression)
select 'substr', 'text;int4;int4', s, n || ';' || m, format('substr(%L::text, %s, %s)', s, n, m)
from s, unnest('{-2147483648,-3,0,1,2,100,2147483647}'::int4[]) n, unnest('{-2147483648,-1,0,1,4,2147483647}'::int4[]) m
order by n, m, o;
insert into calls (function, types, a, b, expression)
select f, 'text;text', s, b, format(case f when '||' then '%2$L::text || %3$L::text' else '%1$s(%2$L::text, %3$L::text)' end, f, s, b)
from unnest('{||,strpos,starts_with,btrim,ltrim,rtrim}'::text[]) f, s,
    unnest(array['', 'a', ' ', 'xy', '漢', 'abc', 'dlroW', 'é']) b order by f, b, o;
insert into calls (function, types, a, b, expression)
select f, 'text;text', s, b, format('%L::text %s %L::text', s, f, b)
from unnest('{~~,!~~}'::text[]) f, s, unnest(array['', 'a', '%', '_', '__', '%a%', 'a%', '%x', 'x%x', '%xy%x', '\%\_%', '%\\%', '\',
    'a\', '_\a%', '%%%_', '____字_', 'abc%abc', '%c', 'H%o%d', '\a', '%\']) b order by f, b, o;
insert into calls (function, types, a, b, expression)
select 'replace', 'text;text;text', s, b || ';' || c, format('replace(%L::text, %L::text, %L::text)', s, b, c)
from s, unnest(array['', 'a', 'xyx', '漢字', 'abc']) b, unnest(array['', '漢', 'yx']) c order by b, c, o;
insert into calls (function, types, a, b, expression)
select f, 'text;text', s, b, format('%L::text %s %L::text collate "C"', s, f, b)
from unnest('{~~*,!~~*}'::text[]) f, s, unnest(array['', 'A', '%', '%A%', 'h_LLO%', 'ä%', 'Ä%', '\A%', '%\', '\%\_\\X', 'X%X']) b
order by f, b, o;
insert into calls (function, types, a, expression)
select f, 'text', s, format('%s(%L::text)', f, s) from unnest('{reverse,ascii}'::text[]) f, s order by f, o;
insert into calls (function, types, a, expression)
select 'repeat ' || n, 'text', s, format('repeat(%L::text, %s)', s, n) from s, unnest('{-2147483648,0,1,3}'::int4[]) n order by n, o;
insert into calls (function, types, a, expression)
select f || ' ' || n || ' ' || x, 'text', s, format('%s(%L::text, %s, %L::text)', f, s, n, x)
from s, unnest('{lpad,rpad}'::text[]) f, unnest('{-2147483648,0,2,6,7,14}'::int4[]) n, unnest(array['', 'xy', '漢é']) x
order by f, n, x, o;
insert into calls (function, types, a, b, expression)
select 'split_part', 'text;text;int4', s, b || ';' || n, format('split_part(%L::text, %L::text, %s)', s, b, n)
from s, unnest(array['', 'a', 'xyx', '漢', 'abc', ' ', '😀']) b, unnest('{-2147483648,-2,-1,0,1,2,3,2147483647}'::int4[]) n
order by b, n, o;
insert into calls (function, types, a, b, expression)
select 'translate', 'text;text;text', s, b || ';' || c, format('translate(%L::text, %L::text, %L::text)', s, b, c)
from s, unnest(array['', 'a', 'xyx', '漢字', 'cba']) b, unnest(array['', '漢', 'yxa']) c order by b, c, o;
insert into calls (function, types, a, b, expression)
select '||', 'bytea;bytea', s, b, format('convert_to(%L, ''UTF8'') || convert_to(%L, ''UTF8'')', s, b)
from s, unnest(array['', 'a', '漢']) b order by b, o;
-- Regular expressions, constant each.
create temp table urls as select * from unnest(array['', 'http://www.example.com/a/b', 'https://example.org/', 'http://www./x',
    'http://a.b', 'httpss://a/b', E'http://x/\n', 'ftp://http://q/w', 'aab', 'abab', 'xaaay', 'ab12cd', '漢字ab', 'a.b*c',
    E'line\nnext']) with ordinality u (s, o);
insert into calls (function, types, a, expression)
select f || ' ' || p, 'text', replace(s, E'\n', '\n'), format('replace(%L, ''\n'', E''\n'')::text %s %L', replace(s, E'\n', '\n'), f, p)
from unnest('{~,!~}'::text[]) f, urls, unnest(array['a', '^a', 'b$', '^$', 'a|x', '^(ab)+$', '[^/]+/', 'a.b\*', '[0-9]+', 'a{2}',
    '(a|ab)(b|x)', 'x.y', 'e.n', '^https?://', '[a-cx]+y', '漢.', '^.$', '^.{2,3}$']) p order by f, p, o;
insert into calls (function, types, a, expression)
select 'regexp_replace ' || p || ' ' || r, 'text', replace(s, E'\n', '\n'),
    format('replace(regexp_replace(replace(%L, ''\n'', E''\n''), %L, %L), E''\n'', ''\n'')', replace(s, E'\n', '\n'), p, r)
from urls, unnest(array['^https?://(?:www\.)?([^/]+)/.*$', '(a*)b', 'a+', '(x?).*', '(a*)(a*)$', '[0-9]+', '^(a?)a?b']) p,
    unnest(array['<\1>', '', '\&\&', '\\x\1']) r where p ~ '\(' and p !~ '^\^https.*' or p ~ '^\^https' or r !~ '\\1' order by p, r, o;
-- Texts as other types.
create temp table plain as select * from unnest(array['12', ' -7', '+5 ', '0', '-0', '007', '32767', '32768', '-32769', '2147483648',
    '-2147483649', '9223372036854775807', '9223372036854775808', '', ' ', '1.5', '--1', '- 1', '1 2']) with ordinality u (s, o);
insert into calls (function, types, a, expression)
select 'cast ' || t, 'text', s, format('(%L::text)::%s', s, t) from plain, unnest('{int2,int4,int8}'::text[]) t order by t, o;
insert into calls (function, types, a, expression)
select 'cast ' || t, 'text', s, format('(%L::text)::%s', s, t) from unnest(array['0', '-0', '1.5', '+.5', '5.', ' 1e10 ', '-1E-7', '0.1',
    '123456789.123456789', '3.4e38', '1e-40', '16777217', '2.2250738585072014e-308', '0e999', '9007199254740993']) with ordinality u (s, o),
    unnest('{float4,float8}'::text[]) t where t = 'float8' or s !~ 'e-308' order by t, o;
insert into calls (function, types, a, expression)
select 'cast date', 'text', s, format('pg_temp.n((%L::text)::date)', s)
from unnest(array['2024-02-29', '0001-01-01', '9999-12-31', '1970-01-01', '1900-03-01']) s;
insert into calls (function, types, a, expression)
select 'cast timestamp', 'text', s, format('pg_temp.n((%L::text)::timestamp)', s)
from unnest(array['2024-02-29 23:59:59', '0001-01-01 00:00:00.000001', '9999-12-31T12:34:56.789', '1970-01-01 00:00:00.1']) s;
insert into calls (function, types, a, expression)
select 'cast bool', 'text', s, format('(%L::text)::bool', s) from unnest(array['true', 'false', 't', 'f']) s;
-- Bits, powers, signs.
insert into calls (function, types, a, b, expression)
select op, l.type || ';' || r.type, l.value, r.value, format('%L::%s %s %L::%s', l.value, l.type, op, r.value, r.type)
from unnest('{&,|,#}'::text[]) op, x l, x r where l.type = r.type and l.type ~ '^int' order by op, l.type, l.o, r.o;
insert into calls (function, types, a, expression)
select 'sign', type, value, format('sign(%L::%s)', value, type) from x where type ~ '^numeric' or type = 'float8' order by type, o;
create temp table roots as select * from unnest('{0,-0,1,-1,2,-2,0.5,-0.5,3,-3,1e-5,10,100,700,-700,710,-746,1e300,-1e300,1e-300,2.718281828459045,
    1e308,NaN,Infinity,-Infinity,0.1,33.333,-8,27,1001,1e15}'::float8[]) with ordinality u (n, o);
insert into calls (function, types, a, expression)
select f, 'float8', n, format('%s(%L::float8)', f, n) from roots, unnest('{exp,ln,log10}'::text[]) f order by f, o;
insert into calls (function, types, a, b, expression)
select 'power', 'float8;float8', a.n, b.n, format('power(%L::float8, %L::float8)', a.n, b.n) from roots a, roots b where not (a.n = 1e308 and b.n = -1) order by a.o, b.o;
-- Aggregates of parts of the values, with a NULL among them.
insert into calls (function, types, a, expression)
select 'agg ' || f, type, string_agg(coalesce(value, '\N'), ';' order by o), format('select %s v::%s) from unnest(%L::text[]) v',
    case when f ~ ' ' then replace(f, ' ', '(') else f || '(' end, type, array_agg(value order by o))
from (select type, value, o from x union all select distinct type, null, 0 from x
      union all select type, value, o + 100 from x where o % 2 = 0) x,
    unnest('{count,sum,avg,min,max,sum distinct,count distinct,avg distinct,variance,stddev_pop,bit_and,bit_or,bit_xor}'::text[]) f, generate_series(0, 3) part
where (f !~ '^bit' or type ~ '^int') and (o % 4 in (part, (part * 3 + 1) % 4) or o = 0) and case when type ~ '^float' then f not in ('sum distinct', 'avg distinct') else f not in ('variance', 'stddev_pop') end
group by f, type, part order by f, type, part;
select function, types, a || coalesce(';' || b, ''), t.* from calls, pg_temp.try(expression) t order by o;
