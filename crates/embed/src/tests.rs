//! Whole models, written by [`crate::tiny`], against results that the test computes by itself.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;

use crate::models::{Models, Registered, Settings, Statistics};
use crate::tiny::{TinyModel, WORDS};
use crate::{Cancel, Error, Model, ModelFiles, Reply, Request, Runtime, TextEncoder};

mod files;
mod text;

fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache/lagoon");
    std::env::var_os("LAGOON_CACHE").map_or_else(home, PathBuf::from)
}

fn library() -> PathBuf {
    let path = std::env::var_os("LAGOON_ONNXRUNTIME");
    let path = path.map_or_else(|| cache().join("onnxruntime/libonnxruntime.so"), PathBuf::from);
    assert!(path.is_file(), "{} is missing: run scripts/onnxruntime, or set LAGOON_ONNXRUNTIME", path.display());
    path
}

fn runtime() -> Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::start(&library()).expect("ONNX Runtime")).clone()
}

fn settings() -> Settings {
    Settings { library: library(), threads: 1 }
}

/// `Models` with the one runtime of this process.
fn models() -> Models {
    Models::new(Arc::default(), Some(runtime()))
}

fn written(tiny: &TinyModel) -> TempDir {
    let directory = tempfile::tempdir().expect("directory");
    tiny.write(directory.path()).expect("files");
    directory
}

fn read(directory: &Path) -> Result<ModelFiles, Error> {
    ModelFiles::read(directory, &Cancel::default())
}

fn load(directory: &Path) -> Result<Model, Error> {
    Model::load("tiny", read(directory)?, &runtime(), 1, Arc::default(), &Cancel::default())
}

fn embed(tiny: &TinyModel, texts: &[&str]) -> Vec<Vec<f32>> {
    let directory = written(tiny);
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    load(directory.path()).expect("model").encode(&texts, &Cancel::default()).expect("vectors")
}

/// Rows of the tokens of a text: words between begin and end, cut to the model's length.
fn rows(tiny: &TinyModel, text: &str) -> Vec<Vec<f32>> {
    let id = |word: &str| WORDS.iter().position(|known| *known == word).unwrap_or(1);
    let words = text.split_whitespace().map(id).take(tiny.max_tokens - 2);
    std::iter::once(2).chain(words).chain([3]).map(|id| tiny.row(id)).collect()
}

fn pooled(rows: &[Vec<f32>], mode: &str) -> Vec<f32> {
    let n = rows.len() as f32;
    let column = |j: usize| rows.iter().map(move |row| row[j]);
    let each = |f: &dyn Fn(usize) -> f32| (0..rows[0].len()).map(f).collect();
    match mode {
        "cls_token" => rows[0].clone(),
        "lasttoken" => rows[rows.len() - 1].clone(),
        "max_tokens" => each(&|j| column(j).fold(f32::MIN, f32::max)),
        "mean_tokens" => each(&|j| column(j).sum::<f32>() / n),
        "mean_sqrt_len_tokens" => each(&|j| column(j).sum::<f32>() / n.sqrt()),
        "weightedmean_tokens" => {
            each(&|j| column(j).zip(1..).map(|(x, w)| x * w as f32).sum::<f32>() / (n * (n + 1.0) / 2.0))
        }
        other => panic!("{other}"),
    }
}

fn unit(vector: &[f32]) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / norm).collect()
}

#[track_caller]
fn assert_close(actual: &[f32], expected: &[f32]) {
    assert_eq!(actual.len(), expected.len());
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() < 1e-5, "{actual:?} is not {expected:?}");
    }
}

const TEXTS: [&str; 4] = ["red", "one two three red green blue", "green blue", "one two three two"];

#[test]
fn every_pooling_mode_ignores_padding() {
    for mode in ["cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "lasttoken", "weightedmean_tokens"] {
        let modes: &'static [&'static str] = vec![mode].leak();
        let tiny = TinyModel { pooling: modes, normalize: false, ..TinyModel::default() };
        for (text, vector) in TEXTS.iter().zip(embed(&tiny, &TEXTS)) {
            assert_close(&vector, &pooled(&rows(&tiny, text), mode));
        }
    }
}

#[test]
fn padding_on_the_left_changes_nothing() {
    for mode in ["cls_token", "mean_tokens", "lasttoken"] {
        let modes: &'static [&'static str] = vec![mode].leak();
        let tiny = TinyModel { pooling: modes, pad_left: true, ..TinyModel::default() };
        for (text, vector) in TEXTS.iter().zip(embed(&tiny, &TEXTS)) {
            assert_close(&vector, &unit(&pooled(&rows(&tiny, text), mode)));
        }
    }
}

