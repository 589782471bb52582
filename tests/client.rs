//! Clients made for pgvector, unchanged: tokio-postgres with the crate `pgvector` here, others as programs in `tests/clients`.
//!
//! `scripts/clients` installs what those programs need, `scripts/vector-shim` the extension `vector` that they create.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::pin::pin;
use std::process::Command;

use futures::TryStreamExt;
use lagoon_tests::{Cluster, checkout, describe, run};
use pgvector::{Bit, SparseVector, Vector};
use tokio_postgres::Client;
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::types::Type;

/// Points of a spiral, none of them zero: no two at the same distance from a third.
fn points(count: u32) -> impl Iterator<Item = Vector> {
    (1..=count).map(f64::from).map(|t| {
        let spiral = [t.sqrt() * (t * 0.7).cos(), t.sqrt() * (t * 0.7).sin(), (t * 0.37).sin() * 5.0, t / 100.0];
        Vector::from(spiral.map(|x| x as f32).to_vec())
    })
}

async fn fill(client: &Client, count: u32) {
    client.batch_execute("CREATE TABLE items (id integer PRIMARY KEY, embedding vector(4))").await.unwrap();
    let insert = client.prepare("INSERT INTO items VALUES ($1, $2)").await.unwrap();
    for (id, point) in (0i32..).zip(points(count)) {
        client.execute(&insert, &[&id, &point]).await.unwrap();
    }
}

async fn type_of_vector(client: &Client) -> Type {
    client.prepare("SELECT NULL::vector").await.unwrap().columns()[0].type_().clone()
}

#[test]
fn vectors_travel_in_binary_both_ways() {
    let cluster = Cluster::with_lagoon(&[]);
    cluster.block_on(async {
        let client = cluster.connect().await;
        let given = Vector::from(vec![1.0, -2.5, f32::MIN_POSITIVE, 3e38, -0.0]);
        let row = client.query_one("SELECT $1::vector, $1::vector::text", &[&given]).await.unwrap();
        assert_eq!(row.get::<_, Vector>(0), given);
        assert_eq!(row.get::<_, &str>(1), "[1,-2.5,1.1754944e-38,3e+38,-0]");

        let none = client.query_one("SELECT $1::vector", &[&None::<Vector>]).await.unwrap();
        assert_eq!(none.get::<_, Option<Vector>>(0), None);

        let several: Vec<Vector> = points(3).collect();
        let row = client.query_one("SELECT $1::vector[]", &[&several]).await.unwrap();
        assert_eq!(row.get::<_, Vec<Vector>>(0), several);

        let row = client.query_one("SELECT $1::vector + $2", &[&several[1], &several[2]]).await.unwrap();
        let sum = several[1].as_slice().iter().zip(several[2].as_slice()).map(|(a, b)| a + b);
        assert_eq!(row.get::<_, Vector>(0).to_vec(), sum.collect::<Vec<_>>());

        let longest = Vector::from((0..16_000).map(|i| i as f32).collect::<Vec<_>>());
        let row = client.query_one("SELECT $1::vector", &[&longest]).await.unwrap();
        assert_eq!(row.get::<_, Vector>(0), longest);
    });
}

#[test]
fn sparse_vectors_and_bits_travel_in_binary_both_ways() {
    let cluster = Cluster::with_lagoon(&[]);
    cluster.block_on(async {
        let client = cluster.connect().await;
        let given = SparseVector::from_map(&BTreeMap::from([(0, 1.5), (999_999_999, -3e38)]), 1_000_000_000);
        let row = client.query_one("SELECT $1::sparsevec, $1::sparsevec::text", &[&given]).await.unwrap();
        assert_eq!(row.get::<_, SparseVector>(0), given);
        assert_eq!(row.get::<_, &str>(1), "{1:1.5,1000000000:-3e+38}/1000000000");

        let dense = Vector::from(vec![0.0, 2.5, 0.0, -1.0]);
        let row =
            client.query_one("SELECT $1::vector::sparsevec, binary_quantize($1::vector)", &[&dense]).await.unwrap();
        assert_eq!(row.get::<_, SparseVector>(0), SparseVector::from_dense(dense.as_slice()));
        assert_eq!(row.get::<_, Bit>(1), Bit::new(&[false, true, false, false]));

        let (a, b) = (Bit::new(&[true, true, false]), Bit::new(&[true, false, true]));
        let row = client.query_one("SELECT $1::bit(3) <~> $2::bit(3)", &[&a, &b]).await.unwrap();
        assert_eq!(row.get::<_, f64>(0), 2.0);
    });
}

