//! The file that is written: temporary until it is whole, then under the name of its content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};

/// How names of temporary files begin and end.
pub const TEMPORARY: (&str, &str) = (".ingest-", ".tmp");
/// Bytes between two looks at the cancel flag.
const PIECE: usize = 1 << 20;
/// Bytes that are brought to the disk at once: the system call cannot be interrupted, so it must not have much to do.
const SYNC_BYTES: u64 = 16 << 20;

/// A file that is being written. Deleted when it is dropped.
pub(super) struct Output<'a> {
    temporary: Temporary,
    hasher: blake3::Hasher,
    bytes: u64,
    cancel: &'a AtomicBool,
}

/// A whole file that has no name of its own yet. Deleted when it is dropped.
pub struct Written {
    temporary: Temporary,
    hash: String,
    rows: u64,
    bytes: u64,
}

/// What the second pass makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingested {
    pub file: PathBuf,
    pub rows: u64,
    pub bytes: u64,
    /// Whether the file was there already.
    pub existed: bool,
}

struct Temporary {
    path: PathBuf,
    file: File,
    published: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.path); // what a crash leaves is collected later
        }
    }
}

impl<'a> Output<'a> {
    pub(super) fn create(folder: &Path, cancel: &'a AtomicBool) -> Result<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        make_folder(folder)?;
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let (begin, end) = TEMPORARY;
        let path = folder.join(format!("{begin}{}-{serial}{end}", std::process::id()));
        let _ = fs::remove_file(&path); // left by a crashed process of the same id
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| Error::io("create", &path.display(), &error))?;
        let temporary = Temporary { path, file, published: false };
        Ok(Self { temporary, hasher: blake3::Hasher::new(), bytes: 0, cancel })
    }

    pub(super) fn path(&self) -> &Path {
        &self.temporary.path
    }

    pub(super) fn finish(self, rows: u64) -> Written {
        let hash = self.hasher.finalize().to_hex()[..32].to_owned();
        Written { temporary: self.temporary, hash, rows, bytes: self.bytes }
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(io::Error::other("canceled"));
        }
        let piece = &bytes[..bytes.len().min(PIECE)];
        let written = self.temporary.file.write(piece)?;
        self.hasher.update(&piece[..written]);
        let before = self.bytes / SYNC_BYTES;
        self.bytes += written as u64;
        if self.bytes / SYNC_BYTES > before {
            self.temporary.file.sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.file.flush()
    }
}

impl Written {
    /// `<content hash>.parquet`.
    pub fn file_name(&self) -> String {
        format!("{}.parquet", self.hash)
    }

    /// Whether `file` is this one already: what has the name of its content, and the size, has the content.
    pub fn is_at(&self, file: &Path) -> bool {
        fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() == self.bytes)
    }

    /// Brings it to the disk under the name `file`, unless it is there already. Blocks; `cancel` stops it before the file
    /// has its name, with [`Error::Canceled`].
    pub fn publish(mut self, file: &Path, cancel: &AtomicBool) -> Result<Ingested> {
        let existed = self.is_at(file);
        if !existed {
            let folder = file.parent().ok_or_else(|| Error::internal("a file without a folder"))?;
            make_folder(folder)?;
            let temporary = &mut self.temporary;
            temporary.file.sync_all().map_err(|error| Error::io("sync", &temporary.path.display(), &error))?;
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::Canceled);
            }
            fs::rename(&temporary.path, file)
                .map_err(|error| Error::io("rename", &temporary.path.display(), &error))?;
            temporary.published = true;
            sync_folder(folder)?;
        }
        Ok(Ingested { file: file.to_owned(), rows: self.rows, bytes: self.bytes, existed })
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(|error| Error::io("create directory", &folder.display(), &error))?;
    // A new folder lasts only once the one above it is synced.
    missing.iter().filter_map(|folder| folder.parent()).try_for_each(sync_folder)
}

fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Error::io("sync directory", &folder.display(), &error))
}
