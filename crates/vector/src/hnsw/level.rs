//! Random levels: each layer has about one in `m` of the elements of the layer below.

/// A small random generator (SplitMix64 by Sebastiano Vigna); levels need no better one.
#[derive(Debug, Clone)]
pub struct Levels {
    state: u64,
    scale: f64,
    max: u8,
}

impl Levels {
    /// Draws levels for a graph of `m` links, none above `max`.
    pub fn new(m: usize, max: u8, seed: u64) -> Self {
        Self { state: seed, scale: 1.0 / (m as f64).ln(), max }
    }

    /// The level of a new element.
    pub fn draw(&mut self) -> u8 {
        let uniform = ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64; // in (0, 1]
        ((-uniform.ln() * self.scale) as u64).min(u64::from(self.max)) as u8
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_m_reaches_each_layer() {
        for m in [2, 16, 100] {
            let mut levels = Levels::new(m, 30, 7);
            let draws: Vec<u8> = (0..200_000).map(|_| levels.draw()).collect();
            let above = draws.iter().filter(|level| **level > 0).count() as f64;
            let expected = 200_000.0 / m as f64;
            assert!((above - expected).abs() < expected * 0.1 + 50.0, "m {m}: {above} of {expected}");
            assert!(Levels::new(m, 0, 7).draw() == 0);
        }
    }
}
