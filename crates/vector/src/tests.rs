//! Data for tests.

/// Numbers from a seed: levels of base 2 are random bits enough, but a plain generator is clearer.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// In -1..1.
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        (0..dimensions).map(|_| self.float()).collect()
    }
}

/// Vectors around a few hundred centres, as embeddings lie.
pub fn clustered(count: usize, dimensions: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(dimensions as u64); // the same centres whatever the seed
    let centres: Vec<Vec<f32>> = (0..200).map(|_| random.vector(dimensions)).collect();
    let mut random = Random::new(seed);
    (0..count)
        .map(|_| {
            let centre = &centres[random.next() as usize % centres.len()];
            centre.iter().map(|x| x + 0.6 * random.float()).collect()
        })
        .collect()
}
