//! Bits as they are.

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
    let differing: u32 = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum();
    differing as f32
}

pub(super) fn jaccard(_: usize, a: &[u32], b: &[u32]) -> f32 {
    let (mut both, mut either) = (0, 0);
    for (a, b) in a.iter().zip(b) {
        both += (a & b).count_ones();
        either += (a | b).count_ones();
    }
    if both == 0 { 1.0 } else { (1.0 - f64::from(both) / f64::from(either)) as f32 }
}
