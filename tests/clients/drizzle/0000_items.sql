CREATE EXTENSION IF NOT EXISTS vector;
--> statement-breakpoint
CREATE TABLE "items" (
	"id" integer PRIMARY KEY NOT NULL,
	"embedding" vector(3)
);
--> statement-breakpoint
CREATE INDEX "items_embedding" ON "items" USING hnsw ("embedding" vector_l2_ops) WITH (m=16,ef_construction=64);
