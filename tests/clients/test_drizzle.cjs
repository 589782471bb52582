// Drizzle over node-postgres: a migration as drizzle-kit writes it, a column of type vector, distances in queries.
const assert = require("node:assert/strict");
const { cosineDistance, l2Distance, lt, isNull, sql } = require("drizzle-orm");
const { drizzle } = require("drizzle-orm/node-postgres");
const { migrate } = require("drizzle-orm/node-postgres/migrator");
const { index, integer, pgTable, vector } = require("drizzle-orm/pg-core");
const { Client } = require("pg");

const items = pgTable(
  "items",
  { id: integer("id").primaryKey(), embedding: vector("embedding", { dimensions: 3 }) },
  (table) => [index("items_embedding").using("hnsw", table.embedding.op("vector_l2_ops"))],
);

async function main() {
  const client = new Client(); // PGHOST, PGPORT, PGUSER, PGDATABASE
  await client.connect();
  const db = drizzle(client);
  const migrations = { migrationsFolder: `${__dirname}/drizzle` };
  await migrate(db, migrations);
  await migrate(db, migrations); // nothing is left to do

  const rows = [...Array(11).keys()].map((i) => ({ id: i, embedding: [i, 10 - i, 1] }));
  await db.insert(items).values([...rows, { id: 99, embedding: null }]);
  assert.deepEqual(await db.select().from(items).where(lt(items.id, 11)).orderBy(items.id), rows);
  assert.deepEqual(await db.select().from(items).where(isNull(items.embedding)), [{ id: 99, embedding: null }]);

  await db.execute(sql`SET enable_seqscan = off`);
  const nearest = (distance) => db.select({ id: items.id, distance }).from(items).orderBy(distance).limit(2);
  const byL2 = nearest(l2Distance(items.embedding, [18, 3, 2]));
  const plan = await db.execute(sql`EXPLAIN ${byL2.getSQL()}`);
  assert.match(JSON.stringify(plan.rows), /items_embedding/);
  assert.deepEqual(await byL2, [{ id: 10, distance: Math.sqrt(74) }, { id: 9, distance: Math.sqrt(86) }]);
  const byCosine = nearest(cosineDistance(items.embedding, [18, 3, 2])).where(lt(items.id, 11));
  assert.deepEqual((await byCosine).map(({ id }) => id), [9, 8]);
  await client.end();
}

main();
