//! Bits as they are.

use zerocopy::IntoBytes;

use crate::distance::bit;

/// Words, the first bits in the lowest bytes, filled up with zeros.
pub(super) fn encode(bits: &[u8]) -> Vec<u32> {
    bits.chunks(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_ne_bytes(word)
        })
        .collect()
}

pub(super) fn hamming(_: usize, a: &[u32], b: &[u32]) -> f32 {
    (bit::kernels().hamming)(a.as_bytes(), b.as_bytes()) as f32
}

pub(super) fn jaccard(_: usize, a: &[u32], b: &[u32]) -> f32 {
    (bit::kernels().jaccard)(a.as_bytes(), b.as_bytes()).distance() as f32
}
