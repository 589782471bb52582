//! Promises of the embed wing that hold within one transaction. Models are tiny ones that the tests write.

#[path = "../crates/embed/src/tiny.rs"]
mod tiny;

#[pgrx::pg_schema]
mod tests {
    use std::path::{Path, PathBuf};

    use pgrx::prelude::*;

    use super::tiny::TinyModel;

    /// A directory that is deleted with it. Written by the server, so the server can read it.
    struct Directory(PathBuf);

    impl Directory {
        fn with(model: &TinyModel) -> Self {
            let name = format!("lagoon-embed-{}-{:?}", std::process::id(), std::time::Instant::now());
            let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            model.write(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0); // in a place for temporary files
        }
    }

    fn use_library() {
        let path = std::env::var("LAGOON_ONNXRUNTIME").expect("LAGOON_ONNXRUNTIME: the path of libonnxruntime.so");
        Spi::run(&format!("SET LOCAL lagoon.onnxruntime_library = '{path}'")).unwrap();
    }

    fn register(name: &str, directory: &Path) -> i32 {
        let args = [name.into(), directory.to_string_lossy().as_ref().into()];
        Spi::get_one_with_args("SELECT lagoon.register_model($1, $2)", &args).unwrap().unwrap()
    }

    fn text(sql: &str) -> String {
        Spi::get_one(sql).unwrap().unwrap()
    }

    fn number(sql: &str) -> f64 {
        Spi::get_one(sql).unwrap().unwrap()
    }

    /// The SQLSTATE that a statement fails with.
    fn sqlstate(sql: &str) -> String {
        let sql = sql.replace('\'', "''");
        Spi::run(&format!(
            "DO $$ BEGIN
                EXECUTE '{sql}';
                PERFORM set_config('tests.sqlstate', 'no error', true);
            EXCEPTION WHEN OTHERS THEN
                PERFORM set_config('tests.sqlstate', SQLSTATE, true);
            END $$"
        ))
        .unwrap();
        text("SELECT current_setting('tests.sqlstate')")
    }

    #[pg_test]
    fn embed_gives_the_mean_of_the_tokens() {
        use_library();
        let model = TinyModel { normalize: false, ..TinyModel::default() };
        let directory = Directory::with(&model);
        assert_eq!(register("tiny", &directory.0), 8);
        // [CLS] red [SEP]
        let rows = [2, 4, 3].map(|id| model.row(id));
        for j in 0..8 {
            let expected = rows.iter().map(|row| f64::from(row[j])).sum::<f64>() / 3.0;
            let actual = number(&format!("SELECT ((lagoon.embed('tiny', 'red'))::real[])[{}]::float8", j + 1));
            assert!((actual - expected).abs() < 1e-5, "{actual} is not {expected}");
        }
    }

    #[pg_test]
    fn embed_of_an_array_equals_one_by_one_and_keeps_nulls() {
        use_library();
        let directory = Directory::with(&TinyModel::default());
        register("tiny", &directory.0);
        let differing = "SELECT count(*)::text FROM (VALUES (ARRAY['red', NULL, 'one two three', 'blue'])) AS t(a),
            unnest(a, lagoon.embed('tiny', a)) AS u(text, vector)
            WHERE (text IS NULL) IS DISTINCT FROM (vector IS NULL) OR (lagoon.embed('tiny', text) <-> vector) > 1e-6";
        assert_eq!(text(differing), "0");
        assert_eq!(text("SELECT (lagoon.embed('tiny', NULL::text) IS NULL)::text"), "true");
        assert_eq!(text("SELECT (lagoon.embed(NULL, 'red') IS NULL)::text"), "true");
        assert_eq!(text("SELECT lagoon.embed('tiny', ARRAY[NULL, NULL]::text[])::text"), "{NULL,NULL}");
        assert_eq!(text("SELECT lagoon.embed('tiny', '{}'::text[])::text"), "{}");
    }

