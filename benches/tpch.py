"""TPC-H's 22 queries over Parquet files: Lagoon, DuckDB and DataFusion on the same files, with BENCH_HEAP=1 the heap too.

BENCH_SF is the scale factor (1). Up to 0.1 PostgreSQL's own executor checks the answers to the last digit.
"""

import os
import subprocess
import sys
from pathlib import Path

import common
import queries

TABLES = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]
CHECKED = 0.1

INDEXES = """
ALTER TABLE region ADD PRIMARY KEY (r_regionkey);
ALTER TABLE nation ADD PRIMARY KEY (n_nationkey);
ALTER TABLE supplier ADD PRIMARY KEY (s_suppkey);
ALTER TABLE customer ADD PRIMARY KEY (c_custkey);
ALTER TABLE part ADD PRIMARY KEY (p_partkey);
ALTER TABLE partsupp ADD PRIMARY KEY (ps_partkey, ps_suppkey);
ALTER TABLE orders ADD PRIMARY KEY (o_orderkey);
ALTER TABLE lineitem ADD PRIMARY KEY (l_orderkey, l_linenumber);
CREATE INDEX ON supplier (s_nationkey);
CREATE INDEX ON customer (c_nationkey);
CREATE INDEX ON partsupp (ps_suppkey);
CREATE INDEX ON orders (o_custkey);
CREATE INDEX ON orders (o_orderdate);
CREATE INDEX ON lineitem (l_partkey, l_suppkey);
CREATE INDEX ON lineitem (l_shipdate);
"""


def make(factor):
    """The files, written by tpchgen-cli unless an earlier run has."""
    folder = common.path("BENCH_SHARE", f"tpch-{factor}")
    if not folder.exists():
        common.say(f"tpch: making {folder}")
        new = folder.with_name(folder.name + ".new")
        subprocess.run(["rm", "-rf", new], check=True)
        program = Path(sys.executable).parent / "tpchgen-cli"
        command = [program, "parquet", "--scale-factor", factor, "--output-dir", new]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["chmod", "-R", "a+rX", new], check=True)
        new.rename(folder)
    return {table: folder / f"{table}.parquet" for table in TABLES}


def main():
    factor = os.environ.get("BENCH_SF", "1")
    tables = make(factor)
    connection = common.lagoon()
    systems = queries.systems(connection, tables)
    if systems[-1].name == "heap":
        connection.execute("SET search_path = heap")
        connection.execute(INDEXES)
        connection.execute("VACUUM ANALYZE")
    texts = queries.read("tpch.sql", fraction=f"{0.0001 / float(factor):.10f}")
    results = queries.compare(texts, systems, checked=float(factor) <= CHECKED)
    names = {"BENCH_TABLE": common.path("BENCH_FILES", "tpch.md"), "BENCH_BARS": common.path("BENCH_FILES", "tpch.svg")}
    queries.tell(results, systems, f"TPC-H, scale factor {factor}, {common.THREADS} threads", names)


if __name__ == "__main__":
    main()