#[test]
fn several_modes_are_concatenated_in_the_order_of_sentence_transformers() {
    let tiny =
        TinyModel { pooling: &["mean_tokens", "cls_token", "max_tokens"], normalize: true, ..TinyModel::default() };
    let rows = rows(&tiny, "red green");
    let expected = ["cls_token", "max_tokens", "mean_tokens"].map(|mode| pooled(&rows, mode)).concat();
    assert_close(&embed(&tiny, &["red green"])[0], &unit(&expected));
}

#[test]
fn a_plain_export_is_pooled_by_the_mean_and_not_normalised() {
    let tiny = TinyModel { pooling: &[], graph: "onnx/model.onnx", ..TinyModel::default() };
    assert_close(&embed(&tiny, &["red green"])[0], &pooled(&rows(&tiny, "red green"), "mean_tokens"));
}

#[test]
fn the_length_is_the_models_not_the_tokenizers() {
    let tiny = TinyModel { max_tokens: 5, normalize: false, ..TinyModel::default() };
    let text = "red green blue one two three";
    assert_eq!(rows(&tiny, text).len(), 5);
    assert_close(&embed(&tiny, &[text])[0], &pooled(&rows(&tiny, text), "mean_tokens"));
}

#[test]
fn the_graph_gets_only_what_it_declares() {
    let expected = embed(&TinyModel::default(), &["red green"]);
    for inputs in
        [&["input_ids"][..], &["attention_mask", "input_ids"], &["input_ids", "attention_mask", "position_ids"]]
    {
        let inputs: &'static [&'static str] = inputs.to_vec().leak();
        assert_eq!(embed(&TinyModel { inputs, ..TinyModel::default() }, &["red green"]), expected);
    }
}

#[test]
fn case_space_and_prompts_are_handled_before_the_tokenizer() {
    let tiny = TinyModel { lower_case: true, ..TinyModel::default() };
    assert_eq!(embed(&tiny, &["RED"]), embed(&tiny, &["red"]));
    let sensitive = TinyModel::default();
    assert_ne!(embed(&sensitive, &["RED"]), embed(&sensitive, &["red"]));
    assert_eq!(embed(&sensitive, &[" \t\u{a0}red\x1f\n"]), embed(&sensitive, &["red"]));
    let prompts = r#"{"prompts": {"query": "query ", "document": ""}, "default_prompt_name": "query"}"#;
    let prompted = TinyModel { prompts: Some(prompts), ..TinyModel::default() };
    assert_eq!(embed(&prompted, &["red"]), embed(&sensitive, &["query red"]));
    let unused = r#"{"prompts": {"query": "query "}, "default_prompt_name": null}"#;
    let unprompted = TinyModel { prompts: Some(unused), ..TinyModel::default() };
    assert_eq!(embed(&unprompted, &["red"]), embed(&sensitive, &["red"]));
}

#[test]
fn many_texts_come_back_in_their_order() {
    let tiny = TinyModel { max_tokens: 400, ..TinyModel::default() };
    let texts: Vec<String> = (0..300).map(|i| vec![WORDS[4 + i % 6]; 1 + i * 7 % 390].join(" ")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (text, vector) in texts.iter().zip(embed(&tiny, &texts)) {
        assert_close(&vector, &unit(&pooled(&rows(&tiny, text), "mean_tokens")));
    }
}

#[test]
fn an_empty_text_is_refused_with_its_position() {
    let directory = written(&TinyModel::default());
    let mut model = load(directory.path()).expect("model");
    let mut fails = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        model.encode(&texts, &Cancel::default()).expect_err("an error")
    };
    assert_eq!(fails(&[" \n"]), Error::EmptyText { position: None });
    assert_eq!(fails(&["red", ""]), Error::EmptyText { position: Some(2) });
}

