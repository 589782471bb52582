//! What is learnt of many kinds of data, and what becomes of their recall.

use super::*;
use crate::Error;
use crate::distance;
use crate::tests::Random;

/// About a normal distribution.
fn normal(random: &mut Random) -> f32 {
    (0..6).map(|_| random.float()).sum::<f32>() / 2f32.sqrt()
}

fn vectors(count: usize, mut vector: impl FnMut(usize) -> Vec<f32>) -> Vec<Vec<f32>> {
    (0..count).map(&mut vector).collect()
}

/// Around so many centres.
fn clusters(random: &mut Random, count: usize, dimensions: usize, centres: usize, spread: f32) -> Vec<Vec<f32>> {
    let centres = vectors(centres, |_| (0..dimensions).map(|_| normal(random)).collect());
    vectors(count, |_| {
        let centre = &centres[random.next() as usize % centres.len()];
        centre.iter().map(|x| x + spread * normal(random)).collect()
    })
}

fn learnt(metric: Metric, sample: &[Vec<f32>]) -> Coder {
    learn(Element::Dense, metric, sample[0].len(), &sample.concat(), &|| Ok(())).unwrap()
}

/// What the operator says, but that nothing is rounded to `f32`.
fn truth(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    match metric {
        Metric::L2 => pairs().map(|(a, b)| (a - b) * (a - b)).sum(),
        Metric::L1 => pairs().map(|(a, b)| (a - b).abs()).sum(),
        Metric::InnerProduct => -pairs().map(|(a, b)| a * b).sum::<f64>(),
        _ => {
            let (x, y) = (distance::norm(a), distance::norm(b));
            pairs().map(|(a, b)| (a / x - b / y) * (a / x - b / y)).sum()
        }
    }
}

/// How many of the ten nearest are among the `most` nearest by another measure.
fn recall(rows: &[Vec<f32>], queries: &[Vec<f32>], metric: Metric, most: usize, coder: &Coder) -> f64 {
    let measure = coder.space.measure();
    let encode = |vector: &Vec<f32>| coder.encode(Value::Dense(vector)).unwrap().unwrap();
    let codes: Vec<_> = rows.iter().map(encode).collect();
    let mut found = 0;
    for query in queries {
        let mut exact: Vec<(f64, usize)> = rows.iter().map(|row| truth(metric, query, row)).zip(0..).collect();
        exact.sort_by(|a, b| a.0.total_cmp(&b.0));
        let query = encode(query);
        let mut near: Vec<(f32, usize)> = codes.iter().map(|code| measure.distance(&query, code)).zip(0..).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        let tenth = exact[9].0;
        let hits = near[..most]
            .iter()
            .filter(|(_, i)| truth(metric, queries_row(rows, *i), queries_row(rows, *i)) >= f64::MIN);
        let _ = hits;
        let nearest: Vec<usize> = exact.iter().take_while(|(d, _)| *d <= tenth).map(|(_, i)| *i).collect();
        found += near[..most].iter().filter(|(_, i)| nearest.contains(i)).count().min(10);
    }
    found as f64 / (10 * queries.len()) as f64
}

fn queries_row(rows: &[Vec<f32>], i: usize) -> &[f32] {
    &rows[i]
}

