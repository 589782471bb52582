"""Runs the queries of a benchmark on Lagoon and its peers in turns, compares answers, and tells times and ratios."""

import decimal
import math
import os
import re
import statistics
import threading
import time
from pathlib import Path

import bars
import common
import psycopg

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
SECONDS = int(os.environ.get("BENCH_TIMEOUT", "120"))  # of one statement
SLOW = 20  # seconds after which one run is enough
ONLY = [name for name in os.environ.get("BENCH_QUERIES", "").split(",") if name]
# DuckDB has averages as doubles, PostgreSQL as numerics.
TOLERANCE = 1e-6


class Query:
    """One of a file: `-- name [ties N | rows]`, then its text."""

    def __init__(self, head, text):
        self.name, *compared = head.split()
        self.text = text
        self.ties = int(compared[1]) - 1 if compared[:1] == ["ties"] else None
        self.only_rows = compared == ["rows"]

    def same(self, left, right, exact=False):
        """Whether two answers are one, as far as it is determined."""
        if len(left) != len(right):
            return False
        if self.only_rows:
            return True
        if self.ties is not None:
            left, right = ([row[self.ties] for row in rows] for rows in (left, right))
            return all(equal(a, b, exact) for a, b in zip(left, right))
        return all(equal(a, b, exact) for one, other in zip(left, right) for a, b in zip(one, other))


def equal(left, right, exact):
    if isinstance(left, (int, float, decimal.Decimal)) and isinstance(right, (int, float, decimal.Decimal)):
        if exact and not isinstance(left, float):
            return str(left) == str(right)
        return math.isclose(float(left), float(right), rel_tol=TOLERANCE, abs_tol=1e-9)
    return left == right


def read(file, **values):
    """The queries of a file, with `{name}` replaced."""
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    parts = re.split(r"^-- (q\d+.*)$", text, flags=re.MULTILINE)[1:]
    found = [Query(head, body.strip().rstrip(";")) for head, body in zip(parts[::2], parts[1::2])]
    return [query for query in found if not ONLY or query.name in ONLY]


class Postgres:
    """A schema of the server: foreign tables over the files, or heap tables."""

    def __init__(self, name, connection, schema):
        self.name, self.connection, self.schema = name, connection, schema
        self.postmaster = int(stat(connection.info.backend_pid)[1])

    def prepare(self):
        self.connection.execute(f"SET search_path = {self.schema}, public; SET statement_timeout = '{SECONDS}s'")

    def run(self, query):
        return self.connection.execute(query).fetchall()

    def cpu(self):
        """Seconds of all processes of the server, those that have ended too."""
        own = stat(self.postmaster)
        ticks = sum(int(field) for field in own[11:15])
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                other = stat(int(entry.name))
                if other and int(other[1]) == self.postmaster:
                    ticks += int(other[11]) + int(other[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def is_whole(self, query):
        """Whether the engine answers all of it."""
        plan = self.connection.execute("EXPLAIN (COSTS OFF) " + query).fetchone()
        return plan[0].startswith("Custom Scan (Lagoon Query)")


def stat(process):
    """Fields of /proc/PID/stat after the name of the program: the state is 0, the parent 1, the times 11 to 14."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


class Duck:
    """DuckDB in this process, over the same files."""

    def __init__(self, tables):
        import duckdb

        self.name = f"DuckDB {duckdb.__version__}"
        self.connection = duckdb.connect(config={"threads": common.THREADS})
        for table, file in tables.items():
            self.connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{file}')")

    def prepare(self):
        pass

    def run(self, query):
        timer = threading.Timer(SECONDS, self.connection.interrupt)
        timer.start()
        try:
            return self.connection.execute(query).fetchall()
        finally:
            timer.cancel()

    def cpu(self):
        return time.process_time()


class DataFusion:
    """DataFusion's own package in this process, with its default configuration but for the number of threads."""

    def __init__(self, tables):
        import datafusion

        self.name = f"DataFusion {datafusion.__version__}"
        self.context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(common.THREADS))
        for table, file in tables.items():
            self.context.register_parquet(table, str(file))

    def prepare(self):
        pass

    def run(self, query):
        batches = self.context.sql(query).collect()
        return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]

    def cpu(self):
        return time.process_time()


def measure(system, query):
    """Milliseconds on the wall and of processors of one run."""
    cpu, start = system.cpu(), time.perf_counter()
    system.run(query.text)
    wall = time.perf_counter() - start
    return wall * 1e3, (system.cpu() - cpu) * 1e3


class Result:
    """A line of the table."""

    def __init__(self, query):
        self.query = query
        self.wall, self.cpu, self.notes = {}, {}, []