    #[pg_test]
    fn embed_follows_a_model_that_is_registered_again() {
        use_library();
        let (first, second) =
            (Directory::with(&TinyModel::default()), Directory::with(&TinyModel { width: 4, ..TinyModel::default() }));
        register("tiny", &first.0);
        assert_eq!(text("SELECT vector_dims(lagoon.embed('tiny', 'red'))::text"), "8");
        register("tiny", &second.0);
        assert_eq!(text("SELECT vector_dims(lagoon.embed('tiny', 'red'))::text"), "4");
        assert_eq!(text("SELECT dimension::text FROM lagoon.models WHERE name = 'tiny'"), "4");
    }

    #[pg_test]
    fn embed_refuses_files_that_changed() {
        use_library();
        let directory = Directory::with(&TinyModel::default());
        register("tiny", &directory.0);
        assert_eq!(sqlstate("SELECT lagoon.embed('tiny', 'red')"), "no error");
        TinyModel { depth: 1, ..TinyModel::default() }.write(&directory.0).unwrap();
        assert_eq!(sqlstate("SELECT lagoon.embed('tiny', 'green')"), "55000");
        // As another session would see it: nothing of it is loaded here.
        Spi::run("SET LOCAL lagoon.embed_threads = 2").unwrap();
        assert_eq!(sqlstate("SELECT lagoon.embed('tiny', 'green')"), "55000");
        register("tiny", &directory.0);
        assert_eq!(sqlstate("SELECT lagoon.embed('tiny', 'red')"), "no error");
    }

    #[pg_test]
    fn embed_errors_have_their_sqlstates() {
        use_library();
        let directory = Directory::with(&TinyModel::default());
        let path = directory.0.to_string_lossy().into_owned();
        let register_it = format!("SELECT lagoon.register_model('broken', '{path}')");
        register("tiny", &directory.0);
        assert_eq!(sqlstate("SELECT lagoon.embed('tiny', '')"), "22023");
        assert_eq!(sqlstate("SELECT lagoon.embed('unknown', 'red')"), "42704");
        assert_eq!(sqlstate("SELECT lagoon.drop_model('unknown')"), "42704");
        assert_eq!(sqlstate(&format!("SELECT lagoon.register_model('', '{path}')")), "22023");
        assert_eq!(sqlstate(&format!("SELECT lagoon.register_model(repeat('x', 64), '{path}')")), "22023");
        assert_eq!(sqlstate(&format!("SELECT lagoon.register_model(E'a\\nb', '{path}')")), "22023");
        assert_eq!(sqlstate("SELECT lagoon.embed(repeat('m', 100000), 'red')"), "42704");
        assert_eq!(sqlstate("SELECT lagoon.drop_model(repeat('m', 100000))"), "42704");
        assert_eq!(sqlstate("SELECT lagoon.register_model('x', '/' || repeat('x', 100000))"), "58P01");
        assert_eq!(sqlstate("SELECT lagoon.register_model('x', 'relative')"), "22023");
        assert_eq!(sqlstate("SELECT lagoon.register_model('x', '/nonexistent')"), "58P01");
        std::fs::write(directory.0.join("model.onnx"), "not a graph").unwrap();
        assert_eq!(sqlstate(&register_it), "LGE01");
        std::fs::remove_file(directory.0.join("tokenizer.json")).unwrap();
        assert_eq!(sqlstate(&register_it), "58P01");
        assert_eq!(text("SELECT count(*)::text FROM lagoon.models"), "1");
    }

    #[pg_test]
    fn embed_needs_the_library_only_when_it_runs() {
        for (library, expected) in [
            ("", "55000"),
            ("libonnxruntime.so", "22023"),
            ("/nonexistent/libonnxruntime.so", "58P01"),
            ("/etc/hostname", "58000"),
        ] {
            let directory = Directory::with(&TinyModel::default());
            Spi::run(&format!("SET LOCAL lagoon.onnxruntime_library = '{library}'")).unwrap();
            let sql = format!("SELECT lagoon.register_model('tiny', '{}')", directory.0.display());
            assert_eq!(sqlstate(&sql), expected, "{library}");
        }
        // A bad path is no verdict for the session.
        use_library();
        register("tiny", &Directory::with(&TinyModel::default()).0);
    }

