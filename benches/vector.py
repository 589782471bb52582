"""The hnsw index against pgvector (through SQL, equal settings) and hnswlib (in memory, called from Python).

Data: all-MiniLM-L6-v2 embeddings of package descriptions, 384 dimensions. Cosine distance, m 16, ef_construction 64.
"""

import hashlib
import os
import struct
import tempfile

import numpy
from psycopg import pq

import common

K, M, EF_CONSTRUCTION = 10, 16, 64
EF_SEARCH = [10, 20, 40, 80, 160, 320]
RECALL = 0.95


def embeddings(count):
    """`count` unit vectors, from a file if an earlier run has made them."""
    texts = common.descriptions()[:count]
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    file = common.path("BENCH_FILES", f"minilm-{digest}.npy")
    if not file.exists():
        from embed import Encoder

        common.say(f"vector: embedding {len(texts)} descriptions, kept in {file}")
        with open(f"{file}.new", "wb") as new:
            numpy.save(new, Encoder().all(texts))
        os.rename(f"{file}.new", file)
    return numpy.load(file)


class Server:
    """Lagoon or pgvector: the same SQL."""

    def __init__(self, name, connection, rows):
        self.name, self.connection, self.execute = name, connection, connection.execute
        self.execute("SET enable_seqscan = off")
        self.execute("SET plan_cache_mode = force_generic_plan")
        self.execute("CREATE TABLE items (id int4 NOT NULL, v vector(384) NOT NULL)")
        # What the planner grants depends on the size of the table; here both get the same.
        self.execute(f"ALTER TABLE items SET (parallel_workers = {common.THREADS - 1})")
        with connection.cursor().copy("COPY items FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for number, vector in enumerate(rows):
                value = self.encode(vector)
                copy.write(struct.pack("!hiii", 2, 4, number, len(value)) + value)
            copy.write(b"\xff\xff")
        self.execute("VACUUM ANALYZE items")

    def encode(self, vector):
        """The binary form of type vector: dimensions, zero, float4s."""
        return struct.pack("!hh", len(vector), 0) + vector.astype(">f4").tobytes()

    def reset(self):
        self.execute("DROP INDEX IF EXISTS items_v")
        self.execute("CHECKPOINT")

    def build(self):
        self.execute(
            "CREATE INDEX items_v ON items USING hnsw (v vector_cosine_ops)"
            f" WITH (m = {M}, ef_construction = {EF_CONSTRUCTION})"
        )

    def size(self):
        return self.execute("SELECT pg_relation_size('items_v')").fetchone()[0]

    def prepare(self):
        query = f"SELECT id FROM items ORDER BY v <=> $1 LIMIT {K}"
        self.connection.pgconn.prepare(b"nearest", query.encode())
        probe = "[" + ",".join(["1"] * 384) + "]"
        plan = self.execute(f"EXPLAIN {query.replace('$1', repr(probe))}").fetchall()
        if not any("items_v" in line for (line,) in plan):
            raise SystemExit(f"the index is not used: {plan}")

    def set_ef(self, ef):
        self.execute(f"SET hnsw.ef_search = {ef}")

    def search(self, query):
        """libpq itself, so that little of the time is Python's."""
        result = self.connection.pgconn.exec_prepared(b"nearest", [query], [pq.Format.BINARY], pq.Format.BINARY)
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise SystemExit(result.error_message.decode())
        return [int.from_bytes(result.get_value(at, 0), "big") for at in range(result.ntuples)]


class Hnswlib:
    """In memory, in this process, without SQL."""

    name = "hnswlib"

    def __init__(self, rows):
        import hnswlib

        self.library, self.rows = hnswlib, rows

    def encode(self, vector):
        return vector

    def reset(self):
        self.index = None

    def build(self):
        self.index = self.library.Index("cosine", self.rows.shape[1])
        self.index.init_index(len(self.rows), EF_CONSTRUCTION, M)
        self.index.add_items(self.rows, num_threads=common.THREADS)

    def size(self):
        with tempfile.NamedTemporaryFile() as file:
            self.index.save_index(file.name)
            return os.path.getsize(file.name)

    def prepare(self):
        pass

    def set_ef(self, ef):
        self.index.set_ef(ef)

    def search(self, query):
        return self.index.knn_query(query, K, num_threads=1)[0][0].astype(int)


def sweep(contenders, rows, queries):
    """For each contender its recall and its queries per second at each ef. A tie with the k-th neighbour is a hit."""
    similarity = queries @ rows.T
    least = numpy.partition(similarity, -K, axis=1)[:, -K] - 1e-6
    encoded = {c.name: [c.encode(query) for query in queries] for c in contenders}
    curves = {c.name: [] for c in contenders}

    def all_queries(contender):
        return lambda: [contender.search(query) for query in encoded[contender.name]]

    for ef in EF_SEARCH:
        for contender in contenders:
            contender.set_ef(ef)
        seconds = common.medians(5, *map(all_queries, contenders))
        for contender, spent in zip(contenders, seconds):
            found = all_queries(contender)()
            hits = sum((similarity[at, ids] >= least[at]).sum() for at, ids in enumerate(found))
            recall, rate = hits / (K * len(queries)), len(queries) / spent
            curves[contender.name].append((recall, rate))
            common.say(f"vector: {contender.name}, ef {ef}: recall@{K} {recall:.4f}, {rate:,.0f} queries/s")
    return curves


def at_recall(curve):
    """Queries per second at the recall wanted, from the two points around it, or from the first if that is past it."""
    if curve[0][0] >= RECALL:
        common.say(f"vector: recall is past {RECALL} at the smallest ef already")
        return curve[0][1]
    for (low, fast), (high, slow) in zip(curve, curve[1:]):
        if high >= RECALL:
            return float(numpy.exp(numpy.interp(RECALL, [low, high], numpy.log([fast, slow]))))
    raise SystemExit(f"recall {RECALL} is never reached: {curve}")


def main():
    count = int(os.environ["BENCH_VECTORS"])
    vectors = embeddings(count + 500)
    rows, queries = vectors[:-500], vectors[-500:]
    common.say(f"vector: {len(rows)} rows, {len(queries)} queries, {rows.shape[1]} dimensions")

    pgvector = common.connect("pgvector")
    pgvector.execute("CREATE EXTENSION vector")
    (version,) = pgvector.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    contenders = [Server("lagoon", common.lagoon(), rows), Server(f"pgvector {version}", pgvector, rows)]
    try:
        contenders.append(Hnswlib(rows))
    except ImportError:
        common.say("vector: hnswlib is not installed, its rows are left out")

    def reset():
        for contender in contenders:
            contender.reset()

    builds = dict(zip((c.name for c in contenders), common.medians(3, *(c.build for c in contenders), before=reset)))
    for contender in contenders:
        contender.prepare()
        common.say(f"vector: {contender.name} builds in {builds[contender.name]:.2f} s")
    curves = sweep(contenders, rows, queries)

    lagoon, *peers = contenders
    for peer in peers:
        common.row(f"build, {len(rows):,} rows", "s", builds["lagoon"], peer.name, builds[peer.name])
        ours, theirs = at_recall(curves["lagoon"]), at_recall(curves[peer.name])
        common.row(f"queries at recall@{K} {RECALL}", "/s", ours, peer.name, theirs, more_is_better=True)
        common.row("index size", "MB", lagoon.size() / 1e6, peer.name, peer.size() / 1e6)


if __name__ == "__main__":
    main()
