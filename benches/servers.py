"""The two servers, Lagoon and pgvector, that the scripts of the indexes measure through the same SQL, and the binary forms in
which they take values."""

import os
import re
import subprocess
import tempfile

import common
import numpy
from datasets import K

M, EF_CONSTRUCTION = 16, 64
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
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

    def load(self, dataset, count=None):
        """A table of the first `count` rows, of all without it."""
        self.dataset = dataset
        self.execute("DROP TABLE IF EXISTS items")
        self.execute(f"CREATE TABLE items (id int4 NOT NULL, v {dataset.type}({dataset.dimensions}) NOT NULL)")
        # What the planner grants depends on the size of the table; here both get the same.
        self.execute(f"ALTER TABLE items SET (parallel_workers = {common.THREADS - 1})")
        self.copy("items", dataset.rows[:count], dataset.type, dimensions=dataset.dimensions)
        self.execute("VACUUM ANALYZE items")
        # Files of queries and of inserts for the load generator; both servers read the same binary form.
        form = FORMS[dataset.type]
        self.queries = parameters([form(dataset.queries, dataset.dimensions)])
        new = numpy.arange(len(dataset.rows), len(dataset.rows) + len(dataset.inserts))
        self.inserts = parameters([integers(new), form(dataset.inserts, dataset.dimensions)])

    def add(self, start):
        """Puts the rows from this one on into the table and its index."""
        self.copy("items", self.dataset.rows[start:], self.dataset.type, start, self.dataset.dimensions)

    def copy(self, table, rows, kind="vector", first=0, dimensions=None):
        with self.connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for start in range(0, len(rows), 1000):
                some = rows[start : start + 1000]
                ids = integers(numpy.arange(first + start, first + start + len(some)))
                copy.write(records([ids, FORMS[kind](some, dimensions)], ">i2").tobytes())
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
        plan = self.execute(f"EXPLAIN {self.query().replace('$1', '(SELECT v FROM items LIMIT 1)')}").fetchall()
        if not any("items_v" in line for (line,) in plan):
            raise SystemExit(f"the index is not used: {plan}")

    def search(self, ef):
        """What each query returns."""
        _, *lines = self.generate(self.settings(ef), self.query(), self.queries, "once", 0)
        return [line.split() for line in lines]

    def rate(self, ef, connections):
        """Queries per second."""
        return self.rates(ef, SECONDS, connections)[0]

    def rates(self, ef, seconds, connections=1):
        """Queries per second, and per second of the server's processor time."""
        return self.repeat(ef, self.query(), seconds, connections)

    def floor(self, seconds=SECONDS):
        """The same without an index: what client, protocol and parameter cost."""
        return self.repeat(K, f"SELECT ($1::{self.dataset.type} IS NOT NULL)::int4", seconds, 1)

    def repeat(self, effort, statement, seconds, connections):
        lines = self.generate(self.settings(effort), statement, self.queries, "for", seconds, connections)
        return [float(line) for line in lines]

    def insert(self):
        """Rows per second."""
        # Loads the library: that takes time once, and not for the rows.
        load = "DO $$ BEGIN PERFORM '[1]'::vector; END $$"
        seconds, *lines = self.generate(load, "INSERT INTO items VALUES ($1, $2)", self.inserts, "once", BATCH)
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


def integers(values):
    return numpy.ascontiguousarray(values, ">i4")


def vectors(values, dimensions=None, element=">f4"):
    """The binary form of type vector: dimensions, zero, float4s."""
    data = numpy.empty(len(values), [("dimensions", ">i2"), ("unused", ">i2"), ("v", element, values.shape[1])])
    data["dimensions"], data["unused"], data["v"] = values.shape[1], 0, values
    return data


def halfvecs(values, dimensions):
    """That of type halfvec: dimensions, zero, half floats."""
    return vectors(values, dimensions, ">f2")


def sparsevecs(values, dimensions):
    """That of type sparsevec: dimensions, how many are not zero, zero, their places, float4s. `values` has fields `place` and
    `value`, each an array of as many as are not zero."""
    count = values.dtype["place"].shape[0]
    head = [(name, ">i4") for name in ("dimensions", "count", "unused")]
    data = numpy.empty(len(values), head + [("place", ">i4", count), ("value", ">f4", count)])
    data["dimensions"], data["count"], data["unused"] = dimensions, count, 0
    data["place"], data["value"] = values["place"], values["value"]
    return data


def bits(values, dimensions):
    """That of type bit: length, eight bits to a byte. `values` is zeros and ones."""
    packed = numpy.packbits(values, axis=1)
    data = numpy.empty(len(values), [("length", ">i4"), ("bits", "u1", packed.shape[1])])
    data["length"], data["bits"] = dimensions, packed
    return data


FORMS = {"vector": vectors, "halfvec": halfvecs, "sparsevec": sparsevecs, "bit": bits}


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
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 (the caller closes it)
    file.write(records(columns, ">u2", length=True).tobytes())
    file.flush()
    return file
