-- Errors that pgvector has without a hint have one, unless lagoon.vector_hints is off.
CREATE TABLE items (v vector(2));
CREATE FUNCTION hint(command text) RETURNS TABLE (message text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN NEXT;
END
$$;
CREATE VIEW hints AS SELECT h.message, h.hint FROM (VALUES
    (1, $$SELECT '[NaN]'::vector$$), (2, $$SELECT '[1,inf]'::halfvec$$), (3, $$SELECT '{1:-inf}/1'::sparsevec$$), (4, $$SELECT ARRAY['NaN'::real]::vector$$),
    (5, $$INSERT INTO items VALUES ('[1,2,3]')$$), (6, $$SELECT '[1,2]'::halfvec::vector(3)$$), (7, $$SELECT avg(v) FROM unnest('{"[1,2]","[3]"}'::vector[]) AS v$$),
    (8, $$SELECT '[1,2]'::vector <-> '[3]'$$), (9, $$SELECT '[1,2]'::halfvec + '[3]'$$), (10, $$SELECT '{}/2'::sparsevec <=> '{}/3'$$), (11, $$SELECT B'1' <~> B'10'$$),
    (12, $$SELECT '[]'::vector$$), (13, $$SELECT '[65520]'::halfvec$$)) AS t (n, command), hint(command) AS h ORDER BY n;
SHOW lagoon.vector_hints;
SELECT * FROM hints;
INSERT INTO items VALUES ('[1]');
SET lagoon.vector_hints = off;
SELECT * FROM hints;
INSERT INTO items VALUES ('[1]');
-- in an index too
CREATE TABLE loose (v vector);
INSERT INTO loose VALUES ('[1,2]');
CREATE INDEX ON loose USING hnsw ((v::vector(2)) vector_l2_ops);
SET enable_seqscan = off;
SELECT * FROM loose ORDER BY v::vector(2) <-> '[1,2,3]' LIMIT 1;
RESET lagoon.vector_hints;
SELECT * FROM loose ORDER BY v::vector(2) <-> '[1,2,3]' LIMIT 1;
