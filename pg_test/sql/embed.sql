-- Text to vectors. The model and the library are those that `make deps` has fetched.
\getenv library LAGOON_ONNXRUNTIME
\getenv model LAGOON_MODEL
SET lagoon.onnxruntime_library = :'library';

SELECT lagoon.register_model('minilm', :'model');
SELECT name, dimension, max_tokens, pooling, normalize, batched, prompts, default_prompt, owner FROM lagoon.models;

-- The similarities of the model card.
SELECT text, round((1 - (vector <=> lagoon.embed('minilm', 'That is a happy person')))::numeric, 3) AS similarity
FROM (VALUES (ARRAY['That is a happy dog', 'That is a very happy person', 'Today is a sunny day'])) AS t (texts),
    unnest(texts, lagoon.embed('minilm', texts)) AS u (text, vector);
SELECT vector_dims(v), round(vector_norm(v)::numeric, 5) AS norm FROM lagoon.embed('minilm', 'That is a happy person') AS v;

-- NULL gives NULL, in an array too; an empty text is an error.
SELECT lagoon.embed('minilm', NULL::text) IS NULL AS text, lagoon.embed('minilm', NULL::text[]) IS NULL AS texts;
SELECT lagoon.embed('minilm', '{}'::text[]), lagoon.embed('minilm', '{NULL}'::text[]);
SELECT array_position(ARRAY(SELECT v IS NULL FROM unnest(lagoon.embed('minilm', ARRAY['a', NULL, 'b'])) AS v), true);
SELECT lagoon.embed('minilm', '');
SELECT lagoon.embed('minilm', ARRAY['a', NULL, E' \n']);

-- Errors.
SELECT lagoon.embed('maxilm', 'a');
SELECT lagoon.drop_model('maxilm');
SELECT lagoon.register_model('', :'model');
SELECT lagoon.register_model('other', 'models/other');
SELECT lagoon.register_model('other', '/nonexistent');
SELECT lagoon.register_model('other', '/etc');
SET lagoon.onnxruntime_library = '';

-- A text is longer than any model: it is cut.
SELECT lagoon.embed('minilm', repeat('word ', 400)) <-> lagoon.embed('minilm', repeat('word ', 4000)) < 1e-5 AS cut;

-- Who may do what.
CREATE ROLE lagoon_embed_reader;
SET ROLE lagoon_embed_reader;
SELECT vector_dims(lagoon.embed('minilm', 'a'));
SELECT lagoon.register_model('mine', '/etc');
SELECT lagoon.drop_model('minilm');
DELETE FROM lagoon.models;
SET lagoon.onnxruntime_library = '/tmp/evil.so';
RESET ROLE;
DROP ROLE lagoon_embed_reader;

SELECT provolatile, proparallel, proisstrict FROM pg_proc WHERE proname = 'embed' AND pronamespace = 'lagoon'::regnamespace;
SELECT lagoon.drop_model('minilm');
SELECT lagoon.embed('minilm', 'a');
