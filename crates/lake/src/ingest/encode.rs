//! Arrays to a Parquet file, a column at a time, so that a cancel is seen between two of them.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

/// Rows of a row group at most.
const ROW_GROUP_ROWS: usize = 256 * 1024;
/// A row group is closed when it holds this many encoded bytes,
const ROW_GROUP_BYTES: usize = 48 << 20;
/// or when this much memory is used for it: many columns have many dictionaries.
const ROW_GROUP_MEMORY: usize = 192 << 20;

pub(super) struct Encoder<'a, W: Write + Send> {
    file: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// The row group in the making; empty before its first rows.
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
    cancel: &'a AtomicBool,
}

impl<'a, W: Write + Send> Encoder<'a, W> {
    /// `large`: of which columns neither dictionary nor statistics are to be made, for they would copy large values.
    pub(super) fn new(sink: W, schema: SchemaRef, large: &[bool], cancel: &'a AtomicBool) -> Result<Self> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by("lagoon ingest 1".to_owned());
        for (field, _) in schema.fields().iter().zip(large).filter(|(_, large)| **large) {
            let column = ColumnPath::new(vec![field.name().clone()]);
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_statistics_enabled(column, EnabledStatistics::None);
        }
        let writer = ArrowWriter::try_new(sink, schema.clone(), Some(properties.build()))?;
        let (file, factory) = writer.into_serialized_writer()?;
        Ok(Self { file, factory, schema, columns: Vec::new(), rows: 0, cancel })
    }

    /// Writes as many rows as each array has: no more than a row group may have.
    pub(super) fn write(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        let rows = arrays.first().map_or(0, |array| array.len());
        if self.rows + rows > ROW_GROUP_ROWS {
            self.close_row_group()?;
        }
        if self.columns.is_empty() {
            self.columns = self.factory.create_column_writers(self.file.flushed_row_groups().len())?;
        }
        for ((writer, field), array) in self.columns.iter_mut().zip(self.schema.fields()).zip(arrays) {
            go_on(self.cancel)?;
            for leaf in compute_leaves(field, array)? {
                writer.write(&leaf)?;
            }
        }
        self.rows += rows;
        let encoded: usize = self.columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum();
        let memory: usize = self.columns.iter().map(ArrowColumnWriter::memory_size).sum();
        if encoded >= ROW_GROUP_BYTES || memory >= ROW_GROUP_MEMORY {
            self.close_row_group()?;
        }
        Ok(())
    }

    /// Writes the footer.
    pub(super) fn close(mut self) -> Result<()> {
        self.close_row_group()?;
        self.file.close().map(|_| ())
    }

    fn close_row_group(&mut self) -> Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for writer in self.columns.drain(..) {
            go_on(self.cancel)?;
            writer.close()?.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

fn go_on(cancel: &AtomicBool) -> Result<()> {
    if cancel.load(Ordering::Relaxed) { Err(ParquetError::General("canceled".to_owned())) } else { Ok(()) }
}
