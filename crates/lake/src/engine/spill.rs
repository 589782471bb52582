//! Files for what has no room in memory: a name in PostgreSQL's folder of temporary files, until nobody reads it any more.
//!
//! They are opened by their name whenever they are written or read, and hold no descriptor in between: a sort may have
//! thousands. Reading and writing is done on the thread that asks, since it is mostly the page cache that answers.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use datafusion::common::Result as EngineResult;
use datafusion::error::DataFusionError;
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;

use super::cancel::Flag;
use crate::error::{Error, Result};

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 << 10;
/// Names that are tried for one file. One that exists was left by a process that had our number and was killed.
const MOST_NAMES: u32 = 1000;
/// Milliseconds that the end of a process waits for the list of its files.
const MOST_TRIES: u32 = 100;
/// What errors call such a file.
const WHAT: &str = "a temporary file";

/// Where temporary files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder, which is made if it is not there.
    pub folder: PathBuf,
    /// What their names begin with.
    pub prefix: String,
    /// Bytes that those of this process may have together, if that is limited.
    pub limit: Option<u64>,
}

/// Deletes all temporary files of this process, of which no query will make another one. Called when the process ends, when
/// threads may still be at work.
pub fn remove_all() {
    CLOSED.store(true, Ordering::SeqCst);
    for _ in 0..MOST_TRIES {
        // A thread that found no memory may stand still with the list.
        if let Ok(mut live) = live().try_lock() {
            for path in live.drain() {
                let _ = std::fs::remove_file(path); // the server removes it when it starts
            }
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

static CLOSED: AtomicBool = AtomicBool::new(false);
static NUMBER: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The files that there are.
fn live() -> &'static Mutex<HashSet<PathBuf>> {
    static LIVE: OnceLock<Mutex<HashSet<PathBuf>>> = OnceLock::new();
    LIVE.get_or_init(Mutex::default)
}

/// The temporary files of one query.
#[derive(Debug)]
pub(crate) struct Files {
    place: Arc<Place>,
    flag: Flag,
}

impl Files {
    /// Whoever writes or reads after `flag` was raised gets an error.
    pub(crate) fn new(place: Arc<Place>, flag: Flag) -> Self {
        Self { place, flag }
    }

    fn create(&self) -> Result<Spilled> {
        self.flag.check()?;
        for _ in 0..MOST_NAMES {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = self.place.folder.join(format!("{}{number}", self.place.prefix));
            // Whoever closes afterwards finds the name.
            let mut live = live().lock().unwrap_or_else(PoisonError::into_inner);
            if CLOSED.load(Ordering::SeqCst) {
                return Err(Error::Canceled);
            }
            match self.open(&path) {
                Ok(_) => {
                    live.insert(path.clone());
                    let (place, flag) = (self.place.clone(), self.flag.clone());
                    return Ok(Spilled(Arc::new(Name { path, place, flag, bytes: AtomicU64::new(0) })));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("create", &WHAT, &error)),
            }
        }
        Err(Error::internal("no name for a temporary file"))
    }

    fn open(&self, path: &Path) -> std::io::Result<File> {
        let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match std::fs::DirBuilder::new().mode(0o700).create(&self.place.folder) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                    _ => open(),
                }
            }
            outcome => outcome,
        }
    }
}

impl TempFileFactory for Files {
    fn create_temp_file(&self, _description: &str) -> EngineResult<Arc<dyn SpillFile>> {
        Ok(Arc::new(self.create().map_err(external)?))
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A file, which goes with the last who knows its name.
struct Name {
    path: PathBuf,
    place: Arc<Place>,
    flag: Flag,
    bytes: AtomicU64,
}

impl Name {
    /// Counts bytes that are to be written, if there is room for them.
    fn take(&self, bytes: u64) -> Result<()> {
        let most = self.place.limit.unwrap_or(u64::MAX);
        let fits = |all: u64| all.checked_add(bytes).filter(|sum| *sum <= most);
        if BYTES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return Err(Error::TempFileLimit { kilobytes: most >> 10 });
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        BYTES.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        if live().lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path) {
            let _ = std::fs::remove_file(&self.path); // the server removes it when it starts
        }
    }
}

/// A temporary file as DataFusion has it.
struct Spilled(Arc<Name>);

impl SpillFile for Spilled {
    fn path(&self) -> Option<&Path> {
        Some(&self.0.path)
    }

    fn size(&self) -> Option<u64> {
        Some(self.0.bytes.load(Ordering::Relaxed))
    }

