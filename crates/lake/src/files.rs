//! From a path to files, and from files to their footers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as StorePath;
use object_store::{ObjectMeta, ObjectStore};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use crate::error::{Error, Result};
use crate::runtime::{Engine, caught, engine};
use crate::schema::{self, Column};

/// Footers that one process remembers.
const CACHE_ENTRIES: usize = 10_000;
/// Footers that are read at the same time.
const CONCURRENT_FOOTERS: usize = 8;
/// The shortest possible file: magic, footer length, magic.
const SHORTEST: u64 = 12;
const MAGIC: &[u8] = b"PAR1";
const MAGIC_ENCRYPTED: &[u8] = b"PARE";

/// What the planner wants to know of a file.
#[derive(Debug)]
pub struct Footer {
    pub columns: Vec<Column>,
    pub rows: u64,
    pub row_groups: usize,
    /// Uncompressed bytes of each top-level column over all row groups.
    pub column_bytes: Vec<u64>,
}

/// A Parquet file at one moment.
#[derive(Clone, Debug)]
pub struct DataFile {
    pub path: PathBuf,
    pub(crate) meta: ObjectMeta,
    pub footer: Arc<Footer>,
}

impl DataFile {
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.meta.size
    }
}

/// The files that a path names: the file itself, the `*.parquet` files of a directory, or the matches of a glob (`*`, `?`,
/// `[...]`, `**`). Sorted by name. A glob or directory without files is an error.
pub fn list(path: &str) -> Result<Vec<PathBuf>> {
    if !path.starts_with('/') {
        return Err(Error::RelativePath { path: path.to_owned() });
    }
    let given = Path::new(path);
    match std::fs::metadata(given) {
        Ok(found) if found.is_dir() => {
            let mut files = Vec::new();
            for entry in std::fs::read_dir(given).map_err(|error| Error::io("read directory", given, &error))? {
                let entry = entry.map_err(|error| Error::io("read directory", given, &error))?.path();
                let hidden = entry.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
                if !hidden && entry.extension().is_some_and(|extension| extension == "parquet") && entry.is_file() {
                    files.push(entry);
                }
            }
            some(files, path)
        }
        Ok(_) => Ok(vec![given.to_owned()]),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.contains(['*', '?', '[']) => {
            let bad = |error: &dyn std::fmt::Display| Error::BadValue {
                what: "path".to_owned(),
                message: format!("\"{path}\": {error}"),
                hint: None,
            };
            let mut files = Vec::new();
            for entry in glob::glob(path).map_err(|error| bad(&error))? {
                let entry = entry.map_err(|error| Error::io("read directory", error.path(), error.error()))?;
                if entry.is_file() {
                    files.push(entry);
                }
            }
            some(files, path)
        }
        Err(error) => Err(Error::io("open", given, &error)),
    }
}

fn some(mut files: Vec<PathBuf>, path: &str) -> Result<Vec<PathBuf>> {
    files.sort();
    if files.is_empty() { Err(Error::NoFile { path: path.to_owned() }) } else { Ok(files) }
}

/// The files whose footers are all remembered and whose size and time have not changed since, without any wait; `None` if
/// one is not, and then [`open`] is to be called on a thread that may block.
pub fn remembered(paths: &[PathBuf]) -> Result<Option<Vec<DataFile>>> {
    paths.iter().map(|path| Ok(recall(path, &stat(path)?))).collect()
}

/// Opens files: reads and checks the footers that are not remembered. Blocks: not for the main thread of a backend.
pub fn open(paths: &[PathBuf]) -> Result<Vec<DataFile>> {
    let engine = engine()?;
    engine.block_on(async {
        futures::stream::iter(paths.iter().cloned())
            .map(|path| async move { caught(open_one(engine, path)).await })
            .buffered(CONCURRENT_FOOTERS)
            .try_collect()
            .await
    })
}

/// The whole footer of one file, as the parquet crate has it. Blocks.
pub fn footer(path: &Path) -> Result<Arc<ParquetMetaData>> {
    let engine = engine()?;
    engine.block_on(async {
        let meta = stat(path)?;
        check_magic(engine, path, &meta).await?;
        read_footer(engine, path, &meta).await
    })
}

