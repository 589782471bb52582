"""Aggregates over a Parquet file through a foreign table, against DuckDB on that file and a heap table of the rows."""

import math
import os

import common
import duckdb

# Sorted by day, as an event log is: a filter on day can skip row groups.
MAKE = """
COPY (
    SELECT i AS id,
        DATE '2020-01-01' + (i * 2000 // {rows})::INT AS day,
        'region ' || (hash(i) % 20) AS region,
        (hash(i + 1) % 100)::INT AS quantity,
        (hash(i + 2) % 100000) / 100.0::DOUBLE AS price
    FROM range({rows}) AS t(i)
) TO '{file}' (FORMAT parquet, COMPRESSION zstd)
"""

QUERIES = {
    "count(*)": "SELECT count(*) FROM sales",
    "sum and avg of half by region": """
        SELECT region, count(*), sum(quantity), avg(price)
        FROM sales WHERE quantity >= 50 GROUP BY region ORDER BY region""",
    "sum of 1 day in 2,000": "SELECT count(*), sum(price) FROM sales WHERE day = DATE '2023-01-01'",
}


def same(left, right):
    """Equal rows; sums of doubles depend on the order of addition."""
    return len(left) == len(right) and all(
        math.isclose(float(a), float(b), rel_tol=1e-9) if isinstance(a, float) else a == b
        for ours, theirs in zip(left, right)
        for a, b in zip(ours, theirs)
    )


def main():
    rows = int(os.environ["BENCH_ROWS"])
    file = common.path("BENCH_SHARE", f"sales-{rows}.parquet")
    duck = duckdb.connect(config={"threads": common.THREADS})
    if not file.exists():
        duck.execute(MAKE.format(rows=rows, file=f"{file}.new"))
        os.chmod(f"{file}.new", 0o644)
        os.rename(f"{file}.new", file)
    duck.execute(f"CREATE VIEW sales AS SELECT * FROM read_parquet('{file}')")
    size = file.stat().st_size / 1e6
    common.say(f"lake: {rows:,} rows in {size:.0f} MB of Parquet written by DuckDB {duckdb.__version__}")

    connection = common.lagoon()
    execute = connection.execute
    execute(f"CREATE FOREIGN TABLE sales () SERVER lagoon OPTIONS (path '{file}')")
    execute("CREATE SCHEMA heap")
    execute("CREATE UNLOGGED TABLE heap.sales AS TABLE public.sales")
    execute("VACUUM ANALYZE heap.sales")

    for what, query in QUERIES.items():
        copied = query.replace("FROM sales", "FROM heap.sales")

        def ours(query=query):
            return execute(query).fetchall()

        def duckdb_direct(query=query):
            return duck.execute(query).fetchall()

        def heap(copied=copied):
            return execute(copied).fetchall()

        answer = ours()
        for peer, run in {"DuckDB": duckdb_direct, "heap": heap}.items():
            if not same(answer, run()):
                raise SystemExit(f"{peer} answers {query} differently: {run()}, Lagoon {answer}")
            seconds, peer_seconds = common.medians(5, ours, run)
            common.row(what, "ms", seconds * 1e3, peer, peer_seconds * 1e3)


if __name__ == "__main__":
    main()
