//! Lists against those of pgvector's k-means (0.8, ivfkmeans.c) on the same samples: how many of the nearest rows they hold.

use super::*;
use crate::distance::{inner_product, l2_squared};
use crate::space::learn;
use crate::tests::encoded;

/// How many of the nearest count.
const K: usize = 10;
const QUERIES: usize = 200;
/// Lists that a query looks at.
const PROBES: [usize; 3] = [1, 5, 20];

struct Kind {
    name: &'static str,
    metric: Metric,
    lists: usize,
    /// Makes so many vectors from a seed.
    make: fn(usize, u64) -> Vec<Vec<f32>>,
}

fn made(count: usize, seed: u64, mut make: impl FnMut(&mut Random) -> Vec<f32>) -> Vec<Vec<f32>> {
    let mut random = Random::new(seed);
    (0..count).map(|_| make(&mut random)).collect()
}

fn log_normal(sigma: f32, count: usize, seed: u64) -> Vec<Vec<f32>> {
    made(count, seed, |r| (0..64).map(|_| (sigma * r.normal()).exp()).collect())
}

fn pareto(count: usize, seed: u64) -> Vec<Vec<f32>> {
    made(count, seed, |r| (0..64).map(|_| ((r.float() + 1.0) / 2.0 + 1e-7).powf(-1.0 / 1.5)).collect())
}

fn norms(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(seed + 1000);
    let mut vectors = clustered(count, 64, seed);
    for vector in &mut vectors {
        let by = 10f32.powf(3.0 * random.float());
        vector.iter_mut().for_each(|x| *x *= by);
    }
    vectors
}

/// Nine of ten are one of nine values.
fn duplicates(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(seed + 1000);
    let few = clustered(9, 64, seed + 7);
    let mut vectors = clustered(count, 64, seed);
    vectors.iter_mut().enumerate().filter(|(i, _)| i % 10 > 0).for_each(|(_, vector)| {
        vector.clone_from(&few[random.next() as usize % 9]);
    });
    vectors
}

fn kinds() -> Vec<Kind> {
    let kind = |name, metric, make| Kind { name, metric, lists: 100, make };
    vec![
        kind("log-normal 1", Metric::L2, |count, seed| log_normal(1.0, count, seed)),
        kind("log-normal 1.5", Metric::L2, |count, seed| log_normal(1.5, count, seed)),
        kind("log-normal 2", Metric::L2, |count, seed| log_normal(2.0, count, seed)),
        kind("log-normal 1.5 cosine", Metric::Cosine, |count, seed| log_normal(1.5, count, seed)),
        kind("log-normal 1.5 inner product", Metric::InnerProduct, |count, seed| log_normal(1.5, count, seed)),
        kind("Pareto", Metric::L2, pareto),
        kind("uniform 32", Metric::L2, |count, seed| made(count, seed, |r| r.vector(32))),
        kind("uniform 32 cosine", Metric::Cosine, |count, seed| made(count, seed, |r| r.vector(32))),
        kind("clusters", Metric::L2, |count, seed| clustered(count, 64, seed)),
        kind("norms of 1e-3 to 1e3", Metric::InnerProduct, norms),
        kind("duplicates of nine", Metric::L2, duplicates),
    ]
}

fn unit(vector: &[f32]) -> Vec<f32> {
    let length = crate::distance::norm(vector);
    vector.iter().map(|x| (f64::from(*x) / length) as f32).collect()
}

/// pgvector's distance of k-means.
fn apart(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    match metric {
        Metric::L2 => f64::from(l2_squared(a, b)).sqrt(),
        _ => f64::from(inner_product(a, b)).clamp(-1.0, 1.0).acos() / std::f64::consts::PI,
    }
}

