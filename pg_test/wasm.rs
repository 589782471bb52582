//! Promises of the wasm wing that hold within one transaction.

#[pgrx::pg_schema]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use pgrx::prelude::*;

    const ZOO: &str = include_str!("../crates/wasm/tests/zoo.hex");

    /// Bytes of a module whose export `answer` returns `number`.
    fn answering(number: u8) -> Vec<u8> {
        let mut bytes = decode(
            "0061736d010000000108026000006000017f03030200010719020c6c61676f6f6e5f6162695f31000006616e7377657200010a090202000b040041010b",
        );
        let at = bytes.len() - 2;
        bytes[at] = number;
        bytes
    }

    fn decode(hex: &str) -> Vec<u8> {
        let hex = hex.trim();
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    fn install(name: &str, wasm: Vec<u8>) -> String {
        let arguments = [name.into(), wasm.into()];
        Spi::get_one_with_args::<String>("SELECT lagoon.install_plugin($1, $2)", &arguments).unwrap().unwrap()
    }

    fn int(query: &str) -> Option<i32> {
        Spi::get_one::<i32>(query).unwrap()
    }

    /// A folder that the server may write to, empty, set as lagoon.functions_directory's stand-in.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::current_dir().unwrap().join(format!("lagoon_test_{name}_{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder); // of an earlier run
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[pg_test]
    fn wasm_next_statement_sees_the_new_version() {
        assert_eq!(install("one", answering(1)), "installed");
        Spi::run("CREATE FUNCTION one() RETURNS int LANGUAGE wasm STRICT AS 'one:answer'").unwrap();
        assert_eq!(int("SELECT one()"), Some(1));
        assert_eq!(install("one", answering(2)), "replaced");
        assert_eq!(int("SELECT one()"), Some(2));
        assert_eq!(install("one", answering(2)), "unchanged");
    }

    #[pg_test]
    fn wasm_cache_can_be_deleted_at_any_time() {
        install("one", answering(7));
        Spi::run("CREATE FUNCTION one() RETURNS int LANGUAGE wasm STRICT AS 'one:answer'").unwrap();
        assert_eq!(int("SELECT one()"), Some(7));
        fs::remove_dir_all("lagoon/pgsql_tmp_wasm").unwrap();
        assert_eq!(int("SELECT one()"), Some(7));
        install("one", answering(8));
        assert_eq!(int("SELECT one()"), Some(8));
        assert!(fs::read_dir("lagoon/pgsql_tmp_wasm").unwrap().count() > 0, "the cache is made again");
    }

    #[pg_test]
    fn wasm_reload_installs_what_changed_and_keeps_what_fails() {
        let folder = folder("reload");
        let reload = || -> Vec<(String, String)> {
            let report =
                crate::wasm::plugins::reload::reload_changed(&folder).unwrap_or_else(|error| panic!("{error}"));
            let outcome = |result: Result<_, lagoon_wasm::Error>| match result {
                Ok(_) => "ok".to_owned(),
                Err(error) => error.sqlstate().to_owned(),
            };
            report.plugins.into_iter().map(|(name, result)| (name, outcome(result))).collect()
        };
        let is = |name: &str, outcome: &str| (name.to_owned(), outcome.to_owned());
        fs::write(folder.join("one.wasm"), answering(1)).unwrap();
        fs::write(folder.join("one.yaml"), "version: 1.0.0\ndescription: says one\n").unwrap();
        fs::create_dir(folder.join("two")).unwrap();
        fs::write(folder.join("two/manifest.json"), r#"{"wasm": "module.wasm"}"#).unwrap();
        fs::write(folder.join("two/module.wasm"), answering(2)).unwrap();
        fs::write(folder.join("notes.txt"), "not a plugin").unwrap();
        fs::write(folder.join(".one.wasm.swp"), "nor this").unwrap();
        assert_eq!(reload(), [is("one", "ok"), is("two", "ok")]);
        Spi::run("CREATE FUNCTION one() RETURNS int LANGUAGE wasm STRICT AS 'one:answer'").unwrap();
        assert_eq!(int("SELECT one()"), Some(1));

        fs::write(folder.join("one.wasm"), answering(3)).unwrap();
        fs::write(folder.join("two/manifest.json"), r#"{"wasm": "../../PG_VERSION"}"#).unwrap();
        assert_eq!(reload(), [is("one", "ok"), is("two", "22023")]);
        assert_eq!(int("SELECT one()"), Some(3));

        fs::write(folder.join("one.wasm"), &answering(4)[..30]).unwrap();
        fs::write(folder.join("two/manifest.json"), "{}").unwrap();
        assert_eq!(reload(), [is("one", "22P03"), is("two", "58P01")]);
        assert_eq!(int("SELECT one()"), Some(3), "the old version stays");
        let failed = int(
            "SELECT count(*)::int FROM lagoon.plugin_status WHERE error_sqlstate IS NOT NULL AND version IS NOT NULL",
        );
        assert_eq!(failed, Some(2));

        fs::write(folder.join("one.wasm"), answering(5)).unwrap();
        fs::remove_dir_all(folder.join("two")).unwrap();
        assert_eq!(reload(), [is("one", "ok")]);
        assert_eq!(int("SELECT one()"), Some(5));
        let failed = Spi::get_one::<String>(
            "SELECT string_agg(name, ',') FROM lagoon.plugin_status WHERE error_message IS NOT NULL",
        );
        assert_eq!(failed.unwrap().as_deref(), Some("two"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[pg_test]
    fn wasm_a_million_calls_do_not_grow_memory() {
        install("zoo", decode(ZOO));
        Spi::run("CREATE FUNCTION echo(text) RETURNS text LANGUAGE wasm STRICT AS 'zoo:echo'").unwrap();
        Spi::run("CREATE FUNCTION wadd(int, int) RETURNS int LANGUAGE wasm STRICT AS 'zoo:add'").unwrap();
        let calls = "SELECT sum(length(echo(repeat('x', i % 100))) + wadd(i, 1))::int FROM generate_series(1, 20000) i";
        let resident = || -> usize {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        int(calls);
        let before = resident();
        for _ in 0..25 {
            int(calls);
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 8 << 10, "grown by {grown} kB");
    }

    #[pg_test]
    fn wasm_traps_do_not_leak_instances() {
        install("zoo", decode(ZOO));
        Spi::run("CREATE FUNCTION boom() RETURNS int LANGUAGE wasm STRICT AS 'zoo:boom'").unwrap();
        Spi::run(
            "DO $$ BEGIN FOR i IN 1..2000 LOOP
                BEGIN PERFORM boom(); EXCEPTION WHEN external_routine_exception THEN NULL; END;
             END LOOP; END $$",
        )
        .unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        assert!(maps < 2000, "{maps} mappings");
    }

    #[pg_test]
    fn wasm_roles_do_not_share_memory() {
        install("zoo", decode(ZOO));
        Spi::run("CREATE FUNCTION count_calls() RETURNS int LANGUAGE wasm STRICT AS 'zoo:count'").unwrap();
        Spi::run("CREATE ROLE wasm_other").unwrap();
        assert_eq!(int("SELECT count_calls()"), Some(1));
        assert_eq!(int("SELECT count_calls()"), Some(2));
        Spi::run("SET LOCAL ROLE wasm_other").unwrap();
        assert_eq!(int("SELECT count_calls()"), Some(1));
        Spi::run("RESET ROLE").unwrap();
        assert_eq!(int("SELECT count_calls()"), Some(3));
        // The owner's memory inside of a SECURITY DEFINER function, the caller's around it.
        Spi::run(
            "CREATE FUNCTION as_owner() RETURNS int LANGUAGE wasm STRICT SECURITY DEFINER AS 'zoo:count';
             SET LOCAL ROLE wasm_other",
        )
        .unwrap();
        assert_eq!(int("SELECT as_owner()"), Some(4));
        assert_eq!(int("SELECT count_calls()"), Some(2));
        Spi::run("RESET ROLE").unwrap();
    }
}
