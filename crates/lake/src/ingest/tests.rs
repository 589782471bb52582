#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

fn ingest(folder: &Path, csv: &[u8], options: &str) -> Result<(Learnt, Ingested)> {
    let source = folder.join("source.csv");
    fs::write(&source, csv).unwrap();
    let options = Options::parse(options)?;
    let go = AtomicBool::new(false);
    let learnt = learn(&source, &options, &go)?;
    let ingested = run("t", &source, &folder.join("out"), &options, &learnt, &go, &AtomicU64::new(0))?;
    Ok((learnt, ingested))
}

fn files(folder: &Path) -> Vec<String> {
    let found = glob::glob(&format!("{}/out/**/*", folder.display())).unwrap();
    let mut hidden: Vec<_> = glob::glob(&format!("{}/out/**/.*", folder.display())).unwrap().chain(found).collect();
    let mut names: Vec<_> = hidden
        .drain(..)
        .map(|path| path.unwrap())
        .filter(|path| path.is_file())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn the_same_input_is_the_same_file_and_no_second_one() {
    let folder = tempfile::tempdir().unwrap();
    let csv = b"id,name,zip\n1,a,007\n2,,123\n";
    let (learnt, first) = ingest(folder.path(), csv, "{}").unwrap();
    let (_, second) = ingest(folder.path(), csv, "{}").unwrap();
    assert!(!first.existed && second.existed);
    assert_eq!(first.file, second.file);
    assert_eq!(first.rows, 2);
    assert_eq!(files(folder.path()).len(), 1);
    let types: Vec<_> = learnt.columns.iter().map(|column| column.ty.clone().unwrap().to_string()).collect();
    assert_eq!(types, ["bigint", "text", "text"]);
    let (same, third) = ingest(folder.path(), b"id,name,zip\n1,a,007\n", "{}").unwrap();
    assert_eq!(same.fingerprint, learnt.fingerprint);
    assert_ne!(third.file, first.file);
    assert_eq!(files(folder.path()).len(), 2);
}

#[test]
fn errors_name_the_row_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let error = |csv: &[u8], options: &str| ingest(folder.path(), csv, options).unwrap_err();
    let ragged = error(b"a,b\n1,2\n3\n", "{}");
    assert!(matches!(ragged, Error::CsvFormat { row: 2, .. }), "{ragged}");
    assert_eq!(ragged.sqlstate(), "22P04");
    let contradicting = error(b"a\n1\n2\nx\n", r#"{"sample_rows": 2}"#);
    assert!(matches!(contradicting, Error::CsvValue { row: 3, .. }), "{contradicting}");
    let latin = error(b"a\nb\nM\xfcller\n", "{}");
    assert!(matches!(latin, Error::CsvText { row: 2, .. }), "{latin}");
    assert!(matches!(error(b"a\nb\nx\0y\n", "{}"), Error::CsvText { row: 2, .. }));
    assert!(matches!(error(b"", "{}"), Error::CsvFormat { .. }));
    assert!(matches!(error(b"a,a\n1,2\n", "{}"), Error::DuplicateColumn { .. }));
    assert!(matches!(error(b"a\n1\n", r#"{"types": {"b": "text"}}"#), Error::BadValue { .. }));
    assert!(matches!(error(b"a\n1.005\n", r#"{"types": {"a": "numeric(5,2)"}}"#), Error::CsvValue { row: 1, .. }));
    assert!(matches!(error(b"a\n1\n", r#"{"nonsense": 1}"#), Error::BadValue { .. }));
    assert!(matches!(error(b"a\n1\n", r#"{"delimiter": "ab"}"#), Error::BadValue { .. }));
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn a_cancelled_ingest_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.csv");
    fs::write(&source, "a\n1\n".repeat(1000)).unwrap();
    let options = Options { header: false, ..Options::default() };
    let (go, stop) = (AtomicBool::new(false), AtomicBool::new(true));
    assert!(matches!(learn(&source, &options, &stop), Err(Error::Canceled)));
    let learnt = learn(&source, &options, &go).unwrap();
    let result = run("t", &source, &folder.path().join("out"), &options, &learnt, &stop, &AtomicU64::new(0));
    assert!(matches!(result, Err(Error::Canceled)));
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn options_change_how_the_source_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let options = r#"{"delimiter": ";", "quote": "'", "header": false, "null": "-"}"#;
    let (learnt, ingested) = ingest(folder.path(), b"1;'a;b';-\n2;'c''d';3\n", options).unwrap();
    let columns: Vec<_> =
        learnt.columns.iter().map(|column| format!("{} {}", column.name, column.ty.as_ref().unwrap())).collect();
    assert_eq!(columns, ["column1 bigint", "column2 text", "column3 bigint"]);
    assert_eq!(ingested.rows, 2);
}
