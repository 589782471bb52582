//! The columns of a table against those of its files.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::DataFile;
use crate::schema::{ColumnType, Declared};

/// A column of the table as the engine reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableColumn {
    /// Its name in the files and in the table.
    pub name: String,
    /// What the engine delivers.
    pub ty: ColumnType,
    /// Whether filters on it may be pushed: every file's values become `ty` one to one.
    pub exact: bool,
}

/// The columns that an empty column list stands for: those of the first file. The other files must be readable as them.
pub fn infer(files: &[DataFile]) -> Result<Vec<TableColumn>> {
    let Some(first) = files.first() else { return Ok(Vec::new()) };
    let declared = first.footer.columns.iter().map(|column| match &column.ty {
        Ok(ty) => Ok((column.name.clone(), Declared::Exactly(ty.clone()), ty.to_string())),
        Err(ty) => {
            Err(Error::UnsupportedType { path: first.path.clone(), column: column.name.clone(), ty: ty.clone() })
        }
    });
    let declared = declared.collect::<Result<Vec<_>>>()?;
    resolve(files, &declared).map_err(|error| match error {
        Error::NoColumn { path, column, .. } => {
            let message = format!("column \"{column}\" is missing");
            Error::FilesDisagree { path, first: first.path.clone(), message }
        }
        Error::ColumnType { path, column, declared, found } => {
            let message = format!("column \"{column}\" is {found}, not {declared}");
            Error::FilesDisagree { path, first: first.path.clone(), message }
        }
        other => other,
    })
}

/// Declared columns (name, type, type as the user wrote it), matched with every file by name.
pub fn resolve(files: &[DataFile], declared: &[(String, Declared, String)]) -> Result<Vec<TableColumn>> {
    declared.iter().map(|(name, wanted, shown)| resolve_one(files, name, wanted, shown)).collect()
}

fn resolve_one(files: &[DataFile], name: &str, wanted: &Declared, shown: &str) -> Result<TableColumn> {
    let mut exact = true;
    let mut so_far: Option<ColumnType> = None;
    for file in files {
        let columns = &file.footer.columns;
        let Some(column) = columns.iter().find(|column| column.name == name) else {
            let names: Vec<_> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
            let (path, column) = (file.path.clone(), name.to_owned());
            return Err(Error::NoColumn { path, column, available: names.join(", ") });
        };
        let own = column.ty.as_ref().map_err(|ty| Error::UnsupportedType {
            path: file.path.clone(),
            column: name.to_owned(),
            ty: ty.clone(),
        })?;
        let ty = own.read_as(wanted).ok_or_else(|| Error::ColumnType {
            path: file.path.clone(),
            column: name.to_owned(),
            declared: shown.to_owned(),
            found: own.to_string(),
        })?;
        exact &= column.exact;
        so_far = Some(match so_far {
            None => ty,
            Some(before) => widest(before, ty).ok_or_else(|| Error::ColumnType {
                path: file.path.clone(),
                column: name.to_owned(),
                declared: shown.to_owned(),
                found: own.to_string(),
            })?,
        });
    }
    let ty = so_far.ok_or_else(|| Error::internal("a table without files"))?;
    Ok(TableColumn { name: name.to_owned(), ty, exact })
}

/// The numeric that holds both; other types are equal here already.
fn widest(a: ColumnType, b: ColumnType) -> Option<ColumnType> {
    match (a, b) {
        (ColumnType::Numeric(p1, s1), ColumnType::Numeric(p2, s2)) => {
            let scale = s1.max(s2);
            let precision = (p1 - s1).max(p2 - s2) + scale;
            (precision <= crate::schema::MAX_PRECISION).then_some(ColumnType::Numeric(precision, scale))
        }
        (a, b) => (a == b).then_some(a),
    }
}
