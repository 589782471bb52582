//! Files in the dataset directory that no row of the catalogue refers to: what crashes and prepared transactions leave.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lagoon_lake::ingest::TEMPORARY;
use lagoon_lake::{Error, Result, dataset};

use super::catalog;
use super::home::Home;
use super::pending::{self, When};
use crate::lake::source::access;
use crate::pg::{database, interrupt};

/// A file that goes: its path and its bytes.
pub type Orphan = (String, u64);

/// Has all files of this database's home deleted that are older than `age` and in no row, when the transaction commits;
/// temporary files and the homes of databases that are no more, at once. A dataset that another transaction has in hand is
/// left alone.
pub fn remove(age: Duration) -> Result<Vec<Orphan>> {
    let home = Home::new()?;
    let mut found = Vec::new();
    for entry in entries(home.directory())? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let database = name.strip_prefix(&Home::prefix()).and_then(|oid| oid.parse::<u32>().ok());
        if database.is_some_and(|oid| !database::exists(oid.into())) {
            remove_tree(&entry, age, 3, &mut found)?;
        }
    }
    for entry in entries(&home.folder())? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (begin, end) = TEMPORARY;
        if name.starts_with(begin) && name.ends_with(end) {
            if let Some(bytes) = old(&entry, age)? {
                pending::remove(&entry);
                found.push((entry.to_string_lossy().into_owned(), bytes));
            }
        } else if dataset::check_name(&name).is_ok() && home.try_lock(&name)? {
            remove_from_dataset(&home, &entry, age, &mut found)?;
        }
    }
    Ok(found)
}

fn remove_from_dataset(home: &Home, folder: &Path, age: Duration, found: &mut Vec<Orphan>) -> Result<()> {
    let mut files = Vec::new();
    for fingerprint in entries(folder)? {
        let before = files.len();
        for file in entries(&fingerprint)? {
            if let Some(bytes) = old(&file, age)? {
                files.push((home.stored(&file), file, bytes));
            }
        }
        if files.len() == before {
            pending::remove_empty_folders(&fingerprint.join("none"));
        }
    }
    let names = files.iter().flat_map(|(stored, file, _)| [stored.clone(), file.to_string_lossy().into_owned()]);
    let used = catalog::used(names.collect())?;
    for (stored, file, bytes) in files {
        let path = file.to_string_lossy().into_owned();
        if !used.contains(&stored) && !used.contains(&path) {
            pending::delete(When::Commit, &stored, file);
            found.push((path, bytes));
        }
    }
    Ok(())
}

/// Deletes the old files of a folder and of the folders in it, and what is empty then.
fn remove_tree(folder: &Path, age: Duration, depth: usize, found: &mut Vec<Orphan>) -> Result<()> {
    for entry in entries(folder)? {
        if let Some(bytes) = old(&entry, age)? {
            fs::remove_file(&entry).map_err(|error| Error::io("remove", &entry.display(), &error))?;
            found.push((entry.to_string_lossy().into_owned(), bytes));
        } else if depth > 0 {
            remove_tree(&entry, age, depth - 1, found)?;
        }
    }
    let _ = fs::remove_dir(folder); // not empty, if something in it is too young
    Ok(())
}

/// What is in a folder; nothing if it is none. Links are not followed.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    interrupt::check();
    // The dataset directory itself may be a link.
    let is_folder = match folder == access::dataset_directory() {
        true => folder.is_dir(),
        false => fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir()),
    };
    if !is_folder {
        return Ok(Vec::new());
    }
    let failed = |error: std::io::Error| Error::io("read directory", &folder.display(), &error);
    fs::read_dir(folder).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}

/// The bytes of a regular file that has not been written to for so long.
fn old(path: &Path, age: Duration) -> Result<Option<u64>> {
    let is_old = |found: &Metadata| {
        let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        SystemTime::now().duration_since(modified).unwrap_or_default() >= age
    };
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && is_old(&found) => Ok(Some(found.len())),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("stat", &path.display(), &error)),
    }
}
