"""ClickBench's 43 queries over generated rows: Lagoon, DuckDB and DataFusion on one file, with BENCH_HEAP=1 the heap too.

BENCH_ROWS says how many rows (5,000,000). Up to 200,000 PostgreSQL's own executor checks the answers to the last digit.
"""

import os

import common
import hits
import queries

CHECKED = 200_000
SUMS = ", ".join(["sum(resolutionwidth)", *(f"sum(resolutionwidth + {number})" for number in range(1, 90))])


def make(rows):
    """The file, unless an earlier run has made it."""
    file = common.path("BENCH_SHARE", f"hits-{rows}.parquet")
    if not file.exists():
        common.say(f"clickbench: making {file}")
        hits.write(f"{file}.new", rows)
        os.chmod(f"{file}.new", 0o644)
        os.rename(f"{file}.new", file)
    return file


def main():
    rows = int(os.environ["BENCH_ROWS"])
    connection = common.lagoon()
    systems = queries.systems(connection, {"hits": make(rows)})
    if systems[-1].name == "heap":
        connection.execute("ALTER TABLE heap.hits ADD PRIMARY KEY (counterid, eventdate, userid, eventtime, watchid)")
        connection.execute("VACUUM ANALYZE heap.hits")
    results = queries.compare(queries.read("clickbench.sql", sums=SUMS), systems, checked=rows <= CHECKED)
    names = {
        "BENCH_TABLE": common.path("BENCH_FILES", "clickbench.md"),
        "BENCH_BARS": common.path("BENCH_FILES", "clickbench.svg"),
    }
    queries.tell(results, systems, f"ClickBench, {rows:,} rows, {common.THREADS} threads", names)


if __name__ == "__main__":
    main()
