"""What the scripts of the wings share. Run as a program it prints the rows of standard input as a table."""

import csv
import itertools
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

THREADS = int(os.environ.get("BENCH_THREADS", "2"))


def path(variable, *parts):
    return Path(os.environ[variable], *parts)


def connect(server):
    """A connection to "lagoon" or "pgvector", the clusters that benches/run has started."""
    import psycopg

    return psycopg.connect(
        host=str(path("BENCH_SHARE", server)), port=5432, user="postgres", dbname="postgres", autocommit=True
    )


def restart(server, *settings):
    """Restarts it with these settings over those that benches/run has started it with."""
    base = os.environ[f"BENCH_{server.upper()}_SETTINGS"].splitlines()
    environment = os.environ | {"PG_CONFIG": os.environ[f"BENCH_{server.upper()}_PG_CONFIG"]}
    for command in [["stop", path("BENCH_SHARE", server)], ["start", path("BENCH_SHARE", server), *base, *settings]]:
        subprocess.run(["scripts/cluster", *command], env=environment, check=True)


def lagoon():
    """A connection to a database that has the extension and has its library loaded."""
    connection = connect("lagoon")
    connection.execute("SET client_min_messages = warning")
    connection.execute("CREATE EXTENSION IF NOT EXISTS lagoon CASCADE")
    connection.execute("SELECT '[1]'::vector")
    return connection


def descriptions():
    """The different descriptions of Debian's packages, in an order that is random and always the same."""
    with open(path("BENCH_FILES", "packages.csv"), newline="") as file:
        texts = sorted({row["description"] for row in csv.DictReader(file)} - {""})
    if not texts:
        raise SystemExit("apt-cache knows no packages: run apt-get update")
    random.Random(1).shuffle(texts)
    return texts


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def medians(repeats, *runs, before=lambda: None):
    """Median seconds of each, run in turns so that a busy moment of the machine meets all. `before` is not measured."""
    times = []
    for _ in range(repeats):
        before()
        times.append([seconds(run) for run in runs])
    return [statistics.median(column) for column in zip(*times)]


def at_recall(points, recall):
    """Queries per second at the recall wanted, from the two points (recall, rate) around it, or from the first if that is
    past it. None if it is never reached."""
    if points[0][0] >= recall:
        return points[0][1]
    for (low, fast), (high, slow) in itertools.pairwise(points):
        if high >= recall:
            return fast * (slow / fast) ** ((recall - low) / (high - low))
    return None


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def row(what, unit, ours, peer, theirs, more_is_better=False):
    """One line of the table. Ratio: how many times better Lagoon is."""
    wing = Path(sys.argv[0]).stem
    ratio = ours / theirs if more_is_better else theirs / ours
    line = [wing, what, f"{amount(ours)} {unit}", f"{peer} {amount(theirs)} {unit}", f"{ratio:.2f}"]
    print("\t".join(line), flush=True)
    say("   ".join(line))


def amount(number):
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def table():
    rows = [["wing", "what", "Lagoon", "peer", "ratio"]] + [line.rstrip("\n").split("\t") for line in sys.stdin]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * width for width in widths])
    for cells in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip())


if __name__ == "__main__":
    table()