#[test]
#[ignore = "prints figures"]
fn learn_figures() {
    let mut random = Random::new(77);
    let r = &mut random;
    let n = 20_000;
    let mut kinds: Vec<(String, Metric, Vec<Vec<f32>>)> = Vec::new();
    let mut add = |name: &str, metric, rows| kinds.push((name.to_string(), metric, rows));
    let metrics = [Metric::L2, Metric::Cosine, Metric::InnerProduct, Metric::L1];
    for metric in metrics {
        for by in [300.0, 3000.0] {
            add(
                &format!("feature {by}x varies"),
                metric,
                vectors(n, |_| {
                    let mut v: Vec<f32> = (0..64).map(|_| normal(r)).collect();
                    v[7] *= by;
                    v
                }),
            );
            add(
                &format!("feature {by} constant"),
                metric,
                vectors(n, |_| {
                    let mut v: Vec<f32> = (0..64).map(|_| normal(r)).collect();
                    v[7] = by;
                    v
                }),
            );
        }
        for (by, d) in [(1e-2, 64), (1e-4, 64), (1e-2, 256), (1e-4, 256)] {
            let mean: Vec<f32> = (0..d).map(|_| normal(r)).collect();
            add(
                &format!("common mean {by} {d}"),
                metric,
                vectors(n, |_| mean.iter().map(|x| x + by * normal(r)).collect()),
            );
        }
        for by in [1e-2, 1e-3, 1e-4, 1e-5] {
            add(&format!("clusters {by}"), metric, clusters(r, n, 64, 200, by));
        }
        add("clusters 128 1000 0.8", metric, clusters(r, n, 128, 1000, 0.8));
        add("uniform 32", metric, vectors(n, |_| (0..32).map(|_| r.float().abs()).collect()));
        add("uniform 768", metric, vectors(n / 2, |_| (0..768).map(|_| r.float().abs()).collect()));
        add("integers 0..10", metric, vectors(n, |_| (0..64).map(|_| (r.next() % 10) as f32).collect()));
        add("integers 0..2", metric, vectors(n, |_| (0..64).map(|_| (r.next() % 2) as f32).collect()));
        add("heavy tails", metric, vectors(n, |_| (0..64).map(|_| normal(r) / (r.float().abs() + 1e-3)).collect()));
        add(
            "norms 1e6",
            metric,
            vectors(n, |_| {
                let by = 10f32.powf(3.0 * r.float());
                (0..64).map(|_| by * normal(r)).collect()
            }),
        );
        add(
            "sparse-like histograms",
            metric,
            vectors(n, |_| (0..128).map(|_| if r.next().is_multiple_of(4) { r.float().abs() } else { 0.0 }).collect()),
        );
    }
    println!("{:30} {:?} {:>10} centre  r40   r10   f40   f10  ms", "", "metric", "form");
    for (name, metric, mut rows) in kinds {
        let queries = rows.split_off(rows.len() - 30);
        let start = std::time::Instant::now();
        let coder = learnt(metric, &rows[..5000]);
        let ms = start.elapsed().as_millis();
        let floats = Coder::plain(coder.space.with_form(Form::Floats));
        let [a, b] = [40, 10].map(|most| recall(&rows, &queries, metric, most, &coder));
        let [c, d] = [40, 10].map(|most| recall(&rows, &queries, metric, most, &floats));
        let eight = Coder::new(coder.space.with_form(Form::Quantised), coder.centre().map(Into::into));
        let e = recall(&rows, &queries, metric, 40, &eight);
        println!(
            "{name:30} {:8} {:>10} {:5} {a:.3} {b:.3} {c:.3} {d:.3} {e:.3} {ms}",
            metric.name(),
            coder.space.form.name(),
            coder.centre().is_some()
        );
    }
}

#[test]
#[ignore = "prints figures"]
fn code_figures() {
    for dimensions in [128, 384, 768] {
        let mut random = Random::new(1);
        let rows = vectors(1000, |_| random.vector(dimensions));
        for form in [Form::Quantised, Form::Fine] {
            let coder = Coder::plain(Space { form, metric: Metric::L2, dimensions });
            let start = std::time::Instant::now();
            let codes: Vec<Vec<u32>> =
                rows.iter().map(|row| coder.encode(Value::Dense(row)).unwrap().unwrap()).collect();
            let encode = start.elapsed().as_secs_f64() * 1e3;
            let measure = coder.space.measure();
            let start = std::time::Instant::now();
            let mut sum = 0.0;
            for a in &codes {
                for b in &codes {
                    sum += measure.distance(a, b);
                }
            }
            let distance = start.elapsed().as_secs_f64() * 1e3;
            println!("{dimensions} {form:?}: encode {encode:.2} us, distance {distance:.1} ns {sum}");
        }
    }
}

#[test]
fn learning_ends_when_asked() {
    let mut random = Random::new(2);
    let sample = vectors(2000, |_| random.vector(64)).concat();
    let error = learn(Element::Dense, Metric::L2, 64, &sample, &|| Err(Error::Cancelled)).unwrap_err();
    assert_eq!(error, Error::Cancelled);
}
