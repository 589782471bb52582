//! What a model directory may hold, and what happens when it changes.

use std::os::unix::fs::symlink;

use super::*;
use crate::graph;

fn register(directory: &Path) -> Registered {
    let fingerprint = read(directory).expect("files").fingerprint;
    Registered { name: "m".to_owned(), directory: directory.to_owned(), fingerprint }
}

/// A model that has its weights in a file of its own, in a folder.
const APART: TinyModel = TinyModel {
    width: 4096, // beyond what an allocator keeps, so memory that was given back is seen to be gone
    pooling: &["mean_tokens"],
    normalize: true,
    max_tokens: 16,
    pad_left: false,
    lower_case: false,
    prompts: None,
    inputs: &["input_ids"],
    depth: 0,
    graph: "onnx/model.onnx",
    weights: Some("parts/table.bin"),
    is_dynamic: false,
    output: "last_hidden_state",
};

#[test]
fn files_that_changed_are_refused_until_the_model_is_registered_again_also_while_it_is_loaded() {
    let directory = written(&TinyModel::default());
    let first = register(directory.path());
    let mut models = models();
    let mut get = |wanted: &Registered| models.get(wanted, &settings(), &Cancel::default()).map(|_| ());
    get(&first).expect("model");
    // Touched but equal: fine, loaded or not.
    let graph = directory.path().join("model.onnx");
    std::fs::write(&graph, std::fs::read(&graph).expect("graph")).expect("graph");
    get(&first).expect("the same bytes");
    // Another graph, in place or by rename: refused.
    let other = written(&TinyModel { depth: 1, ..TinyModel::default() });
    let bytes = std::fs::read(other.path().join("model.onnx")).expect("graph");
    std::fs::write(&graph, &bytes).expect("graph");
    assert_eq!(get(&first), Err(Error::ModelChanged("m".to_owned())));
    assert_eq!(get(&first), Err(Error::ModelChanged("m".to_owned())));
    let second = register(directory.path());
    get(&second).expect("model");
    let new = directory.path().join("new");
    std::fs::write(&new, "{\"prompts\": {\"a\": \"query \"}, \"default_prompt_name\": \"a\"}").expect("prompts");
    std::fs::rename(&new, directory.path().join("config_sentence_transformers.json")).expect("rename");
    assert_eq!(get(&second), Err(Error::ModelChanged("m".to_owned())), "a file that was not there");
    get(&register(directory.path())).expect("model");
}

#[test]
fn weights_under_any_name_are_loaded_and_fingerprinted() {
    let directory = written(&APART);
    let text = "red two three";
    let mean = unit(&pooled(&rows(&APART, text), "mean_tokens"));
    let vectors =
        load(directory.path()).expect("model").encode(&[text.to_owned()], &Cancel::default()).expect("vector");
    assert_close(&vectors[0], &mean);
    let before = register(directory.path());
    let weights = directory.path().join("onnx/parts/table.bin");
    let mut bytes = std::fs::read(&weights).expect("weights");
    bytes[7] ^= 1;
    std::fs::write(&weights, &bytes).expect("weights");
    let mut models = models();
    let outcome = models.get(&before, &settings(), &Cancel::default()).err();
    assert_eq!(outcome, Some(Error::ModelChanged("m".to_owned())));
    std::fs::write(&weights, &bytes[..100]).expect("weights");
    assert_eq!(load(directory.path()).err().map(|error| error.sqlstate()), Some("LGE01"), "weights that are cut");
    std::fs::remove_file(&weights).expect("weights");
    let error = read(directory.path()).expect_err("an error").to_string();
    assert!(error.ends_with("its weights lie in \"parts/table.bin\", which does not exist"), "{error}");
}

#[test]
fn weights_outside_of_the_directory_are_refused() {
    for location in ["../table.bin", "/etc/hostname", "", "parts/../../x", "*/_ORT_MEM_ADDR_/*"] {
        let entry = wrapped(13, &[wrapped(1, b"location"), wrapped(2, location.as_bytes())].concat());
        let outcome = graph::read(&wrapped(7, &wrapped(5, &[&entry[..], &[14 << 3, 1]].concat())), &Cancel::default());
        assert!(matches!(&outcome, Err(graph::Refused::Invalid(reason)) if reason.contains("outside")), "{outcome:?}");
    }
}

