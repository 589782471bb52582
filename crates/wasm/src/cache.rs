//! The compile cache: machine code of modules in a directory whose files can be deleted at any time.
//!
//! Layout of a file: 8 bytes magic, 32 bytes BLAKE3 keyed hash over everything behind it, then what wasmtime serialized.
//! The key is a secret of the server, so that only files which a server of this cluster wrote become code. The name is
//! `<hash of the module>-<kind><hash of engine version, settings and processor features>.cwasm`; the kind tells the engine
//! with fuel counters (`f`) from the one without (`p`).
//!
//! The directory is bounded: whoever writes a file removes those of other versions and settings, and of the rest those that
//! were not used for longest. The time of last use is the file's time of modification, to the hour.

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

/// A use is written down when the last one that was is older than this.
const HOUR: Duration = Duration::from_secs(3600);

/// What the directory may hold.
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
    /// `secret` is anything that only the server knows. The directory is made when the first file is written.
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

    /// The compiled module, if there is an intact file for this engine, which counts fuel if `fuel` says so.
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
            let _ = file.set_modified(now); // else the file looks older than it is
        }
        Some(module)
    }

    /// Writes the file (temporary name, fsync, rename), then removes what is too much. A module whose code is larger than all
    /// that the directory may hold is not written.
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

    /// Where the compiled form of a module is or would be.
    pub fn path(&self, engine: &Engine, fuel: bool, wasm: &blake3::Hash) -> PathBuf {
        self.directory.join(format!("{}{}", wasm.to_hex(), suffix(engine, fuel)))
    }

    /// Removes files of a kind that have another suffix than this one's, what crashed writers left, and the files that were
    /// not used for longest until the rest is within the bounds; never `keep`. Others may do the same at the same time.
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

/// What the names of the files of an engine end in.
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

/// A hasher whose value is the same in every process.
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