    #[pg_test]
    fn embed_of_repeated_text_runs_the_model_once() {
        use_library();
        let directory = Directory::with(&TinyModel::default());
        register("tiny", &directory.0);
        let before = number("SELECT texts::float8 FROM lagoon.embed_status()");
        Spi::run(
            "SELECT lagoon.embed('tiny', 'green blue') <-> lagoon.embed('tiny', 'red') FROM generate_series(1, 50)",
        )
        .unwrap();
        assert_eq!(number("SELECT texts::float8 FROM lagoon.embed_status()") - before, 2.0);
    }

    #[pg_test]
    fn embed_is_open_to_all_and_registration_is_not() {
        use_library();
        let directory = Directory::with(&TinyModel::default());
        let path = directory.0.to_string_lossy().into_owned();
        register("tiny", &directory.0);
        Spi::run(
            "CREATE ROLE lagoon_reader; CREATE ROLE lagoon_granted;
             CREATE ROLE lagoon_admin IN ROLE pg_read_server_files;
             CREATE ROLE lagoon_other IN ROLE pg_read_server_files;
             GRANT EXECUTE ON FUNCTION lagoon.register_model TO lagoon_granted",
        )
        .unwrap();
        let register_it = |name: &str| sqlstate(&format!("SELECT lagoon.register_model('{name}', '{path}')"));
        let as_role = |role: &str| Spi::run(&format!("SET LOCAL ROLE {role}")).unwrap();
        as_role("lagoon_reader");
        assert_eq!(sqlstate("SELECT lagoon.embed('tiny', 'red')"), "no error");
        assert_eq!(register_it("mine"), "42501");
        assert_eq!(sqlstate("SELECT lagoon.drop_model('tiny')"), "42501");
        as_role("lagoon_granted");
        assert_eq!(register_it("mine"), "42501"); // it may call the function, but not read the server's files
        as_role("lagoon_admin");
        assert_eq!(register_it("mine"), "no error");
        assert_eq!(register_it("mine"), "no error");
        // Not what another role has registered, and not by going around the functions.
        assert_eq!(register_it("tiny"), "42501");
        assert_eq!(sqlstate("SELECT lagoon.drop_model('tiny')"), "42501");
        assert_eq!(sqlstate("UPDATE lagoon.models SET directory = '/'"), "42501");
        as_role("lagoon_other");
        assert_eq!(register_it("mine"), "42501");
        assert_eq!(sqlstate("SELECT lagoon.drop_model('mine')"), "42501");
        assert_eq!(text("SELECT owner::text FROM lagoon.models WHERE name = 'mine'"), "lagoon_admin");
        // A member of the owner may, and a superuser, who leaves it with its owner.
        Spi::run("RESET ROLE; GRANT lagoon_admin TO lagoon_other").unwrap();
        assert_eq!(register_it("mine"), "no error");
        assert_eq!(text("SELECT owner::text FROM lagoon.models WHERE name = 'mine'"), "lagoon_admin");
        as_role("lagoon_other");
        assert_eq!(sqlstate("SELECT lagoon.drop_model('mine')"), "no error");
    }

    #[pg_test]
    fn embed_of_a_model_needs_its_row() {
        use_library();
        let directory = Directory::with(&TinyModel::default());
        register("tiny", &directory.0);
        Spi::run(
            "CREATE ROLE lagoon_reader; REVOKE SELECT ON lagoon.models FROM PUBLIC;
             GRANT SELECT ON lagoon.models TO lagoon_reader;
             ALTER TABLE lagoon.models ENABLE ROW LEVEL SECURITY;
             CREATE POLICY other ON lagoon.models USING (name <> 'tiny')",
        )
        .unwrap();
        Spi::run("SET LOCAL ROLE lagoon_reader").unwrap();
        assert_eq!(sqlstate("SELECT lagoon.embed('tiny', 'red')"), "42704");
        Spi::run("RESET ROLE; REVOKE SELECT ON lagoon.models FROM lagoon_reader; SET LOCAL ROLE lagoon_reader")
            .unwrap();
        assert_eq!(sqlstate("SELECT lagoon.embed('tiny', 'red')"), "42501");
    }