/// A field with a message.
fn wrapped(number: u8, message: &[u8]) -> Vec<u8> {
    let mut length = message.len();
    let mut bytes = if number < 16 { vec![number << 3 | 2] } else { vec![(number << 3 & 127) | 130, number >> 4] };
    while length > 127 {
        bytes.push((length & 127) as u8 | 128);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(message);
    bytes
}

#[test]
fn every_place_of_a_graph_is_looked_at() {
    let read = |bytes: &[u8]| graph::read(bytes, &Cancel::default());
    let dynamic = wrapped(1, &wrapped(4, b"DynamicQuantizeLinear"));
    let tensor = [wrapped(13, &[wrapped(1, b"location"), wrapped(2, b"w")].concat()), vec![14 << 3, 1]].concat();
    // In a graph, in a graph of a node of a graph, in a function, and there in a graph of a node.
    let branch = |graph: &[u8]| wrapped(1, &wrapped(5, &wrapped(6, graph)));
    assert!(read(&wrapped(7, &dynamic)).expect("facts").is_dynamic);
    assert!(read(&wrapped(7, &branch(&branch(&dynamic)))).expect("facts").is_dynamic);
    assert!(read(&wrapped(25, &wrapped(7, &wrapped(4, b"DynamicQuantizeMatMul")))).expect("facts").is_dynamic);
    assert!(!read(&wrapped(7, &wrapped(1, &wrapped(4, b"QuantizeLinear")))).expect("facts").is_dynamic);
    let locations = read(&wrapped(7, &wrapped(5, &tensor))).expect("facts").locations;
    assert_eq!(locations.into_iter().collect::<Vec<_>>(), ["w"]);
    // Weights that would be looked for by name while the graph is loaded.
    for place in [
        wrapped(7, &branch(&wrapped(5, &tensor))),
        wrapped(7, &wrapped(1, &wrapped(5, &wrapped(5, &tensor)))),
        wrapped(7, &wrapped(15, &wrapped(1, &tensor))),
        wrapped(25, &wrapped(7, &wrapped(5, &wrapped(10, &tensor)))),
    ] {
        assert!(matches!(read(&place), Err(graph::Refused::Unsupported(_))), "{place:?}");
    }
    // Endless nesting, lengths beyond the file, and noise.
    let deep = (0..200).fold(wrapped(1, b""), |graph, _| branch(&graph));
    assert!(read(&wrapped(7, &deep)).is_err());
    assert!(read(&[7 << 3 | 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]).is_err());
    assert!(read(&[7 << 3 | 2, 200, 1, 0]).is_err());
    let good = std::fs::read(written(&TinyModel::default()).path().join("model.onnx")).expect("graph");
    for seed in 0..2000u64 {
        let mut bytes = good.clone();
        let at = (seed * 7919 % bytes.len() as u64) as usize;
        bytes[at] ^= (seed % 255 + 1) as u8;
        let _ = read(&bytes); // whatever it says, it ends
    }
}

#[test]
fn pipes_devices_and_giants_in_a_model_are_refused_at_once() {
    for file in ["tokenizer.json", "model.onnx", "config.json", "1_Pooling/config.json", "modules.json"] {
        let directory = written(&TinyModel::default());
        let path = directory.path().join(file);
        std::fs::remove_file(&path).expect("file");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        assert_eq!(load(directory.path()).err(), Some(Error::NotRegular(path.clone())));
        std::fs::remove_file(&path).expect("pipe");
        symlink("/dev/zero", &path).expect("link");
        assert_eq!(load(directory.path()).err(), Some(Error::NotRegular(path.clone())));
        std::fs::remove_file(&path).expect("link");
        std::fs::File::create(&path).expect("file").set_len(1 << 40).expect("length");
        assert_eq!(load(directory.path()).err().map(|error| error.sqlstate()), Some("54000"), "{file}");
    }
    let pipe = written(&TinyModel::default()).keep().join("library");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    assert_eq!(Runtime::start(&pipe).err().map(|error| error.sqlstate()), Some("58000"));
    std::fs::remove_dir_all(pipe.parent().expect("folder")).expect("folder");
}

#[test]
fn links_out_of_a_model_directory_are_followed() {
    let (directory, store) = (written(&TinyModel::default()), tempfile::tempdir().expect("directory"));
    let graph = directory.path().join("model.onnx");
    std::fs::rename(&graph, store.path().join("blob")).expect("rename");
    symlink(store.path().join("blob"), &graph).expect("link");
    load(directory.path()).expect("as the caches of model hubs have it");
}

#[test]
fn a_text_of_a_model_that_quantises_at_run_time_has_one_vector() {
    let tiny = TinyModel { is_dynamic: true, normalize: false, ..TinyModel::default() };
    let directory = written(&tiny);
    let mut model = load(directory.path()).expect("model");
    assert!(!model.is_batched());
    let texts = TEXTS.map(str::to_owned);
    let together = model.encode(&texts, &Cancel::default()).expect("vectors");
    for (text, vector) in texts.iter().zip(together) {
        assert_eq!(model.encode(std::slice::from_ref(text), &Cancel::default()).expect("vector"), [vector]);
    }
    assert!(load(written(&TinyModel::default()).path()).expect("model").is_batched());
}

#[test]
fn a_graph_whose_output_has_another_name_is_refused_with_what_it_has() {
    let directory = written(&TinyModel { output: "logits", ..TinyModel::default() });
    let error = load(directory.path()).err().expect("an error");
    assert!(error.to_string().ends_with("has none of the outputs that Lagoon reads; it has \"logits\""), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("last_hidden_state") && hint.contains("sentence_embedding")));
}

#[test]
fn a_cancel_ends_the_reading_of_a_model() {
    let directory = written(&TinyModel::default());
    let cancel = Cancel::default();
    cancel.cancel();
    assert_eq!(ModelFiles::read(directory.path(), &cancel).err(), Some(Error::Cancelled));
}
