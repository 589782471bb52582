//! Random choices: seeds for the engine, blocks of a table.

use std::hash::{BuildHasher, Hasher, RandomState};

use pgrx::pg_sys::{self, BlockSamplerData};

/// A seed for random choices of the engine.
pub fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Calls `f` with `wanted` random blocks of all, in ascending order, as ANALYZE chooses them.
pub fn random_blocks(all: u32, wanted: u32, mut f: impl FnMut(u32)) {
    let mut sampler = BlockSamplerData::default();
    // SAFETY: the sampler is initialised before it is used.
    unsafe {
        pg_sys::BlockSampler_Init(&mut sampler, all, wanted as i32, seed() as u32);
        while pg_sys::BlockSampler_HasMore(&mut sampler) {
            f(pg_sys::BlockSampler_Next(&mut sampler));
        }
    }
}
