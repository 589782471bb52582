mod peer;

use super::*;
use crate::Metric;
use crate::space::Element;
use crate::tests::{Random, clustered, code};

/// Goes on.
fn pace() -> Pace<'static> {
    Pace::new(&|| Ok(()))
}

/// Looks at the clustering after each step.
fn train_and(space: Space, lists: u32, codes: &[Vec<u32>], look: impl FnMut(&Training, Step)) -> Codes {
    train_with(Coder::plain(space), lists, codes, look)
}

fn train_with(coder: Coder, lists: u32, codes: &[Vec<u32>], mut look: impl FnMut(&Training, Step)) -> Codes {
    let training = Training::new(coder, lists, codes.concat(), 7, &pace()).unwrap();
    let mut next = Some(training.first());
    while let Some((step, units)) = next {
        // Where the order does not matter, backwards.
        for unit in (0..units).rev().map(|unit| if step.is_parallel() { unit } else { units - 1 - unit }) {
            training.run(step, unit, &pace()).unwrap();
        }
        look(&training, step);
        next = training.after(step);
    }
    training.take_centres()
}

fn train(space: Space, lists: u32, codes: &[Vec<u32>]) -> Codes {
    train_and(space, lists, codes, |_, _| ())
}

/// The mean distance of codes to their nearest centre.
fn cost(space: Space, centres: &Codes, codes: &[Vec<u32>]) -> f64 {
    let measure = space.measure();
    codes
        .iter()
        .map(|code| f64::from(centres.nearest(|a, b| measure.distance(a, b), code, &pace()).unwrap().1))
        .sum::<f64>()
        / codes.len() as f64
}

#[test]
fn centres_are_about_as_good_as_they_can_be() {
    // 200 clusters, and the noise around a centre is 0.6² / 3 for each dimension.
    for dimensions in [8, 40] {
        let space = Space::new(Element::Dense, Metric::L2, dimensions);
        let codes: Vec<_> = clustered(10_000, dimensions, 1).iter().map(|vector| code(&space, vector)).collect();
        let cost = cost(space, &train(space, 200, &codes), &codes) / (dimensions as f64 * 0.12);
        assert!(cost < 1.25, "{dimensions} dimensions: {cost}");
    }
}

/// Lloyd's rounds, looking at everything, go on where the clustering has ended: there is nearly nothing left to win.
#[test]
fn looking_at_the_centres_around_is_enough() {
    let mut random = Random::new(3);
    let space = Space::new(Element::Dense, Metric::L2, 16);
    let codes: Vec<_> = (0..5000).map(|_| code(&space, &random.vector(16))).collect();
    let centres = train(space, 100, &codes);
    let ours = cost(space, &centres, &codes);
    let mut lloyd = centres;
    for _ in 0..30 {
        let measure = space.measure();
        let mut sums = vec![(vec![0.0; 16], 0.0); 100];
        for code in &codes {
            let (sum, count) =
                &mut sums[lloyd.nearest(|a, b| measure.distance(a, b), code, &pace()).unwrap().0 as usize];
            sum.iter_mut().zip(code).for_each(|(sum, x)| *sum += f64::from(f32::from_bits(*x)));
            *count += 1.0;
        }
        let mean = |(sum, count): (Vec<f64>, f64)| sum.into_iter().map(move |x| x / count).collect::<Vec<f64>>();
        lloyd.codes = sums.into_iter().flat_map(|sum| space.centre(&mean(sum)).unwrap()).collect();
    }
    let best = cost(space, &lloyd, &codes);
    assert!(ours < 1.02 * best, "{ours} where {best} is possible");
}

