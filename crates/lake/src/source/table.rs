//! The columns of a table against those of its files.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::files::DataFile;
use crate::error::{Error, Result};
use crate::schema::{self, Column};
use crate::trust::Trust;
use crate::types::{ColumnType, Declared};

/// A column of the table as the engine reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableColumn {
    /// Its name in the files and in the table.
    pub name: String,
    /// What the engine delivers.
    pub ty: ColumnType,
    /// What of every file's statistics of it is right.
    pub trust: Trust,
}

/// Whether all files have the columns of the first one, no fewer and no more, with values that can be read as its types.
/// The order of the columns does not matter.
pub fn check_agreement(files: &[DataFile]) -> Result<()> {
    let Some((first, others)) = files.split_first() else { return Ok(()) };
    let wanted: HashMap<&str, &Column> = first.footer.columns.iter().map(|c| (c.name.as_str(), c)).collect();
    let shown =
        |ty: &std::result::Result<ColumnType, String>| ty.as_ref().map_or_else(Clone::clone, ToString::to_string);
    for file in others {
        let columns = &file.footer.columns;
        let names: HashSet<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let missing = first.footer.columns.iter().find(|column| !names.contains(column.name.as_str()));
        let message = missing.map(|column| format!("column \"{}\" is missing", column.name)).or_else(|| {
            columns.iter().find_map(|column| {
                let Some(wanted) = wanted.get(column.name.as_str()) else {
                    return Some(format!("column \"{}\" is only in this file", column.name));
                };
                let same = match (&column.ty, &wanted.ty) {
                    (Ok(own), Ok(wanted)) => own.read_as(&Declared::Exactly(wanted.clone())).is_some(),
                    (own, wanted) => own == wanted,
                };
                let (found, wanted) = (shown(&column.ty), shown(&wanted.ty));
                (!same).then(|| format!("column \"{}\" is {found}, not {wanted}", column.name))
            })
        });
        if let Some(message) = message {
            return Err(Error::FilesDisagree {
                path: file.location().to_string(),
                first: first.location().to_string(),
                message,
            });
        }
    }
    Ok(())
}

/// The columns that an empty column list stands for: those of the first file. The other files must have the same.
pub fn infer(files: &[DataFile]) -> Result<Vec<TableColumn>> {
    let Some(first) = files.first() else { return Ok(Vec::new()) };
    first.footer.columns.iter().try_for_each(|column| schema::check_name(first.location(), &column.name))?;
    check_agreement(files)?;
    let declared = first.footer.columns.iter().map(|column| match &column.ty {
        Ok(ty) => Ok((column.name.clone(), Declared::Exactly(ty.clone()), ty.to_string())),
        Err(ty) => Err(Error::UnsupportedType {
            path: first.location().to_string(),
            column: column.name.clone(),
            ty: ty.clone(),
        }),
    });
    let declared = declared.collect::<Result<Vec<_>>>()?;
    resolve(files, &declared)
}

/// Declared columns (name, type, type as the user wrote it), matched with every file by name.
pub fn resolve(files: &[DataFile], declared: &[(String, Declared, String)]) -> Result<Vec<TableColumn>> {
    declared.iter().map(|(name, wanted, shown)| resolve_one(files, name, wanted, shown)).collect()
}

fn resolve_one(files: &[DataFile], name: &str, wanted: &Declared, shown: &str) -> Result<TableColumn> {
    let mut trust = Trust { order: true, nulls: true };
    let mut so_far: Option<ColumnType> = None;
    for file in files {
        let columns = &file.footer.columns;
        let Some(column) = columns.iter().find(|column| column.name == name) else {
            let names: Vec<_> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
            let (path, column) = (file.location().to_string(), name.to_owned());
            return Err(Error::NoColumn { path, column, available: names.join(", ") });
        };
        let own = column.ty.as_ref().map_err(|ty| Error::UnsupportedType {
            path: file.location().to_string(),
            column: name.to_owned(),
            ty: ty.clone(),
        })?;
        let ty = own.read_as(wanted).ok_or_else(|| Error::ColumnType {
            path: file.location().to_string(),
            column: name.to_owned(),
            declared: shown.to_owned(),
            found: own.to_string(),
        })?;
        trust = trust.and(column.trust);
        so_far = Some(match so_far {
            None => ty,
            Some(before) => before.widest(ty).ok_or_else(|| Error::ColumnType {
                path: file.location().to_string(),
                column: name.to_owned(),
                declared: shown.to_owned(),
                found: own.to_string(),
            })?,
        });
    }
    let ty = so_far.ok_or_else(|| Error::internal("a table without files"))?;
    Ok(TableColumn { name: name.to_owned(), ty, trust })
}
