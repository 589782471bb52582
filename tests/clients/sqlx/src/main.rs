//! sqlx with the crate `pgvector`: values in the binary protocol, arrays, and the nearest through hnsw by a prepared statement.

use pgvector::Vector;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), sqlx::Error> {
    // PGHOST, PGPORT, PGUSER, PGDATABASE
    let mut connection = PgConnection::connect_with(&PgConnectOptions::new()).await?;
    for statement in [
        "CREATE EXTENSION IF NOT EXISTS vector",
        "CREATE TABLE items (id integer PRIMARY KEY, embedding vector(3), several vector[])",
        "CREATE INDEX items_embedding ON items USING hnsw (embedding vector_l2_ops)",
        "SET enable_seqscan = off",
    ] {
        sqlx::query(statement).execute(&mut connection).await?;
    }

    let given: Vec<Vector> = (0..200u8).map(|i| Vector::from(vec![f32::from(i), f32::from(i % 7), 0.5])).collect();
    for (id, embedding) in (0i32..).zip(&given) {
        let insert = sqlx::query("INSERT INTO items VALUES ($1, $2, $3)");
        insert.bind(id).bind(embedding).bind(&given[..2]).execute(&mut connection).await?;
    }
    let stored = sqlx::query("SELECT embedding, several FROM items ORDER BY id").fetch_all(&mut connection).await?;
    for (row, given_one) in stored.iter().zip(&given) {
        assert_eq!(row.try_get::<Vector, _>(0)?, *given_one);
        assert_eq!(row.try_get::<Vec<Vector>, _>(1)?, given[..2]);
    }
    assert_eq!(stored.len(), given.len());
    let none: Option<Vector> =
        sqlx::query_scalar("SELECT $1::vector").bind(None::<Vector>).fetch_one(&mut connection).await?;
    assert_eq!(none, None);

    let plan: Vec<String> = sqlx::query_scalar("EXPLAIN SELECT id FROM items ORDER BY embedding <-> $1 LIMIT 1")
        .bind(&given[0])
        .fetch_all(&mut connection)
        .await?;
    assert!(plan.concat().contains("items_embedding"), "{plan:?}");
    for (id, embedding) in (0i32..).zip(&given) {
        let nearest = sqlx::query_scalar("SELECT id FROM items ORDER BY embedding <-> $1 LIMIT 1");
        let found: i32 = nearest.bind(embedding).fetch_one(&mut connection).await?;
        assert_eq!(found, id);
    }
    connection.close().await
}
