//! The tests that run inside a server: the functions of `pg_test/*.rs`.
//!
//! They exist in a library that was built with the feature `pg_test`; one that was not is passed over, unless
//! `LAGOON_PG_TEST=1`. `LAGOON_INSIDE=text` restricts them to the names that contain it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lagoon_tests::{Cluster, describe};

/// Every function of schema `tests` returns. Each runs in a transaction of its own, which is rolled back.
#[test]
fn every_function_of_schema_tests_returns() {
    let cluster = Cluster::with_lagoon(&["shared_preload_libraries=lagoon", "statement_timeout=5min"]);
    let session = cluster.session();
    let built = session.one("SELECT to_regnamespace('tests') IS NOT NULL") == "t";
    if !built {
        let demanded = std::env::var("LAGOON_PG_TEST").is_ok_and(|value| value == "1");
        assert!(!demanded, "LAGOON_PG_TEST=1, but the installed library was built without the feature pg_test");
        eprintln!("passed over: the installed library was built without the feature pg_test");
        return;
    }
    let filter = std::env::var("LAGOON_INSIDE").unwrap_or_default();
    let names: Vec<String> = session
        .rows("SELECT proname FROM pg_proc WHERE pronamespace = 'tests'::regnamespace AND pronargs = 0 ORDER BY 1")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|name| name.contains(&filter))
        .collect();
    let mut failures = Vec::new();
    for name in &names {
        // A connection of its own: a test may leave settings, caches or a dead backend behind.
        let session = cluster.session();
        session.exec("BEGIN");
        match session.try_rows(&format!("SELECT tests.\"{name}\"()")) {
            Ok(_) => eprintln!("ok      {name}"),
            Err(error) => {
                eprintln!("FAILED  {name}");
                failures.push(format!("tests.{name}: {}", describe(&error)));
            }
        }
        // A failure of the rollback is that of a connection which the test above has already reported as lost.
        let _ = session.try_rows("ROLLBACK");
    }
    eprintln!("{} tests, {} failures", names.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
