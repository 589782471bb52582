#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::exec::{Poll, Scan, ScanSpec};
use crate::source::store::Rights;
use crate::source::{Location, files, table};

const LONG: Duration = Duration::from_secs(20);
const ALL: u64 = u64::MAX;

/// Rows `ids` in row groups of a hundred, in pages of some rows, each with a text of its number.
fn write(path: &Path, ids: std::ops::Range<i64>) {
    let texts = ids.clone().map(|id| (id % 7 != 0).then(|| format!("row {id}")));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
        ("t", Arc::new(StringArray::from_iter(texts))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(100))
        .set_data_page_row_count_limit(10)
        .set_write_batch_size(10)
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A table of two files with 1,000 and 250 rows, which count up.
fn table(directory: &Path) -> ScanSpec {
    write(&directory.join("a.parquet"), 0..1000);
    write(&directory.join("b.parquet"), 1000..1250);
    let location = Location::local(directory, &Rights::everywhere()).unwrap();
    let files = files::open(&files::find(&location, &mut || true).unwrap(), &mut || true).unwrap();
    let columns = table::infer(&files).unwrap();
    ScanSpec { files, projection: (0..columns.len()).collect(), columns, filter: None, limit: None, parallelism: 2 }
}

fn drawn(spec: &ScanSpec, rows: usize, bytes: u64, seed: u64) -> Sample {
    Sample::draw(&spec.files, &spec.columns, SampleSize { rows, bytes }, seed, &mut || true).unwrap()
}

/// The numbers of the rows of a sample, as they come; their texts are checked.
fn ids(spec: &ScanSpec, sample: Sample) -> Vec<i64> {
    let (sender, woken) = mpsc::channel();
    let wake = Arc::new(move || {
        let _ = sender.send(()); // the test may have ended
    });
    let mut scan = Scan::sampled(spec, Arc::new(sample), wake).unwrap();
    let mut ids = Vec::new();
    loop {
        match scan.poll().unwrap() {
            Poll::Done => return ids,
            Poll::Pending => {
                let woken = woken.recv_timeout(LONG);
                assert_ne!(woken, Err(RecvTimeoutError::Timeout), "the scan neither delivered nor ended");
            }
            Poll::Batch(batch) => {
                let texts = batch.column(1).as_string_view();
                for (row, id) in batch.column(0).as_primitive::<Int64Type>().values().iter().enumerate() {
                    let text = texts.is_valid(row).then(|| texts.value(row).to_owned());
                    assert_eq!(text, (id % 7 != 0).then(|| format!("row {id}")));
                    ids.push(*id);
                }
            }
        }
    }
}

#[test]
fn a_sample_is_of_the_asked_size_and_comes_in_the_order_of_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let spec = table(directory.path());
    for seed in 0..5 {
        let sample = drawn(&spec, 200, ALL, seed);
        assert_eq!(sample.rows(), 200);
        let ids = ids(&spec, sample);
        assert_eq!(ids.len(), 200);
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
}

#[test]
fn a_sample_that_asks_for_more_than_there_is_has_every_row_once() {
    let directory = tempfile::tempdir().unwrap();
    let spec = table(directory.path());
    for rows in [1250, 5000] {
        let sample = drawn(&spec, rows, ALL, 1);
        assert_eq!((sample.rows(), sample.row_groups()), (1250, 13));
        assert!(ids(&spec, sample).into_iter().eq(0..1250));
    }
}

#[test]
fn the_same_seed_draws_the_same_rows_and_another_one_others() {
    let directory = tempfile::tempdir().unwrap();
    let spec = table(directory.path());
    let of = |seed| ids(&spec, drawn(&spec, 50, ALL, seed));
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

#[test]
fn every_row_has_the_same_chance() {
    let mut random = Random(42);
    let mut times = [0; 40];
    for _ in 0..10_000 {
        draw(40, 10, &mut random).unwrap().into_iter().for_each(|row| times[row as usize] += 1);
    }
    // 2,500 each are expected, with a deviation of 43.
    assert!(times.iter().all(|times| (2300..2700).contains(times)), "{times:?}");
}

#[test]
fn bytes_bound_the_row_groups_that_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let spec = table(directory.path());
    let one = drawn(&spec, 30, 1, 3);
    assert_eq!((one.rows(), one.row_groups()), (30, 1));
    let read = ids(&spec, one);
    assert_eq!(read.first().unwrap() / 100, read.last().unwrap() / 100);
    let files: u64 = spec.files.iter().flat_map(|file| &file.footer.column_bytes).sum();
    let half = drawn(&spec, 1250, files / 2, 3);
    assert!((4..=9).contains(&half.row_groups()), "{}", half.row_groups());
    assert_eq!(half.rows(), ids(&spec, half).len());
}

#[test]
fn progress_counts_row_groups_whose_rows_have_all_come() {
    let directory = tempfile::tempdir().unwrap();
    let spec = table(directory.path());
    let sample = drawn(&spec, 1250, ALL, 1);
    let before = |rows| sample.row_groups_before(rows);
    assert_eq!([before(0), before(99), before(100), before(1199), before(1200), before(1250)], [0, 0, 1, 11, 12, 13]);
}

#[test]
fn a_sample_of_nothing_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let spec = table(directory.path());
    assert_eq!(drawn(&spec, 0, ALL, 1).rows(), 0);
    let none = ScanSpec { files: Vec::new(), ..spec };
    let sample = drawn(&none, 10, ALL, 1);
    assert_eq!((sample.rows(), sample.row_groups(), sample.row_groups_before(0)), (0, 0, 0));
}

#[test]
fn drawing_ends_when_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let spec = table(directory.path());
    let size = SampleSize { rows: 10, bytes: ALL };
    let stopped = Sample::draw(&spec.files, &spec.columns, size, 1, &mut || false);
    assert!(matches!(stopped, Err(Error::Canceled)), "{stopped:?}");
}
