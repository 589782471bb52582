//! The bytes of a module, with the checks that need no compilation.

use std::sync::Arc;

use crate::{Error, Result};

/// Bytes with the magic of a core module, and their BLAKE3 hash. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Source {
    bytes: Arc<[u8]>,
    hash: blake3::Hash,
}

impl Source {
    /// Maximum bytes of a module: compiling a larger one takes minutes and gigabytes.
    pub const MAX_BYTES: usize = 32 << 20;

    /// Checks size and magic.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        if bytes.len() > Self::MAX_BYTES {
            return Err(Error::ModuleTooLarge { size: bytes.len(), limit: Self::MAX_BYTES });
        }
        match bytes.get(..8) {
            Some(b"\0asm\x01\0\0\0") => {}
            Some([0, b'a', b's', b'm', _, _, 1, 0]) => return Err(Error::Component),
            Some([0, b'a', b's', b'm', version @ ..]) => {
                return Err(Error::NotWasm(format!("unknown version {version:02x?}")));
            }
            Some(_) => return Err(Error::NotWasm("it does not start with the magic bytes".to_owned())),
            None => return Err(Error::NotWasm(format!("it has only {} bytes", bytes.len()))),
        }
        let hash = blake3::hash(&bytes);
        Ok(Self { bytes, hash })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// BLAKE3 of the bytes.
    pub fn hash(&self) -> blake3::Hash {
        self.hash
    }
}
