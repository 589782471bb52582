//! What `lagoon.parquet_schema` shows: the schema tree of a file, in the columns that pg_parquet's users know.

use parquet::basic::{ConvertedType, LogicalType};
use parquet::schema::types::Type;

use super::files::{self, Found};
use super::footer;
use crate::error::{Error, Result};
use crate::schema;

/// One node of the schema, in depth-first order, root first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaElement {
    pub name: String,
    /// Physical type; groups have none.
    pub type_name: Option<String>,
    pub type_length: Option<i32>,
    pub repetition_type: Option<String>,
    pub num_children: Option<i32>,
    pub converted_type: Option<String>,
    pub scale: Option<i32>,
    pub precision: Option<i32>,
    pub field_id: Option<i32>,
    pub logical_type: Option<String>,
    /// For top-level columns: the type that a foreign table gives them; NULL if there is none.
    pub column_type: Option<String>,
}

/// The schema of a file. Blocks.
pub fn schema(found: &Found) -> Result<Vec<SchemaElement>> {
    let location = found.location();
    let metadata = files::footer(found)?;
    let columns = footer::unpanicked(location, || schema::columns(&metadata))?;
    let columns = columns.map_err(|error| Error::from_engine(&error, location))?;
    let mut elements = Vec::new();
    let root = metadata.file_metadata().schema();
    elements.push(element(root, true));
    for (i, field) in root.get_fields().iter().enumerate() {
        let first = elements.len();
        walk(field, &mut elements);
        if let (Some(element), Some(Ok(ty))) = (elements.get_mut(first), columns.get(i).map(|column| &column.ty)) {
            element.column_type = Some(ty.to_string());
        }
    }
    Ok(elements)
}

fn walk(node: &Type, elements: &mut Vec<SchemaElement>) {
    elements.push(element(node, false));
    if node.is_group() {
        for field in node.get_fields() {
            walk(field, elements);
        }
    }
}

fn element(node: &Type, root: bool) -> SchemaElement {
    let info = node.get_basic_info();
    let set = |number: i32| (number > 0).then_some(number);
    let (type_name, type_length, scale, precision) = match node {
        Type::PrimitiveType { physical_type, type_length, scale, precision, .. } => {
            let decimal = set(*precision).is_some();
            (Some(physical_type.to_string()), set(*type_length), decimal.then_some(*scale), set(*precision))
        }
        Type::GroupType { .. } => (None, None, None, None),
    };
    let converted = info.converted_type();
    SchemaElement {
        name: info.name().to_owned(),
        type_name,
        type_length,
        repetition_type: (!root && info.has_repetition()).then(|| info.repetition().to_string()),
        num_children: node.is_group().then(|| i32::try_from(node.get_fields().len()).unwrap_or(i32::MAX)),
        converted_type: (converted != ConvertedType::NONE).then(|| converted.to_string()),
        scale,
        precision,
        field_id: info.has_id().then(|| info.id()),
        logical_type: info.logical_type_ref().map(logical_name),
        column_type: None,
    }
}

fn logical_name(ty: &LogicalType) -> String {
    let shown = format!("{ty:?}");
    let end = shown.find(['(', ' ', '{']).unwrap_or(shown.len());
    shown[..end].to_uppercase()
}
