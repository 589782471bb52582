//! The columns of a file: their names, their types and what their statistics are good for.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use parquet::basic::LogicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::trust::Trust;
use crate::types::ColumnType;

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// Its PostgreSQL type, or the name of a type that has none.
    pub ty: std::result::Result<ColumnType, String>,
    pub nullable: bool,
    /// What of its statistics is right.
    pub trust: Trust,
}

/// PostgreSQL's NAMEDATALEN - 1: a longer name would be cut and could meet another.
const LONGEST_NAME: usize = 63;
/// Columns that every table has.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"];

/// Whether a table can have a column of this name.
pub fn check_name(file: &dyn std::fmt::Display, name: &str) -> Result<()> {
    let message = match name {
        "" => "it is empty",
        _ if name.len() > LONGEST_NAME => "it is longer than 63 bytes",
        _ if name.contains('\0') => "it holds a zero byte",
        _ if SYSTEM_COLUMNS.contains(&name) => "it is the name of a system column",
        _ => return Ok(()),
    };
    let column = name.chars().map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect();
    Err(Error::ColumnName { path: file.to_string(), column, message })
}

/// The top-level columns of a file.
pub fn columns(metadata: &ParquetMetaData) -> std::result::Result<Vec<Column>, ParquetError> {
    let file = metadata.file_metadata();
    let descriptor = file.schema_descr();
    let schema = arrow_schema(metadata)?;
    let roots = descriptor.root_schema().get_fields();
    let mut leaves = vec![Vec::new(); roots.len()];
    for leaf in 0..descriptor.num_columns() {
        if let Some(leaves) = leaves.get_mut(descriptor.get_column_root_idx(leaf)) {
            leaves.push(leaf);
        }
    }
    let column = |(i, field): (usize, &Arc<Field>)| {
        let leaf = match leaves.get(i).map(Vec::as_slice) {
            Some([leaf]) => Some(*leaf),
            _ => None,
        };
        let logical = leaf.map(|leaf| descriptor.column(leaf)).and_then(|leaf| leaf.logical_type_ref().cloned());
        let is_primitive = roots.get(i).is_some_and(|root| root.is_primitive());
        Column {
            name: field.name().clone(),
            ty: ColumnType::of_arrow(field.data_type(), logical == Some(LogicalType::Uuid)),
            nullable: field.is_nullable(),
            trust: leaf.filter(|_| is_primitive).map(|leaf| Trust::of(metadata, leaf)).unwrap_or_default(),
        }
    };
    Ok(schema.fields().iter().enumerate().map(column).collect())
}

/// The schema in Arrow's types, of which the file may hold a copy: the arrow crate ends at types there that it does not
/// know, such as integers of 128 bits.
fn arrow_schema(metadata: &ParquetMetaData) -> std::result::Result<Schema, ParquetError> {
    let file = metadata.file_metadata();
    let convert = || parquet::arrow::parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata());
    std::panic::catch_unwind(AssertUnwindSafe(convert))
        .unwrap_or_else(|_| Err(ParquetError::NYI("an Arrow schema with types that are not supported".to_owned())))
}
