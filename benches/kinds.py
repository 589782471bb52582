"""The kinds of data of the benchmark's part `kinds`: what is known to break codes of vectors, and what is not, a few thousand
rows each. Made from fixed seeds; sentences are those of datasets.py.
"""

import os
import zlib

import datasets
import numpy
from datasets import K

ROWS = int(os.environ.get("BENCH_KIND_ROWS", "10000"))
QUERIES, INSERTS = 300, 500
OPERATORS = {"<->": "l2", "<#>": "ip", "<=>": "cosine", "<+>": "l1", "<~>": "hamming", "<%>": "jaccard"}
LISTS = {
    "vector_l2_ops", "vector_ip_ops", "vector_cosine_ops",
    "halfvec_l2_ops", "halfvec_ip_ops", "halfvec_cosine_ops", "bit_hamming_ops",
}  # fmt: skip


class Kind:
    """`rows`, `queries` and `inserts`, none in two of them: float32 arrays for vector and halfvec, zeros and ones for bit,
    records of `place` and `value` for sparsevec. The index is made over the first `before` rows, then the others are inserted."""

    def __init__(self, name, operator, make, type="vector", dimensions=None, rows=ROWS, before=1.0, order=None):
        self.name, self.operator, self.type = name, operator, type
        self.opclass = f"{type}_{OPERATORS[operator]}_ops"
        self.has_lists = self.opclass in LISTS
        self.make, self.count, self.part, self.order = make, rows, before, order
        self.dimensions = dimensions

    def fill(self):
        """Makes the data, which is not kept between kinds."""
        random = numpy.random.default_rng(zlib.crc32(self.name.encode()))
        values = self.make(random, QUERIES + INSERTS + self.count)
        if self.type in ("vector", "halfvec"):
            values = values.astype(numpy.float16 if self.type == "halfvec" else numpy.float32).astype(numpy.float32)
        self.queries, self.inserts, self.rows = numpy.split(values, [QUERIES, QUERIES + INSERTS])
        if self.order:
            self.rows = numpy.ascontiguousarray(self.rows[self.order(self.rows)])
        self.dimensions = self.dimensions or self.rows.shape[1]
        self.before = round(len(self.rows) * self.part)
        name = f"kind-{self.name.replace(' ', '-')}-{datasets.digest(self.rows, self.queries)}.npy"
        # As near as the last of the nearest is near enough; what is added is the rounding of float64.
        self.points, self.targets = self.exact(self.rows), self.exact(self.queries)
        limit = datasets.kept(name, lambda: numpy.array([self.kth(target) for target in self.targets]))
        self.limit = limit + 1e-9 * abs(limit)
        return self

    def empty(self):
        del self.rows, self.queries, self.inserts, self.points, self.targets, self.limit

    def exact(self, values):
        """What distances are computed of: float64, and unit vectors for the cosine, whose squared distances have the same order
        and lose nothing where all are alike."""
        if self.type in ("sparsevec", "bit"):
            return values
        values = values.astype(float)
        return unit(values) if self.operator == "<=>" else values

    def kth(self, target):
        return numpy.partition(self.distances(target, self.points), K - 1)[K - 1]

    def distances(self, target, points):
        """Of one query to some rows, both `exact`, in their order; those of L2 are squared."""
        if self.type == "sparsevec":
            return self.sparse_distances(target, points)
        if self.type == "bit":
            both, either = (points & target).sum(1, dtype=float), (points | target).sum(1, dtype=float)
            return either - both if self.operator == "<~>" else 1 - both / numpy.maximum(either, 1)
        if self.operator == "<#>":
            return -(points @ target)
        if self.operator == "<+>":
            return abs(points - target).sum(1)
        return ((points - target) ** 2).sum(1)

    def sparse_distances(self, target, points):
        dense = numpy.zeros(self.dimensions)
        dense[target["place"]] = target["value"]
        values = points["value"].astype(float)
        products = (dense[points["place"]] * values).sum(1)
        norms = (values**2).sum(1)
        return 1 - products / numpy.sqrt(norms * (dense**2).sum()) if self.operator == "<=>" else -products

    def recall(self, found):
        """Part of the K nearest that is in `found`, the ids that came back for each query."""
        hits = 0
        for target, limit, ids in zip(self.targets, self.limit, found):
            ids = numpy.unique(numpy.asarray(ids, dtype=numpy.int64))
            hits += int((self.distances(target, self.points[ids]) <= limit).sum())
        return hits / (K * len(found))


