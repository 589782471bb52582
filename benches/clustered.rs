//! Vectors as embeddings lie.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Points around 100 centres: uniform ones of so many dimensions would all be equally far from each other.
pub fn clustered(rows: usize, dimensions: usize) -> Vec<Vec<f32>> {
    let mut random = StdRng::seed_from_u64(1);
    let mut point =
        |spread: f32| -> Vec<f32> { (0..dimensions).map(|_| random.random_range(-spread..spread)).collect() };
    let centres: Vec<_> = (0..100).map(|_| point(1.0)).collect();
    let near = |(row, mut vector): (usize, Vec<f32>)| {
        vector.iter_mut().zip(&centres[row % centres.len()]).for_each(|(x, centre)| *x += centre);
        vector
    };
    (0..rows).map(|_| point(0.5)).enumerate().map(near).collect()
}
