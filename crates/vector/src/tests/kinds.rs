//! Kinds of data, each in a small form from a fixed seed: what is known to break codes of vectors, and what is not.

use std::f64::consts::TAU;

use super::Random;
use crate::page::Tid;
use crate::space::{Element, Form, learn};
use crate::{Coder, Metric, Space};

/// How many of the nearest count.
pub const K: usize = 10;
const ROWS: usize = 1500;
const QUERIES: usize = 100;

/// Rows, and queries that are not among them.
pub struct Kind {
    pub name: &'static str,
    element: Element,
    /// Of the codes that an index has which knows nothing.
    pub space: Space,
    pub rows: Vec<Vec<f32>>,
    pub queries: Vec<Vec<f32>>,
    /// The index is built over so many of the rows, then the others are inserted.
    pub before: usize,
}

impl Kind {
    fn new(name: &'static str, element: Element, metric: Metric, mut vectors: Vec<Vec<f32>>) -> Self {
        let rows = vectors.split_off(QUERIES);
        let space = Space::new(element, metric, rows[0].len());
        Self { name, element, space, before: rows.len(), rows, queries: vectors }
    }

    fn dense(name: &'static str, metric: Metric, vectors: Vec<Vec<f32>>) -> Self {
        Self::new(name, Element::Dense, metric, vectors)
    }

    fn l2(name: &'static str, vectors: Vec<Vec<f32>>) -> Self {
        Self::dense(name, Metric::L2, vectors)
    }

    /// All rows are inserted, into an index that was made over none.
    fn inserted(mut self) -> Self {
        self.before = 0;
        self
    }

    /// What an index that is made over the first rows has learnt of them.
    pub fn coder(&self) -> Coder {
        let Element::Dense = self.element else { return Coder::plain(self.space) };
        let sample = self.rows[..self.before].concat();
        learn(self.element, self.space.metric, self.space.dimensions, &sample, &|| Ok(())).unwrap()
    }

    /// For each query how far the last of the [`K`] nearest rows is: whatever is as near is a hit.
    pub fn limits(&self) -> Vec<f64> {
        let mut distances = Vec::new();
        let limit = |query: &Vec<f32>| {
            distances.clear();
            distances.extend((0..self.rows.len()).map(|row| self.distance(query, row)));
            let (_, last, _) = distances.select_nth_unstable_by(K - 1, f64::total_cmp);
            *last + 1e-9 * last.abs()
        };
        self.queries.iter().map(limit).collect()
    }

    /// Part of the [`K`] nearest that is among the first [`K`] of `found`, row numbers from 1, for each query.
    pub fn recall(&self, limits: &[f64], mut found: impl FnMut(&[f32]) -> Vec<Tid>) -> f64 {
        let mut hits = 0;
        for (query, limit) in self.queries.iter().zip(limits) {
            let is_near = |tid: &Tid| self.distance(query, *tid as usize - 1) <= *limit;
            hits += found(query).into_iter().take(K).filter(is_near).count();
        }
        hits as f64 / (K * self.queries.len()) as f64
    }

    /// What the operator says of a query and a row, without rounding.
    pub fn distance(&self, query: &[f32], row: usize) -> f64 {
        let row = &self.rows[row];
        let pairs = || query.iter().zip(row).map(|(x, y)| self.seen(*x, *y));
        let dot = || pairs().map(|(x, y)| x * y).sum::<f64>();
        match self.space.metric {
            Metric::L2 => pairs().map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt(),
            Metric::L1 | Metric::Hamming => pairs().map(|(x, y)| (x - y).abs()).sum(),
            Metric::InnerProduct => -dot(),
            Metric::Jaccard => 1.0 - dot() / pairs().map(|(x, y)| x.max(y)).sum::<f64>().max(1.0),
            // Half the squared distance of unit vectors, which loses nothing where all are alike.
            Metric::Cosine => {
                let (one, other) = (norm(query), norm(row));
                pairs().map(|(x, y)| (x / one - y / other).powi(2)).sum::<f64>() / 2.0
            }
        }
    }

    /// What [`encoded`](super::encoded) makes of two elements.
    fn seen(&self, x: f32, y: f32) -> (f64, f64) {
        match self.space.form {
            Form::Bits => (f64::from(x > 0.0), f64::from(y > 0.0)),
            _ => (f64::from(x), f64::from(y)),
        }
    }
}