#[test]
fn binary_copy_goes_in_and_out() {
    let cluster = Cluster::with_lagoon(&[]);
    cluster.block_on(async {
        let client = cluster.connect().await;
        client.batch_execute("CREATE TABLE items (id integer, embedding vector(4))").await.unwrap();
        let types = [Type::INT4, type_of_vector(&client).await];

        let sink = client.copy_in("COPY items FROM STDIN (FORMAT binary)").await.unwrap();
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for (id, point) in (0i32..).zip(points(1000)) {
            writer.as_mut().write(&[&id, &point]).await.unwrap();
        }
        assert_eq!(writer.finish().await.unwrap(), 1000);

        let stream = client.copy_out("COPY items TO STDOUT (FORMAT binary)").await.unwrap();
        let rows: Vec<_> = BinaryCopyOutStream::new(stream, &types).try_collect().await.unwrap();
        let found: Vec<(i32, Vector)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(found, (0i32..).zip(points(1000)).collect::<Vec<_>>());
    });
}

/// Each of the four orders, through an index and by a prepared statement, is that of a sort. The candidate list is as long
/// as the table, so the answer is exact.
#[test]
fn prepared_statements_find_the_nearest_through_hnsw() {
    let cluster = Cluster::with_lagoon(&[]);
    cluster.block_on(async {
        let client = cluster.connect().await;
        fill(&client, 500).await;
        client.execute("INSERT INTO items VALUES (1000, NULL)", &[]).await.unwrap();
        for (operator, class) in
            [("<->", "vector_l2_ops"), ("<#>", "vector_ip_ops"), ("<=>", "vector_cosine_ops"), ("<+>", "vector_l1_ops")]
        {
            let query = format!("SELECT id FROM items ORDER BY embedding {operator} $1 LIMIT 7");
            let sorted = client.prepare(&query).await.unwrap();
            let mut expected = Vec::new();
            for point in points(40) {
                let rows = client.query(&sorted, &[&point]).await.unwrap();
                expected.push(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>());
            }

            let setup = format!(
                "CREATE INDEX items_index ON items USING hnsw (embedding {class}); SET enable_seqscan = off; SET hnsw.ef_search = 600"
            );
            client.batch_execute(&setup).await.unwrap();
            let plan = client.query(&format!("EXPLAIN {}", query.replace("$1", "'[1,2,3,4]'")), &[]).await.unwrap();
            let uses_index = plan.iter().any(|row| row.get::<_, &str>(0).contains("Index Scan using items_index"));
            assert!(uses_index, "{operator}: {:?}", plan.iter().map(|row| row.get(0)).collect::<Vec<String>>());

            // More often than PostgreSQL makes a plan for each value: the generic plan is among them.
            let nearest = client.prepare(&query).await.unwrap();
            for (point, expected) in points(40).zip(expected) {
                let rows = client.query(&nearest, &[&point]).await.unwrap();
                let found: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
                assert_eq!(found, expected, "{operator} {point:?}");
            }
            client.batch_execute("DROP INDEX items_index; RESET enable_seqscan; RESET hnsw.ef_search").await.unwrap();
        }
    });
}