#[test]
fn a_missing_or_invalid_part_is_named() {
    let broken = |change: &dyn Fn(&Path)| {
        let directory = written(&TinyModel::default());
        change(directory.path());
        let error = load(directory.path()).err().expect("an error");
        (error.sqlstate(), error.to_string().replace(&directory.path().display().to_string(), "DIR"))
    };
    let remove = |name: &'static str| broken(&move |d| std::fs::remove_file(d.join(name)).expect(name));
    let write =
        |name: &'static str, text: &'static str| broken(&move |d| std::fs::write(d.join(name), text).expect(name));
    let has_no = |file: &str| ("58P01", format!("model directory \"DIR\" has no {file}"));
    assert_eq!(remove("tokenizer.json"), has_no("tokenizer.json"));
    assert_eq!(remove("model.onnx"), has_no("model.onnx or onnx/model.onnx"));
    assert_eq!(remove("1_Pooling/config.json"), has_no("1_Pooling/config.json"));
    for (file, text) in [
        ("model.onnx", "not a graph"),
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "{\"version\": "),
        ("modules.json", "{}"),
        ("modules.json", "[]"),
        ("modules.json", r#"[{"path": "../x", "type": "Transformer"}]"#),
        ("config.json", "[1"),
        ("1_Pooling/config.json", r#"{"pooling_mode_mean_tokens": false}"#),
        ("1_Pooling/config.json", r#"{"word_embedding_dimension": 9}"#),
        ("1_Pooling/config.json", r#"{"pooling_mode": "median"}"#),
        ("config_sentence_transformers.json", r#"{"prompts": {}, "default_prompt_name": "query"}"#),
        ("sentence_bert_config.json", r#"{"max_seq_length": "many"}"#),
    ] {
        let (sqlstate, message) = write(file, text);
        assert_eq!(sqlstate, "LGE01", "{file} {text}: {message}");
        assert!(message.starts_with(&format!("\"DIR/{file}\" is not valid: ")), "{message}");
    }
    let dense = r#"[{"path": "", "type": "m.Transformer"}, {"path": "1_Pooling", "type": "m.Pooling"},
        {"path": "2_Dense", "type": "m.Dense"}]"#;
    let expected = ("0A000", "\"DIR/modules.json\" requires module Dense, which is not supported".to_owned());
    assert_eq!(write("modules.json", dense), expected);
    let unknown = written(&TinyModel { inputs: &["input_ids", "pixel_values"], ..TinyModel::default() });
    assert_eq!(load(unknown.path()).err().expect("an error").sqlstate(), "0A000");
}

#[test]
fn a_graph_of_another_width_is_refused() {
    let directory = written(&TinyModel::default());
    std::fs::copy(
        written(&TinyModel { width: 4, ..TinyModel::default() }).path().join("model.onnx"),
        directory.path().join("model.onnx"),
    )
    .expect("copy");
    let error = load(directory.path()).err().expect("an error");
    assert!(error.to_string().ends_with("its vectors have 4 elements, but the model's settings say 8"), "{error}");
}

#[test]
fn a_directory_must_be_absolute_and_exist() {
    assert_eq!(read(Path::new("models")).err().map(|e| e.sqlstate()), Some("22023"));
    assert_eq!(read(Path::new("/nonexistent")).err().map(|e| e.sqlstate()), Some("58P01"));
}

#[test]
fn a_bad_library_is_an_error_beside_a_good_one() {
    assert!(runtime().build_info().contains("ORT Build Info"), "{}", runtime().build_info());
    let directory = tempfile::tempdir().expect("directory");
    let text = directory.path().join("libonnxruntime.so");
    std::fs::write(&text, "not a library").expect("file");
    let start = |path: &Path| Runtime::start(path).err().map(|error| error.sqlstate());
    assert_eq!(start(Path::new("")), Some("55000"));
    assert_eq!(start(Path::new("libonnxruntime.so")), Some("22023"));
    assert_eq!(start(Path::new("/nonexistent/libonnxruntime.so")), Some("58P01"));
    let cut = directory.path().join("cut.so");
    std::fs::write(&cut, &std::fs::read(library()).expect("library")[..1 << 20]).expect("file");
    assert_eq!(start(&cut), Some("58000"));
    assert_eq!(start(&text), Some("58000"));
    assert_eq!(start(&library()), Some("58000")); // a process has one environment
}

#[test]
fn cancel_ends_a_run_and_the_model_can_be_used_again() {
    let tiny = TinyModel { width: 256, depth: 2000, max_tokens: 512, ..TinyModel::default() };
    let directory = written(&tiny);
    let mut model = load(directory.path()).expect("model");
    let cancel = Arc::new(Cancel::default());
    let long = vec![vec!["red"; 500].join(" "); 64];
    let other = {
        let cancel = cancel.clone();
        std::thread::spawn(move || {
            let is_running = cancel.wait_for_run();
            cancel.cancel();
            is_running
        })
    };
    assert_eq!(model.encode(&long, &cancel), Err(Error::Cancelled));
    assert!(other.join().expect("thread"), "the run had not begun");
    let again = model.encode(&["red".to_owned()], &Cancel::default()).expect("vectors");
    assert_close(&again[0], &unit(&pooled(&rows(&tiny, "red"), "mean_tokens")));
}

#[test]
fn only_a_few_models_stay_loaded() {
    let directory = written(&TinyModel::default());
    let fingerprint = read(directory.path()).expect("files").fingerprint;
    let statistics = Arc::<Statistics>::default();
    let mut models = Models::new(statistics.clone(), Some(runtime()));
    for name in ["a", "b", "c", "d", "e", "a"] {
        let registered = Registered {
            name: name.to_owned(),
            directory: directory.path().to_owned(),
            fingerprint: fingerprint.clone(),
        };
        models.get(&registered, &settings(), &Cancel::default()).expect("model");
    }
    assert_eq!(statistics.models_loaded.load(std::sync::atomic::Ordering::Relaxed), 4);
}

/// Each request has its reply, whoever sends it: what is learned of a model from one is what the next asks for.
#[test]
fn requests_are_answered_in_kind() {
    let tiny = TinyModel::default();
    let directory = written(&tiny);
    let (mut models, cancel) = (models(), Cancel::default());
    let Ok(Reply::Library(Some(library))) = models.answer(Request::Library, &cancel) else { panic!("no library") };
    assert_eq!(library.path, self::library());
    let describe =
        Request::Describe { name: "m".to_owned(), directory: directory.path().to_owned(), settings: settings() };
    let Ok(Reply::Described(model)) = models.answer(describe, &cancel) else { panic!("no description") };
    assert_eq!((model.registered.name.as_str(), model.dimension, model.batched), ("m", tiny.width, true));
    let texts: Vec<String> = ["red", "two three"].map(str::to_owned).to_vec();
    let embed_them = Request::Embed { model: model.registered, texts, settings: settings() };
    let Ok(Reply::Embedded(embedded)) = models.answer(embed_them.clone(), &cancel) else { panic!("no vectors") };
    assert_eq!(embedded.vectors, embed(&tiny, &["red", "two three"]));
    assert!(embedded.watch.holds());
    std::fs::write(directory.path().join("config_sentence_transformers.json"), "{}").expect("another file");
    assert!(!embedded.watch.holds());
    assert!(matches!(models.answer(embed_them.clone(), &cancel), Err(Error::ModelChanged(_))));
    cancel.cancel();
    assert_eq!(models.answer(embed_them, &cancel), Err(Error::Cancelled));
}

/// Computed from the weights by a separate implementation of BERT in double precision; the similarities are those of the
/// model card.
#[test]
fn minilm_gives_the_published_numbers() {
    let directory = std::env::var_os("LAGOON_MODEL").map(PathBuf::from);
    let directory = directory.unwrap_or_else(|| cache().join("models/all-MiniLM-L6-v2"));
    assert!(directory.is_dir(), "{} is missing: run scripts/model, or set LAGOON_MODEL", directory.display());
    let mut model = load(&directory).expect("model");
    assert_eq!((model.dimension(), model.spec().max_tokens), (384, 256));
    let long = format!("Curaçao 東京 naïve — x{}", " word".repeat(400)); // beyond 256 tokens
    let expected: [(&str, [f32; 4], f32); 5] = [
        ("That is a happy person", [-0.0338769, 0.0919416, 0.0487013, -0.0348836], 0.0447583),
        ("That is a happy dog", [0.0050499, 0.0631698, 0.0141573, 0.0269494], 0.0908735),
        ("That is a very happy person", [-0.0024832, 0.0915171, 0.0483863, -0.057212], 0.0280321),
        ("Today is a sunny day", [-0.0162913, 0.1040661, 0.0974078, 0.0741696], 0.0340438),
        (&long, [0.0133574, -0.0393124, 0.0087211, 0.0085078], 0.0191743),
    ];
    let texts: Vec<String> = expected.iter().map(|(text, ..)| (*text).to_owned()).collect();
    let vectors = model.encode(&texts, &Cancel::default()).expect("vectors");
    for ((_, first, last), vector) in expected.iter().zip(&vectors) {
        assert_close(&vector[..4], first);
        assert_close(&vector[383..], &[*last]);
    }
    let similarity = |i: usize| vectors[0].iter().zip(&vectors[i]).map(|(a, b)| a * b).sum::<f32>();
    assert_close(&[similarity(1), similarity(2), similarity(3)], &[0.694_577_4, 0.942_915, 0.256_876_1]);
}
