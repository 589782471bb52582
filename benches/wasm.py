"""A scalar call and a row trigger in WebAssembly against PL/pgSQL and PL/Python.

The cost of a call is what it takes more than the built-in int4pl, the cost of a trigger what an insert takes more than
without one.
"""

import statistics

import common
import psycopg

PLUGIN = "bench"  # guest/examples/bench
CALLS, ROWS, REPEATS = 1_000_000, 200_000, 5

SCALAR = {
    "wasm": "'{plugin}:add'",
    "plpgsql": "'BEGIN RETURN a + b; END'",
    "plpython3u": "'return a + b'",
}

# All three trim and lower two text columns of four.
TRIGGER = {
    "wasm": "'{plugin}:normalise'",
    "plpgsql": """$$
        BEGIN
            NEW.email := lower(btrim(NEW.email));
            NEW.section := lower(btrim(NEW.section));
            RETURN NEW;
        END $$""",
    "plpython3u": """$$
        new = TD["new"]
        new["email"] = new["email"].strip().lower()
        new["section"] = new["section"].strip().lower()
        return "MODIFY" $$""",
}


def main():
    connection = common.lagoon()
    execute = connection.execute
    languages = ["wasm", "plpgsql"]
    try:
        execute("CREATE EXTENSION plpython3u")
        languages.append("plpython3u")
    except psycopg.errors.FeatureNotSupported as error:
        common.say(f"wasm: PL/Python is left out: {error.diag.message_primary}")

    module = common.path("BENCH_GUESTS", f"{PLUGIN}.wasm").read_bytes()
    execute("SELECT lagoon.install_plugin(%s, %b)", [PLUGIN, module])
    execute("SET max_parallel_workers_per_gather = 0")

    execute("CREATE UNLOGGED TABLE numbers AS SELECT i::int4 FROM generate_series(1, %s) AS i" % CALLS)
    execute("VACUUM ANALYZE numbers")

    def call(function):
        return lambda: common.seconds(lambda: execute(f"SELECT sum({function}(i, 1)) FROM numbers"))

    for language in languages:
        execute(
            f"CREATE FUNCTION add_{language}(a int4, b int4) RETURNS int4 LANGUAGE {language} IMMUTABLE STRICT"
            f" AS {SCALAR[language].format(plugin=PLUGIN)}"
        )
    runs = {language: call(f"add_{language}") for language in languages}
    report("scalar call (int4, int4), over int4pl", CALLS, over(call("int4pl"), runs))

    execute("CREATE UNLOGGED TABLE source (id int4, name text, email text, section text)")
    execute(
        "INSERT INTO source SELECT i, 'Person ' || i, ' Person.' || i || '@Example.ORG', 'Utils '"
        f" FROM generate_series(1, {ROWS}) AS i"
    )
    execute("CREATE UNLOGGED TABLE target (LIKE source)")
    execute("VACUUM ANALYZE source")

    def insert(language=None):
        def run():
            execute("TRUNCATE target")
            if language:
                execute(
                    "CREATE TRIGGER normalise BEFORE INSERT ON target"
                    f" FOR EACH ROW EXECUTE FUNCTION normalise_{language}()"
                )
            seconds = common.seconds(lambda: execute("INSERT INTO target TABLE source"))
            if language:
                stored.add(execute("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM target AS t").fetchone())
                execute("DROP TRIGGER normalise ON target")
            return seconds

        return run

    stored = set()
    for language in languages:
        execute(
            f"CREATE FUNCTION normalise_{language}() RETURNS trigger LANGUAGE {language}"
            f" AS {TRIGGER[language].format(plugin=PLUGIN)}"
        )
    cost = over(insert(), {language: insert(language) for language in languages})
    if len(stored) > 1:
        raise SystemExit("the triggers do not store the same rows")
    report("row trigger, two of four columns rewritten", ROWS, cost)


def over(native, runs):
    """Seconds that each run takes more than the native one: the median of differences within a round."""
    for run in (native, *runs.values()):
        run()
    rounds = [(native(), {name: run() for name, run in runs.items()}) for _ in range(REPEATS)]
    return {name: statistics.median(times[name] - base for base, times in rounds) for name in runs}


def report(what, count, cost):
    for peer, name in {"plpgsql": "PL/pgSQL", "plpython3u": "PL/Python"}.items():
        if peer in cost:
            common.row(what, "ns", cost["wasm"] / count * 1e9, name, cost[peer] / count * 1e9)


if __name__ == "__main__":
    main()
