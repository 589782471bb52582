//! Promises of the worker wing, and of what it shares with the others in `src/pg`, that hold within one transaction.

#[pgrx::pg_schema]
mod tests {
    use std::panic::AssertUnwindSafe;

    use pgrx::prelude::*;

    use crate::pg::error::{self, Plain};
    use crate::pg::node::{self, List, Node};
    use crate::pg::{database, process, spi, transaction};

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

    /// What a failed part has done is taken back, what came before stays, and the transaction goes on.
    #[pg_test]
    fn worker_attempt_that_fails_is_a_value() {
        Spi::run("CREATE TEMP TABLE attempts (number int PRIMARY KEY)").unwrap();
        let insert = |number: i32| spi::write("INSERT INTO attempts VALUES ($1)", &[number.into()]).unwrap();
        let count = || Spi::get_one::<i64>("SELECT count(*) FROM attempts").unwrap();
        assert_eq!(transaction::attempt(|| insert(1)).ok(), Some(1));
        let failure = transaction::attempt(|| insert(2) + insert(1)).err().unwrap();
        assert_eq!((failure.sqlstate.as_str(), count()), ("23505", Some(1)));
        let own =
            || -> u64 { error::raise(&Plain { sqlstate: "LG999", message: "of our own".to_owned(), hint: None }) };
        let failure = transaction::attempt(|| transaction::attempt(own)).ok().and_then(Result::err).unwrap();
        assert_eq!((failure.sqlstate.as_str(), failure.message.as_str()), ("LG999", "of our own"));
        assert_eq!(transaction::attempt(|| insert(2)).ok(), Some(1));
        assert_eq!((transaction::level(), count()), (1, Some(2)));
    }

    #[pg_test]
    fn worker_nodes_are_what_their_tag_says() {
        // SAFETY: nodes and lists that live until the test ends.
        unsafe {
            let none = pg_sys::InvalidOid;
            let seven = pg_sys::makeConst(pg_sys::INT4OID, -1, none, 4, 7.into_datum().unwrap(), false, true);
            let null = pg_sys::makeNullConst(pg_sys::INT4OID, -1, none);
            let list = List::<pg_sys::Const>::new(node::list([seven, std::ptr::null_mut(), null]));
            assert_eq!((list.len(), list.iter().count()), (3, 2));
            assert_eq!(list.get(0).unwrap().value().map(|value| value.value()), Some(7));
            assert_eq!(list.get(2).unwrap().value().map(|value| value.value()), None);
            assert!(list.get(1).is_none() && list.get(3).is_none());
            let node = Node::new(seven.cast::<pg_sys::Node>()).unwrap();
            assert!(node.cast::<pg_sys::Const>().is_some() && node.cast::<pg_sys::Var>().is_none());
            assert_eq!(node.type_of(), pg_sys::INT4OID);
            assert_eq!(List::<pg_sys::Const>::new(std::ptr::null_mut()).len(), 0);
        }
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
