#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::fs;
use std::io::{Seek, SeekFrom, Write};

use super::record::{Dialect, MOST_RECORD_BYTES, Records};
use super::*;
use crate::source::Location;
use crate::source::store::Rights;

fn source(path: &Path) -> Source {
    Source::open(&Location::local(path, &Rights::everywhere()).unwrap()).unwrap()
}

fn ingest(folder: &Path, csv: &[u8], options: &str) -> Result<(Learnt, Ingested)> {
    let path = folder.join("source.csv");
    fs::write(&path, csv).unwrap();
    ingest_file(&path, &folder.join("out"), options)
}

fn ingest_file(path: &Path, out: &Path, options: &str) -> Result<(Learnt, Ingested)> {
    let (source, options) = (source(path), Options::parse(options)?);
    let go = AtomicBool::new(false);
    let learnt = learn(&source, &options, &go)?;
    let written = write(&source, out, &options, &learnt, &go, &AtomicU64::new(0))?;
    let file = out.join("t").join(&learnt.fingerprint).join(written.file_name());
    Ok((learnt, written.publish(&file, &go)?))
}

/// The rows of a file of text columns without a header, fields joined by `|`, NULL as `~`.
fn rows(csv: &[u8], options: &str) -> Result<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.csv");
    fs::write(&path, csv).unwrap();
    let (source, options) = (source(&path), Options { header: false, ..Options::parse(options).unwrap() });
    let go = AtomicBool::new(false);
    let mut reader = Reader::open(&source, &options, &go)?;
    let (mut record, mut rows) = (Record::default(), Vec::new());
    while reader.next(&mut record)? {
        let shown = |field: record::Field<'_>| match field.is(&options.null) {
            true => "~".to_owned(),
            false => String::from_utf8_lossy(field.bytes).into_owned(),
        };
        rows.push(record.fields().map(shown).collect::<Vec<_>>().join("|"));
    }
    Ok(rows)
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
    assert!(matches!(error(b"\n1\n", "{}"), Error::CsvFormat { row: 0, .. }));
    assert!(matches!(error(b"ctid\n1\n", "{}"), Error::ColumnName { .. }));
    let header = error(b"M\xfcller\n1\n", "{}");
    assert!(header.to_string().ends_with(", header: it is not UTF-8"), "{header}");
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
    let path = folder.path().join("source.csv");
    fs::write(&path, "a\n1\n".repeat(1000)).unwrap();
    let (source, out) = (source(&path), folder.path().join("out"));
    let options = Options { header: false, ..Options::default() };
    let (go, stop) = (AtomicBool::new(false), AtomicBool::new(true));
    assert!(matches!(learn(&source, &options, &stop), Err(Error::Canceled)));
    let learnt = learn(&source, &options, &go).unwrap();
    let result = write(&source, &out, &options, &learnt, &stop, &AtomicU64::new(0));
    assert!(matches!(result.map(|_| ()), Err(Error::Canceled)));
    let written = write(&source, &out, &options, &learnt, &go, &AtomicU64::new(0)).unwrap();
    assert!(matches!(written.publish(&out.join("t/f/x.parquet"), &stop), Err(Error::Canceled)));
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn records_are_those_of_copy() {
    for (csv, expected) in [
        (&b"a,b\nc,d"[..], &["a|b", "c|d"][..]),
        (b"1\n\n3\n\n5\n", &["1", "~", "3", "~", "5"]),
        (b"1\n\n", &["1", "~"]),
        (b"\n", &["~"]),
        (b"\"\"\n\n", &["", "~"]),
        (b"a,\"\",\n", &["a||~"]),
        (b"a\r\n\r\nb\r\n", &["a", "~", "b"]),
        (b"a\r\rb\r", &["a", "~", "b"]),
        (b"\"x\ny\",\"x\r\ny\",\"\rz\"\n", &["x\ny|x\r\ny|\rz"]),
        (b"a\"b,c\"d,\"e\"f\n", &["ab,cd|ef"]),
        (b"\"a\"\"b\",\"\"\"\",\"\"\"\"\"\"\n", &["a\"b|\"|\"\""]),
        (b"\"a\" ,  b\n", &["a |  b"]),
        (b"a\n\\.\nb\n", &["a", "\\.", "b"]),
        (b"\xef\xbb\xbfa\nb\n", &["a", "b"]),
    ] {
        let shown = String::from_utf8_lossy(csv);
        assert_eq!(rows(csv, r#"{"delimiter": ","}"#).unwrap(), expected, "{shown:?}");
    }
    let escaped = r#"{"delimiter": ",", "escape": "\\", "null": "-"}"#;
    assert_eq!(rows(b"\"a\\\"b\\\\\",-,\"-\",\\\"c\\d\"\n", escaped).unwrap(), ["a\"b\\|~|-|\\c\\d"]);
}

#[test]
fn what_copy_refuses_is_refused_with_its_row() {
    for (csv, at, message) in [
        (&b"a\n\"b\nc\nd\n"[..], 2, "a quoted field does not end"),
        (b"a\"\n", 1, "a quoted field does not end"),
        (b"a\nb\rc\n", 2, "carriage return"),
        (b"a\r\nb\nc\r\n", 2, "newline"),
        (b"a\nb\r\nc\n", 2, "carriage return"),
        (b"a\rb\nc\r", 2, "newline"),
        (b"a,b\n\nc,d\n", 2, "an empty line has 1 field"),
        (b"a,b\nc\n", 2, "1 fields, not 2"),
        (b"a,b\nc,d,\n", 2, "more than 2 fields"),
    ] {
        let shown = String::from_utf8_lossy(csv);
        let error = rows(csv, r#"{"delimiter": ","}"#).unwrap_err();
        assert!(matches!(&error, Error::CsvFormat { row, .. } if *row == at), "{shown:?}: {error}");
        assert!(error.to_string().contains(message) && error.sqlstate() == "22P04", "{shown:?}: {error}");
    }
}

#[test]
fn records_do_not_depend_on_where_the_buffer_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.csv");
    // Quotes, escapes and line ends at every place around the end of the first buffer.
    for shift in 0..40usize {
        let mut csv = vec![b'x'; (1 << 18) - 20 - shift];
        csv.extend_from_slice(b",\"a\"\"b\",c\r\n\"\"\"\",\"d\r\ne\",\r\n");
        fs::write(&path, &csv).unwrap();
        let (source, go) = (source(&path), AtomicBool::new(false));
        let dialect = Dialect { delimiter: b',', quote: b'"', escape: b'"' };
        let mut records = Records::new(&source, dialect, false, &go).unwrap();
        let mut record = Record::default();
        assert!(records.next(&mut record, 3).unwrap());
        let fields: Vec<_> = record.fields().skip(1).map(|field| field.bytes.to_vec()).collect();
        assert_eq!(fields, [&b"a\"b"[..], b"c"], "{shift}");
        assert!(records.next(&mut record, 3).unwrap());
        let fields: Vec<_> = record.fields().map(|field| field.bytes.to_vec()).collect();
        assert_eq!(fields, [&b"\""[..], b"d\r\ne", b""], "{shift}");
        assert!(!records.next(&mut record, 3).unwrap());
    }
}

#[test]
fn delimiters_are_found_or_asked_for() {
    for (csv, columns) in [
        (&b"id;name\n1;a\n"[..], &["id", "name"][..]),
        (b"id\tname\n1\ta\n", &["id", "name"]),
        (b"id|name\n1|a\n", &["id", "name"]),
        (b"id,a|b\n1,x\n2,y\n", &["id", "a|b"]),
        (b"id;\"a,b\"\n1;2,5\n2;3,5\n", &["id", "a,b"]),
        (b"name\nx,y\n", &[]),
        (b"name\nxy\n", &["name"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let shown = String::from_utf8_lossy(csv);
        match ingest(folder.path(), csv, "{}") {
            Ok((learnt, _)) => {
                let names: Vec<_> = learnt.columns.iter().map(|column| column.name.as_str()).collect();
                assert_eq!(names, columns, "{shown:?}");
            }
            Err(error) => assert!(columns.is_empty() && error.hint().unwrap().contains("option delimiter"), "{error}"),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let error = ingest(folder.path(), b"a;b,c\n1;2,3\n", "{}").unwrap_err();
    assert_eq!(error.sqlstate(), "22P04");
    assert!(
        error.to_string().contains("\",\" or \";\"") && error.hint().unwrap().contains("option delimiter"),
        "{error}"
    );
    ingest(folder.path(), b"a;b,c\n1;2,3\n", r#"{"delimiter": ";"}"#).unwrap();
}

#[test]
fn what_is_no_text_is_called_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, name) in [
        (&b"\x1f\x8b\x08\0\0\0\0\0"[..], "gzip"),
        (b"\x28\xb5\x2f\xfdxxxx", "zstd"),
        (b"PK\x03\x04xxxx", "zip"),
        (b"PAR1\x15\x04\x15\x10", "Parquet"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xff\xfei\0d\0\n\0", "UTF-16"),
        (b"i\0d\0\n\0", "UTF-16"),
        (b"\0i\0d\0\n", "UTF-16"),
    ] {
        let error = ingest(folder.path(), bytes, "{}").unwrap_err();
        assert!(error.to_string().contains(name) && error.hint().is_some() && error.sqlstate() == "0A000", "{error}");
    }
    ingest(folder.path(), b"PAR1,BZh9\n1,2\n", "{}").unwrap();
}

#[test]
fn rows_and_columns_without_end_are_errors_of_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    // Sparse: a row of 1.5 GB that takes no room on the disk.
    let path = folder.path().join("huge.csv");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(b"a,b\n1,2\n3,\"").unwrap();
    file.set_len(3 << 29).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(b"\"\n").unwrap();
    let error = ingest_file(&path, &folder.path().join("out"), "{}").unwrap_err();
    assert_eq!(error.sqlstate(), "54000", "{error}");
    assert!(error.to_string().contains("row 2") && error.to_string().contains("128 MB"), "{error}");
    let error = ingest(folder.path(), &[b','; 1 << 20], "{}").unwrap_err();
    assert_eq!(error.sqlstate(), "54000", "{error}");
    assert!(error.to_string().contains("more than 1600 columns"), "{error}");
    assert_eq!(MOST_RECORD_BYTES, 128 << 20);
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn many_columns_many_rows_and_large_values_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let large = "x".repeat(3 << 20);
    let mut csv = (0..300).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",") + "\n";
    for row in 0..3000 {
        let value = if row == 2000 { &large } else { "y" };
        csv += &format!("{value},{row}{}\n", ",7".repeat(298));
    }
    let (_, ingested) = ingest(folder.path(), csv.as_bytes(), "{}").unwrap();
    let file = fs::File::open(&ingested.file).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let (mut rows, mut bytes) = (0, 0);
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let texts = batch.column(0).as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
        bytes += texts.iter().flatten().map(str::len).sum::<usize>();
        rows += batch.num_rows();
    }
    assert_eq!((rows, bytes), (3000, 2999 + (3 << 20)));
    assert_eq!(ingested.rows, 3000);
}

#[test]
fn a_file_that_is_written_to_meanwhile_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.csv");
    fs::write(&path, "a\n1\n").unwrap();
    let (source, options, go) = (source(&path), Options::default(), AtomicBool::new(false));
    let learnt = learn(&source, &options, &go).unwrap();
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"2\n").unwrap();
    let result = write(&source, &folder.path().join("out"), &options, &learnt, &go, &AtomicU64::new(0));
    assert!(matches!(result.map(|_| ()), Err(Error::FileChanged { .. })));
    // A file that was replaced is another one: the one that was opened is read to its end.
    let source = self::source(&path);
    fs::write(folder.path().join("other"), "a\nx\n").unwrap();
    fs::rename(folder.path().join("other"), &path).unwrap();
    let learnt = learn(&source, &options, &go).unwrap();
    write(&source, &folder.path().join("out"), &options, &learnt, &go, &AtomicU64::new(0)).unwrap();
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