    #[pg_test]
    fn embed_of_a_large_array_equals_one_by_one() {
        use_library();
        let directory = Directory::with(&TinyModel::default());
        register("tiny", &directory.0);
        // More than go to the engine at once, with NULLs, in two dimensions.
        let texts = "(SELECT array_agg(CASE WHEN i % 7 = 0 THEN NULL ELSE (ARRAY['red', 'one two', 'blue green'])[i % 3 + 1] END
            ORDER BY i) FROM generate_series(1, 3000) AS i)";
        let differing = format!(
            "SELECT count(*)::text FROM (SELECT {texts}) AS t(a), unnest(a, lagoon.embed('tiny', a)) AS u(text, vector)
             WHERE (text IS NULL) IS DISTINCT FROM (vector IS NULL) OR (lagoon.embed('tiny', text) <-> vector) > 1e-6"
        );
        assert_eq!(text(&differing), "0");
        assert_eq!(text("SELECT array_dims(lagoon.embed('tiny', '{{red,green},{NULL,blue}}'::text[]))"), "[1:4]");
        assert_eq!(
            text("SELECT (lagoon.embed('tiny', '{red,NULL}'::text[]))[1] <-> lagoon.embed('tiny', 'red') || ''"),
            "0"
        );
        let late = "SELECT lagoon.embed('tiny', array_fill('red'::text, ARRAY[2000]) || ''::text)";
        let before = number("SELECT texts::float8 FROM lagoon.embed_status()");
        assert_eq!(sqlstate(late), "22023");
        assert_eq!(number("SELECT texts::float8 FROM lagoon.embed_status()"), before);
    }

    #[pg_test]
    fn embed_of_what_is_too_large_is_a_program_limit() {
        use_library();
        let wide = Directory::with(&TinyModel { width: 16_000, normalize: false, ..TinyModel::default() });
        assert_eq!(register("wide", &wide.0), 16_000);
        // 1.1 GB of vectors: refused before the first is inferred.
        let before = number("SELECT texts::float8 FROM lagoon.embed_status()");
        assert_eq!(sqlstate("SELECT lagoon.embed('wide', array_fill('red'::text, ARRAY[17000]))"), "54000");
        assert_eq!(number("SELECT texts::float8 FROM lagoon.embed_status()"), before);
        let wider = Directory::with(&TinyModel { width: 16_001, ..TinyModel::default() });
        assert_eq!(sqlstate(&format!("SELECT lagoon.register_model('wider', '{}')", wider.0.display())), "54000");
    }

    #[pg_test]
    fn embed_reads_no_more_of_a_long_text_than_it_needs() {
        use_library();
        let directory = Directory::with(&TinyModel::default());
        register("tiny", &directory.0);
        for (long, short) in [
            ("repeat('red two ', 1000000)", "repeat('red two ', 10)"),
            ("repeat('x', 8000000) || ' red'", "'unknown red'"),
            ("'red' || repeat(' ', 8000000) || 'blue'", "'red blue'"),
        ] {
            let same = format!("SELECT (lagoon.embed('tiny', {long}) <-> lagoon.embed('tiny', {short}) < 1e-6)::text");
            assert_eq!(text(&same), "true", "{long}");
        }
    }

    #[pg_test]
    fn embed_runs_a_model_that_quantises_at_run_time_one_text_at_a_time() {
        use_library();
        let directory = Directory::with(&TinyModel { is_dynamic: true, ..TinyModel::default() });
        register("dynamic", &directory.0);
        assert_eq!(text("SELECT batched::text FROM lagoon.models"), "false");
        let differing = "SELECT count(*)::text FROM (VALUES (ARRAY['red', 'one two three', 'blue'])) AS t(a),
            unnest(a, lagoon.embed('dynamic', a)) AS u(text, vector) WHERE lagoon.embed('dynamic', text) <> vector";
        assert_eq!(text(differing), "0");
    }

    #[pg_test]
    fn embed_refuses_what_is_no_file_of_a_model() {
        use_library();
        let directory = Directory::with(&TinyModel::default());
        let register_it = format!("SELECT lagoon.register_model('x', '{}')", directory.0.display());
        let tokenizer = directory.0.join("tokenizer.json");
        std::fs::remove_file(&tokenizer).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &tokenizer).unwrap();
        assert_eq!(sqlstate(&register_it), "42809");
        std::fs::remove_file(&tokenizer).unwrap();
        std::fs::File::create(&tokenizer).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(sqlstate(&register_it), "54000");
    }
}
