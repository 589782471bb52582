//! Tests that run inside a server; built with the feature `pg_test`.
