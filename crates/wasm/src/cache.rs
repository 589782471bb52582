//! The compile cache: machine code of modules in a directory whose files can be deleted at any time.
//!
//! Layout of a file: 8 bytes magic, 32 bytes BLAKE3 keyed hash over everything behind it, then what wasmtime serialized.
//! The key is a secret of the server, so that only files which a server of this cluster wrote become code. The name holds
//! the hash of the module and a hash of engine version, settings and processor features.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::{Engine, Module};

use crate::{Error, Result, unchecked};

const MAGIC: &[u8; 8] = b"LGWASM\x00\x01";
const MAC: usize = blake3::OUT_LEN;

/// A directory of compiled modules and the key that signs them.
#[derive(Clone)]
pub struct Cache {
    directory: PathBuf,
    key: [u8; 32],
}

impl Cache {
    /// `secret` is anything that only the server knows. The directory is made when the first file is written.
    pub fn new(directory: impl Into<PathBuf>, secret: &[u8]) -> Self {
        Self {
            directory: directory.into(),
            key: blake3::derive_key("lagoon 2026 compile cache of wasm plugins", secret),
        }
    }

    /// The compiled module, if there is an intact file for this engine.
    pub fn load(&self, engine: &Engine, wasm: &blake3::Hash) -> Option<Module> {
        let bytes = fs::read(self.path(engine, wasm)).ok()?;
        let (head, code) = bytes.split_at_checked(MAGIC.len() + MAC)?;
        let (magic, mac) = head.split_at_checked(MAGIC.len())?;
        let mac: [u8; MAC] = mac.try_into().ok()?;
        // blake3::Hash compares in constant time.
        if magic != MAGIC || blake3::Hash::from(mac) != self.mac(wasm, code) {
            return None;
        }
        unchecked::deserialize(engine, code).ok()
    }

    /// Writes the file: temporary name, fsync, rename.
    pub fn store(&self, engine: &Engine, wasm: &blake3::Hash, module: &Module) -> Result<()> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let code = module.serialize().map_err(|e| Error::Internal(format!("{e:#}")))?;
        make_private_directory(&self.directory)?;
        let path = self.path(engine, wasm);
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
            Error::Io { action: "write", path, source }
        })
    }

    /// Where the compiled form of a module is or would be.
    pub fn path(&self, engine: &Engine, wasm: &blake3::Hash) -> PathBuf {
        let mut compatibility = Blake3Hasher(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut compatibility);
        let settings = compatibility.0.finalize().to_hex();
        self.directory.join(format!("{}-{}.cwasm", wasm.to_hex(), &settings[..16]))
    }

    fn mac(&self, wasm: &blake3::Hash, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(wasm.as_bytes()).update(code);
        hasher.finalize()
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
