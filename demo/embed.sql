\pset pager off
\timing on
\echo
\echo '\033[1m3. Descriptions become vectors inside PostgreSQL, and an hnsw index makes them searchable.\033[0m'
SELECT lagoon.register_model('minilm', :'model');

SET client_min_messages = warning;
DROP TABLE IF EXISTS search;
RESET client_min_messages;
CREATE TABLE search (name text PRIMARY KEY, description text NOT NULL, embedding vector(384) NOT NULL);

INSERT INTO search
SELECT batch.*
FROM (
    SELECT array_agg(name) AS names, array_agg(description) AS descriptions
    FROM packages
    WHERE section IN ('video', 'sound', 'graphics', 'editors', 'mail', 'games')
      AND name NOT LIKE 'lib%' AND name !~ '-(data|doc|dbg|common|dev)$'
) AS chosen,
    unnest(names, descriptions, lagoon.embed('minilm', descriptions)) AS batch;

CREATE INDEX search_embedding ON search USING hnsw (embedding vector_cosine_ops);
ANALYZE search;
SELECT count(*) AS descriptions, pg_size_pretty(pg_relation_size('search_embedding')) AS index_size FROM search;

PREPARE ask (text) AS
SELECT name, description FROM search ORDER BY embedding <=> lagoon.embed('minilm', $1) LIMIT 5;

EXECUTE ask('edit videos from the command line');
EXECUTE ask('a game where I build a city');
EXECUTE ask('read my mail in a terminal');

EXPLAIN (COSTS OFF) EXECUTE ask('edit videos from the command line');