/// pgvector's InitCenters and ElkanKmeans, of samples that are of length one if the metric is not L2.
fn pgvector(metric: Metric, lists: usize, samples: &[Vec<f32>], seed: u64) -> Vec<Vec<f32>> {
    let (count, mut random) = (samples.len(), crate::random::Random(seed));
    let mut lower = vec![0f32; count * lists];
    let mut centres = vec![samples[random.below(count as u64) as usize].clone()];
    let mut weights = vec![f64::MAX; count];
    for i in 0..lists {
        let mut sum = 0.0;
        for (j, sample) in samples.iter().enumerate() {
            let distance = apart(metric, sample, &centres[i]);
            lower[j * lists + i] = distance as f32;
            weights[j] = weights[j].min(distance * distance);
            sum += weights[j];
        }
        if i + 1 == lists {
            break;
        }
        let mut choice = sum * random.fraction();
        let drawn = weights[..count - 1].iter().position(|weight| {
            choice -= weight;
            choice <= 0.0
        });
        centres.push(samples[drawn.unwrap_or(count - 1)].clone());
    }
    let (mut upper, mut closest) = (vec![0f32; count], vec![0; count]);
    for j in 0..count {
        let of = &lower[j * lists..(j + 1) * lists];
        closest[j] = (0..lists).min_by(|a, b| of[*a].total_cmp(&of[*b])).unwrap();
        upper[j] = of[closest[j]];
    }
    let (mut half, mut least) = (vec![0f32; lists * lists], vec![0f32; lists]);
    for round in 0..500 {
        let mut changes = 0;
        for j in 0..lists {
            for k in j + 1..lists {
                let distance = (0.5 * apart(metric, &centres[j], &centres[k])) as f32;
                (half[j * lists + k], half[k * lists + j]) = (distance, distance);
            }
        }
        for j in 0..lists {
            least[j] = (0..lists).filter(|k| *k != j).map(|k| half[j * lists + k]).fold(f32::MAX, f32::min);
        }
        for j in 0..count {
            if upper[j] <= least[closest[j]] {
                continue;
            }
            let (lower, mut is_old) = (&mut lower[j * lists..(j + 1) * lists], round > 0);
            for k in 0..lists {
                let own = closest[j];
                if k == own || upper[j] <= lower[k] || upper[j] <= half[own * lists + k] {
                    continue;
                }
                if is_old {
                    upper[j] = apart(metric, &samples[j], &centres[own]) as f32;
                    lower[own] = upper[j];
                    is_old = false;
                }
                if upper[j] > lower[k] || upper[j] > half[own * lists + k] {
                    lower[k] = apart(metric, &samples[j], &centres[k]) as f32;
                    if lower[k] < upper[j] {
                        (closest[j], upper[j]) = (k, lower[k]);
                        changes += 1;
                    }
                }
            }
        }
        let dimensions = samples[0].len();
        let (mut sums, mut counts) = (vec![vec![0f32; dimensions]; lists], vec![0f32; lists]);
        for (sample, centre) in samples.iter().zip(&closest) {
            sums[*centre].iter_mut().zip(sample).for_each(|(sum, x)| *sum += x);
            counts[*centre] += 1.0;
        }
        for (sum, count) in sums.iter_mut().zip(&counts) {
            match *count > 0.0 {
                true => sum.iter_mut().for_each(|x| *x /= count),
                false => sum.iter_mut().for_each(|x| *x = random.fraction() as f32),
            }
            if metric != Metric::L2 {
                *sum = unit(sum);
            }
        }
        let moved: Vec<f32> = centres.iter().zip(&sums).map(|(a, b)| apart(metric, a, b) as f32).collect();
        for j in 0..count {
            let lower = &mut lower[j * lists..(j + 1) * lists];
            lower.iter_mut().zip(&moved).for_each(|(lower, moved)| *lower = (*lower - moved).max(0.0));
            upper[j] += moved[closest[j]];
        }
        centres = sums;
        if changes == 0 && round > 0 {
            break;
        }
    }
    centres
}

/// The part of the nearest rows that is in the nearest lists, for each number of [`PROBES`].
fn recall(
    near: &[Vec<bool>],
    lists: usize,
    list_of: &[usize],
    rank: impl Fn(usize, usize) -> f64,
) -> [f64; PROBES.len()] {
    let mut sizes = vec![0; lists];
    list_of.iter().for_each(|list| sizes[*list] += 1);
    let mut found = [0.0; PROBES.len()];
    for (query, near) in near.iter().enumerate() {
        let mut order: Vec<(f64, usize)> =
            (0..lists).filter(|list| sizes[*list] > 0).map(|list| (rank(query, list), list)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut place = vec![usize::MAX; lists];
        order.iter().enumerate().for_each(|(at, (_, list))| place[*list] = at);
        for (found, probes) in found.iter_mut().zip(PROBES) {
            let hits = near.iter().zip(list_of).filter(|(is_near, list)| **is_near && place[**list] < probes).count();
            *found += hits.min(K) as f64;
        }
    }
    found.map(|found| found / (K * QUERIES) as f64)
}

/// Of this thread on a processor.
fn seconds() -> f64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse::<f64>().unwrap() * 1e-9
}

