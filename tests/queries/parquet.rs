//! Writes tables as Parquet files: several files, row groups and pages, with and without dictionaries and compression.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::table::{COLUMNS, Cell, Stored, Table};

/// Writes the files of a table into a folder of its name.
pub fn write(table: &Table, folder: &Path) {
    let folder = folder.join(table.name);
    std::fs::create_dir(&folder).unwrap();
    let size = table.rows.len().div_ceil(table.files).max(1);
    let mut parts: Vec<&[Vec<Option<Cell>>]> = table.rows.chunks(size).collect();
    parts.resize(table.files, &[]); // a table without rows has files nevertheless
    for (number, rows) in parts.into_iter().enumerate() {
        write_file(&folder.join(format!("{number}.parquet")), rows, table.group, number);
    }
}

fn write_file(path: &Path, rows: &[Vec<Option<Cell>>], group: usize, number: usize) {
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|column| {
            let repetition = if column.name == "id" { "REQUIRED" } else { "OPTIONAL" };
            let (physical, logical) = column.parquet;
            format!("{repetition} {physical} {} {logical};", column.name)
        })
        .collect();
    let schema = Arc::new(parse_message_type(&format!("message rows {{ {} }}", columns.join(" "))).unwrap());
    let compression = [Compression::SNAPPY, Compression::UNCOMPRESSED][number % 2];
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_dictionary_enabled(number % 3 != 1)
        .set_data_page_row_count_limit(5)
        .set_write_batch_size(2)
        .build();
    let mut file = SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::new(properties)).unwrap();
    for rows in rows.chunks(group) {
        let mut group = file.next_row_group().unwrap();
        let mut at = 0;
        while let Some(mut column) = group.next_column().unwrap() {
            write_column(column.untyped(), rows.iter().map(|row| row[at].as_ref()), at > 0);
            column.close().unwrap();
            at += 1;
        }
        group.close().unwrap();
    }
    file.close().unwrap();
}

fn write_column<'a>(column: &mut ColumnWriter<'_>, cells: impl Iterator<Item = Option<&'a Cell>> + Clone, nulls: bool) {
    let levels: Vec<i16> = cells.clone().map(|cell| cell.is_some().into()).collect();
    let levels = nulls.then_some(levels.as_slice());
    let stored = cells.flatten().map(|cell| &cell.stored);
    macro_rules! write {
        ($writer:ident, $variant:ident, $value:expr) => {{
            let value = $value;
            let values: Vec<_> = stored
                .map(|stored| match stored {
                    Stored::$variant(own) => value(own),
                    other => panic!("{other:?} in a column of another type"),
                })
                .collect();
            $writer.write_batch(&values, levels, None).unwrap()
        }};
    }
    match column {
        ColumnWriter::BoolColumnWriter(writer) => write!(writer, Bool, |own: &bool| *own),
        ColumnWriter::Int32ColumnWriter(writer) => write!(writer, Int32, |own: &i32| *own),
        ColumnWriter::Int64ColumnWriter(writer) => write!(writer, Int64, |own: &i64| *own),
        ColumnWriter::FloatColumnWriter(writer) => write!(writer, Float, |own: &f32| *own),
        ColumnWriter::DoubleColumnWriter(writer) => write!(writer, Double, |own: &f64| *own),
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            write!(writer, Bytes, |own: &Vec<u8>| ByteArray::from(own.clone()))
        }
        ColumnWriter::FixedLenByteArrayColumnWriter(writer) => {
            write!(writer, Fixed, |own: &[u8; 16]| FixedLenByteArray::from(own.to_vec()))
        }
        ColumnWriter::Int96ColumnWriter(_) => panic!("no column has this type"),
    };
}