pub fn dense() -> Vec<Kind> {
    vec![
        Kind::dense("sentences", Metric::Cosine, low_rank(384, 1)),
        Kind::l2("clusters", clusters(128, 2)),
        Kind::l2("uniform 32", made(3, |r| (0..32).map(|_| r.float()).collect())),
        Kind::l2("uniform 256", made(4, |r| (0..256).map(|_| r.float()).collect())),
        Kind::l2("feature 300x", feature(300.0, 5)),
        Kind::l2("feature 3000x", feature(3000.0, 6)),
        Kind::l2("constant 300x", constant(300.0, 7)),
        Kind::l2("constant 3000x", constant(3000.0, 8)),
        Kind::l2("common mean L2", common_mean(64, 9)),
        Kind::dense("common mean cosine", Metric::Cosine, common_mean(256, 10)),
        Kind::l2("many scenes", around(64, 40, 1e-3, 11)),
        Kind::l2("duplicates of one", duplicates(1, 12)),
        Kind::l2("duplicates of nine", duplicates(9, 13)),
        Kind::l2("integers", mapped(clusters(128, 14), |x| (40.0 * (0.5 * x).exp()).round().clamp(0.0, 255.0))),
        Kind::l2("Student t", made(15, |r| (0..64).map(|_| student(r)).collect())),
        Kind::l2("log-normal", made(16, |r| (0..64).map(|_| (1.5 * r.normal()).exp()).collect())),
        Kind::l2("outliers", outliers(17)),
        Kind::dense("norms of 1e-3 to 1e3", Metric::InnerProduct, norms(18)),
        Kind::dense("scales L1", Metric::L1, scales(19)),
        Kind::l2("2000 dimensions", around(2000, 20, 0.8, 20)),
    ]
}

/// So few rows a scene that the upper layers of a graph may have none of it.
pub fn small_scenes() -> Kind {
    Kind::l2("scenes of fifty", around(64, ROWS / 50, 1e-3, 25))
}

pub fn inserted() -> Vec<Kind> {
    let mut by_component = clusters(64, 21);
    // The first element is the widest, so it stands for the component.
    by_component.iter_mut().for_each(|vector| vector[0] *= 5.0);
    by_component[QUERIES..].sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut drift = Kind::l2("drift", drift(24));
    drift.before = ROWS / 2;
    vec![
        Kind::l2("inserted", clusters(64, 22)).inserted(),
        Kind::l2("inserted by component", by_component).inserted(),
        Kind::l2("inserted by cluster", by_cluster(64, 23)).inserted(),
        Kind::l2("inserted common mean", common_mean(64, 9)).inserted(),
        Kind::l2("inserted feature 3000x", feature(3000.0, 6)).inserted(),
        drift,
    ]
}

pub fn others() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (name, entries) in [("sparse 30", 30), ("sparse 100", 100), ("sparse 400", 400)] {
        kinds.push(Kind::new(name, Element::Sparse, Metric::Cosine, sparse(1000, entries, entries as u64)));
    }
    kinds.push(Kind::new("bits Hamming", Element::Bits, Metric::Hamming, around(512, 20, 0.8, 31)));
    kinds.push(Kind::new("bits Jaccard", Element::Bits, Metric::Jaccard, around(256, 20, 0.8, 32)));
    kinds
}

impl Random {
    /// In 0..1, never 0.
    fn part(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Of variance 1.
    pub fn normal(&mut self) -> f32 {
        ((-2.0 * self.part().ln()).sqrt() * (TAU * self.part()).cos()) as f32
    }

    fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }
}

