//! Random levels: each layer has about one in `m` of the elements of the layer below.

use crate::random::Random;

/// Draws levels.
#[derive(Debug, Clone)]
pub struct Levels {
    random: Random,
    scale: f64,
    max: u8,
}

impl Levels {
    /// Draws levels for a graph of `m` links, none above `max`.
    pub fn new(m: usize, max: u8, seed: u64) -> Self {
        Self { random: Random(seed), scale: 1.0 / (m as f64).ln(), max }
    }

    /// The level of a new element.
    pub fn draw(&mut self) -> u8 {
        let uniform = 1.0 - self.random.fraction(); // in (0, 1]
        ((-uniform.ln() * self.scale) as u64).min(u64::from(self.max)) as u8
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
