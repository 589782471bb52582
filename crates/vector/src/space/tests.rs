use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::distance::norm;
use crate::distance::sparse::Sparse;
use crate::tests::{Random, kinds, operator};

pub const DENSE: [Metric; 4] = [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1];

/// What the operator computes, in `f64`.
fn truth(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let dot: f64 = pairs().map(|(a, b)| a * b).sum();
    match metric {
        Metric::L2 => pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
        Metric::L1 => pairs().map(|(a, b)| (a - b).abs()).sum(),
        Metric::InnerProduct => -dot,
        _ => (1.0 - dot / (norm(a) * norm(b))).max(0.0),
    }
}

pub const QUANTISED: [Form; 2] = [Form::Quantised, Form::Fine];

/// What codes would measure if they were exact.
pub fn graph_distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    match metric {
        Metric::L2 => truth(metric, a, b).powi(2),
        Metric::Cosine => {
            let (x, y) = (norm(a), norm(b));
            a.iter().zip(b).map(|(a, b)| (f64::from(*a) / x - f64::from(*b) / y).powi(2)).sum()
        }
        _ => truth(metric, a, b),
    }
}

fn code(space: Space, vector: &[f32]) -> Vec<u32> {
    encode(&Coder::plain(space), vector)
}

pub fn encode(coder: &Coder, vector: &[f32]) -> Vec<u32> {
    coder.encode(Value::Dense(vector)).unwrap().unwrap()
}

fn dense(form: Form, metric: Metric, dimensions: usize) -> Space {
    Space { form, metric, dimensions }
}

/// Coders without a centre and with one that is near or nowhere near.
fn coders(form: Form, metric: Metric, dimensions: usize, near: &[f32]) -> [Coder; 3] {
    let space = dense(form, metric, dimensions);
    let far: Vec<f32> = (0..dimensions).map(|i| i as f32 - 7.0).collect();
    [Coder::plain(space), Coder::new(space, Some(near.into())), Coder::new(space, Some(far.into()))]
}

#[test]
fn bounds_enclose_the_distance_and_are_near_it() {
    let mut random = Random::new(5);
    for (form, metric) in QUANTISED.into_iter().flat_map(|form| DENSE.map(|metric| (form, metric))) {
        for dimensions in [32, 33, 384, 2000] {
            for (scale, offset) in [(1.0, 0.0), (1e-3, 1000.0), (1e-20, 0.0), (1e15, -1e15), (0.0, 3.0)] {
                let mut vector = || random.vector(dimensions).iter().map(|x| x * scale + offset).collect::<Vec<_>>();
                let (a, b, c) = (vector(), vector(), vector());
                let near: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + 1e-4 * (b - a)).collect();
                for (which, coder) in coders(form, metric, dimensions, &c).into_iter().enumerate() {
                    for b in [&a, &b, &near] {
                        let (x, y) = (encode(&coder, &a), encode(&coder, b));
                        let (bound, most) = coder.bounds(&x).ends(&y);
                        let exact = truth(metric, &a, b);
                        let what = format!("{form:?} {metric:?} {dimensions} {scale} {offset} {which}");
                        assert!(bound <= exact && exact <= most, "{what}: {exact} is not in {bound} to {most}");
                        if (scale, offset) == (1.0, 0.0) && (which == 0 || which == 1 && metric != Metric::Cosine) {
                            let size = match metric {
                                Metric::Cosine => 1.0,
                                _ => truth(metric, &a, &a).abs().max(truth(metric, &a, &c).abs()),
                            };
                            assert!(exact - bound < 0.04 * size, "{what}: {bound} is far below {exact}");
                            assert!(most - exact < 0.04 * size, "{what}: {most} is far above {exact}");
                        }
                    }
                }
            }
        }
    }
}

/// What a code may be wrong by is taken for what it usually is: on no kind of data does that matter.
#[test]
fn bounds_enclose_the_distances_of_any_kind_of_data() {
    for kind in kinds::dense().into_iter().chain(kinds::inserted()) {
        let Coder { space, .. } = kind.coder();
        for form in QUANTISED {
            let coder = Coder::new(space.with_form(form), kind.coder().centre().map(Into::into));
            let codes: Vec<_> = kind.rows.iter().step_by(3).map(|row| encode(&coder, row)).collect();
            for query in &kind.queries[..50] {
                let encoded = encode(&coder, query);
                let bounds = coder.bounds(&encoded);
                for (row, code) in kind.rows.iter().step_by(3).zip(&codes) {
                    let (distance, (least, most)) = (operator(space.metric, row, query), bounds.ends(code));
                    let is_within = least <= distance && distance <= most;
                    assert!(is_within, "{} {form:?}: {distance} is not in {least} to {most}", kind.name);
                }
            }
        }
    }
}

