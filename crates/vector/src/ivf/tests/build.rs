//! How centres are found and rows assigned.

use super::*;
use crate::ivf::build::required_memory;
use crate::ivf::lists::Lists;

#[test]
fn few_distinct_rows_each_have_a_centre() {
    for space in [Space::new(Element::Dense, Metric::L2, 3), Space::new(Element::Bits, Metric::Hamming, 3)] {
        let vectors: Vec<Vec<f32>> =
            (0..200).map(|i| (0..3).map(|bit| f32::from((i % 8) >> bit & 1u8) * 2.0 - 1.0).collect()).collect();
        let store = build(of(space, 100), &vectors, 0);
        verified(&store);
        let mut centres = Vec::new();
        Lists::open(&store).unwrap().centres(|_, centre| centres.push(centre.to_vec())).unwrap();
        centres.sort_unstable();
        centres.dedup();
        assert!(centres.len() == if space.is_exact() && space.metric == Metric::L2 { 100 } else { 8 });
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
            let store = build(of(space, lists), std::slice::from_ref(&vector), 0);
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
        let mut builder = Builder::new(Coder::plain(space), 20, memory(10_000), 1000, 42).unwrap();
        for vector in &vectors {
            if let Some(place) = builder.draw() {
                builder.sample(place, &code(&space, vector)).unwrap();
            }
        }
        assert_eq!(builder.sampled(), 1000);
        builder.train(&|| Ok(())).unwrap();
        for (tid, vector) in (1..).zip(&vectors) {
            builder.push(&code(&space, vector), tid).unwrap();
        }
        assert!(builder.is_spilled() && builder.memory() < 30_000, "{}", builder.memory());
        builder.close();
        while builder.work_here(&|| Ok(())).unwrap() {}
        let store = MemPages::new();
        builder.flush(&store, |_| ()).unwrap();
        assert_eq!(verified(&store).rows.len(), 3000);
        assert_eq!(nearest(&store, &vectors[0], 20), exact(&numbered(&vectors), &space, &vectors[0]));
    }
}

#[test]
fn the_sample_is_fair() {
    let space = Space::new(Element::Dense, Metric::L2, 1);
    let mut builder = Builder::new(Coder::plain(space), 1, memory(0), 1000, 5).unwrap();
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
    let mut builder = Builder::new(Coder::plain(space), 100, memory(1 << 30), 5000, 42).unwrap();
    let job = builder.job();
    std::thread::scope(|scope| {
        let workers = [(); 2].map(|()| scope.spawn(|| job.work()));
        for vector in &vectors {
            if let Some(place) = builder.draw() {
                builder.sample(place, &code(&space, vector)).unwrap();
            }
        }
        builder.train(&|| Ok(())).unwrap();
        job.cancel();
        for worker in workers {
            assert_eq!(worker.join().unwrap(), Err(Error::Cancelled));
        }
    });
    assert_eq!(builder.flush(&MemPages::new(), |_| ()), Err(Error::Cancelled));
}

#[test]
fn memory_is_said_beforehand() {
    let space = crate::tests::dense(Metric::L2, 2000);
    assert_eq!(samples(100), 10_000);
    assert_eq!(samples(1000), 50_000);
    assert_eq!(required_memory(&space, 100, 10_000) >> 20, 20);
}

/// As pgvector has it: an unlogged table starts like this after a crash.
#[test]
fn centres_are_random_where_there_are_no_rows() {
    for space in spaces() {
        let store = empty(&of(space, 20));
        let (mut seen, mut numbers) = (Vec::new(), vec![0.0; space.numbers()]);
        let lists = Lists::open(&store).unwrap();
        lists
            .centres(|_, centre| {
                space.decode(centre, &mut numbers);
                if !space.is_quantised() {
                    assert!(numbers.iter().all(|x| (0.0..=1.001).contains(x)) && numbers.iter().any(|x| *x > 0.0));
                    assert!(numbers.iter().skip(space.dimensions).all(|x| *x == 0.0), "bits after the last");
                }
                let norm = crate::distance::norm(&numbers);
                assert!(space.metric != Metric::Cosine || (norm - 1.0).abs() < 0.01, "{norm}");
                assert!(!seen.contains(&centre.to_vec()));
                seen.push(centre.to_vec());
            })
            .unwrap();
        assert_eq!(seen.len(), 20);
    }
}
