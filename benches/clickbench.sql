-- The queries of ClickBench in PostgreSQL's dialect. `ties N`: rows that are equal in column N, by which it orders, may be any
-- of several, so answers are compared in that column only; `rows`: in their number only.

-- q01
SELECT count(*) FROM hits;

-- q02
SELECT count(*) FROM hits WHERE advengineid <> 0;

-- q03
SELECT sum(advengineid), count(*), avg(resolutionwidth) FROM hits;

-- q04
SELECT avg(userid) FROM hits;

-- q05
SELECT count(DISTINCT userid) FROM hits;

-- q06
SELECT count(DISTINCT searchphrase) FROM hits;

-- q07
SELECT min(eventdate), max(eventdate) FROM hits;

-- q08 ties 2
SELECT advengineid, count(*) FROM hits WHERE advengineid <> 0 GROUP BY advengineid ORDER BY count(*) DESC;

-- q09 ties 2
SELECT regionid, count(DISTINCT userid) AS u FROM hits GROUP BY regionid ORDER BY u DESC LIMIT 10;

-- q10 ties 3
SELECT regionid, sum(advengineid), count(*) AS c, avg(resolutionwidth), count(DISTINCT userid)
FROM hits GROUP BY regionid ORDER BY c DESC LIMIT 10;

-- q11 ties 2
SELECT mobilephonemodel, count(DISTINCT userid) AS u
FROM hits WHERE mobilephonemodel <> '' GROUP BY mobilephonemodel ORDER BY u DESC LIMIT 10;

-- q12 ties 3
SELECT mobilephone, mobilephonemodel, count(DISTINCT userid) AS u
FROM hits WHERE mobilephonemodel <> '' GROUP BY mobilephone, mobilephonemodel ORDER BY u DESC LIMIT 10;

-- q13 ties 2
SELECT searchphrase, count(*) AS c FROM hits WHERE searchphrase <> '' GROUP BY searchphrase ORDER BY c DESC LIMIT 10;

-- q14 ties 2
SELECT searchphrase, count(DISTINCT userid) AS u
FROM hits WHERE searchphrase <> '' GROUP BY searchphrase ORDER BY u DESC LIMIT 10;

-- q15 ties 3
SELECT searchengineid, searchphrase, count(*) AS c
FROM hits WHERE searchphrase <> '' GROUP BY searchengineid, searchphrase ORDER BY c DESC LIMIT 10;

-- q16 ties 2
SELECT userid, count(*) FROM hits GROUP BY userid ORDER BY count(*) DESC LIMIT 10;

-- q17 ties 3
SELECT userid, searchphrase, count(*) FROM hits GROUP BY userid, searchphrase ORDER BY count(*) DESC LIMIT 10;

-- q18 rows
SELECT userid, searchphrase, count(*) FROM hits GROUP BY userid, searchphrase LIMIT 10;

-- q19 ties 4
SELECT userid, extract(minute FROM eventtime) AS m, searchphrase, count(*)
FROM hits GROUP BY userid, m, searchphrase ORDER BY count(*) DESC LIMIT 10;

-- q20
SELECT userid FROM hits WHERE userid = 435090932899640449;

-- q21
SELECT count(*) FROM hits WHERE url LIKE '%google%';

-- q22 ties 3
SELECT searchphrase, min(url), count(*) AS c
FROM hits WHERE url LIKE '%google%' AND searchphrase <> '' GROUP BY searchphrase ORDER BY c DESC LIMIT 10;

-- q23 ties 4
SELECT searchphrase, min(url), min(title), count(*) AS c, count(DISTINCT userid)
FROM hits WHERE title LIKE '%Google%' AND url NOT LIKE '%.google.%' AND searchphrase <> ''
GROUP BY searchphrase ORDER BY c DESC LIMIT 10;

-- q24 ties 5
SELECT * FROM hits WHERE url LIKE '%google%' ORDER BY eventtime LIMIT 10;

-- q25 rows
SELECT searchphrase FROM hits WHERE searchphrase <> '' ORDER BY eventtime LIMIT 10;

-- q26
SELECT searchphrase FROM hits WHERE searchphrase <> '' ORDER BY searchphrase LIMIT 10;

-- q27
SELECT searchphrase FROM hits WHERE searchphrase <> '' ORDER BY eventtime, searchphrase LIMIT 10;

