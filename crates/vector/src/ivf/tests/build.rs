//! How centres are found and rows assigned.

use super::*;
use crate::ivf::build::{pgvector_memory, required_memory};
use crate::ivf::kmeans::{Codes, Step, Training};
use std::sync::atomic::AtomicBool;

fn train(space: Space, lists: u32, codes: &[Vec<u32>]) -> Codes {
    let training = Training::new(space, lists, codes.concat(), 7);
    let mut next = Some(training.first());
    while let Some((step, units)) = next {
        for unit in (0..units).rev().map(|unit| if step == Step::Seed { units - 1 - unit } else { unit }) {
            training.run(step, unit, &AtomicBool::new(false)).unwrap();
        }
        next = training.after(step);
    }
    training.centres()
}

/// The mean distance of codes to their nearest centre.
fn cost(space: Space, centres: &Codes, codes: &[Vec<u32>]) -> f64 {
    let measure = space.measure();
    codes.iter().map(|code| f64::from(centres.nearest(&measure, code).1)).sum::<f64>() / codes.len() as f64
}

#[test]
fn centres_are_about_as_good_as_they_can_be() {
    // 200 clusters, and the noise around a centre is 0.6² / 3 for each dimension.
    for dimensions in [8, 40] {
        let space = Space::new(Element::Dense, Metric::L2, dimensions);
        let codes: Vec<_> = clustered(10_000, dimensions, 1).iter().map(|vector| code(&space, vector)).collect();
        let cost = cost(space, &train(space, 200, &codes), &codes) / (dimensions as f64 * 0.12);
        assert!(cost < 1.15, "{dimensions} dimensions: {cost}");
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
            let (sum, count) = &mut sums[lloyd.nearest(&measure, code).0 as usize];
            sum.iter_mut().zip(code).for_each(|(sum, x)| *sum += f64::from(f32::from_bits(*x)));
            *count += 1.0;
        }
        let mean = |(sum, count): (Vec<f64>, f64)| sum.into_iter().map(move |x| x / count).collect::<Vec<f64>>();
        lloyd.codes = sums.into_iter().flat_map(|sum| space.centre(&mean(sum)).unwrap()).collect();
    }
    let best = cost(space, &lloyd, &codes);
    assert!(ours < 1.02 * best, "{ours} where {best} is possible");
}

#[test]
fn few_distinct_rows_each_have_a_centre() {
    for space in [Space::new(Element::Dense, Metric::L2, 3), Space::new(Element::Bits, Metric::Hamming, 3)] {
        let vectors: Vec<Vec<f32>> =
            (0..200).map(|i| (0..3).map(|bit| f32::from((i % 8) >> bit & 1u8) * 2.0 - 1.0).collect()).collect();
        let store = build(Meta { space, lists: 100 }, &vectors, 0);
        verified(&store);
        for vector in &vectors[..8] {
            assert_eq!(nearest(&store, vector, 1).len(), 25, "one list has all rows of a value, and no other");
        }
    }
}

#[test]
fn the_only_row_is_found() {
    for lists in [1, 2, 50] {
        for space in spaces() {
            let vector = vec![0.5; space.dimensions];
            let store = build(Meta { space, lists }, std::slice::from_ref(&vector), 0);
            verified(&store);
            assert_eq!(nearest(&store, &vector, 1), [1]);
        }
    }
}

#[test]
fn an_index_does_not_depend_on_the_number_of_threads() {
    let vectors = clustered(12_000, 40, 5);
    let stores = [0, 1, 2, 5].map(|threads| build(meta(40, 60, Metric::Cosine), &vectors, threads));
    assert_eq!(verified(&stores[0]).rows.len(), 12_000);
    for store in &stores[1..] {
        assert_eq!(store.blocks(), stores[0].blocks());
        for block in 0..store.blocks().unwrap() {
            assert_eq!(store.read(block).unwrap()[..], stores[0].read(block).unwrap()[..], "block {block}");
        }
    }
}

#[test]
fn a_build_beyond_its_memory_goes_on_in_a_file() {
    let vectors = clustered(3000, 40, 3);
    for space in [Space::new(Element::Dense, Metric::L2, 40), Space::new(Element::Bits, Metric::Hamming, 40)] {
        let mut builder = Builder::new(Meta { space, lists: 20 }, memory(10_000), 1000, 42).unwrap();
        for vector in &vectors {
            if let Some(place) = builder.draw() {
                builder.sample(place, &code(&space, vector)).unwrap();
            }
        }
        assert_eq!(builder.sampled(), 1000);
        builder.train();
        for (tid, vector) in (1..).zip(&vectors) {
            builder.push(&code(&space, vector), tid).unwrap();
        }
        assert!(builder.is_spilled() && builder.memory() < 30_000, "{}", builder.memory());
        builder.close();
        while builder.work_here().unwrap() {}
        let store = MemPages::new();
        builder.flush(&store, |_| ()).unwrap();
        assert_eq!(verified(&store).rows.len(), 3000);
        assert_eq!(nearest(&store, &vectors[0], 20), exact(&numbered(&vectors), &space, &vectors[0]));
    }
}

#[test]
fn the_sample_is_fair() {
    let space = Space::new(Element::Dense, Metric::L2, 1);
    let mut builder = Builder::new(Meta { space, lists: 1 }, memory(0), 1000, 5).unwrap();
    for _ in 0..100_000 {
        if let Some(place) = builder.draw() {
            assert!(place < 1000);
            builder.sample(place, &[7]).unwrap();
        }
    }
    assert_eq!(builder.sampled(), 1000);
    let late = (0..100_000).filter(|_| builder.draw().is_some()).count();
    assert!((550..850).contains(&late), "1000 × ln 2 are replaced among as many rows again, not {late}");
}

#[test]
fn a_cancelled_build_ends() {
    let vectors = clustered(5000, 40, 3);
    let space = meta(40, 100, Metric::L2).space;
    let mut builder = Builder::new(meta(40, 100, Metric::L2), memory(1 << 30), 5000, 42).unwrap();
    let job = builder.job();
    std::thread::scope(|scope| {
        let workers = [(); 2].map(|()| scope.spawn(|| job.work()));
        for vector in &vectors {
            if let Some(place) = builder.draw() {
                builder.sample(place, &code(&space, vector)).unwrap();
            }
        }
        builder.train();
        job.cancel();
        for worker in workers {
            assert_eq!(worker.join().unwrap(), Err(Error::Cancelled));
        }
    });
    assert_eq!(builder.flush(&MemPages::new(), |_| ()), Err(Error::Cancelled));
}

#[test]
fn memory_is_said_beforehand() {
    // 2000 dimensions, 100 lists, 10,000 rows: pgvector asks for 83 MB where 20 are enough.
    let space = Space::new(Element::Dense, Metric::L2, 2000);
    assert_eq!(samples(100), 10_000);
    assert_eq!(samples(1000), 50_000);
    assert_eq!(required_memory(&space, 100, 10_000) >> 20, 19);
    assert_eq!(pgvector_memory(8 + 4 * 2000, 2000, 100, 10_000, 10_000) >> 20, 82);
    assert_eq!(pgvector_memory(8 + 4 * 2000, 2000, 100, 1, 0), 24 + 100 * 8008 + 24 + 8008);
    assert_eq!(pgvector_memory(20, 3, 10_000, 500_000, 100_000) >> 20, 4209);
}