async fn open_one(engine: &'static Engine, path: PathBuf) -> Result<DataFile> {
    let meta = stat(&path)?;
    if let Some(file) = recall(&path, &meta) {
        return Ok(file);
    }
    check_magic(engine, &path, &meta).await?;
    let metadata = read_footer(engine, &path, &meta).await?;
    let corrupt = |error: parquet::errors::ParquetError| Error::from_engine(&error, &path);
    let columns = schema::columns(&metadata).map_err(corrupt)?;
    let mut seen = std::collections::HashSet::new();
    if let Some(twice) = columns.iter().find(|column| !seen.insert(column.name.as_str())) {
        return Err(Error::DuplicateColumn { path, column: twice.name.clone() });
    }
    let descriptor = metadata.file_metadata().schema_descr();
    let mut column_bytes = vec![0u64; columns.len()];
    let mut rows = 0u64;
    for group in metadata.row_groups() {
        rows = rows.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        for (leaf, chunk) in group.columns().iter().enumerate().take(descriptor.num_columns()) {
            if let Some(bytes) = column_bytes.get_mut(descriptor.get_column_root_idx(leaf)) {
                *bytes = bytes.saturating_add(u64::try_from(chunk.uncompressed_size()).unwrap_or(0));
            }
        }
    }
    let footer = Arc::new(Footer { columns, rows, row_groups: metadata.num_row_groups(), column_bytes });
    remember(&path, &meta, &footer);
    Ok(DataFile { path, meta, footer })
}

async fn read_footer(engine: &Engine, path: &Path, meta: &ObjectMeta) -> Result<Arc<ParquetMetaData>> {
    let cache = engine.environment.cache_manager.get_file_metadata_cache();
    DFParquetMetadata::new(engine.store.as_ref(), meta)
        .with_file_metadata_cache(Some(cache))
        .with_page_index_policy(Some(PageIndexPolicy::Skip))
        .fetch_metadata()
        .await
        .map_err(|error| match Error::from_engine(&error, path) {
            Error::Internal { message } | Error::Convert { message, .. } => {
                Error::Corrupt { path: path.to_owned(), message }
            }
            other => other,
        })
}

async fn check_magic(engine: &Engine, path: &Path, meta: &ObjectMeta) -> Result<()> {
    let path = path.to_owned();
    if meta.size < SHORTEST {
        return Err(Error::NotParquet { path });
    }
    let ranges = [0..4, meta.size - 4..meta.size];
    let ends = engine.store.get_ranges(&meta.location, &ranges).await;
    let ends = ends.map_err(|error| Error::from_engine(&error, &path))?;
    let is = |end: usize, magic: &[u8]| ends.get(end).is_some_and(|bytes| bytes.as_ref() == magic);
    match (is(0, MAGIC), is(1, MAGIC)) {
        (_, true) => Ok(()),
        _ if is(0, MAGIC_ENCRYPTED) || is(1, MAGIC_ENCRYPTED) => Err(Error::NotSupported {
            message: format!("Parquet file \"{}\" is encrypted", path.display()),
            hint: None,
        }),
        (true, false) => Err(Error::Truncated { path }),
        (false, false) => Err(Error::NotParquet { path }),
    }
}

fn stat(path: &Path) -> Result<ObjectMeta> {
    let found = std::fs::metadata(path).map_err(|error| Error::io("open", path, &error))?;
    if !found.is_file() {
        return Err(Error::NotParquet { path: path.to_owned() });
    }
    let modified = found.modified().map_err(|error| Error::io("stat", path, &error))?;
    let location = StorePath::from_absolute_path(path).map_err(|error| Error::Io {
        action: "open",
        path: path.to_owned(),
        message: error.to_string(),
    })?;
    let unique = std::os::unix::fs::MetadataExt::ino(&found);
    Ok(ObjectMeta {
        location,
        last_modified: modified.into(),
        size: found.len(),
        e_tag: Some(unique.to_string()),
        version: None,
    })
}

type Remembered = HashMap<PathBuf, (ObjectMeta, Arc<Footer>)>;

static FOOTERS: Mutex<Option<Remembered>> = Mutex::new(None);

fn recall(path: &Path, meta: &ObjectMeta) -> Option<DataFile> {
    let footers = FOOTERS.lock().ok()?;
    let (known, footer) = footers.as_ref()?.get(path)?;
    let same = known == meta;
    same.then(|| DataFile { path: path.to_owned(), meta: meta.clone(), footer: footer.clone() })
}

fn remember(path: &Path, meta: &ObjectMeta, footer: &Arc<Footer>) {
    let Ok(mut footers) = FOOTERS.lock() else { return };
    let footers = footers.get_or_insert_default();
    if footers.len() >= CACHE_ENTRIES {
        footers.clear();
    }
    footers.insert(path.to_owned(), (meta.clone(), footer.clone()));
}