/// Zeros but for one element: what a code is put together from is much larger than the vector.
#[test]
fn a_bound_is_below_the_distance_of_vectors_of_a_single_element() {
    for (form, dimensions) in QUANTISED.into_iter().flat_map(|form| [32, 384, 1999, 16_000].map(|n| (form, n))) {
        let coder = Coder::plain(dense(form, Metric::L2, dimensions));
        let single = |x: f32| {
            let mut vector = vec![0.0; dimensions];
            vector[0] = x;
            encode(&coder, &vector)
        };
        for s in 65_536..65_600u32 {
            let bound = coder.bounds(&single(-255.0 * s as f32)).to(&single(-255.0 * (s + 1) as f32));
            assert!(bound <= 255.0, "{dimensions}, {s}: {bound}");
        }
        let mut random = Random::new(13);
        for _ in 0..100 {
            let x = single(1000.0 * random.float());
            assert_eq!(coder.bounds(&x).to(&x), 0.0, "{dimensions}");
        }
    }
}

#[test]
fn a_distance_is_a_number_even_where_infinities_meet() {
    let (a, b) = ([1e30, 1e30, 1e30], [1e30, -1e30, 1.0]);
    for element in [Element::Dense, Element::Sparse] {
        for metric in DENSE {
            let space = Space::new(element, metric, 3);
            let encode = |vector: &[f32; 3]| match element {
                Element::Sparse => {
                    Coder::plain(space).encode(Value::Sparse(Sparse::new(&[0, 1, 2], vector))).unwrap().unwrap()
                }
                _ => code(space, vector),
            };
            for (x, y) in [(a, a), (a, b), (b, b)] {
                let distance = space.measure().distance(&encode(&x), &encode(&y));
                assert!(distance.is_finite(), "{element:?} {metric:?}: {distance}");
            }
        }
    }
}