-- q28 ties 2
SELECT counterid, avg(length(url)) AS l, count(*) AS c
FROM hits WHERE url <> '' GROUP BY counterid HAVING count(*) > 100000 ORDER BY l DESC LIMIT 25;

-- q29 ties 2
SELECT regexp_replace(referer, '^https?://(?:www\.)?([^/]+)/.*$', '\1') AS k, avg(length(referer)) AS l, count(*) AS c,
    min(referer)
FROM hits WHERE referer <> '' GROUP BY k HAVING count(*) > 100000 ORDER BY l DESC LIMIT 25;

-- q30
SELECT {sums} FROM hits;

-- q31 ties 3
SELECT searchengineid, clientip, count(*) AS c, sum(isrefresh), avg(resolutionwidth)
FROM hits WHERE searchphrase <> '' GROUP BY searchengineid, clientip ORDER BY c DESC LIMIT 10;

-- q32 ties 3
SELECT watchid, clientip, count(*) AS c, sum(isrefresh), avg(resolutionwidth)
FROM hits WHERE searchphrase <> '' GROUP BY watchid, clientip ORDER BY c DESC LIMIT 10;

-- q33 ties 3
SELECT watchid, clientip, count(*) AS c, sum(isrefresh), avg(resolutionwidth)
FROM hits GROUP BY watchid, clientip ORDER BY c DESC LIMIT 10;

-- q34 ties 2
SELECT url, count(*) AS c FROM hits GROUP BY url ORDER BY c DESC LIMIT 10;

-- q35 ties 3
SELECT 1, url, count(*) AS c FROM hits GROUP BY 1, url ORDER BY c DESC LIMIT 10;

-- q36 ties 5
SELECT clientip, clientip - 1, clientip - 2, clientip - 3, count(*) AS c
FROM hits GROUP BY clientip, clientip - 1, clientip - 2, clientip - 3 ORDER BY c DESC LIMIT 10;

-- q37 ties 2
SELECT url, count(*) AS pageviews
FROM hits
WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND dontcounthits = 0 AND isrefresh = 0
    AND url <> ''
GROUP BY url ORDER BY pageviews DESC LIMIT 10;

-- q38 ties 2
SELECT title, count(*) AS pageviews
FROM hits
WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND dontcounthits = 0 AND isrefresh = 0
    AND title <> ''
GROUP BY title ORDER BY pageviews DESC LIMIT 10;

-- q39 ties 2
SELECT url, count(*) AS pageviews
FROM hits
WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND isrefresh = 0 AND islink <> 0
    AND isdownload = 0
GROUP BY url ORDER BY pageviews DESC LIMIT 10 OFFSET 1000;

-- q40 ties 6
SELECT traficsourceid, searchengineid, advengineid,
    CASE WHEN searchengineid = 0 AND advengineid = 0 THEN referer ELSE '' END AS src, url AS dst, count(*) AS pageviews
FROM hits
WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND isrefresh = 0
GROUP BY traficsourceid, searchengineid, advengineid, src, dst ORDER BY pageviews DESC LIMIT 10 OFFSET 1000;

-- q41 ties 3
SELECT urlhash, eventdate, count(*) AS pageviews
FROM hits
WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND isrefresh = 0
    AND traficsourceid IN (-1, 6) AND refererhash = 3594120000172545465
GROUP BY urlhash, eventdate ORDER BY pageviews DESC LIMIT 10 OFFSET 100;

-- q42 ties 3
SELECT windowclientwidth, windowclientheight, count(*) AS pageviews
FROM hits
WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND isrefresh = 0 AND dontcounthits = 0
    AND urlhash = 2868770270353813622
GROUP BY windowclientwidth, windowclientheight ORDER BY pageviews DESC LIMIT 10 OFFSET 10000;

-- q43
SELECT date_trunc('minute', eventtime) AS m, count(*) AS pageviews
FROM hits
WHERE counterid = 62 AND eventdate >= '2013-07-14' AND eventdate <= '2013-07-15' AND isrefresh = 0 AND dontcounthits = 0
GROUP BY date_trunc('minute', eventtime) ORDER BY date_trunc('minute', eventtime) LIMIT 10 OFFSET 1000;
