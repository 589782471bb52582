use super::*;
use crate::space::Coder;
use crate::space::tests::{DENSE, QUANTISED, encode, graph_distance};
use crate::tests::Random;

/// Pairs of vectors that are nothing to each other, of one cluster, and nearly equal.
fn pairs(random: &mut Random, dimensions: usize) -> [(&'static str, Vec<[Vec<f32>; 2]>); 3] {
    let centre: Vec<f32> = random.vector(dimensions);
    let mut pairs = |near: f32, apart: f32| {
        let pair = |_| {
            let mut one = |around: &[f32], by: f32| -> Vec<f32> {
                let normal = |random: &mut Random| (0..4).map(|_| random.float()).sum::<f32>();
                around.iter().map(|x| x * (1.0 - by.min(1.0)) + by * normal(random)).collect()
            };
            let a = one(&centre, near);
            let b = if apart == near { one(&centre, near) } else { one(&a, apart) };
            [a, b]
        };
        (0..1000).map(pair).collect()
    };
    [("apart", pairs(1.0, 1.0)), ("clustered", pairs(0.3, 0.3)), ("near", pairs(1.0, 0.01))]
}

#[test]
fn the_noise_is_what_is_measured() {
    let mut random = Random::new(31);
    for dimensions in [64, 384] {
        for (what, pairs) in pairs(&mut random, dimensions) {
            for (metric, form) in DENSE.into_iter().flat_map(|metric| QUANTISED.map(|form| (metric, form))) {
                let coder = Coder::plain(Space { form, metric, dimensions });
                let measure = coder.space.measure();
                let (mut wrong, mut noise) = (Vec::new(), 0.0);
                for [a, b] in &pairs {
                    let (x, y) = (encode(&coder, a), encode(&coder, b));
                    let distance = measure.distance(&x, &y);
                    wrong.push(f64::from(distance) - graph_distance(metric, a, b));
                    noise += f64::from(coder.space.noise(&x, &y, distance)).powi(2);
                }
                let mean = wrong.iter().sum::<f64>() / wrong.len() as f64;
                let measured = wrong.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
                let ratio = (noise / measured).sqrt();
                assert!(
                    (0.5..2.0).contains(&ratio),
                    "{metric:?} {form:?} {what} {dimensions}: {ratio} times the noise"
                );
            }
        }
    }
}

#[test]
fn a_code_fits_where_its_neighbours_lie_apart() {
    let vector = Random::new(3).vector(100);
    for (metric, form) in DENSE.into_iter().flat_map(|metric| QUANTISED.map(|form| (metric, form))) {
        let coder = Coder::plain(Space { form, metric, dimensions: 100 });
        let code = encode(&coder, &vector);
        let near = |apart: f32| (0..64).map(|i| 1.0 + apart * i as f32).collect::<Vec<f32>>();
        assert!(coder.space.fits(&code, &near(0.1)), "{metric:?} {form:?}");
        assert!(!coder.space.fits(&code, &near(1e-7)), "{metric:?} {form:?}");
        assert!(coder.space.fits(&code, &near(1e-7)[..7]), "of few nothing is said");
        // A few that nothing tells apart, and then a gap.
        let gap: Vec<f32> = (0..64).map(|i| if i < 16 { 1.0 } else { 2.0 + 0.1 * i as f32 }).collect();
        assert!(!coder.space.fits(&code, &gap), "{metric:?} {form:?}");
    }
    let floats = Space { form: Form::Floats, metric: Metric::L2, dimensions: 100 };
    assert!(floats.fits(&[], &[1.0; 64]) && floats.noise(&[], &[], 1.0) == 0.0);
}
