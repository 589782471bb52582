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


def encoded(vector):
    """The binary form of type vector: dimensions, zero, float4s."""
    return struct.pack("!hh", len(vector), 0) + vector.astype(">f4").tobytes()


class Server:
    def __init__(self, connection, rows):
        self.connection = connection
        execute = connection.execute
        execute("SET enable_seqscan = off")
        execute("SET plan_cache_mode = force_generic_plan")
        execute("CREATE TABLE items (id int4 NOT NULL, v vector(384) NOT NULL)")
        # What the planner grants depends on the size of the table; here both get the same.
        execute(f"ALTER TABLE items SET (parallel_workers = {common.THREADS - 1})")
        with connection.cursor().copy("COPY items FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for number, vector in enumerate(rows):
                value = encoded(vector)
                copy.write(struct.pack("!hiii", 2, 4, number, len(value)) + value)
            copy.write(b"\xff\xff")
        execute("VACUUM ANALYZE items")

    def unbuild(self):
        self.connection.execute("DROP INDEX IF EXISTS items_v")
        self.connection.execute("CHECKPOINT")

    def build(self):
        self.connection.execute(
            "CREATE INDEX items_v ON items USING hnsw (v vector_cosine_ops)"
            f" WITH (m = {M}, ef_construction = {EF_CONSTRUCTION})"
        )

    def size(self):
        return self.connection.execute("SELECT pg_relation_size('items_v')").fetchone()[0]

    def prepare(self):
        query = f"SELECT id FROM items ORDER BY v <=> $1 LIMIT {K}"
        self.connection.pgconn.prepare(b"nearest", query.encode())
        probe = "[" + ",".join(["1"] * 384) + "]"
        plan = self.connection.execute(f"EXPLAIN {query.replace('$1', repr(probe))}").fetchall()
        if not any("items_v" in line for (line,) in plan):
            raise SystemExit(f"the index is not used: {plan}")

    def set_ef(self, ef):
        self.connection.execute(f"SET hnsw.ef_search = {ef}")

    def search(self, query):
        """libpq itself, so that little of the time is Python's."""
        result = self.connection.pgconn.exec_prepared(b"nearest", [query], [pq.Format.BINARY], pq.Format.BINARY)
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise SystemExit(result.error_message.decode())
        return [int.from_bytes(result.get_value(at, 0), "big") for at in range(result.ntuples)]


def sweep(name, set_ef, search, queries, similarity):
    """Recall and queries per second at each ef, the median of three passes. A tie with the k-th neighbour is a hit."""
    least = numpy.partition(similarity, -K, axis=1)[:, -K] - 1e-6
    curve = []
    for ef in EF_SEARCH:
        set_ef(ef)
        found = [search(query) for query in queries]
        hits = sum((similarity[at, ids] >= least[at]).sum() for at, ids in enumerate(found))
        seconds = common.median(lambda: [search(query) for query in queries], 3)
        curve.append((hits / (K * len(queries)), len(queries) / seconds))
        common.say(f"vector: {name} ef {ef}: recall@{K} {curve[-1][0]:.4f}, {curve[-1][1]:,.0f} queries/s")
    return curve


def at_recall(curve):
    """Queries per second at the recall wanted, from the two points around it, or from the first if that is past it."""
    if curve[0][0] >= RECALL:
        common.say(f"vector: recall is past {RECALL} at the smallest ef already")
        return curve[0][1]
    for (low, fast), (high, slow) in zip(curve, curve[1:]):
        if high >= RECALL:
            return float(numpy.exp(numpy.interp(RECALL, [low, high], numpy.log([fast, slow]))))
    raise SystemExit(f"recall {RECALL} is never reached: {curve}")


def server(name, connection, rows, queries, similarity):
    ours = Server(connection, rows)
    seconds = common.median(ours.build, 3, before=ours.unbuild)
    ours.prepare()
    common.say(f"vector: {name} builds in {seconds:.2f} s, {ours.size() / 1e6:.0f} MB")
    curve = sweep(name, ours.set_ef, ours.search, [encoded(query) for query in queries], similarity)
    return seconds, ours.size(), curve


def hnswlib_in_memory(rows, queries, similarity):
    import hnswlib

    def build():
        nonlocal index
        index = hnswlib.Index("cosine", rows.shape[1])
        index.init_index(len(rows), EF_CONSTRUCTION, M)
        index.add_items(rows, num_threads=common.THREADS)

    index = None
    seconds = common.median(build, 3)
    with tempfile.NamedTemporaryFile() as file:
        index.save_index(file.name)
        size = os.path.getsize(file.name)
    common.say(f"vector: hnswlib builds in {seconds:.2f} s, {size / 1e6:.0f} MB")

    def search(query):
        return index.knn_query(query, K, num_threads=1)[0][0].astype(int)

    return seconds, size, sweep("hnswlib", index.set_ef, search, list(queries), similarity)


def main():
    count = int(os.environ["BENCH_VECTORS"])
    vectors = embeddings(count + 500)
    rows, queries = vectors[:-500], vectors[-500:]
    similarity = queries @ rows.T
    common.say(f"vector: {len(rows)} rows, {len(queries)} queries, {rows.shape[1]} dimensions")

    ours = server("lagoon", common.lagoon(), rows, queries, similarity)
    pgvector = common.connect("pgvector")
    pgvector.execute("CREATE EXTENSION vector")
    (version,) = pgvector.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    peers = {f"pgvector {version}": server("pgvector", pgvector, rows, queries, similarity)}
    try:
        peers["hnswlib"] = hnswlib_in_memory(rows, queries, similarity)
    except ImportError:
        common.say("vector: hnswlib is not installed, its rows are left out")

    for peer, (seconds, size, curve) in peers.items():
        common.row(f"build, {len(rows):,} rows", "s", ours[0], peer, seconds)
        rate, peer_rate = at_recall(ours[2]), at_recall(curve)
        common.row(f"queries at recall@{K} {RECALL}", "/s", rate, peer, peer_rate, more_is_better=True)
        common.row("index size", "MB", ours[1] / 1e6, peer, size / 1e6)


if __name__ == "__main__":
    main()
