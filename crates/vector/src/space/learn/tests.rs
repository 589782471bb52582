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
        Metric::L2 => pairs().map(|(a, b)| (a - b).powi(2)).sum(),
        Metric::L1 => pairs().map(|(a, b)| (a - b).abs()).sum(),
        Metric::InnerProduct => -pairs().map(|(a, b)| a * b).sum::<f64>(),
        _ => {
            let (x, y) = (distance::norm(a), distance::norm(b));
            pairs().map(|(a, b)| (a / x - b / y).powi(2)).sum()
        }
    }
}

/// How many of the ten nearest are among the `most` nearest by their codes.
fn recall(rows: &[Vec<f32>], queries: &[Vec<f32>], coder: &Coder, most: usize) -> f64 {
    let (metric, measure) = (coder.space.metric, coder.space.measure());
    let encode = |vector: &Vec<f32>| coder.encode(Value::Dense(vector)).unwrap().unwrap();
    let codes: Vec<_> = rows.iter().map(encode).collect();
    let mut found = 0;
    for query in queries {
        let exact: Vec<f64> = rows.iter().map(|row| truth(metric, query, row)).collect();
        let mut ordered = exact.clone();
        let (_, tenth, _) = ordered.select_nth_unstable_by(9, f64::total_cmp);
        let query = encode(query);
        let mut near: Vec<(f32, usize)> = codes.iter().map(|code| measure.distance(&query, code)).zip(0..).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Whatever is as near as the tenth is a hit.
        found += near[..most].iter().filter(|(_, i)| exact[*i] <= *tenth).count().min(10);
    }
    found as f64 / (10 * queries.len()) as f64
}

/// A kind of data, with the forms that it may get.
struct Kind {
    name: String,
    metric: Metric,
    forms: &'static [Form],
    is_centred: Option<bool>,
    rows: Vec<Vec<f32>>,
}

const ANY: &[Form] = &[Form::Quantised, Form::Fine, Form::Floats];
const SMALL: &[Form] = &[Form::Quantised];
const LARGE: &[Form] = &[Form::Fine, Form::Floats];

fn kinds(count: usize) -> Vec<Kind> {
    let r = &mut Random::new(77);
    let mut kinds = Vec::new();
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct, Metric::L1] {
        let mut add = |name: &str, forms, is_centred, rows| {
            kinds.push(Kind { name: name.to_owned(), metric, forms, is_centred, rows });
        };
        let vector = |r: &mut Random, n: usize| (0..n).map(|_| normal(r)).collect::<Vec<f32>>();
        for by in [300.0, 3000.0] {
            let feature = |r: &mut Random, change: &dyn Fn(&mut f32)| {
                vectors(count, |_| {
                    let mut vector = vector(r, 64);
                    change(&mut vector[7]);
                    vector
                })
            };
            add(&format!("a feature {by} times as large"), ANY, None, feature(r, &|x| *x *= by));
            add(&format!("a constant feature of {by}"), SMALL, Some(true), feature(r, &|x| *x = by));
        }
        for by in [1e-2, 1e-4] {
            let mean = vector(r, 96);
            let rows = vectors(count, |_| mean.iter().map(|x| x + by * normal(r)).collect());
            add(&format!("a common mean and {by} of it"), SMALL, Some(true), rows);
        }
        for by in [1e-3, 1e-4, 1e-5] {
            add(&format!("clusters as wide as {by}"), LARGE, None, clusters(r, count, 64, count / 40, by));
        }
        add("clusters", SMALL, None, clusters(r, count, 128, count / 20, 0.8));
        add("uniform 32", SMALL, None, vectors(count, |_| (0..32).map(|_| r.float().abs()).collect()));
        add("uniform 768", SMALL, None, vectors(count / 2, |_| (0..768).map(|_| r.float().abs()).collect()));
        add("integers", SMALL, None, vectors(count, |_| (0..64).map(|_| r.next() as u8 as f32).collect()));
        add("bits", ANY, None, vectors(count, |_| (0..64).map(|_| (r.next() % 2) as f32).collect()));
        let tails = vectors(count, |_| (0..64).map(|_| normal(r) / (r.float().abs() + 1e-3)).collect());
        add("heavy tails", ANY, None, tails);
        let norms = |r: &mut Random| {
            let by = 10f32.powf(3.0 * r.float());
            vector(r, 64).into_iter().map(|x| by * x).collect()
        };
        add("norms over six magnitudes", ANY, None, vectors(count, |_| norms(r)));
        let parts = |r: &mut Random| if r.next().is_multiple_of(4) { r.float().abs() } else { 0.0 };
        add("mostly zeros", SMALL, None, vectors(count, |_| (0..128).map(|_| parts(r)).collect()));
    }
    kinds
}