/// PostgreSQL raises an ERROR when its own distance is below the bound.
#[test]
fn bounds_enclose_what_the_operator_says_even_of_extreme_vectors() {
    let mut random = Random::new(7);
    for metric in DENSE {
        for (form, dimensions) in QUANTISED.into_iter().flat_map(|form| [32, 100, 2000, 16_000].map(|n| (form, n))) {
            let centre = random.vector(dimensions);
            let coders = coders(form, metric, dimensions, &centre);
            let scales = [1e-44, 1e-30, 1e-25, 1e-22, 1e-19, 1e-17, 1e-10, 1.0, 1e10, 1e17, 1e19, 1e25, 3e38];
            for (i, scale) in scales.into_iter().enumerate() {
                for other in [scale, 1.0, scales[scales.len() - 1 - i]] {
                    for sign in [1.0f32, -1.0] {
                        let mut vector = |by: f32| random.vector(dimensions).iter().map(|x| x * by).collect::<Vec<_>>();
                        let a = vector(scale);
                        // A second one that is random, and one that is opposite or equal but for its length.
                        let opposite = a.iter().map(|x| (x / scale * other * sign).clamp(f32::MIN, f32::MAX)).collect();
                        for b in [vector(other), opposite] {
                            let operator = match metric {
                                Metric::L2 => f64::from(distance::l2_squared(&a, &b)).sqrt(),
                                Metric::L1 => f64::from(distance::l1(&a, &b)),
                                Metric::InnerProduct => -f64::from(distance::inner_product(&a, &b)),
                                _ => distance::cosine(&a, &b).distance(),
                            };
                            for coder in &coders[..2] {
                                let encoded = [&a, &b].map(|vector| coder.encode(Value::Dense(vector)).unwrap());
                                let [Some(x), Some(y)] = encoded else { continue };
                                let (bound, most) = coder.bounds(&x).ends(&y);
                                let is_within = bound <= operator && operator <= most;
                                assert!(
                                    is_within || operator.is_nan() && most == f64::INFINITY,
                                    "{form:?} {metric:?} {dimensions} {scale:e} {other:e}: {operator:e} is not in {bound:e} to {most:e}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_quantised_keeps_its_order() {
    let mut random = Random::new(6);
    for (form, metric) in QUANTISED.into_iter().flat_map(|form| DENSE.map(|metric| (form, metric))) {
        let space = dense(form, metric, 128);
        let (query, near) = (random.vector(128), random.vector(128));
        let near: Vec<f32> = query.iter().zip(&near).map(|(q, n)| q + 0.1 * n).collect();
        let far = random.vector(128);
        let measure = space.measure();
        let [query, near, far] = [query, near, far].map(|vector| code(space, &vector));
        assert!(measure.distance(&query, &near) < measure.distance(&query, &far), "{metric:?}");
        assert_eq!(measure.distance(&near, &far), measure.distance(&far, &near), "{metric:?}");
    }
}

#[test]
fn extreme_vectors_have_finite_codes_and_distances() {
    let kinds = DENSE.into_iter().flat_map(|metric| QUANTISED.map(|form| (form, metric)));
    for (form, metric, dimensions) in kinds.flat_map(|(form, metric)| [40, 2000].map(|n| (form, metric, n))) {
        let space = dense(form, metric, dimensions);
        let mut random = Random::new(11);
        let mut huge: Vec<f32> = random.vector(dimensions).iter().map(|x| x * f32::MAX).collect();
        (huge[0], huge[1]) = (f32::MIN, f32::MAX);
        let tiny = vec![f32::from_bits(1); dimensions];
        let codes = [code(space, &huge), code(space, &tiny), code(space, &vec![0.5; dimensions])];
        let mut decoded = vec![0.0; space.numbers()];
        space.decode(&codes[0], &mut decoded);
        assert!(decoded.iter().all(|x| x.is_finite()), "{metric:?}");
        for a in &codes {
            assert!(space.is_sound(a), "{metric:?}");
            for b in &codes {
                let distance = space.measure().distance(a, b);
                assert!(distance.is_finite() && !Coder::plain(space).bounds(a).to(b).is_nan(), "{metric:?}");
                assert!(space.noise(a, b, distance).is_finite(), "{metric:?}");
            }
        }
    }
}

#[test]
fn zero_has_no_cosine() {
    for dimensions in [3, 300] {
        let space = Space::new(Element::Dense, Metric::Cosine, dimensions);
        assert_eq!(Coder::plain(space).encode(Value::Dense(&vec![0.0; dimensions])).unwrap(), None);
    }
    let space = Space::new(Element::Sparse, Metric::Cosine, 9);
    assert_eq!(Coder::plain(space).encode(Value::Sparse(Sparse::new(&[], &[]))).unwrap(), None);
}

#[test]
fn sparse_distances_are_those_of_the_dense_vectors() {
    let (a, b) = ([0.0, 2.0, 0.0, -1.0, 4.0], [1.0, 5.0, 0.0, 0.0, 3.0]);
    for metric in DENSE {
        let dense = Space::new(Element::Dense, metric, 5);
        let sparse = Space::new(Element::Sparse, metric, 5);
        let x =
            Coder::plain(sparse).encode(Value::Sparse(Sparse::new(&[1, 3, 4], &[2.0, -1.0, 4.0]))).unwrap().unwrap();
        let y = Coder::plain(sparse).encode(Value::Sparse(Sparse::new(&[0, 1, 4], &[1.0, 5.0, 3.0]))).unwrap().unwrap();
        assert!(sparse.is_sound(&x) && sparse.code_words(x[0]) == x.len());
        let expected = dense.exact(dense.measure().distance(&code(dense, &a), &code(dense, &b)));
        assert!((sparse.exact(sparse.measure().distance(&x, &y)) - expected).abs() < 1e-6, "{metric:?}");
    }
}

#[test]
fn bits_are_counted() {
    let space = |metric| Space::new(Element::Bits, metric, 12);
    let code = |bytes: &[u8]| Coder::plain(space(Metric::Hamming)).encode(Value::Bits(bytes)).unwrap().unwrap();
    let (a, b) = (code(&[0b1111_0000, 0b1000_0000]), code(&[0b1100_0011, 0b1000_0000]));
    assert_eq!(space(Metric::Hamming).measure().distance(&a, &b), 4.0);
    assert_eq!(space(Metric::Jaccard).measure().distance(&a, &b), (1.0 - 3.0 / 7.0) as f32);
    assert_eq!(space(Metric::Jaccard).measure().distance(&code(&[0, 0]), &code(&[0, 0])), 1.0);
}

#[test]
fn a_centre_is_the_mean_of_what_its_codes_know() {
    let mut random = Random::new(8);
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        for dimensions in [3, 31, 32, 385] {
            let space = Space::new(Element::Dense, metric, dimensions);
            let vectors: Vec<Vec<f32>> = (0..50).map(|_| random.vector(dimensions)).collect();
            let elements = |vector: &[f32], by: f64| {
                let mut elements: Vec<f32> = vector.iter().map(|x| (f64::from(*x) / by) as f32).collect();
                if space.is_quantised() {
                    rotation::rotate(&mut elements);
                }
                elements
            };
            let (mut sum, mut numbers) = (vec![0.0f64; dimensions], vec![0.0f32; space.numbers()]);
            for vector in &vectors {
                space.decode(&code(space, vector), &mut numbers);
                let by = if metric == Metric::Cosine { norm(vector) } else { 1.0 };
                for (i, (x, element)) in numbers.iter().zip(elements(vector, by)).enumerate() {
                    assert!((x - element).abs() < 0.004, "{metric:?} {dimensions}");
                    sum[i] += f64::from(*x);
                }
            }
            let mean: Vec<f64> = sum.iter().map(|x| x / 50.0).collect();
            space.decode(&space.centre(&mean).unwrap(), &mut numbers);
            let length = mean.iter().map(|x| x * x).sum::<f64>().sqrt();
            let by = if metric == Metric::Cosine && !space.is_quantised() { length } else { 1.0 };
            for (x, mean) in numbers.iter().zip(&mean) {
                assert!((f64::from(*x) - mean / by).abs() < 0.004, "{metric:?} {dimensions}");
            }
        }
    }
    let bits = Space::new(Element::Bits, Metric::Hamming, 20);
    let codes = [[0b1100_0000, 1, 0], [0b1010_0000, 1, 0], [0b1001_0000, 0, 0xF0]].map(|bytes| bits::encode(&bytes));
    let (mut sum, mut numbers) = (vec![0.0; bits.numbers()], vec![0.0; bits.numbers()]);
    for code in &codes {
        bits.decode(code, &mut numbers);
        sum.iter_mut().zip(&numbers).for_each(|(sum, x)| *sum += f64::from(*x) / 3.0);
    }
    assert_eq!(bits.centre(&sum).unwrap(), bits::encode(&[0b1000_0000, 1, 0]));
}

#[test]
fn without_direction_there_is_no_centre() {
    for (element, metric, is_none) in [
        (Element::Dense, Metric::Cosine, false),
        (Element::Dense, Metric::InnerProduct, false),
        (Element::Dense, Metric::L2, false),
        (Element::Bits, Metric::Hamming, false),
        (Element::Sparse, Metric::L2, true),
    ] {
        let space = Space::new(element, metric, 40);
        assert_eq!(space.centre(&vec![0.0; space.numbers()]).is_none(), is_none, "{space:?}");
    }
}

/// The bytes of version 3, on a little-endian machine.
#[test]
#[cfg(target_endian = "little")]
#[rustfmt::skip]
fn golden_codes() {
    let vector: Vec<f32> = (0..34).map(|i| (i * i % 7) as f32 - 2.0).collect();
    let code = |form, metric| encode(&Coder::new(dense(form, metric, 34), Some(vec![0.25; 34].into())), &vector);
    // Step, error, hash, sum of squares; bytes.
    assert_eq!(
        code(Form::Quantised, Metric::L2),
        [
            0x3CD4_CD7F, 0x3D41_6870, 0xB394_6FEB, 0x0001_9A62, 0xF527_F346, 0xD6B2_43CC, 0x1444_2931, 0xE42B_5204,
            0x0A43_2539, 0x2A2F_306B, 0x8113_11BC, 0x17A2_AF00, 0x0000_EA09,
        ]
    );
    // Step, error, hash, middle; bytes.
    assert_eq!(
        code(Form::Quantised, Metric::L1),
        [
            0x3C81_848E, 0x3DE6_B6C7, 0xB394_6FEB, 0xBE81_848E, 0x007F_C182, 0x82C1_7F00, 0x0000_7FC1, 0xC182_C17F,
            0x7F00_007F, 0x7FC1_82C1, 0xC17F_0000, 0x007F_C182, 0x0000_7F00,
        ]
    );
    // Step, error, hash, sum of squares (two), product with the centre; high bytes, low bytes.
    assert_eq!(
        code(Form::Fine, Metric::InnerProduct),
        [
            0x38D3_258A, 0x3935_5AA7, 0xB394_6FEB, 0x9F45_66D7, 0x0000_0001, 0xBFF0_0000, 0xF426_F246, 0xD5B1_43CB,
            0x1444_2931, 0xE42B_5203, 0x0A43_2539, 0x292F_306B, 0x8013_10BB, 0x16A0_AEFF, 0xEA0E_EA08, 0x14EB_6AFD,
            0x2095_3F61, 0x57B7_7481, 0x2815_1056, 0x2199_4D42, 0xDDF0_DD6D, 0x049B_0106, 0x1794_AFFE,
        ]
    );
}

#[test]
fn codes_are_equal_only_where_values_are() {
    let mut random = Random::new(23);
    for (form, metric) in QUANTISED.into_iter().flat_map(|form| DENSE.map(|metric| (form, metric))) {
        let coder = Coder::plain(dense(form, metric, 40));
        for i in 0..40 {
            let mut vector = random.vector(40);
            vector[(i + 1) % 40] = 0.0;
            let code = encode(&coder, &vector);
            vector[(i + 1) % 40] = -0.0;
            assert_eq!(encode(&coder, &vector), code, "{form:?} {metric:?}: both zeros are the same");
            let twice: Vec<f32> = vector.iter().map(|x| 2.0 * x).collect();
            assert_eq!(encode(&coder, &twice) == code, metric == Metric::Cosine, "{form:?} {metric:?}: a direction");
            vector[i] *= 1.0 + 2.0 * f32::EPSILON;
            assert_ne!(encode(&coder, &vector), code, "{form:?} {metric:?}: the last bit");
        }
    }
}

/// So many places, scattered over all dimensions or in runs that begin anywhere.
fn scattered(random: &mut Random, count: usize, dimensions: usize, run: usize) -> BTreeMap<i32, f32> {
    let mut terms = BTreeMap::new();
    while terms.len() < count {
        let first = (random.next() >> 8) as usize % (dimensions - 2 * run);
        for _ in 0..run.min(count - terms.len()) {
            terms.insert((first + random.next() as usize % (2 * run)) as i32, (random.next() % 19) as f32 - 9.0);
        }
    }
    terms
}

fn sparse_code(space: Space, terms: &BTreeMap<i32, f32>) -> Vec<u32> {
    let (places, values): (Vec<i32>, Vec<f32>) = terms.iter().unzip();
    Coder::plain(space).encode(Value::Sparse(Sparse::new(&places, &values))).unwrap().unwrap()
}

#[test]
fn sparse_distances_are_right_wherever_the_places_are() {
    let mut random = Random::new(5);
    for dimensions in [60_000, 70_000, 1_000_000, 1_000_000_000] {
        let mut all: Vec<BTreeMap<i32, f32>> = Vec::new();
        for (count, run) in [(0, 1), (1, 1), (7, 7), (100, 1), (301, 300), (400, 20), (1000, 1000), (1000, 3)] {
            let terms = scattered(&mut random, count, dimensions, run);
            // One that shares most of its places, and one that has them a group farther.
            all.push(terms.iter().filter(|(place, _)| *place % 3 > 0).map(|(place, x)| (*place, -2.0 * x)).collect());
            let farther = |place: &i32| (place + 65_535) % dimensions as i32;
            all.push(terms.iter().map(|(place, x)| (farther(place), *x)).collect());
            all.push(terms);
        }
        for metric in [Metric::L2, Metric::InnerProduct, Metric::L1] {
            let space = Space::new(Element::Sparse, metric, dimensions);
            let codes: Vec<Vec<u32>> = all.iter().map(|terms| sparse_code(space, terms)).collect();
            for ((a, x), (b, y)) in
                all.iter().zip(&codes).flat_map(|one| all.iter().zip(&codes).map(move |two| (one, two)))
            {
                let at = |of: &BTreeMap<i32, f32>, place: &i32| f64::from(of.get(place).copied().unwrap_or_default());
                let places: BTreeSet<&i32> = a.keys().chain(b.keys()).collect();
                let pairs = places.into_iter().map(|place| (at(a, place), at(b, place)));
                let expected: f64 = match metric {
                    Metric::L2 => pairs.map(|(x, y)| (x - y) * (x - y)).sum(),
                    Metric::L1 => pairs.map(|(x, y)| (x - y).abs()).sum(),
                    _ => -pairs.map(|(x, y)| x * y).sum::<f64>(),
                };
                assert_eq!(f64::from(space.measure().distance(x, y)), expected, "{metric:?}, {dimensions} dimensions");
            }
            for code in &codes {
                assert!(space.is_sound(code) && space.code_words(code[0]) == code.len());
                for word in [0, 3, 4, code.len() / 3].into_iter().filter(|word| *word < code.len()) {
                    for wrong in [0, 1, 1 << 16, u32::MAX] {
                        let mut damaged = code.clone();
                        damaged[word] = wrong;
                        assert!(!space.measure().distance(&damaged, &codes[20]).is_nan());
                        assert!(word > 0 || wrong == code[0] || !space.is_sound(&damaged));
                    }
                }
            }
        }
    }
}

/// pgvector has 16 bytes and 8 for each element, beside what its pages and its tuples take.
#[test]
fn a_sparse_code_is_smaller_than_the_value() {
    let mut random = Random::new(6);
    for dimensions in [65_534, 65_535, 250_000, 1 << 20, 1 << 24, 1_000_000_000] {
        for count in [1, 5, 30, 100, 400, 1000] {
            for run in [1, 30, 1000] {
                let terms = scattered(&mut random, count, dimensions, run);
                let bytes = 4 * sparse_code(Space::new(Element::Sparse, Metric::L2, dimensions), &terms).len();
                let what = format!("{count} of {dimensions}, {run} in a run: {bytes}");
                assert!(bytes < 16 + 8 * count, "{what}");
                // By a seventh where there are a few groups, or a few parts of all dimensions that are places.
                if count >= 400 && (run == 1000 || dimensions <= 250_000) {
                    assert!(bytes * 7 <= (16 + 8 * count) * 6, "{what}");
                }
            }
        }
    }
}

/// `cargo engine -p lagoon-vector figures_of_grouped_places -- --ignored --nocapture`
#[test]
#[ignore = "prints figures"]
fn figures_of_grouped_places() {
    use crate::distance::shared::{self, Terms};
    let mut random = Random::new(7);
    for dimensions in [100_000, 250_000, 1 << 20, 1 << 22] {
        for count in [30, 100, 400, 1000] {
            let space = Space::new(Element::Sparse, Metric::InnerProduct, dimensions);
            let all: Vec<_> = (0..100).map(|_| scattered(&mut random, count, dimensions, 1)).collect();
            let codes: Vec<Vec<u32>> = all.iter().map(|terms| sparse_code(space, terms)).collect();
            let parts: Vec<(Vec<i32>, Vec<f32>)> = all.iter().map(|terms| terms.iter().unzip()).collect();
            let (mut best, mut sum) = ([f64::MAX; 2], 0.0);
            for _ in 0..5 {
                let mut time = |of: usize, distance: &dyn Fn(usize, usize) -> f64| {
                    let start = std::time::Instant::now();
                    sum += (0..10_000).map(|i| distance(i / 100, i % 100)).sum::<f64>();
                    best[of] = best[of].min(start.elapsed().as_secs_f64() * 1e5);
                };
                let terms = |i: usize| Terms::new(&parts[i].0, &parts[i].1);
                time(0, &|i, j| f64::from(space.measure().distance(&codes[i], &codes[j])));
                time(1, &|i, j| shared::inner_product(terms(i), terms(j)));
            }
            let groups = codes[0][0] >> 16;
            println!(
                "{count} of {dimensions}: {:.0} ns in {groups} groups, {:.0} ns as words ({sum})",
                best[0], best[1]
            );
        }
    }
}