fn norm(vector: &[f32]) -> f64 {
    vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

/// As many as a kind has, the queries first.
fn made(seed: u64, mut make: impl FnMut(&mut Random) -> Vec<f32>) -> Vec<Vec<f32>> {
    let mut random = Random::new(seed);
    (0..QUERIES + ROWS).map(|_| make(&mut random)).collect()
}

fn mapped(mut vectors: Vec<Vec<f32>>, map: impl Fn(f32) -> f32) -> Vec<Vec<f32>> {
    vectors.iter_mut().flatten().for_each(|x| *x = map(*x));
    vectors
}

/// Normal around so many centres, which are normal themselves.
fn around(dimensions: usize, centres: usize, spread: f32, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(1000 + seed);
    let centres: Vec<Vec<f32>> = (0..centres).map(|_| random.normals(dimensions)).collect();
    made(seed, |random| {
        let centre = &centres[random.next() as usize % centres.len()];
        centre.iter().map(|x| x + spread * random.normal()).collect()
    })
}

fn clusters(dimensions: usize, seed: u64) -> Vec<Vec<f32>> {
    around(dimensions, 20, 0.8, seed)
}

/// As embeddings: of few directions that matter, and a little of all.
fn low_rank(dimensions: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(1000 + seed);
    let directions: Vec<Vec<f32>> = (0..24).map(|_| random.normals(dimensions)).collect();
    made(seed, |random| {
        let mut vector: Vec<f32> = random.normals(dimensions).iter().map(|x| 0.5 * x).collect();
        for direction in &directions {
            let by = random.normal();
            vector.iter_mut().zip(direction).for_each(|(x, d)| *x += by * d);
        }
        vector
    })
}

/// One element is `scale` times as large as the others, which count all the same: rows are uniform, so many are near by that one.
fn feature(scale: f32, seed: u64) -> Vec<Vec<f32>> {
    let mut vectors = made(seed, |r| (0..64).map(|_| r.float()).collect());
    vectors.iter_mut().for_each(|vector| vector[5] *= scale);
    vectors
}

/// One element is large and always the same.
fn constant(value: f32, seed: u64) -> Vec<Vec<f32>> {
    let mut vectors = clusters(64, seed);
    vectors.iter_mut().for_each(|vector| vector[5] = value);
    vectors
}

/// The spread is a hundredth of the mean.
fn common_mean(dimensions: usize, seed: u64) -> Vec<Vec<f32>> {
    let mean = Random::new(2000 + seed).normals(dimensions);
    let mut vectors = clusters(dimensions, seed);
    vectors.iter_mut().for_each(|vector| vector.iter_mut().zip(&mean).for_each(|(x, mean)| *x = mean + 0.01 * *x));
    vectors
}

/// Nine of ten rows are one of so many values; half of the queries are near one of those.
fn duplicates(values: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(2000 + seed);
    let few: Vec<Vec<f32>> = (0..values).map(|_| random.normals(64)).collect();
    let mut vectors = clusters(64, seed);
    for (i, vector) in vectors.iter_mut().enumerate() {
        let value = &few[random.next() as usize % values];
        if i < QUERIES / 2 {
            *vector = value.iter().map(|x| x + 0.3 * random.normal()).collect();
        } else if i >= QUERIES && i % 10 != 0 {
            vector.clone_from(value);
        }
    }
    vectors
}

/// Of 1.5 degrees of freedom: most elements are small, some are thousands.
fn student(random: &mut Random) -> f32 {
    // Half a chi-squared of 1.5 degrees is a gamma of 0.75, drawn by Ahrens and Dieter's rejection.
    let shape = 0.75;
    let gamma = loop {
        let (p, u) = (random.part() * (1.0 + shape / std::f64::consts::E), random.part());
        let (x, accepted) = if p <= 1.0 {
            let x = p.powf(1.0 / shape);
            (x, u <= (-x).exp())
        } else {
            let x = -((1.0 + shape / std::f64::consts::E - p) / shape).ln();
            (x, u <= x.powf(shape - 1.0))
        };
        if accepted {
            break x;
        }
    };
    (f64::from(random.normal()) / (gamma / shape).sqrt()) as f32
}

/// A few rows are far away.
fn outliers(seed: u64) -> Vec<Vec<f32>> {
    let mut vectors = clusters(64, seed);
    vectors.iter_mut().skip(QUERIES + 7).step_by(499).flatten().for_each(|x| *x *= 10_000.0);
    vectors
}

fn norms(seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(2000 + seed);
    let mut vectors = clusters(64, seed);
    for vector in &mut vectors {
        let by = 10f64.powf(6.0 * random.part() - 3.0) / norm(vector);
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) * by) as f32);
    }
    vectors
}

/// Each element has a scale of its own, over three magnitudes.
fn scales(seed: u64) -> Vec<Vec<f32>> {
    let mut vectors = clusters(64, seed);
    vectors
        .iter_mut()
        .for_each(|vector| vector.iter_mut().enumerate().for_each(|(i, x)| *x *= 10f32.powf(i as f32 * 3.0 / 63.0)));
    vectors
}

/// One cluster after the other.
fn by_cluster(dimensions: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(1000 + seed);
    let centres: Vec<Vec<f32>> = (0..20).map(|_| random.normals(dimensions)).collect();
    let mut rows = 0..QUERIES + ROWS;
    made(seed, |random| {
        let centre = match rows.next() {
            Some(i) if i >= QUERIES => (i - QUERIES) * centres.len() / ROWS,
            _ => random.next() as usize % centres.len(),
        };
        centres[centre].iter().map(|x| x + 0.8 * random.normal()).collect()
    })
}

/// The second half of the rows, and of the queries, is elsewhere and ten times as wide.
fn drift(seed: u64) -> Vec<Vec<f32>> {
    let mut vectors = clusters(64, seed);
    for (i, vector) in vectors.iter_mut().enumerate() {
        if !(QUERIES / 2..QUERIES + ROWS / 2).contains(&i) {
            vector.iter_mut().for_each(|x| *x = 100.0 + 10.0 * *x);
        }
    }
    vectors
}

/// `entries` positive elements, most of them of one of twenty topics.
fn sparse(dimensions: usize, entries: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(1000 + seed);
    let topics: Vec<Vec<usize>> =
        (0..20).map(|_| (0..2 * entries).map(|_| random.next() as usize % dimensions).collect()).collect();
    made(seed, |random| {
        let topic = &topics[random.next() as usize % topics.len()];
        let (mut vector, mut left) = (vec![0.0; dimensions], entries);
        while left > 0 {
            let any = random.next() as usize;
            let place = if any.is_multiple_of(4) { any / 4 % dimensions } else { topic[any / 4 % topic.len()] };
            if vector[place] == 0.0 {
                vector[place] = (0.5 * random.normal()).exp();
                left -= 1;
            }
        }
        vector
    })
}
