//! Whether what a parsed footer says of offsets, sizes and rows can be true of the file.

use lagoon_file::RegularFile;
use parquet::basic::Type as Physical;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataBuilder, RowGroupMetaData,
};

use super::fault::{damaged, parse_error, unsupported};
use super::pages::{PageKind, walk_chunk};
use crate::error::{Error, Result};
use crate::source::location::Location;

/// Rows that a byte of a column chunk stands for before its pages are asked whether that is so. Runs of one value, or of
/// NULLs, reach this; sorted and random data never do.
const ROWS_A_BYTE: u64 = 256;
/// Rows of a row group that are believed without asking.
const ROWS_BELIEVED: u64 = 1 << 16;

/// Checks all row groups, of which `end` is where the footer begins, and mends what some writers leave behind: a dictionary
/// at offset 0, which means none, and a number of rows that is not that of the row groups.
pub(super) fn check(
    metadata: ParquetMetaData,
    file: &RegularFile,
    location: &Location,
    end: u64,
) -> Result<ParquetMetaData> {
    let metadata = mend(metadata, location)?;
    for (i, group) in metadata.row_groups().iter().enumerate() {
        let bad = |message: String| damaged(location, format!("row group {i}: {message}"));
        let rows = u64::try_from(group.num_rows()).map_err(|_| bad(format!("{} rows", group.num_rows())))?;
        if group.columns().is_empty() && rows > 0 {
            return Err(bad(format!("{rows} rows without a column")));
        }
        for chunk in group.columns() {
            check_chunk(chunk, rows, end)
                .map_err(|message| bad(format!("column \"{}\": {message}", chunk.column_path().string())))?;
        }
        check_rows(group, rows, file, location).map_err(|error| match error {
            Error::Corrupt { message, .. } => bad(message),
            other => other,
        })?;
    }
    Ok(metadata)
}

fn check_chunk(chunk: &ColumnChunkMetaData, rows: u64, end: u64) -> std::result::Result<(), String> {
    let number = |value: i64, what: &str| u64::try_from(value).map_err(|_| format!("{what} {value}"));
    let values = number(chunk.num_values(), "number of values")?;
    let length = number(chunk.compressed_size(), "length")?;
    number(chunk.uncompressed_size(), "uncompressed length")?;
    let data = number(chunk.data_page_offset(), "offset")?;
    let start = match chunk.dictionary_page_offset() {
        Some(offset) => number(offset, "offset of the dictionary")?,
        None => data,
    };
    if start.checked_add(length).is_none_or(|stop| stop > end) || data > end {
        return Err(format!("{length} bytes from {start} on, where the data end at {end}"));
    }
    let repeated = chunk.column_descr().max_rep_level() > 0;
    if if repeated { values < rows } else { values != rows } {
        return Err(format!("{values} values for {rows} rows"));
    }
    Ok(())
}

/// Whether a row group claims more rows than the bytes of any of its columns make likely. The headers of its pages agree, if
/// it was opened; only decoding them shows whether that is so.
pub(super) fn is_doubtful(group: &RowGroupMetaData) -> bool {
    let largest = group.columns().iter().map(ColumnChunkMetaData::compressed_size).max().unwrap_or(0);
    let bytes = u64::try_from(largest).unwrap_or(0);
    let rows = u64::try_from(group.num_rows()).unwrap_or(0);
    rows > ROWS_BELIEVED.saturating_add(bytes.saturating_mul(ROWS_A_BYTE))
}

/// The column chunk with the fewest bytes, of those with a value for each row if there are any.
fn smallest(group: &RowGroupMetaData) -> Option<&ColumnChunkMetaData> {
    let flat = group.columns().iter().filter(|chunk| chunk.column_descr().max_rep_level() == 0);
    let by_size = |chunk: &&ColumnChunkMetaData| chunk.compressed_size();
    flat.min_by_key(by_size).or_else(|| group.columns().iter().min_by_key(by_size))
}

/// More rows than the bytes make likely are counted in the headers of the pages, without which `count(*)` would believe
/// whatever the footer says.
fn check_rows(group: &RowGroupMetaData, rows: u64, file: &RegularFile, location: &Location) -> Result<()> {
    let Some(chunk) = smallest(group).filter(|_| is_doubtful(group)) else { return Ok(()) };
    let mut values = 0u64;
    walk_chunk(file, location, chunk, |page, _| {
        if page.kind == PageKind::Data {
            values = values.saturating_add(page.values);
        }
        Ok(())
    })?;
    if i64::try_from(values).is_ok_and(|values| values == chunk.num_values()) {
        return Ok(());
    }
    Err(damaged(location, format!("{rows} rows, but pages of {values} values")))
}

fn mend(metadata: ParquetMetaData, location: &Location) -> Result<ParquetMetaData> {
    for column in metadata.file_metadata().schema_descr().columns() {
        let (physical, length) = (column.physical_type(), column.type_length());
        if physical == Physical::FIXED_LEN_BYTE_ARRAY && length < 0 {
            return Err(damaged(location, format!("column \"{}\" has no length", column.path().string())));
        }
    }
    let metadata = count_rows(metadata);
    let is_unset = |chunk: &ColumnChunkMetaData| chunk.dictionary_page_offset() == Some(0);
    if !metadata.row_groups().iter().any(|group| group.columns().iter().any(is_unset)) {
        return Ok(metadata);
    }
    let failed = |error| parse_error(location, &error);
    let mut builder = metadata.into_builder();
    let mut groups = builder.take_row_groups();
    for group in &mut groups {
        let mut parts = group.clone().into_builder();
        let mend = |chunk: ColumnChunkMetaData| {
            if !is_unset(&chunk) {
                return Ok(chunk);
            }
            chunk.into_builder().set_dictionary_page_offset(None).build()
        };
        let columns = parts.take_columns().into_iter().map(mend).collect::<std::result::Result<Vec<_>, _>>();
        *group = parts.set_column_metadata(columns.map_err(failed)?).build().map_err(failed)?;
    }
    Ok(builder.set_row_groups(groups).build())
}

/// The footer's own number of rows, set to what its row groups say: the decoder takes that of the file for an end, and some
/// writers leave it at 0.
fn count_rows(metadata: ParquetMetaData) -> ParquetMetaData {
    let rows = metadata.row_groups().iter().map(RowGroupMetaData::num_rows).fold(0, i64::saturating_add);
    let file = metadata.file_metadata();
    if file.num_rows() == rows {
        return metadata;
    }
    let file = FileMetaData::new(
        file.version(),
        rows,
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    let groups = metadata.into_builder().take_row_groups();
    ParquetMetaDataBuilder::new(file).set_row_groups(groups).build()
}

/// A codec that this build cannot decompress, if a column that is read has one.
pub(crate) fn check_codec(chunk: &ColumnChunkMetaData, location: &Location) -> Result<()> {
    if chunk.compression() == parquet::basic::Compression::LZO {
        return Err(unsupported(location, "it is compressed with LZO"));
    }
    Ok(())
}
