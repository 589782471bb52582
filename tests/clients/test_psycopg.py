"""psycopg 3 with pgvector-python, in text and binary: values, arrays, COPY, and the nearest through hnsw."""

import psycopg
from pgvector import Vector
from pgvector.psycopg import register_vector
from psycopg.types import TypeInfo

with psycopg.connect(autocommit=True) as connection:
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    register_vector(connection)
    # pgvector-python registers no arrays; psycopg makes their loader and dumper from the type's own.
    TypeInfo.fetch(connection, "vector").register(connection)
    connection.execute("CREATE TABLE items (id integer PRIMARY KEY, embedding vector(3), several vector[])")

    given = [Vector([i, i % 7, 0.5]) for i in range(200)]
    copy = "COPY items (id, embedding) FROM STDIN (FORMAT binary)"
    with connection.cursor().copy(copy) as rows:
        rows.set_types(["int4", "vector"])
        for row in enumerate(given):
            rows.write_row(row)
    connection.execute("UPDATE items SET several = %s WHERE id = 5", [given[:3]])

    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        assert cursor.execute("SELECT embedding FROM items ORDER BY id").fetchall() == [(v,) for v in given]
        assert cursor.execute("SELECT several FROM items WHERE id = 5").fetchone() == (given[:3],)
        assert cursor.execute("SELECT avg(embedding) FROM items").fetchone() == (Vector([99.5, 2.97, 0.5]),)
        echo = cursor.execute("SELECT %t, %b, %b", [given[1], given[1], None]).fetchone()
        assert echo == (given[1], given[1], None), echo

    connection.execute("CREATE INDEX items_embedding ON items USING hnsw (embedding vector_l2_ops)")
    connection.execute("SET enable_seqscan = off")
    query = "SELECT id FROM items ORDER BY embedding <-> %b LIMIT 3"
    assert "items_embedding" in str(connection.execute("EXPLAIN " + query, [given[70]]).fetchall())
    # Often enough that both psycopg and the server prepare it.
    for _ in range(12):
        found = [row[0] for row in connection.execute(query, [Vector([70, 0, 0.5])])]
        assert found == [70, 71, 72], found
