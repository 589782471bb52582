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
        TinyModel { depth: 1, ..TinyModel::default() }.write(&directory.0).unwrap();
        // As another session would see it: nothing of it is loaded here.
        Spi::run("SET LOCAL lagoon.embed_threads = 2").unwrap();
        assert_eq!(sqlstate("SELECT lagoon.embed('tiny', 'red')"), "55000");
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
        Spi::run("CREATE ROLE lagoon_reader; CREATE ROLE lagoon_admin IN ROLE pg_read_server_files").unwrap();
        Spi::run("SET LOCAL ROLE lagoon_reader").unwrap();
        assert_eq!(sqlstate("SELECT lagoon.embed('tiny', 'red')"), "no error");
        assert_eq!(sqlstate(&format!("SELECT lagoon.register_model('mine', '{path}')")), "42501");
        assert_eq!(sqlstate("SELECT lagoon.drop_model('tiny')"), "42501");
        Spi::run("SET LOCAL ROLE lagoon_admin").unwrap();
        assert_eq!(sqlstate(&format!("SELECT lagoon.register_model('mine', '{path}')")), "no error");
        assert_eq!(sqlstate("SELECT lagoon.drop_model('mine')"), "no error");
        // But not by going around the functions.
        assert_eq!(sqlstate("UPDATE lagoon.models SET directory = '/'"), "42501");
    }
}