/// One transaction inserts, another session searches: the row is found when it is committed, not before, and not after its
/// deletion.
#[test]
fn the_index_shows_what_the_snapshot_shows() {
    let cluster = Cluster::with_lagoon(&[]);
    cluster.block_on(async {
        let (mut writer, reader) = (cluster.connect().await, cluster.connect().await);
        fill(&writer, 100).await;
        writer.batch_execute("CREATE INDEX ON items USING hnsw (embedding vector_l2_ops)").await.unwrap();
        reader.batch_execute("SET enable_seqscan = off").await.unwrap();
        let nearest = reader.prepare("SELECT id FROM items ORDER BY embedding <-> $1 LIMIT 1").await.unwrap();
        let far = Vector::from(vec![500.0; 4]);
        let find = async || reader.query_one(&nearest, &[&far]).await.unwrap().get::<_, i32>(0);

        let before = find().await;
        let transaction = writer.transaction().await.unwrap();
        transaction.execute("INSERT INTO items VALUES (7777, $1)", &[&far]).await.unwrap();
        assert_eq!(find().await, before);
        transaction.commit().await.unwrap();
        assert_eq!(find().await, 7777);
        writer.execute("DELETE FROM items WHERE id = 7777", &[]).await.unwrap();
        assert_eq!(find().await, before);
        writer.batch_execute("VACUUM items").await.unwrap();
        assert_eq!(find().await, before);
    });
}

#[test]
fn errors_carry_their_sqlstate_and_the_session_goes_on() {
    let cluster = Cluster::with_lagoon(&[]);
    cluster.block_on(async {
        let client = cluster.connect().await;
        fill(&client, 10).await;
        let parameter = |values: &[f32]| Vector::from(values.to_vec());
        for (sql, value, sqlstate, message) in [
            ("SELECT $1::vector", parameter(&[]), "22000", "vector must have at least 1 dimension"),
            ("SELECT $1::vector", parameter(&[f32::NAN]), "22000", "NaN not allowed in vector"),
            ("SELECT $1::vector", parameter(&[f32::INFINITY]), "22000", "infinite value not allowed in vector"),
            ("SELECT $1::vector", parameter(&[0.0; 16_001]), "54000", "vector cannot have more than 16000 dimensions"),
            ("INSERT INTO items VALUES (99, $1)", parameter(&[1.0; 3]), "22000", "expected 4 dimensions, not 3"),
            (
                "SELECT embedding <-> $1 FROM items",
                parameter(&[1.0; 3]),
                "22000",
                "different vector dimensions 4 and 3",
            ),
            ("SELECT $1::vector + '[3e38]'", parameter(&[3e38]), "22003", "value out of range: overflow"),
            (
                "SELECT $1::vector || '[1,2'",
                parameter(&[1.0]),
                "22P02",
                "invalid input syntax for type vector: \"[1,2\"",
            ),
            ("SELECT $1::vector(16001)", parameter(&[1.0]), "22023", "dimensions for type vector cannot exceed 16000"),
        ] {
            let error = client.query(sql, &[&value]).await.expect_err(sql);
            let db = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {}", describe(&error)));
            assert_eq!((db.code().code(), db.message()), (sqlstate, message), "{sql}");
        }
        let left: i64 = client.query_one("SELECT count(*) FROM items", &[]).await.unwrap().get(0);
        assert_eq!(left, 10);
    });
}

#[test]
fn psycopg() {
    drive("python/bin/python", "test_psycopg.py");
}

#[test]
fn sqlalchemy() {
    drive("python/bin/python", "test_sqlalchemy.py");
}

#[test]
fn django() {
    drive("python/bin/python", "test_django.py");
}

#[test]
fn drizzle() {
    drive("node", "test_drizzle.cjs");
}

#[test]
fn sqlx() {
    drive("sqlx/debug/lagoon-sqlx", "");
}

/// Runs a program of `scripts/clients`, with a script of `tests/clients`, on a database that has lagoon alone. It ends with an
/// error when something is not as it expects.
fn drive(program: &str, script: &str) {
    let installed = std::env::var("LAGOON_CACHE").expect("LAGOON_CACHE: run `make test`") + "/clients/";
    let program = if program.contains('/') { installed.clone() + program } else { program.to_owned() };
    let cluster = Cluster::with_lagoon(&[]);
    run(Command::new(program)
        .arg(checkout().join("tests/clients").join(script))
        .envs([("PGPORT", "5432"), ("PGUSER", "postgres"), ("PGDATABASE", "postgres")])
        .env("PGHOST", cluster.dir())
        .env("NODE_PATH", installed + "node/node_modules")
        .env("PYTHONDONTWRITEBYTECODE", "1"));
}
