"""A scalar call and a row trigger in WebAssembly against PL/pgSQL and PL/Python.

The cost of a call is what it takes more than the built-in int4pl, the cost of a trigger what an insert takes more than
without one.
"""

import psycopg

import common

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

NAMES = {"plpgsql": "PL/pgSQL", "plpython3u": "PL/Python"}


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
        """Nanoseconds of one call, the scan and the sum included."""
        execute(f"SELECT sum({function}(i, 1)) FROM numbers")
        return common.median(lambda: execute(f"SELECT sum({function}(i, 1)) FROM numbers"), REPEATS) / CALLS * 1e9

    native = call("int4pl")
    cost = {}
    for language in languages:
        execute(
            f"CREATE FUNCTION add_{language}(a int4, b int4) RETURNS int4 LANGUAGE {language} IMMUTABLE STRICT"
            f" AS {SCALAR[language].format(plugin=PLUGIN)}"
        )
        cost[language] = call(f"add_{language}") - native
        common.say(f"wasm: {language} {cost[language]:.0f} ns a call over int4pl ({native:.0f} ns with scan and sum)")
    report("scalar call (int4, int4), over int4pl", "ns", cost)

    execute("CREATE UNLOGGED TABLE source (id int4, name text, email text, section text)")
    execute(
        "INSERT INTO source SELECT i, 'Person ' || i, ' Person.' || i || '@Example.ORG', 'Utils '"
        f" FROM generate_series(1, {ROWS}) AS i"
    )
    execute("CREATE UNLOGGED TABLE target (LIKE source)")
    execute("VACUUM ANALYZE source")

    def insert():
        """Nanoseconds of one row."""
        def run():
            execute("INSERT INTO target TABLE source")

        def empty():
            execute("TRUNCATE target")

        return common.median(run, REPEATS, before=empty) / ROWS * 1e9

    insert()
    native = insert()
    cost, stored = {}, set()
    for language in languages:
        execute(
            f"CREATE FUNCTION normalise_{language}() RETURNS trigger LANGUAGE {language}"
            f" AS {TRIGGER[language].format(plugin=PLUGIN)}"
        )
        execute(f"CREATE TRIGGER normalise BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION normalise_{language}()")
        cost[language] = insert() - native
        stored.add(execute("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM target AS t").fetchone())
        execute("DROP TRIGGER normalise ON target")
        common.say(f"wasm: {language} {cost[language]:.0f} ns a row over an insert without trigger ({native:.0f} ns)")
    if len(stored) > 1:
        raise SystemExit("the triggers do not store the same rows")
    report("row trigger, two of four columns rewritten", "ns", cost)


def report(what, unit, cost):
    for peer, name in NAMES.items():
        if peer in cost:
            common.row(what, unit, cost["wasm"], name, cost[peer])


if __name__ == "__main__":
    main()
