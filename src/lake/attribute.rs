//! The columns of a foreign table: what is declared, and what that asks of the files.

use std::ffi::CStr;

use lagoon_lake::source::table::TableColumn;
use lagoon_lake::types::{ColumnType, Declared};
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;
use serde_json::{Value, json};

use super::types;
use crate::pg::compat;

/// A column of the foreign table with its counterpart in the files.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attribute {
    /// From 1.
    pub number: i16,
    pub type_oid: pg_sys::Oid,
    pub typmod: i32,
    /// Whether values are made from text by the type's input function.
    pub from_text: bool,
    pub column: TableColumn,
}

/// A column as the foreign table declares it.
pub(super) struct DeclaredColumn {
    number: i16,
    name: String,
    declared: Declared,
    shown: String,
    type_oid: pg_sys::Oid,
    typmod: i32,
}

impl DeclaredColumn {
    /// Name, type, and type as the user wrote it.
    pub(super) fn wanted(&self) -> (String, Declared, String) {
        (self.name.clone(), self.declared.clone(), self.shown.clone())
    }

    /// With what the files have of it.
    pub(super) fn with(&self, column: TableColumn) -> Attribute {
        Attribute {
            number: self.number,
            type_oid: self.type_oid,
            typmod: self.typmod,
            from_text: self.declared == Declared::FromText,
            column,
        }
    }
}

/// The columns of a foreign table that are not dropped.
pub(super) fn declared(table: pg_sys::Oid) -> Result<Vec<DeclaredColumn>> {
    // SAFETY: the relation is locked by the statement; its descriptor is read before it is closed.
    unsafe {
        let relation = pg_sys::RelationIdGetRelation(table);
        if relation.is_null() {
            return Err(Error::Internal { message: format!("relation {} is gone", table.to_u32()) });
        }
        let attributes = compat::attributes((*relation).rd_att);
        let columns = attributes.iter().filter(|attribute| !attribute.attisdropped).map(|attribute| {
            let shown = pg_sys::format_type_with_typemod(attribute.atttypid, attribute.atttypmod);
            DeclaredColumn {
                number: attribute.attnum,
                name: CStr::from_ptr(attribute.attname.data.as_ptr()).to_string_lossy().into_owned(),
                declared: asked(attribute.atttypid, attribute.atttypmod),
                shown: CStr::from_ptr(shown).to_string_lossy().into_owned(),
                type_oid: attribute.atttypid,
                typmod: attribute.atttypmod,
            }
        });
        let columns = columns.collect();
        pg_sys::RelationClose(relation);
        Ok(columns)
    }
}

/// What a declared type asks of the files. A type without a counterpart is made from text by its input function.
fn asked(oid: pg_sys::Oid, typmod: i32) -> Declared {
    if oid == pg_sys::NUMERICOID && typmod < 0 {
        return Declared::AnyNumeric;
    }
    match types::column(oid, typmod) {
        Some(ty) => Declared::Exactly(ty),
        None => {
            // SAFETY: a catalog lookup.
            let element = unsafe { pg_sys::get_element_type(oid) };
            match types::column(element, typmod) {
                Some(item) => Declared::Exactly(ColumnType::array(item)),
                None => Declared::FromText,
            }
        }
    }
}

impl Attribute {
    /// Whether both are the same column of the foreign table, whatever the files hold.
    pub(super) fn is_declared_as(&self, other: &Self) -> bool {
        let declared = |attribute: &Self| (attribute.number, attribute.type_oid, attribute.typmod, attribute.from_text);
        declared(self) == declared(other) && self.column.name == other.column.name
    }

    /// For the plan, which PostgreSQL copies as text.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "number": self.number,
            "type": self.type_oid.to_u32(),
            "typmod": self.typmod,
            "from_text": self.from_text,
            "name": self.column.name,
            "column": serde_json::to_value(&self.column.ty).unwrap_or_default(),
            "trust": self.column.trust,
        })
    }

    /// The inverse of [`Attribute::to_json`].
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let integer = |key: &str| value.get(key).and_then(Value::as_i64);
        let flag = |key: &str| value.get(key).and_then(Value::as_bool);
        Some(Self {
            number: i16::try_from(integer("number")?).ok()?,
            type_oid: pg_sys::Oid::from(u32::try_from(integer("type")?).ok()?),
            typmod: i32::try_from(integer("typmod")?).ok()?,
            from_text: flag("from_text")?,
            column: TableColumn {
                name: value.get("name")?.as_str()?.to_owned(),
                ty: serde_json::from_value(value.get("column")?.clone()).ok()?,
                trust: serde_json::from_value(value.get("trust")?.clone()).ok()?,
            },
        })
    }
}