    fn read_stream(&self) -> EngineResult<Pin<Box<dyn Stream<Item = EngineResult<Bytes>> + Send>>> {
        let reader = Reader { name: self.0.clone(), file: None };
        let chunks = futures::stream::try_unfold(reader, |mut reader| async move {
            let chunk = reader.next().map_err(external)?;
            Ok(chunk.map(|chunk| (chunk, reader)))
        });
        Ok(Box::pin(chunks))
    }

    fn open_writer(&self) -> EngineResult<Box<dyn SpillWriter>> {
        let file = OpenOptions::new().append(true).open(&self.0.path);
        let file = file.map_err(|error| external(Error::io("open", &WHAT, &error)))?;
        Ok(Box::new(Writer { name: self.0.clone(), file }))
    }
}

struct Reader {
    name: Arc<Name>,
    file: Option<File>,
}

impl Reader {
    /// The next bytes; `None` at the end.
    fn next(&mut self) -> Result<Option<Bytes>> {
        self.name.flag.check()?;
        let failed = |error: std::io::Error| Error::io("read", &WHAT, &error);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.name.path).map_err(failed)?),
        };
        let mut chunk = BytesMut::zeroed(READ_BYTES);
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(read) => {
                    chunk.truncate(read);
                    return Ok(Some(chunk.freeze()));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

struct Writer {
    name: Arc<Name>,
    file: File,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let counted = self.name.flag.check().and_then(|()| self.name.take(bytes.len() as u64));
        counted.map_err(std::io::Error::other)?;
        self.file.write_all(bytes).map_err(|error| std::io::Error::other(Error::io("write", &WHAT, &error)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> EngineResult<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    fn place(folder: &Path, limit: Option<u64>) -> Arc<Place> {
        Arc::new(Place { folder: folder.join("made"), prefix: "pgsql_tmp7.".to_owned(), limit })
    }

    fn count(folder: &Path) -> usize {
        std::fs::read_dir(folder.join("made")).map_or(0, |entries| entries.count())
    }

    fn read(file: &dyn SpillFile) -> EngineResult<Vec<u8>> {
        let mut chunks = file.read_stream()?;
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().now_or_never().unwrap() {
            all.extend_from_slice(&chunk?);
        }
        Ok(all)
    }

    #[test]
    fn a_file_is_there_as_long_as_somebody_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(place(folder.path(), None), Flag::default());
        let file = files.create_temp_file("").unwrap();
        let content: Vec<u8> = (0..600_000u32).map(|at| (at / 3) as u8).collect();
        let mut writer = file.open_writer().unwrap();
        content.chunks(70_000).for_each(|chunk| writer.write_all(chunk).unwrap());
        writer.finish().unwrap();
        drop(writer);
        assert_eq!(file.size(), Some(content.len() as u64));
        assert!(read(file.as_ref()).unwrap() == content);
        let reader = file.read_stream().unwrap();
        drop(file);
        assert_eq!(count(folder.path()), 1);
        drop(reader);
        assert_eq!(count(folder.path()), 0);
    }

    #[test]
    fn a_name_that_exists_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(place(folder.path(), None), Flag::default());
        drop(files.create_temp_file("").unwrap());
        let next = NUMBER.load(Ordering::Relaxed);
        for number in next..next + 20 {
            std::fs::write(folder.path().join(format!("made/pgsql_tmp7.{number}")), "kept").unwrap();
        }
        drop(files.create_temp_file("").unwrap());
        assert_eq!(count(folder.path()), 20);
    }

    #[test]
    fn the_limit_of_temporary_files_is_an_error_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(place(folder.path(), Some(0)), Flag::default());
        let file = files.create_temp_file("").unwrap();
        let error = file.open_writer().unwrap().write_all(&[0; 2048]).unwrap_err();
        let error = Error::from_query(&DataFusionError::IoError(error));
        assert_eq!(
            (error.sqlstate(), error.to_string().as_str()),
            ("53400", "temporary file size exceeds temp_file_limit (0kB)")
        );
        assert_eq!(file.size(), Some(0));
    }

    #[test]
    fn files_of_a_query_that_is_gone_are_neither_written_nor_read() {
        let folder = tempfile::tempdir().unwrap();
        let flag = Flag::default();
        let files = Files::new(place(folder.path(), None), flag.clone());
        let file = files.create_temp_file("").unwrap();
        let mut writer = file.open_writer().unwrap();
        flag.raise();
        let error = Error::from_query(&DataFusionError::IoError(writer.write_all(b"x").unwrap_err()));
        assert_eq!(error.sqlstate(), "57014");
        assert_eq!(Error::from_query(&read(file.as_ref()).unwrap_err()).sqlstate(), "57014");
        assert!(files.create_temp_file("").is_err());
    }
}
