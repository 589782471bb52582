"""lagoon.embed against ONNX Runtime called directly: the same model, texts, batches and threads.

`Encoder` is that peer; vector.py makes its data with it.
"""

import json

import common
import numpy
import onnxruntime
from tokenizers import Tokenizer

BATCH = 32


class Encoder:
    """Text to unit vectors as sentence-transformers does it for all-MiniLM-L6-v2: mean pooling, then L2 norm 1."""

    def __init__(self):
        model = common.path("LAGOON_MODEL")
        settings = json.loads((model / "sentence_bert_config.json").read_text())
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(settings["max_seq_length"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = common.THREADS
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(model / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def tokens(self, texts):
        return sum(len(e.ids) for e in self.tokenizer.encode_batch(texts))

    def batch(self, texts):
        encodings = self.tokenizer.encode_batch(texts)
        ids = numpy.zeros((len(texts), max(len(e.ids) for e in encodings)), numpy.int64)
        mask = numpy.zeros_like(ids)
        for at, encoding in enumerate(encodings):
            ids[at, : len(encoding.ids)] = encoding.ids
            mask[at, : len(encoding.ids)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        (hidden,) = self.session.run(["last_hidden_state"], inputs)
        vectors = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return (vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)).astype(numpy.float32)

    def all(self, texts):
        """Sorted by length, so that a batch has little padding."""
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        vectors = numpy.empty((len(texts), 384), numpy.float32)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            vectors[chosen] = self.batch([texts[at] for at in chosen])
        return vectors


def main():
    encoder = Encoder()
    texts = common.descriptions()[:1000]
    tokens = encoder.tokens(texts)
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]

    connection = common.lagoon()
    connection.execute("SELECT lagoon.register_model('minilm', %s)", [str(common.path("LAGOON_MODEL"))])

    def embed(texts):
        """A vector[] in binary form: 20 bytes of header, then for each its length, dimensions, zero and float4s."""
        return connection.execute("SELECT lagoon.embed('minilm', %b::text[])", [texts], binary=True).fetchone()[0]

    ours = numpy.frombuffer(embed(texts[:BATCH])[20:], ">f4").reshape(BATCH, 2 + 384)[:, 2:]
    difference = float(abs(ours - encoder.batch(texts[:BATCH])).max())
    common.say(f"embed: {len(texts)} texts, {tokens} tokens, largest difference from the peer {difference:.1e}")

    def compare(what, lagoon, peer):
        lagoon, peer = common.medians(5, lagoon, peer)
        common.row(f"{what}, texts", "/s", len(texts) / lagoon, "onnxruntime", len(texts) / peer, more_is_better=True)
        common.row(f"{what}, tokens", "/s", tokens / lagoon, "onnxruntime", tokens / peer, more_is_better=True)

    def in_batches(encode):
        return lambda: [encode(batch) for batch in batches]

    compare(f"1,000 descriptions in calls of {BATCH}", in_batches(embed), in_batches(encoder.batch))
    compare("1,000 descriptions in one call", lambda: embed(texts), lambda: encoder.all(texts))

    def embed_one(text):
        connection.execute("SELECT lagoon.embed('minilm', %b::text)", [text], binary=True).fetchone()

    # Each text is new, so that no cache helps; a repeated one is all cache.
    new, again = (iter(f"edit videos from the command line {n}" for n in range(300)) for _ in range(2))
    lagoon, peer = common.medians(300, lambda: embed_one(next(new)), lambda: encoder.batch([next(again)]))
    common.row("one short text, p50", "ms", lagoon * 1e3, "onnxruntime", peer * 1e3)
    (repeated,) = common.medians(300, lambda: embed_one("edit videos from the command line"))
    common.row("the same text again, p50", "us", repeated * 1e6, "onnxruntime", peer * 1e6)


if __name__ == "__main__":
    main()
