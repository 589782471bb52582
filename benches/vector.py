"""The indexes hnsw and ivfflat against pgvector (through SQL, equal settings) and hnsw against hnswlib (in memory, called from Python).

Data: see datasets.py. m 16, ef_construction 64; as many lists as the square root of the rows. BENCH_SENTENCES and BENCH_CLUSTERS are the rows of the two sets, 0 leaves
one out; BENCH_SECONDS is how long queries run at each point of a curve, three times. BENCH_CURVES is the SVG to write. BENCH_PARTS are the parts to
measure, all when it is not set: widths,spilled,queries,scarce,writes,lists; hnsw is built in any case.
"""

import os
import re
import subprocess
import tempfile

import numpy

import common
import curves
import datasets
from datasets import K

M, EF_CONSTRUCTION = 16, 64
EF_SEARCH = [10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1000]
PROBES = [1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135]
ENOUGH = 0.997  # the recall after which a curve ends
RECALLS = [0.95, 0.99]
CONNECTIONS = [1, 8]
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
REPEATS = 3
PARTS = os.environ.get("BENCH_PARTS", "widths,spilled,queries,scarce,writes,lists").split(",")
BATCH = 100  # rows in a transaction of inserts
WIDE_ROWS = 4000


class Server:
    """Lagoon or pgvector: the same SQL."""

    method = "hnsw"

    def __init__(self, cluster, extension):
        self.cluster = cluster
        self.connect()
        self.execute(f"CREATE EXTENSION IF NOT EXISTS {extension} CASCADE")
        self.name = cluster if cluster == extension else f"{cluster} {self.version(extension)}"

    def connect(self):
        self.connection = common.connect(self.cluster)
        self.execute = self.connection.execute
        self.execute("SET client_min_messages = notice")

    def version(self, extension):
        (version,) = self.execute("SELECT extversion FROM pg_extension WHERE extname = %s", [extension]).fetchone()
        return version

    def restart(self, *settings):
        self.connection.close()
        common.restart(self.cluster, *settings)
        self.connect()

    def load(self, dataset):
        self.dataset = dataset
        self.execute("DROP TABLE IF EXISTS items")
        self.execute(f"CREATE TABLE items (id int4 NOT NULL, v vector({dataset.dimensions}) NOT NULL)")
        # What the planner grants depends on the size of the table; here both get the same.
        self.execute(f"ALTER TABLE items SET (parallel_workers = {common.THREADS - 1})")
        self.copy("items", dataset.rows)
        self.execute("VACUUM ANALYZE items")
        # Files of queries and of inserts for the load generator; both servers read the same binary form.
        self.queries = parameters([vectors(dataset.queries)])
        new = numpy.arange(len(dataset.rows), len(dataset.rows) + len(dataset.inserts))
        self.inserts = parameters([integers(new), vectors(dataset.inserts)])

    def copy(self, table, rows):
        with self.connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for start in range(0, len(rows), 1000):
                some = rows[start : start + 1000]
                copy.write(records([integers(numpy.arange(start, start + len(some))), vectors(some)], ">i2").tobytes())
            copy.write(b"\xff\xff")

    def reset(self):
        self.execute("DROP INDEX IF EXISTS items_v")
        self.execute("CHECKPOINT")

    def build(self):
        self.execute(
            f"CREATE INDEX items_v ON items USING {self.method} (v {self.dataset.opclass}) WITH ({self.options()})"
        )

    def options(self):
        if self.method == "ivfflat":
            return f"lists = {round(len(self.dataset.rows) ** 0.5)}"
        return f"m = {M}, ef_construction = {EF_CONSTRUCTION}"

    def build_in(self, megabytes, stop=False):
        """Builds with so much memory; seconds, and the rows after which it was full. `stop`: ends the build there."""
        from psycopg.errors import QueryCanceled

        full = []

        def listen(notice):
            found = re.search(r"no longer fits into maintenance_work_mem after (\d+) tuples", notice.message_primary)
            if found:
                full.append(int(found[1]))
                if stop:
                    self.connection.cancel()

        self.connection.add_notice_handler(listen)
        self.reset()
        self.execute(f"SET maintenance_work_mem = '{megabytes}MB'")
        try:
            seconds = common.seconds(self.build)
        except QueryCanceled:
            seconds = None
        self.execute("RESET maintenance_work_mem")
        self.connection.remove_notice_handler(listen)
        return seconds, full[0] if full else None

    def build_spilled(self):
        """Seconds of a build whose graph is three times larger than its memory: how much that is, a first try tells. None if
        so few rows fit into any memory."""
        rows = self.dataset.rows
        megabytes = max(8, rows.nbytes >> 22)
        _, fitting = self.build_in(megabytes, stop=True)
        if not fitting:
            common.say(f"vector: {self.name} fits {len(rows):,} rows into {megabytes} MB")
            return None
        seconds, fitting = self.build_in(max(1, round(megabytes * len(rows) / fitting / 3)))
        times = len(rows) / fitting if fitting else 1
        common.say(f"vector: {self.name}, graph {times:.2f} times maintenance_work_mem: build {seconds:.1f} s")
        return seconds

    def size(self, index="items_v"):
        (size,) = self.execute("SELECT pg_relation_size(%s::regclass)", [index]).fetchone()
        return size

    def settings(self, effort):
        setting = "ivfflat.probes" if self.method == "ivfflat" else "hnsw.ef_search"
        return (
            "SET client_min_messages = warning; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;"
            # Loads the library, which knows the setting.
            f" DO $$ BEGIN PERFORM '[1]'::vector; END $$; SET {setting} = {effort}"
        )

    def query(self):
        return f"SELECT id FROM items ORDER BY v {self.dataset.operator} $1 LIMIT {K}"

    def check_plan(self):
        self.execute("SET enable_seqscan = off")
        probe = "'[" + ",".join(["1"] * self.dataset.dimensions) + "]'"
        plan = self.execute(f"EXPLAIN {self.query().replace('$1', probe)}").fetchall()
        if not any("items_v" in line for (line,) in plan):
            raise SystemExit(f"the index is not used: {plan}")

    def search(self, ef):
        """What each query returns."""
        _, *lines = self.generate(self.settings(ef), self.query(), self.queries, "once", 0)
        return [line.split() for line in lines]

    def rate(self, ef, connections):
        """Queries per second."""
        (rate,) = self.generate(self.settings(ef), self.query(), self.queries, "for", SECONDS, connections)
        return float(rate)

    def floor(self):
        """Queries per second without an index: what client, protocol and parameter cost."""
        statement = "SELECT vector_dims($1::vector)"
        (rate,) = self.generate(self.settings(K), statement, self.queries, "for", SECONDS, 1)
        return float(rate)

    def insert(self):
        """Rows per second."""
        seconds, *lines = self.generate("", "INSERT INTO items VALUES ($1, $2)", self.inserts, "once", BATCH)
        return len(lines) / float(seconds)

    def generate(self, settings, statement, file, *mode):
        socket = common.path("BENCH_SHARE", self.cluster, ".s.PGSQL.5432")
        command = [os.environ["BENCH_LOAD"], socket, settings, statement, file.name, *mode]
        return subprocess.run(map(str, command), stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()

    def vacuum(self):
        """Seconds that it takes after a fifth of the rows was deleted."""
        self.execute("DELETE FROM items WHERE id % 5 = 0")
        self.execute("CHECKPOINT")
        return common.seconds(lambda: self.execute("VACUUM items"))

    def wide(self, kind, dimensions):
        """Bytes of an index over random vectors, None without such a type."""
        if not self.execute("SELECT 1 FROM pg_opclass WHERE opcname = %s", [f"{kind}_l2_ops"]).fetchone():
            return None
        rows = numpy.random.default_rng(1).random((WIDE_ROWS, dimensions), dtype=numpy.float32)
        self.execute("DROP TABLE IF EXISTS wide")
        self.execute(f"CREATE TABLE wide (id int4, v vector({dimensions}))")
        self.copy("wide", rows)
        if kind != "vector":
            self.execute(f"ALTER TABLE wide ALTER v TYPE {kind}({dimensions})")
        self.execute(f"CREATE INDEX wide_v ON wide USING hnsw (v {kind}_l2_ops)")
        return self.size("wide_v")


class Hnswlib:
    """In memory, in this process, without SQL, all queries in one call."""

    name = "hnswlib"

    def __init__(self):
        import hnswlib

        self.library = hnswlib

    def load(self, dataset):
        self.dataset = dataset

    def reset(self):
        self.index = None

    def build(self):
        rows = self.dataset.rows
        self.index = self.library.Index(self.dataset.space, rows.shape[1])
        self.index.init_index(len(rows), EF_CONSTRUCTION, M)
        self.index.add_items(rows, num_threads=common.THREADS)

    def size(self):
        with tempfile.NamedTemporaryFile() as file:
            self.index.save_index(file.name)
            return os.path.getsize(file.name)

    def search(self, ef, threads=1):
        self.index.set_ef(ef)
        return self.index.knn_query(self.dataset.queries, K, num_threads=threads)[0]

    def rate(self, ef, connections):
        """With a thread for each connection, as far as there are processors."""
        seconds = common.seconds(lambda: self.search(ef, min(connections, common.THREADS)))
        return len(self.dataset.queries) / seconds


def integers(values):
    return numpy.ascontiguousarray(values, ">i4")


def vectors(values):
    """The binary form of type vector: dimensions, zero, float4s."""
    data = numpy.empty(len(values), [("dimensions", ">i2"), ("unused", ">i2"), ("v", ">f4", values.shape[1])])
    data["dimensions"], data["unused"], data["v"] = values.shape[1], 0, values
    return data


def records(columns, count, *, length=False):
    """Rows in binary form: [their length,] a count of columns, then for each column its length and the value."""
    fields = [("length", ">u4")] if length else []
    fields.append(("count", count))
    for number, column in enumerate(columns):
        fields += [(f"length{number}", ">i4"), (f"value{number}", column.dtype)]
    rows = numpy.empty(len(columns[0]), fields)
    if length:
        rows["length"] = rows.dtype.itemsize - 4
    rows["count"] = len(columns)
    for number, column in enumerate(columns):
        rows[f"length{number}"], rows[f"value{number}"] = column.dtype.itemsize, column
    return rows


def parameters(columns):
    """A file of parameters for the load generator."""
    file = tempfile.NamedTemporaryFile()
    file.write(records(columns, ">u2", length=True).tobytes())
    file.flush()
    return file


def sweep(contenders, connections=CONNECTIONS, efforts=EF_SEARCH):
    """For each number of connections and each contender a list of (recall, queries per second), a point for each effort.

    A rate is the best of several rounds over all points: whatever else the machine does can only slow them down, and what
    lasts for seconds meets a point in one round only."""
    recalls = {contender.name: {} for contender in contenders}
    rates = {count: {contender.name: {} for contender in contenders} for count in connections}
    for turn in range(REPEATS):
        common.say(f"vector: round {turn + 1} of {REPEATS} over {len(efforts)} efforts")
        for effort in efforts:
            for contender in contenders:
                known = recalls[contender.name]
                if effort not in known and max(known.values(), default=0) < ENOUGH:
                    known[effort] = contender.dataset.recall(contender.search(effort))
            for count in connections:
                for contender in contenders:
                    if effort in recalls[contender.name]:
                        best = rates[count][contender.name]
                        best[effort] = max(best.get(effort, 0), contender.rate(effort, count))
    points = {count: {} for count in connections}
    for count in connections:
        for name, best in rates[count].items():
            points[count][name] = [(recalls[name][effort], rate) for effort, rate in best.items()]
            for effort, rate in best.items():
                recall = recalls[name][effort]
                common.say(f"vector: {name}, effort {effort}, {count} at once: recall {recall:.4f}, {rate:,.0f} queries/s")
    return points


def at_recall(points, recall):
    """Queries per second at the recall wanted, from the two points around it, or from the first if that is past it. None
    if it is never reached."""
    if points[0][0] >= recall:
        common.say(f"vector: recall is past {recall} at the smallest ef already")
        return points[0][1]
    for (low, fast), (high, slow) in zip(points, points[1:]):
        if high >= recall:
            return float(numpy.exp(numpy.interp(recall, [low, high], numpy.log([fast, slow]))))
    return None


def report_rates(points, what, lagoon, peers):
    for peer in peers:
        for recall in RECALLS:
            rates = {name: at_recall(points[name], recall) for name in (lagoon.name, peer.name)}
            late = [name for name, rate in rates.items() if not rate]
            if late:
                common.say(f"vector: {what}: {' and '.join(late)} never reached recall {recall}")
            else:
                ours, theirs = rates.values()
                common.row(f"{what} at recall@{K} {recall}", "/s", ours, peer.name, theirs, more_is_better=True)


def compare(dataset, contenders):
    """Every measurement on one set; the points of its curves."""
    servers = [contender for contender in contenders if isinstance(contender, Server)]
    lagoon, pgvector = servers
    peers = contenders[1:]
    label = f"{len(dataset.rows):,} {dataset.name}"
    common.say(f"vector: {label}, {len(dataset.queries):,} queries, {dataset.dimensions} dimensions")
    for contender in contenders:
        contender.load(dataset)

    spilled = [server.build_spilled() for server in servers] if "spilled" in PARTS else []

    def reset():
        for contender in contenders:
            contender.reset()

    repeats = REPEATS if len(dataset.rows) <= 200_000 and "queries" in PARTS else 1
    builds = common.medians(repeats, *(contender.build for contender in contenders), before=reset)
    for peer, build in zip(peers, builds[1:]):
        common.row(f"{label}: build", "s", builds[0], peer.name, build)
    if spilled and all(spilled):
        common.row(f"{label}: build, graph 3x maintenance_work_mem", "s", spilled[0], pgvector.name, spilled[1])
        slower = [slow / fast for slow, fast in zip(spilled, builds)]
        common.row(f"{label}: that build over the build in memory", "x", slower[0], pgvector.name, slower[1])
    for peer in peers:
        common.row(f"{label}: index size", "MB", lagoon.size() / 1e6, peer.name, peer.size() / 1e6)

    for server in servers:
        common.say(f"vector: {server.name} answers {server.floor():,.0f} queries/s that need no index")
        server.check_plan()
        server.execute("VACUUM items")
        server.execute("CHECKPOINT")
    points = {}
    if "queries" in PARTS:
        points = sweep(contenders)
        for count in CONNECTIONS:
            report_rates(points[count], f"{label}: queries, {count} at once", lagoon, peers)
    if "scarce" in PARTS:
        compare_scarce(label, servers)
    if "writes" in PARTS:
        compare_writes(label, dataset, servers)
    return points


def compare_scarce(label, servers):
    """Queries when buffers are half and a quarter of the smaller index."""
    lagoon, pgvector = servers
    size = min(server.size() for server in servers)
    for part in [2, 4]:
        buffers = max(2, size // part >> 20)
        for server in servers:
            server.restart(f"shared_buffers={buffers}MB")
        # Recall anew: Lagoon's is another one where buffers are scarce.
        small = sweep(servers, [1])
        report_rates(small[1], f"{label}: queries, shared_buffers {buffers} MB,", lagoon, [pgvector])
    for server in servers:
        server.restart()


def compare_writes(label, dataset, servers):
    lagoon, pgvector = servers
    inserts = [server.insert() for server in servers]
    common.row(f"{label}: inserts", "/s", inserts[0], pgvector.name, inserts[1], more_is_better=True)
    vacuums = [server.vacuum() for server in servers]
    common.row(f"{label}: vacuum after deleting 20%", "s", vacuums[0], pgvector.name, vacuums[1])
    left = dataset.changed()
    for server in servers:
        common.say(f"vector: {server.name}, recall after that at ef 80: {left.recall(server.search(80)):.4f}")


def compare_lists(dataset, servers):
    """The same for ivfflat, in short."""
    label = f"{len(dataset.rows):,} {dataset.name}: ivfflat"
    lagoon, pgvector = servers
    for server in servers:
        server.method = "ivfflat"
        server.load(dataset)

    def reset():
        for server in servers:
            server.reset()
            server.execute("SET maintenance_work_mem = '1GB'")

    builds = common.medians(REPEATS if len(dataset.rows) <= 200_000 else 1, *(s.build for s in servers), before=reset)
    common.row(f"{label} build", "s", builds[0], pgvector.name, builds[1])
    common.row(f"{label} size", "MB", lagoon.size() / 1e6, pgvector.name, pgvector.size() / 1e6)
    for server in servers:
        server.execute("VACUUM items")
        server.execute("CHECKPOINT")
    points = sweep(servers, [1], PROBES)
    report_rates(points[1], f"{label} queries", lagoon, [pgvector])
    for server in servers:
        server.execute("RESET maintenance_work_mem")
        server.method = "hnsw"


def compare_widths(lagoon, pgvector):
    for kind, dimensions in [("vector", 768), ("vector", 1024), ("vector", 1536), ("halfvec", 3072)]:
        ours, theirs = lagoon.wide(kind, dimensions), pgvector.wide(kind, dimensions)
        if ours and theirs:
            what = f"{WIDE_ROWS:,} random {kind}({dimensions}): index size"
            common.row(what, "MB", ours / 1e6, pgvector.name, theirs / 1e6)
        else:
            common.say(f"vector: no operator class for {kind}({dimensions}) in both")


def main():
    contenders = [Server("lagoon", "lagoon"), Server("pgvector", "vector")]
    if "widths" in PARTS:
        compare_widths(*contenders)
    try:
        contenders.append(Hnswlib())
    except ImportError:
        common.say("vector: hnswlib is not installed, its rows are left out")
    panels = []
    for make, variable in [(datasets.sentences, "BENCH_SENTENCES"), (datasets.clusters, "BENCH_CLUSTERS")]:
        if count := int(os.environ[variable]):
            dataset = make(count)
            points = compare(dataset, contenders)
            if "lists" in PARTS:
                compare_lists(dataset, contenders[:2])
            title = f"{len(dataset.rows):,} {dataset.name}, {dataset.dimensions} dimensions"
            panels += points and [(title, f"{n} connection{'s' * (n > 1)}", points[n]) for n in CONNECTIONS]
    if panels and (file := os.environ.get("BENCH_CURVES")):
        curves.write(file, panels)


if __name__ == "__main__":
    main()