/// By how much more of the nearest rows our lists hold, and the seconds that both took.
fn compare(kind: &Kind, rows: usize, seed: u64) -> ([f64; PROBES.len()], [f64; 2]) {
    let mut vectors = (kind.make)(rows + QUERIES, seed);
    let queries = vectors.split_off(rows);
    let metric = kind.metric;
    let operator = |a: &[f32], b: &[f32]| crate::tests::operator(metric, a, b);
    let near: Vec<Vec<bool>> = (queries.iter())
        .map(|query| {
            let all: Vec<f64> = vectors.iter().map(|row| operator(row, query)).collect();
            let mut sorted = all.clone();
            let (_, farthest, _) = sorted.select_nth_unstable_by(K - 1, f64::total_cmp);
            all.iter().map(|distance| distance <= farthest).collect()
        })
        .collect();

    let start = seconds();
    let units: Vec<Vec<f32>>;
    let samples = match metric {
        Metric::L2 => &vectors,
        _ => {
            units = vectors.iter().map(|vector| unit(vector)).collect();
            &units
        }
    };
    let centres = pgvector(metric, kind.lists, samples, seed);
    let theirs = seconds() - start;
    let of = |vector: &[f32], centre: &[f32]| match metric {
        Metric::L2 => f64::from(l2_squared(vector, centre)),
        _ => -f64::from(inner_product(vector, centre)),
    };
    let indexed = if metric == Metric::Cosine { samples } else { &vectors };
    let list_of: Vec<usize> = (indexed.iter())
        .map(|row| (0..kind.lists).min_by(|a, b| of(row, &centres[*a]).total_cmp(&of(row, &centres[*b]))).unwrap())
        .collect();
    let bars = recall(&near, kind.lists, &list_of, |query, list| of(&queries[query], &centres[list]));

    let dimensions = vectors[0].len();
    let coder = learn(Element::Dense, metric, dimensions, &vectors.concat(), &|| Ok(())).unwrap();
    let codes: Vec<Vec<u32>> = vectors.iter().map(|vector| encoded(&coder, vector)).collect();
    let asked: Vec<Vec<u32>> = queries.iter().map(|vector| encoded(&coder, vector)).collect();
    let start = seconds();
    let centres = trained(coder.clone(), kind.lists as u32, &codes, seed);
    let ours = seconds() - start;
    let (assigning, measure) = (Assigning::new(&coder), coder.space.measure());
    let list_of: Vec<usize> = (codes.iter())
        .map(|code| centres.nearest(|a, b| assigning.distance(a, b), code, &pace()).unwrap().0 as usize)
        .collect();
    let rank = |query: usize, list: usize| f64::from(measure.distance(&asked[query], centres.get(list)));
    let found = recall(&near, kind.lists, &list_of, rank);
    (std::array::from_fn(|i| found[i] - bars[i]), [ours, theirs])
}

fn trained(coder: Coder, lists: u32, codes: &[Vec<u32>], seed: u64) -> Codes {
    let training = Training::new(coder, lists, codes.concat(), seed, &pace()).unwrap();
    let mut next = Some(training.first());
    while let Some((step, units)) = next {
        (0..units).for_each(|unit| training.run(step, unit, &pace()).unwrap());
        next = training.after(step);
    }
    training.take_centres()
}

/// Mean and its standard error.
fn mean(of: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = of.clone().count() as f64;
    let mean = of.clone().sum::<f64>() / count;
    let variance = of.map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// The clustering as well as pgvector's, on the whole: single ones differ by chance.
#[test]
fn lists_hold_as_many_of_the_nearest_rows_as_pgvectors() {
    let mut failures = Vec::new();
    for kind in kinds() {
        let kind = Kind { lists: 40, ..kind };
        let all: Vec<_> = (1..=4).map(|seed| compare(&kind, 4000, seed).0).collect();
        for (i, probes) in PROBES.into_iter().enumerate() {
            let (mean, error) = mean(all.iter().map(|differences| differences[i]));
            println!("{}, {probes} lists: {mean:+.3} ± {error:.3}", kind.name);
            if mean < -0.01 - error {
                failures.push(format!("{}, {probes} lists: {mean:+.3} ± {error:.3}", kind.name));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// `SEEDS=12 cargo engine -p lagoon-vector figures_of_lists -- --ignored --nocapture`
#[test]
#[ignore = "prints figures"]
fn figures_of_lists() {
    let setting = |name: &str, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let (seeds, rows) = (setting("SEEDS", 12), setting("ROWS", 10_000) as usize);
    let only = std::env::var("KIND").unwrap_or_default();
    for kind in kinds().into_iter().filter(|kind| kind.name.contains(&only)) {
        let kind = Kind { lists: setting("LISTS", 100) as usize, ..kind };
        let all: Vec<_> = (1..=seeds).map(|seed| compare(&kind, rows, seed)).collect();
        let figure = |i: usize| {
            let (mean, error) = mean(all.iter().map(|(differences, _)| differences[i]));
            format!("{mean:+.3} ± {error:.3}")
        };
        let [ours, theirs] = [0, 1].map(|i| mean(all.iter().map(|(_, seconds)| seconds[i])).0);
        println!("{}: {} {} {}; {ours:.3} s, pgvector's {theirs:.3} s", kind.name, figure(0), figure(1), figure(2));
    }
}
