//! Promises of the worker wing, and of what it shares with the others in `src/pg`, that hold within one transaction.

#[pgrx::pg_schema]
mod tests {
    use std::panic::AssertUnwindSafe;

    use pgrx::prelude::*;

    use crate::pg::error::{self, Plain};
    use crate::pg::{database, process};

    #[pg_test]
    fn worker_view_shows_the_launcher() {
        let shown = Spi::get_one::<i64>(
            "SELECT count(*) FROM lagoon.workers w JOIN pg_stat_activity a USING (pid)
             WHERE w.role = 'launcher' AND w.state = 'idle' AND a.backend_type = 'lagoon launcher'",
        );
        assert_eq!(shown, Ok(Some(1)));
    }

    /// From PostgreSQL 18 on somebody can ask.
    #[pg_test]
    fn worker_library_says_its_name_and_version() {
        let one = |sql| Spi::get_one::<String>(sql).unwrap();
        if one("SELECT to_regproc('pg_get_loaded_modules')::text").is_none() {
            return;
        }
        let said =
            one("SELECT module_name || ' ' || version FROM pg_get_loaded_modules() WHERE file_name = 'lagoon.so'");
        assert_eq!(said.as_deref(), Some(concat!("lagoon ", env!("CARGO_PKG_VERSION"))));
    }

    #[pg_test]
    fn worker_sees_this_database_as_one_to_enter() {
        let found = database::enterable();
        assert!(found.iter().any(|database| database.oid == process::database()));
        assert!(!found.iter().any(|database| database.name.starts_with("template")));
        assert!(database::has_lagoon());
        assert_eq!(database::find(c"no such database"), None);
    }

    #[pg_test]
    fn worker_sqlstates_survive_packing() {
        for code in ["00000", "22P02", "57P01", "LG001", "XX000"] {
            assert_eq!(error::unpack_sqlstate(error::pack_sqlstate(code)), code);
        }
        assert_eq!(error::unpack_sqlstate(error::pack_sqlstate("nonsense")), "XX000");
    }

    #[pg_test]
    fn worker_catch_takes_the_code_that_the_report_cannot_carry() {
        let raise = || error::raise(&Plain { sqlstate: "LG999", message: "of our own".to_owned(), hint: None });
        let message = PgTryBuilder::new(AssertUnwindSafe(raise))
            .catch_others(|cause| match cause {
                pg_sys::panic::CaughtError::ErrorReport(report) => report.message().to_owned(),
                _ => "not a report".to_owned(),
            })
            .execute();
        assert_eq!(message, "of our own");
        assert_eq!(error::take_patched_sqlstate(), Some(error::pack_sqlstate("LG999")));
        assert_eq!(error::take_patched_sqlstate(), None);
    }
}
