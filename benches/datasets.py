"""The vectors of the benchmark, made once and kept in BENCH_FILES: rows, queries and later inserts that are not among
them, exact answers.

    sentences   all-MiniLM-L6-v2 embeddings of sentences of Debian's package descriptions, 384 dimensions, cosine
    clusters    points of 1,000 Gaussian clusters, 128 dimensions, L2
"""

import hashlib
import os
import random
import re
import sys

import common
import numpy

K = 10
QUERIES, INSERTS = 1000, 5000
FAR_AWAY = 1e6
CLUSTERS, SPREAD, CLUSTER_DIMENSIONS = 1000, 0.8, 128


class Dataset:
    """Of type vector, float32 arrays: `queries`, `inserts` and `rows`. `limit[q]` is the distance of the last of the K nearest
    rows of query q: whatever is as near is a hit."""

    type = "vector"

    def __init__(self, name, operator, queries, inserts, rows):
        self.name, self.operator = name, operator
        self.queries, self.inserts, self.rows = queries, inserts, rows
        self.dimensions = rows.shape[1]
        self.opclass = {"<=>": "vector_cosine_ops", "<->": "vector_l2_ops"}[operator]
        self.space = {"<=>": "cosine", "<->": "l2"}[operator]
        ids = kept(f"{name}-{digest(queries, rows)}-exact.npy", lambda: nearest(rows, queries))
        self.limit = self.distances(ids)[:, -1] + 1e-5

    def changed(self):
        """The same after the inserts and after deleting every fifth row."""
        rows = numpy.concatenate([self.rows, self.inserts])
        rows[::5] = FAR_AWAY
        return Dataset(self.name, self.operator, self.queries, self.inserts, rows)

    def distances(self, ids):
        """Squared L2 distance, which on unit vectors orders as cosine distance does; `ids` is [queries, n]."""
        return ((self.rows[ids] - self.queries[:, None, :]) ** 2).sum(2)

    def recall(self, found):
        """Part of the K nearest that is in `found`, the ids that came back for each query."""
        hits = 0
        for query, ids in enumerate(found):
            ids = numpy.unique(numpy.asarray(ids, dtype=numpy.int64))[:K]
            hits += int((((self.rows[ids] - self.queries[query]) ** 2).sum(1) <= self.limit[query]).sum())
        return hits / (K * len(found))


def sentences(count):
    """The `count` rows are fewer where Debian's descriptions have fewer sentences."""
    return Dataset("sentences", "<=>", *parts(embeddings(QUERIES + INSERTS + count)))


def embeddings(count):
    """Of so many sentences, or of all that there are."""
    texts = descriptions()
    name = f"sentences-{hashlib.sha256(chr(0).join(texts).encode()).hexdigest()[:12]}"
    count = min(count, len(texts))

    def embed():
        from embed import Encoder

        encoder = Encoder()
        encoder.tokenizer.enable_truncation(64)
        return encoder.all(texts[:count])

    # The order is always the same, so a longer file of an earlier run has the shorter one in it.
    sizes = [int(file.stem.rpartition("-")[2]) for file in common.path("BENCH_FILES").glob(f"{name}-*[0-9].npy")]
    size = min((size for size in sizes if size >= count), default=count)
    return kept(f"{name}-{size}.npy", embed)[:count]


def clusters(count):
    def points():
        generator = numpy.random.default_rng(1)
        centres = generator.standard_normal((CLUSTERS, CLUSTER_DIMENSIONS), dtype=numpy.float32)
        size = QUERIES + INSERTS + count
        vectors = generator.standard_normal((size, CLUSTER_DIMENSIONS), dtype=numpy.float32) * numpy.float32(SPREAD)
        return vectors + centres[generator.integers(CLUSTERS, size=size)]

    return Dataset("clusters", "<->", *parts(kept(f"clusters-{count}-{CLUSTERS}-{SPREAD}.npy", points)))


def parts(vectors):
    return numpy.split(vectors, [QUERIES, QUERIES + INSERTS])


def descriptions():
    """Different sentences of package descriptions, in an order that is random and always the same."""
    texts = set()
    for paragraph in paragraphs(common.path("BENCH_FILES", "descriptions.txt")):
        texts.update(s.strip() for s in re.split(r"(?<=[.!?]) +(?=[A-Z])", paragraph) if 20 <= len(s) <= 300)
    texts = sorted(texts)
    if not texts:
        raise SystemExit("apt-get has no package descriptions")
    random.Random(1).shuffle(texts)
    return texts


def paragraphs(path):
    """Summaries and paragraphs of running text. Lists and examples, which are indented, are left out."""
    words = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith(("Description: ", "Description-en: ")):
                yield line.partition(": ")[2].strip()
            elif line.startswith(" ") and line[1:2].isalnum():
                words.append(line.strip())
                continue
            if words:
                yield " ".join(words)
            words = []
    if words:
        yield " ".join(words)


def nearest(rows, queries, chunk=100_000):
    """Ids of the K nearest rows of each query, nearest first."""
    ids, distances = [], []
    for start in range(0, len(rows), chunk):
        part = rows[start : start + chunk]
        # Without the query's own norm, which does not change the order.
        distance = (part**2).sum(1) - 2 * (queries @ part.T)
        best = numpy.argpartition(distance, min(K, len(part)) - 1, axis=1)[:, :K]
        ids.append(best + start)
        distances.append(numpy.take_along_axis(distance, best, 1))
    ids, distances = numpy.concatenate(ids, 1), numpy.concatenate(distances, 1)
    return numpy.take_along_axis(ids, numpy.argsort(distances, axis=1, kind="stable")[:, :K], 1)


def kept(name, make):
    """The array of the file `name`, made if no earlier run has."""
    file = common.path("BENCH_FILES", name)
    if not file.exists():
        common.say(f"vector: making {file}")
        with open(f"{file}.new", "wb") as new:
            numpy.save(new, make())
        os.rename(f"{file}.new", file)
    return numpy.load(file)


def digest(*arrays):
    parts = [repr(array.shape).encode() + array[::50].tobytes() for array in arrays]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


if __name__ == "__main__":
    dataset = {"sentences": sentences, "clusters": clusters}[sys.argv[1]](int(sys.argv[2]))
    common.say(f"{dataset.name}: {len(dataset.rows)} rows, {len(dataset.queries)} queries, {dataset.dimensions} dimensions")