def unit(vectors):
    return vectors / numpy.linalg.norm(vectors, axis=-1, keepdims=True)


def clusters(random, count, dimensions, spread=0.8, centres=None):
    """Gaussian clusters around centres that are as far apart as unit normals, a hundred rows to a cluster."""
    middles = random.standard_normal((centres or max(2, count // 100), dimensions))
    return middles[random.integers(len(middles), size=count)] + spread * random.standard_normal((count, dimensions))


def sentences(random, count):
    return datasets.embeddings(count)


def feature(scale, constant=False):
    """One element is `scale` times as large as the others, in every row the same if it is constant. If not, nothing is near by
    that element alone: rows are uniform."""

    def make(random, count):
        vectors = clusters(random, count, 128) if constant else random.random((count, 128))
        vectors[:, 5] = scale if constant else vectors[:, 5] * scale
        return vectors

    return make


def common_mean(dimensions):
    """The spread is a hundredth of the mean."""
    return lambda random, count: random.standard_normal(dimensions) + 0.01 * clusters(random, count, dimensions)


def duplicates(values):
    """Nine of ten rows are one of so many values; half of the queries are near one of those."""

    def make(random, count):
        vectors = clusters(random, count, 64)
        few = random.standard_normal((values, 64))
        chosen = few[random.integers(values, size=count)]
        same = random.random(count) < 0.9
        vectors[same] = chosen[same]
        vectors[: QUERIES + INSERTS] = clusters(random, QUERIES + INSERTS, 64)
        vectors[: QUERIES // 2] = chosen[: QUERIES // 2] + 0.3 * random.standard_normal((QUERIES // 2, 64))
        return vectors

    return make


def outliers(random, count):
    """One row in a thousand is far away."""
    vectors = clusters(random, count, 128)
    vectors[QUERIES + INSERTS :: 1000] *= 10_000
    return vectors


def norms(random, count):
    return unit(clusters(random, count, 64)) * 10 ** random.uniform(-3, 3, (count, 1))


def drift(random, count):
    """The second half of the rows, and of the queries, is elsewhere and ten times as wide."""
    vectors = clusters(random, count, 64)
    new = numpy.r_[numpy.arange(0, QUERIES + INSERTS, 2), numpy.arange((count + QUERIES + INSERTS) // 2, count)]
    vectors[new] = 100 + 10 * vectors[new]
    return vectors


def sparse(count_of_places):
    """As learnt sparse embeddings: places that are frequent everywhere, places of a topic, weights of a log-normal."""

    def make(random, count):
        dimensions, topics = 30_000, 100
        everywhere = -1.1 * numpy.log(1 + numpy.arange(dimensions))  # Zipf
        kept = 8 * count_of_places
        values = numpy.empty(count, [("place", "i4", count_of_places), ("value", "f4", count_of_places)])
        topic = random.integers(topics, size=count)
        for number in range(topics):
            # Of those that a topic has the Gumbel-top-k of each row is a sample without repetition.
            keys = everywhere + 3 * random.standard_normal(dimensions)
            frequent = numpy.argpartition(-keys, kept)[:kept]
            weights = random.lognormal(0, 0.5, kept)
            members = numpy.flatnonzero(topic == number)
            noise = random.gumbel(size=(len(members), kept))
            chosen = numpy.argpartition(-(keys[frequent] + 1.5 * noise), count_of_places)[:, :count_of_places]
            places = frequent[chosen]
            value = weights[chosen] * random.lognormal(0, 0.5, chosen.shape)
            order = numpy.argsort(places, axis=1)
            values["place"][members] = numpy.take_along_axis(places, order, 1)
            values["value"][members] = numpy.take_along_axis(value, order, 1)
        return values

    return make


def scattered(count_of_places):
    """The same places among millions, as those of hashed features."""
    make = sparse(count_of_places)

    def spread(random, count):
        values = make(random, count)
        values["place"] *= 167
        return values

    return spread


def bits(dimensions):
    """A hundred rows to a prototype, of which each bit is turned with a probability of 0.2."""

    def make(random, count):
        prototypes = random.integers(0, 2, (count // 100, dimensions), dtype=numpy.uint8)
        turned = (random.random((count, dimensions), dtype=numpy.float32) < 0.2).astype(numpy.uint8)
        return prototypes[random.integers(len(prototypes), size=count)] ^ turned

    return make


def by_component(rows):
    """The order of their first principal component."""
    centred = rows - rows.mean(0)
    return numpy.argsort(centred @ numpy.linalg.eigh(centred.T @ centred)[1][:, -1])


def by_cluster(rows):
    """One cluster after the other: each row is with that of the first rows to which it is nearest."""
    return numpy.argsort(numpy.argmin((rows[:200] ** 2).sum(1) - 2 * rows @ rows[:200].T, axis=1), kind="stable")


KINDS = [
    Kind("sentences", "<=>", sentences),
    Kind("clusters", "<->", lambda r, n: clusters(r, n, 128)),
    Kind("uniform 32", "<->", lambda r, n: r.random((n, 32))),
    Kind("uniform 768", "<->", lambda r, n: r.random((n, 768))),
    Kind("feature 300x", "<->", feature(300)),
    Kind("feature 3000x", "<->", feature(3000)),
    Kind("constant 300x", "<->", feature(300, constant=True)),
    Kind("constant 3000x", "<->", feature(3000, constant=True)),
    Kind("common mean L2", "<->", common_mean(64)),
    Kind("common mean cosine", "<=>", common_mean(256)),
    Kind("many scenes", "<->", lambda r, n: clusters(r, n, 128, 1e-3, n // 50)),
    Kind("duplicates of one", "<->", duplicates(1)),
    Kind("duplicates of nine", "<->", duplicates(9)),
    Kind("integers", "<->", lambda r, n: numpy.clip(numpy.rint(25 * numpy.exp(clusters(r, n, 128, 0.6))), 0, 255)),
    Kind("Student t", "<->", lambda r, n: r.standard_t(1.5, (n, 64))),
    Kind("log-normal", "<->", lambda r, n: r.lognormal(0, 1.5, (n, 64))),
    Kind("outliers", "<->", outliers),
    Kind("norms of 1e-3 to 1e3", "<#>", norms),
    Kind("scales L1", "<+>", lambda r, n: clusters(r, n, 64) * 10 ** numpy.linspace(0, 3, 64)),
    Kind("inserted", "<->", lambda r, n: clusters(r, n, 64), before=0),
    Kind("inserted by component", "<->", lambda r, n: clusters(r, n, 64), before=0, order=by_component),
    Kind("inserted by cluster", "<->", lambda r, n: clusters(r, n, 64), before=0, order=by_cluster),
    Kind("inserted common mean", "<->", common_mean(64), before=0),
    Kind("inserted feature 3000x", "<->", feature(3000), before=0),
    Kind("drift", "<->", drift, before=0.5),
    Kind("2000 dimensions", "<->", lambda r, n: clusters(r, n, 2000), rows=ROWS // 2),
    Kind("halfvec 3072", "<=>", lambda r, n: clusters(r, n, 3072), "halfvec", rows=ROWS // 2),
    Kind("halfvec 384", "<=>", sentences, "halfvec"),
    Kind("sparse 30", "<=>", sparse(30), "sparsevec", 30_000),
    Kind("sparse 100", "<=>", sparse(100), "sparsevec", 30_000),
    Kind("sparse 400", "<=>", sparse(400), "sparsevec", 30_000, rows=ROWS // 2),
    Kind("scattered 400", "<=>", scattered(400), "sparsevec", 167 * 30_000, rows=ROWS // 2),
    Kind("sparse 1000", "<#>", sparse(1000), "sparsevec", 30_000, rows=ROWS // 2),
    Kind("bits Hamming", "<~>", bits(1024), "bit"),
    Kind("bits Jaccard", "<%>", bits(512), "bit"),
]


def chosen():
    """Those that BENCH_KINDS names, separated by commas, or all."""
    names = [name for name in os.environ.get("BENCH_KINDS", "").split(",") if name]
    unknown = set(names) - {kind.name for kind in KINDS}
    if unknown:
        raise SystemExit(f"BENCH_KINDS: there is no kind {', '.join(sorted(unknown))}")
    return [kind for kind in KINDS if not names or kind.name in names]
