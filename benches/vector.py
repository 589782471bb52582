"""The indexes hnsw and ivfflat against pgvector (through SQL, equal settings) and hnsw against hnswlib (in memory, called from
Python).

Data: see datasets.py. m 16, ef_construction 64; as many lists as the square root of the rows. BENCH_SENTENCES and
BENCH_CLUSTERS are the rows of the two sets, 0 leaves one out; BENCH_SECONDS is how long queries run at each point of a curve,
three times. BENCH_CURVES is the SVG to write. BENCH_PARTS are the parts to measure:
widths,spilled,queries,scarce,writes,lists, which are all when it is not set, and kinds (see compare_kinds.py); hnsw is built
for any but kinds.
"""

import os
import tempfile

import common
import compare_kinds
import curves
import datasets
from datasets import K
from servers import EF_CONSTRUCTION, WIDE_ROWS, M, Server

EF_SEARCH = [10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1000]
PROBES = [1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135]
ENOUGH = 0.997  # the recall after which a curve ends
RECALLS = [0.95, 0.99]
CONNECTIONS = [1, 8]
REPEATS = 3
PARTS = os.environ.get("BENCH_PARTS", "widths,spilled,queries,scarce,writes,lists").split(",")


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


def report_rates(points, what, lagoon, peers):
    for peer in peers:
        for recall in RECALLS:
            rates = {name: common.at_recall(points[name], recall) for name in (lagoon.name, peer.name)}
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
        common.say(f"vector: {server.name} answers {server.floor()[0]:,.0f} queries/s that need no index")
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
    _, pgvector = servers
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
    if "kinds" in PARTS:
        compare_kinds.compare(*contenders)
    if PARTS == ["kinds"]:
        return
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