def compare(queries, systems, checked):
    """Lines for all queries. Lagoon is the first system; `checked` makes PostgreSQL's own executor answer, too."""
    results = []
    lagoon = systems[0]
    for query in queries:
        result = Result(query)
        answers, ready, runs = {}, [], RUNS
        for system in systems:
            start = time.perf_counter()
            try:
                system.prepare()
                answers[system.name] = system.run(query.text)
                if time.perf_counter() - start > SLOW:
                    runs = 1
                ready.append(system)
            except Exception as error:  # of whichever system: the others go on
                if time.perf_counter() - start >= SECONDS:
                    # At least so long: without it a system would look the faster for what it cannot do.
                    result.wall[system.name] = SECONDS * 1e3
                    result.notes.append(f"{system.name} took longer")
                else:
                    result.notes.append(f"{system.name}: {str(error).splitlines()[0][:100]}")
        times = {system.name: [] for system in ready}
        for _ in range(runs):
            for system in ready:
                system.prepare()
                times[system.name].append(measure(system, query))
        for name, pairs in times.items():
            result.wall[name] = statistics.median(wall for wall, _ in pairs)
            # Times of processors are counted in steps of 10 ms: of all runs together.
            result.cpu[name] = statistics.mean(cpu for _, cpu in pairs)
        if lagoon in ready:
            lagoon.prepare()
            result.whole = lagoon.is_whole(query.text)
            for name, answer in answers.items():
                if not name.startswith("DataFusion") and not query.same(answers[lagoon.name], answer):
                    result.notes.append(f"another answer than {name}")
            if checked:
                check(lagoon, query, answers[lagoon.name], result)
        results.append(result)
        said = ", ".join(f"{name} {time:,.1f} ms" for name, time in result.wall.items())
        common.say("   ".join([query.name, said, *result.notes]))
    return results


def check(lagoon, query, answer, result):
    """PostgreSQL's own executor over the same files must say the same, digit for digit."""
    lagoon.connection.execute("SET lagoon.pushdown = off")
    try:
        if not query.same(answer, lagoon.run(query.text), exact=True):
            result.notes.append("another answer than PostgreSQL")
    except psycopg.errors.QueryCanceled:
        result.notes.append("not checked: PostgreSQL took too long")
    finally:
        lagoon.connection.execute("RESET lagoon.pushdown")


def geometric_mean(numbers):
    return math.exp(statistics.mean(map(math.log, numbers))) if numbers else math.nan


def tell(results, systems, title, default_names):
    """The Markdown table, the bars, and the lines of benches/run."""
    names = [system.name for system in systems]
    lagoon, peers = names[0], names[1:]
    lines = ["| query | " + " | ".join(f"{name}, ms" for name in names) + " | "]
    lines[0] += " | ".join(f"CPU {name.split()[0]}, ms" for name in names)
    lines[0] += " | " + " | ".join(f"Lagoon / {name.split()[0]}" for name in peers) + " | in the engine | |"
    lines.append("|---|" + "--:|" * (2 * len(names) + len(peers)) + "---|---|")
    ratios = {peer: {} for peer in peers}
    for result in results:
        for peer in peers:
            if lagoon in result.wall and peer in result.wall:
                ratios[peer][result.query.name] = result.wall[lagoon] / result.wall[peer]
        cells = [result.query.name]
        cells += [number(result.wall.get(name)) for name in names]
        cells += [number(result.cpu.get(name)) for name in names]
        cells += [ratio(ratios[peer].get(result.query.name)) for peer in peers]
        cells += ["whole" if getattr(result, "whole", False) else "", "; ".join(result.notes)]
        lines.append("| " + " | ".join(cells) + " |")
    means = [ratio(geometric_mean(list(ratios[peer].values()))) for peer in peers]
    worst = [max(ratios[peer].items(), key=lambda item: item[1], default=("", None)) for peer in peers]
    blank = [""] * (2 * len(names))
    lines.append("| " + " | ".join(["geometric mean", *blank, *means, "", ""]) + " |")
    lines.append("| " + " | ".join(["worst", *blank, *(f"{ratio(most)} ({name})" for name, most in worst), "", ""]) + " |")
    sums = [number(sum(result.wall.get(name, 0) for result in results)) for name in names]
    lines.append("| " + " | ".join(["sum", *sums, *[""] * (len(names) + len(peers) + 2)]) + " |")

    table, picture = (Path(os.environ.get(name) or other) for name, other in default_names.items())
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(f"# {title}\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    groups = [(result.query.name, [result.wall.get(name) for name in names]) for result in results]
    bars.write(picture, title, names, groups)
    common.say(f"the table is in {table}, the bars are in {picture}")
    for peer in peers:
        both = [result for result in results if lagoon in result.wall and peer in result.wall]
        if both:
            ours, theirs = (geometric_mean([result.wall[name] for result in both]) for name in (lagoon, peer))
            common.row(f"geometric mean of {len(both)} queries", "ms", ours, peer, theirs)


def number(value):
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def ratio(value):
    return "" if value is None or math.isnan(value) else f"{value:.2f}"


def systems(connection, tables):
    """Lagoon with foreign tables of these files, its peers, and with BENCH_HEAP=1 heap copies, which the caller makes."""
    execute = connection.execute
    execute("DROP SCHEMA IF EXISTS lake CASCADE")
    execute("CREATE SCHEMA lake")
    for table, file in tables.items():
        execute(f"CREATE FOREIGN TABLE lake.{table} () SERVER lagoon OPTIONS (path '{file}')")
        execute(f"ANALYZE lake.{table}")
    found = [Postgres("Lagoon", connection, "lake"), Duck(tables), DataFusion(tables)]
    if os.environ.get("BENCH_HEAP") == "1":
        execute("DROP SCHEMA IF EXISTS heap CASCADE")
        execute("CREATE SCHEMA heap")
        for table in tables:
            common.say(f"loading {table} into the heap")
            execute(f"CREATE UNLOGGED TABLE heap.{table} AS TABLE lake.{table}")
        found.append(Postgres("heap", connection, "heap"))
    return found