/// Else a list of directions that lie far apart would seem to be near to everything.
#[test]
fn a_mean_of_directions_is_as_long_as_they_are() {
    let mut random = Random::new(5);
    let plain = Space::new(Element::Dense, Metric::Cosine, 40);
    let vectors: Vec<Vec<f32>> = (0..2000).map(|_| random.vector(40)).collect();
    for form in [Form::Floats, Form::Quantised, Form::Fine] {
        for centre in [None, Some(vec![0.1; 40].into())].into_iter().take(if form == Form::Floats { 1 } else { 2 }) {
            let coder = Coder::new(plain.with_form(form), centre);
            let codes: Vec<_> =
                vectors.iter().map(|vector| coder.encode(Value::Dense(vector)).unwrap().unwrap()).collect();
            let about = coder.rotated_centre();
            let centres = train_with(coder.clone(), 20, &codes, |_, _| ());
            let mut numbers = vec![0.0; 40];
            for i in 0..20 {
                coder.space.decode(centres.get(i), &mut numbers);
                let length = numbers.iter().zip(&about).map(|(x, about)| (x + about) * (x + about)).sum::<f32>().sqrt();
                assert!((length - 1.0).abs() < 0.01, "{form:?}, {:?}: {length}", coder.centre());
            }
        }
    }
}

/// With so few lists all others are around each.
#[test]
fn nothing_nearer_is_ruled_out() {
    let mut random = Random::new(9);
    for space in [Space::new(Element::Dense, Metric::L2, 5), Space::new(Element::Bits, Metric::Hamming, 64)] {
        let codes: Vec<_> = (0..3000).map(|_| code(&space, &random.vector(space.dimensions))).collect();
        let mut rounds = 0;
        train_and(space, NEAR as u32 + 1, &codes, |training, step| {
            if step != Step::Reassign {
                return;
            }
            rounds += 1;
            for (i, code) in codes.iter().enumerate() {
                let (_, distance) =
                    read!(training.centres).nearest(|a, b| training.measure.distance(a, b), code, &pace()).unwrap();
                assert_eq!(training.distance(i), distance, "{space:?}, round {rounds}");
            }
        });
        assert!(rounds > 2, "{rounds} rounds");
    }
}

/// Where nothing is a cluster the nearest centre is often not around one's own.
#[test]
fn in_the_last_round_every_sample_has_its_nearest_centre() {
    let mut random = Random::new(4);
    let space = Space::new(Element::Dense, Metric::L2, 32).with_form(Form::Floats);
    let codes: Vec<_> = (0..5000).map(|_| code(&space, &random.vector(32))).collect();
    let mut others = 0;
    train_and(space, 100, &codes, |training, step| {
        if step == Step::Sort {
            let centres = read!(training.centres);
            let nearest = |code| centres.nearest(|a, b| training.measure.distance(a, b), code, &pace()).unwrap().1;
            others = (0..).zip(&codes).filter(|(i, code)| training.distance(*i) > nearest(code)).count();
        }
    });
    assert_eq!(others, 0, "samples of another centre");
}

#[test]
fn rare_values_far_out_have_lists() {
    let space = Space::new(Element::Dense, Metric::L2, 40);
    let mut random = Random::new(11);
    let outliers: Vec<Vec<u32>> = (0..100).map(|_| code(&space, &random.vector(40))).collect();
    let usual = code(&space, &[9.0; 40]);
    // Each outlier comes twice.
    let sample = |i: usize| if i % 20 == 7 && i < 4000 { outliers[i / 20 % 100].clone() } else { usual.clone() };
    let codes: Vec<_> = (0..10_000).map(sample).collect();
    let mut filled = 0;
    let centres = train_and(space, 50, &codes, |training, step| {
        if step == Step::Sort && filled == 0 {
            filled = read!(training.model).starts.windows(2).filter(|pair| pair[0] < pair[1]).count();
        }
    });
    assert_eq!(filled, 50, "at once");
    let distinct: std::collections::BTreeSet<&[u32]> = (0..50).map(|i| centres.get(i)).collect();
    assert!(distinct.len() >= 48, "{}: a copy may have stayed where it was", distinct.len());
}
