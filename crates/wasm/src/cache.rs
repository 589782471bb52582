//! The compile cache: machine code of modules in a directory whose files can be deleted at any time.
//!
//! Layout of a file: 8 bytes of magic, 32 bytes of a BLAKE3 keyed hash over all that follows, then what wasmtime serialized.
//! The key is a secret of the server, so that only files which a server of this cluster has written are executed. The name is
//! `<hash of the module>-<kind><hash of engine version, settings and processor features>.cwasm`; the kind is `f` for the engine
//! with fuel counters and `p` for the one without.
//!
//! The directory is bounded: writing a file removes those of other versions and settings, then the least recently used ones.
//! The time of last use is the file's modification time, to the hour.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use lagoon_file::Scope;
use wasmtime::{Engine, Module};

use crate::{Error, Result, unchecked};

const MAGIC: &[u8; 8] = b"LGWASM\x00\x01";
const MAC: usize = blake3::OUT_LEN;

/// Minimum interval at which the time of last use is updated.
const HOUR: Duration = Duration::from_secs(3600);

/// Limits of the directory.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub files: usize,
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { files: 256, bytes: 256 << 20 }
    }
}

/// A directory of compiled modules and the key that signs them.
#[derive(Clone)]
pub struct Cache {
    directory: PathBuf,
    key: [u8; 32],
    bounds: Bounds,
}

impl Cache {
    /// `secret` must be known to the server alone. The directory is created with the first file.
    pub fn new(directory: impl Into<PathBuf>, secret: &[u8]) -> Self {
        Self {
            directory: directory.into(),
            key: blake3::derive_key("lagoon 2026 compile cache of wasm plugins", secret),
            bounds: Bounds::default(),
        }
    }

    /// The same with other bounds.
    pub fn with_bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// The compiled module, if there is an intact file for this engine. `fuel`: whether the engine counts fuel.
    pub fn load(&self, engine: &Engine, fuel: bool, wasm: &blake3::Hash) -> Option<Module> {
        let file = lagoon_file::open(&self.path(engine, fuel, wasm), Scope::Anywhere).ok()?;
        let bytes = file.read(self.bounds.bytes, || true).ok()?;
        let (head, code) = bytes.split_at_checked(MAGIC.len() + MAC)?;
        let (magic, mac) = head.split_at_checked(MAGIC.len())?;
        let mac: [u8; MAC] = mac.try_into().ok()?;
        // blake3::Hash compares in constant time.
        if magic != MAGIC || blake3::Hash::from(mac) != self.mac(wasm, code) {
            return None;
        }
        let module = unchecked::deserialize(engine, code).ok()?;
        let file = file.into_file();
        let now = SystemTime::now();
        if file.metadata().and_then(|m| m.modified()).is_ok_and(|used| used + HOUR < now) {
            let _ = file.set_modified(now); // on failure the file only seems less recently used
        }
        Some(module)
    }

    /// Writes the file (temporary name, fsync, rename), then removes others beyond the limits. A module whose code is larger than
    /// the limit of the directory is not written.
    pub fn store(&self, engine: &Engine, fuel: bool, wasm: &blake3::Hash, module: &Module) -> Result<()> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let code = module.serialize().map_err(|e| Error::Internal(format!("{e:#}")))?;
        if code.len() as u64 >= self.bounds.bytes {
            return Ok(());
        }
        make_private_directory(&self.directory)?;
        let path = self.path(engine, fuel, wasm);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}.{count}.tmp", std::process::id()));
        let written = (|| {
            let mut file = fs::File::create(&temporary)?;
            file.write_all(MAGIC)?;
            file.write_all(self.mac(wasm, &code).as_bytes())?;
            file.write_all(&code)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        })();
        written.map_err(|source| {
            let _ = fs::remove_file(&temporary); // may not exist; the first error is the one to report
            Error::Io { action: "write", path: path.clone(), source }
        })?;
        let failed = |source| Error::Io { action: "clean up", path: self.directory.clone(), source };
        self.shrink(&path, &suffix(engine, fuel), fuel).map_err(failed)
    }

    /// The path of a module's compiled code.
    pub fn path(&self, engine: &Engine, fuel: bool, wasm: &blake3::Hash) -> PathBuf {
        self.directory.join(format!("{}{}", wasm.to_hex(), suffix(engine, fuel)))
    }

    /// Removes files of this kind with another suffix, temporary files of crashed writers, and the least recently used
    /// files until the rest is within the limits; never `keep`. Other processes may do the same concurrently.
    fn shrink(&self, keep: &Path, suffix: &str, fuel: bool) -> std::io::Result<()> {
        let now = SystemTime::now();
        let mut rest = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let Ok(metadata) = entry.metadata() else { continue };
            if path == keep || !metadata.is_file() {
                continue;
            }
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let is_left_over = name.ends_with(".tmp") && used + HOUR < now;
            let is_foreign = match name.get(64..66) {
                Some("-p") => !fuel && !name.ends_with(suffix),
                Some("-f") => fuel && !name.ends_with(suffix),
                _ => true,
            };
            if is_left_over || (is_foreign && !name.ends_with(".tmp")) {
                remove(&path)?;
            } else {
                rest.push((used, metadata.len(), path));
            }
        }
        rest.sort_by(|a, b| b.cmp(a));
        let (mut files, mut bytes) = (1, fs::metadata(keep).map_or(0, |m| m.len()));
        for (_, size, path) in rest {
            (files, bytes) = (files + 1, bytes + size);
            if files > self.bounds.files || bytes > self.bounds.bytes {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn mac(&self, wasm: &blake3::Hash, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(wasm.as_bytes()).update(code);
        hasher.finalize()
    }
}

/// The suffix of the names of an engine's files.
fn suffix(engine: &Engine, fuel: bool) -> String {
    let mut compatibility = Blake3Hasher(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let settings = compatibility.0.finalize().to_hex();
    format!("-{}{}.cwasm", if fuel { 'f' } else { 'p' }, &settings[..16])
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn make_private_directory(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| Error::Io {
        action: "create directory",
        path: path.to_owned(),
        source,
    })
}

/// A hasher with the same result in every process.
struct Blake3Hasher(blake3::Hasher);

impl Hasher for Blake3Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}
