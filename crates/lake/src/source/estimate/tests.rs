#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ops::Range;
use std::path::Path;

use arrow::array::{
    AsArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};

use super::*;
use crate::source::store::Rights;
use crate::source::{Location, files, table};
use crate::types::{ColumnType, Declared};

/// Rows of this range: their number, ten values that come again and again, a text for each, one with NULLs, one value alone,
/// days, a float with NaN, a boolean, and nothing.
fn write(path: &Path, ids: Range<i64>, properties: WriterPropertiesBuilder) {
    let each = || ids.clone();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(each()))),
        ("ten", Arc::new(StringArray::from_iter_values(each().map(|id| format!("value {}", id * 7 % 10))))),
        ("name", Arc::new(StringArray::from_iter_values(each().map(|id| format!("{:05}", id * 7919 % 100_000))))),
        ("half", Arc::new(Int32Array::from_iter(each().map(|id| (id % 2 == 0).then_some(id as i32 % 50))))),
        ("one", Arc::new(Int32Array::from_iter_values(each().map(|_| 42)))),
        ("day", Arc::new(Date32Array::from_iter_values(each().map(|id| (id % 30) as i32)))),
        (
            "x",
            Arc::new(Float64Array::from_iter_values(each().map(|id| if id % 9 == 0 { f64::NAN } else { id as f64 }))),
        ),
        ("flag", Arc::new(BooleanArray::from_iter(each().map(|id| Some(id % 3 == 0))))),
        ("none", Arc::new(Int32Array::from_iter(each().map(|_| None::<i32>)))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let properties = properties.set_max_row_group_row_count(Some(1000)).build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn opened(directory: &Path) -> Vec<DataFile> {
    let location = Location::local(directory, &Rights::everywhere()).unwrap();
    files::open(&files::find(&location, &mut || true).unwrap(), &mut || true).unwrap()
}

/// Guesses about the columns of two files of 5,000 rows.
fn estimates(properties: &dyn Fn() -> WriterPropertiesBuilder) -> impl Fn(&str) -> Estimate {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("a.parquet"), 0..5000, properties());
    write(&directory.path().join("b.parquet"), 5000..10_000, properties());
    let files = opened(directory.path());
    let facts = read(&files, &mut || true).unwrap();
    let columns = table::infer(&files).unwrap();
    move |name| facts.column(columns.iter().find(|column| column.name == name).unwrap())
}

fn near(guess: Option<f64>, truth: f64) {
    let guess = guess.unwrap();
    assert!((truth * 0.8..=truth * 1.25).contains(&guess), "{guess} for {truth}");
}

#[test]
fn values_that_differ_are_counted_by_dictionaries_and_ranges() {
    let of = estimates(&WriterProperties::builder);
    near(of("id").distinct, 10_000.0);
    near(of("name").distinct, 10_000.0);
    near(of("ten").distinct, 10.0);
    near(of("half").distinct, 25.0);
    assert_eq!(of("one").distinct, Some(1.0));
    assert_eq!(of("day").distinct, Some(30.0));
    assert_eq!(of("flag").distinct, Some(2.0));
}

#[test]
fn bounds_are_those_of_all_files() {
    let of = estimates(&WriterProperties::builder);
    let ids = of("id").bounds.unwrap().as_primitive::<Int64Type>().values().to_vec();
    assert_eq!((ids.len(), ids[0], ids[1], ids[50], ids[100]), (101, 0, 99, 4999, 9999));
    assert_eq!(of("one").bounds.unwrap().as_primitive::<Int32Type>().values().to_vec(), [42]);
    let days = of("day").bounds.unwrap();
    assert!(days.as_primitive::<Date32Type>().values().iter().copied().eq(0..30));
    assert_eq!(of("x").bounds.unwrap().as_primitive::<Float64Type>().values().to_vec(), [1.0, 9998.0]);
    assert_eq!(of("flag").bounds.unwrap().len(), 2);
    let ten = of("ten");
    let texts: Vec<_> = ten.bounds.as_ref().unwrap().as_string_view().iter().flatten().map(str::to_owned).collect();
    assert_eq!((texts, ten.exact), (vec!["value 0".to_owned(), "value 9".to_owned()], true));
    assert_eq!(of("none").bounds, None);
}

#[test]
fn nulls_and_lengths_are_shares_of_all_rows() {
    let of = estimates(&WriterProperties::builder);
    assert_eq!(of("id").null_fraction, Some(0.0));
    assert_eq!(of("half").null_fraction, Some(0.5));
    assert_eq!(of("none").null_fraction, Some(1.0));
    assert_eq!(of("ten").width, Some(7.0));
    assert_eq!(of("id").width, None);
}

#[test]
fn texts_without_a_dictionary_are_taken_to_be_many() {
    let of = estimates(&|| WriterProperties::builder().set_dictionary_enabled(false));
    assert_eq!(of("name").distinct, Some(1000.0));
    near(of("id").distinct, 10_000.0);
}

#[test]
fn without_statistics_little_is_known_and_nothing_fails() {
    let of = estimates(&|| WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None));
    let id = of("id");
    assert_eq!((id.null_fraction, id.bounds), (None, None));
}

#[test]
fn texts_that_are_cut_are_not_exact() {
    let of = estimates(&|| WriterProperties::builder().set_statistics_truncate_length(Some(3)));
    let ten = of("ten");
    assert!(ten.bounds.is_some() && !ten.exact);
    assert!(of("one").exact);
}

#[test]
fn bounds_have_the_type_that_the_table_declares() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("a.parquet"), 0..100, WriterProperties::builder());
    let files = opened(directory.path());
    let wanted = ("half".to_owned(), Declared::Exactly(ColumnType::Int8), String::new());
    let column = table::resolve(&files, &[wanted]).unwrap().pop().unwrap();
    let estimate = read(&files, &mut || true).unwrap().column(&column);
    assert_eq!(estimate.bounds.as_ref().unwrap().as_primitive::<Int64Type>().values().first(), Some(&0));
    near(estimate.distinct, 25.0);
}
