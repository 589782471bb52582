//! Promises of the hnsw wing that hold within one transaction.