#[test]
fn what_is_learnt_keeps_the_nearest_of_every_kind_of_data() {
    for Kind { name, metric, forms, is_centred, mut rows } in kinds(2400) {
        let queries = rows.split_off(rows.len() - 10);
        let coder = learnt(metric, &rows);
        let what = format!("{name}, {metric:?}: {:?}", coder.space.form);
        assert!(forms.contains(&coder.space.form), "{what}");
        assert!(is_centred.is_none_or(|is| is == coder.centre().is_some()), "{what}");
        let floats = Coder::plain(coder.space.with_form(Form::Floats));
        let bar = recall(&rows, &queries, &floats, 40).min(0.99);
        let recall = recall(&rows, &queries, &coder, 40);
        assert!(recall >= bar, "{what}: {recall} where floats have {bar}");
    }
}

#[test]
fn a_few_huge_values_do_not_move_a_centre() {
    let mut random = Random::new(5);
    for metric in [Metric::L2, Metric::InnerProduct, Metric::L1] {
        let mut rows = vectors(2000, |_| (0..50).map(|i| i as f32 + normal(&mut random)).collect());
        (0..9).for_each(|i| rows[200 * i] = vec![1e20; 50]);
        let coder = learnt(metric, &rows);
        assert_eq!(coder.space.form, Form::Quantised, "{metric:?}");
        let centre = coder.centre().unwrap();
        assert!((0..50).all(|i| (centre[i] - i as f32).abs() < 0.2), "{metric:?}: {centre:?}");
    }
}

#[test]
fn of_little_nothing_is_learnt() {
    let mut random = Random::new(6);
    for (dimensions, count, form) in [(31, 2000, Form::Floats), (32, 999, Form::Fine), (9000, 3, Form::Quantised)] {
        let rows = vectors(count, |_| random.vector(dimensions));
        let coder = learnt(Metric::L2, &rows);
        assert_eq!((coder.space.form, coder.centre()), (form, None), "{dimensions}");
    }
    let none = learn(Element::Dense, Metric::L2, 100, &[], &|| Ok(())).unwrap();
    assert_eq!(none, Coder::plain(Space::new(Element::Dense, Metric::L2, 100)));
    // Equal rows are one element, whose neighbours are few.
    let nine = vectors(9, |_| random.vector(40));
    let rows = vectors(2000, |i| nine[i % 9].clone());
    assert_eq!(learnt(Metric::L2, &rows).space.form, Form::Quantised);
    let zeros = vectors(2000, |_| vec![0.0; 40]);
    assert_eq!(learnt(Metric::Cosine, &zeros).space.form, Form::Quantised);
}

#[test]
#[ignore = "prints figures"]
fn figures_of_learning() {
    println!("of the nearest 10: among 40 and 10 by codes, 40 by floats, 40 by bytes");
    for Kind { name, metric, mut rows, .. } in kinds(10_000) {
        let queries = rows.split_off(rows.len() - 20);
        let start = std::time::Instant::now();
        let coder = learnt(metric, &rows);
        let ms = start.elapsed().as_millis();
        let floats = Coder::plain(coder.space.with_form(Form::Floats));
        let bytes = Coder::new(coder.space.with_form(Form::Quantised), coder.centre().map(Into::into));
        let [a, b] = [40, 10].map(|most| recall(&rows, &queries, &coder, most));
        let [c, d] = [&floats, &bytes].map(|coder| recall(&rows, &queries, coder, 40));
        let (form, is_centred) = (coder.space.form.name(), coder.centre().is_some());
        println!("{name:30} {:8} {form:8} {is_centred:5} {a:.3} {b:.3} {c:.3} {d:.3} {ms} ms", metric.name());
    }
}

#[test]
#[ignore = "prints figures"]
fn figures_of_codes() {
    /// Nanoseconds, at best.
    fn time(count: usize, mut f: impl FnMut()) -> f64 {
        let times = (0..200).map(|_| {
            let start = std::time::Instant::now();
            f();
            start.elapsed().as_secs_f64()
        });
        times.fold(f64::MAX, f64::min) * 1e9 / count as f64
    }
    for dimensions in [128, 384, 768] {
        let mut random = Random::new(1);
        let rows = vectors(30, |_| random.vector(dimensions));
        for (metric, form) in
            [(Metric::L2, Form::Quantised), (Metric::L2, Form::Fine), (Metric::Cosine, Form::Quantised)]
        {
            let coder = Coder::plain(Space { form, metric, dimensions });
            let encode = |row: &Vec<f32>| coder.encode(Value::Dense(row)).unwrap().unwrap();
            let encoding = time(30, || rows.iter().for_each(|row| drop(std::hint::black_box(encode(row)))));
            let codes: Vec<_> = rows.iter().map(encode).collect();
            let measure = coder.space.measure();
            let measuring = time(900, || {
                for a in &codes {
                    for b in &codes {
                        std::hint::black_box(measure.distance(a, b));
                    }
                }
            });
            println!("{dimensions} {metric:?} {form:?}: code {encoding:.0} ns, distance {measuring:.1} ns");
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
