//! Sparse vectors, few and many elements that are not zero, alike and mixed.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::distance::sparse::Sparse;
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::level::Levels;
use crate::hnsw::vacuum::vacuum;
use crate::tests::Eventful;

/// So many places of `dimensions` with random elements; half of the places are among the first tenth, as words are frequent and
/// rare.
fn sparse(random: &mut Random, non_zero: usize, dimensions: usize) -> (Vec<i32>, Vec<f32>) {
    let mut places = std::collections::BTreeSet::new();
    while places.len() < non_zero {
        let of =
            if places.len().is_multiple_of(2) && dimensions / 10 >= non_zero { dimensions / 10 } else { dimensions };
        places.insert((random.next() >> 8) as usize % of);
    }
    places.iter().map(|place| (*place as i32, random.float().abs() + 0.01)).unzip()
}

fn sparse_code(space: &Space, (places, values): &(Vec<i32>, Vec<f32>)) -> Vec<u32> {
    Coder::plain(*space).encode(Value::Sparse(Sparse::new(places, values))).unwrap().unwrap()
}

fn built(meta: Meta, codes: &[Vec<u32>]) -> MemPages {
    let store = MemPages::new();
    let mut builder = Builder::new(&Coder::plain(meta.space), meta.m, meta.ef_construction, memory(1 << 32), 42);
    for (i, code) in codes.iter().enumerate() {
        builder.push(code, i as Tid + 1).unwrap();
    }
    builder.close().unwrap();
    while builder.work_here(&|| Ok(())).unwrap() {}
    builder.flush(&store).unwrap();
    store
}

fn first(store: &MemPages, query: &[u32], ef: usize) -> Vec<Tid> {
    let limits = Limits { ef, iterative: Iterative::Off, max_elements: 0, max_memory: 0 };
    let mut scan = Scan::new(coder(store).unwrap(), query.to_vec(), limits);
    std::iter::from_fn(|| scan.next(store, &mut NoTable).unwrap().map(|hit| hit.tid)).take(10).collect()
}

/// Lengths from none to the most, short ones as often as long ones.
fn mixed(random: &mut Random) -> usize {
    let most = [3, 40, 200, 1000][random.next() as usize % 4];
    random.next() as usize % most + 1
}

/// Places are half words, or words.
fn spaces() -> [Space; 2] {
    [2_000, 1_000_000].map(|dimensions| Space::new(Element::Sparse, Metric::L2, dimensions))
}

fn bytes_a_row(store: &MemPages, rows: usize) -> usize {
    store.blocks().unwrap() as usize * 8192 / rows
}

/// What pgvector's build takes for each of some elements of layer 0, m = 16.
fn pgvector(lengths: &[usize]) -> usize {
    pgvector_pages(lengths, 16) * 8192 / lengths.len()
}

/// Pages of pgvector's build for elements of layer 0: an element and its links on one page if there is room (hnswbuild.c,
/// CreateGraphPages; hnsw.h).
fn pgvector_pages(lengths: &[usize], m: usize) -> usize {
    const PAGE: usize = 8192 - 24 - 8;
    let (mut pages, mut free) = (2, PAGE);
    let links = (4 + 6 * 2 * m).next_multiple_of(8);
    for non_zero in lengths {
        let element = 72 + 16 + 8 * non_zero;
        let both = element + links + 4;
        if free < element + 4 || both <= PAGE - 4 && free < both + 4 {
            (pages, free) = (pages + 1, PAGE);
        }
        free -= element + 4;
        if free < links + 4 {
            (pages, free) = (pages + 1, PAGE);
        }
        free -= links + 4;
    }
    pages
}

/// As many places as wanted, each as likely as the others or the n-th with 1/n, as words are.
fn places(random: &mut Random, is_zipf: bool, non_zero: usize, dimensions: usize) -> Vec<i32> {
    let mut places = BTreeSet::new();
    while places.len() < non_zero {
        let part = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
        let place = if is_zipf { (dimensions as f64).powf(part) - 1.0 } else { part * dimensions as f64 };
        places.insert((place as usize).min(dimensions - 1) as i32);
    }
    places.into_iter().collect()
}

/// Where pgvector's pages are full, one entry more, and in between. One in a hundred is what groups may cost where they are.
#[test]
fn no_density_takes_more_room_than_in_pgvector() {
    let mut random = Random::new(79);
    let counts =
        [1, 5, 30, 65, 66, 100, 108, 133, 167, 218, 219, 303, 304, 338, 400, 440, 473, 474, 600, 800, 983, 984, 1000];
    for (dimensions, is_zipf) in
        [1_000, 30_000, 250_000, 5_000_000, 1_000_000_000].into_iter().zip([false, true].into_iter().cycle())
    {
        let space = Space::new(Element::Sparse, Metric::L2, dimensions);
        let mut check = |what: &str, m: usize, lengths: &[usize]| {
            let values = |count: usize| (1..=count).map(|i| i as f32).collect::<Vec<f32>>();
            let codes: Vec<_> = (lengths.iter().take(200))
                .map(|len| sparse_code(&space, &(places(&mut random, is_zipf, *len, dimensions), values(*len))))
                .collect();
            let mut builder = Builder::new(&Coder::plain(space), m, 64, memory(1 << 32), 42);
            for (tid, code) in (1..=lengths.len() as Tid).zip(codes.iter().cycle()) {
                builder.push(code, tid).unwrap();
            }
            builder.close().unwrap();
            let lengths: Vec<usize> = lengths.iter().take(200).cycle().take(lengths.len()).copied().collect();
            let (ours, theirs) = (builder.blocks().unwrap() as usize, pgvector_pages(&lengths, m));
            assert!(100 * ours <= 101 * theirs, "{what} of {dimensions}, m {m}: {ours} pages, {theirs} in pgvector");
        };
        for non_zero in counts.into_iter().filter(|count| 2 * count <= dimensions) {
            for m in [4, 16, 100] {
                check(&non_zero.to_string(), m, &[non_zero; 2000]);
            }
        }
        for (from, to) in [(1, 20), (20, 60), (60, 240), (300, 500), (400, 1000), (1, 1000)] {
            if 2 * to <= dimensions {
                let lengths: Vec<usize> = (0..2000).map(|i| from + i * 7919 % (to - from)).collect();
                check(&format!("{from} to {to}"), 16, &lengths);
            }
        }
    }
}

#[test]
fn no_length_takes_more_room_than_in_pgvector() {
    let mut random = Random::new(71);
    let mut check = |what: &str, lengths: &[usize], dimensions: usize, bar: usize| {
        let space = Space::new(Element::Sparse, Metric::InnerProduct, dimensions);
        let codes: Vec<_> =
            lengths.iter().map(|len| sparse_code(&space, &sparse(&mut random, *len, dimensions))).collect();
        let (ours, theirs) = (bytes_a_row(&built(Meta::new(space, 16, 8), &codes), lengths.len()), pgvector(lengths));
        assert!(ours * 100 <= theirs * bar, "{what}: {ours} bytes a row, {theirs} in pgvector");
    };
    for (non_zero, bar) in [(5, 100), (30, 90), (100, 80), (250, 90), (400, 80), (600, 60), (1000, 55)] {
        check(&format!("{non_zero} of 30,000"), &vec![non_zero; 2000], 30_000, bar);
        check(
            &format!("{non_zero} of 250,000"),
            &vec![non_zero; 2000],
            250_000,
            if non_zero < 400 { 110 } else { bar },
        );
    }
    let mut random = Random::new(72);
    let mut lengths =
        |from: usize, to: usize| (0..2000).map(|_| from + random.next() as usize % (to - from)).collect::<Vec<_>>();
    for (from, to) in [(1, 1001), (20, 60), (60, 240), (1, 20)] {
        check(&format!("{from} to {to} of 30,000"), &lengths(from, to), 30_000, 85);
        check(&format!("{from} to {to} of 250,000"), &lengths(from, to), 250_000, 105);
    }
}

#[test]
fn the_first_insert_chooses_a_layout_for_codes_as_long_as_its_own() {
    for non_zero in [10, 100, 400, 1000] {
        for space in spaces() {
            let mut random = Random::new(73);
            let codes: Vec<_> =
                (0..600).map(|_| sparse_code(&space, &sparse(&mut random, non_zero, space.dimensions))).collect();
            let store = empty(&Meta::new(space, 16, 8));
            for (tid, code) in (1..).zip(&codes) {
                insert(&store, code, tid, tid.wrapping_mul(0xD134_2543_DE82_EF95)).unwrap();
            }
            assert_eq!(verified(&store).rows.len(), 600);
            let (inserted, built) =
                (bytes_a_row(&store, 600), bytes_a_row(&built(Meta::new(space, 16, 8), &codes), 600));
            assert!(inserted * 100 <= built * 115, "{non_zero}: {inserted} bytes a row, {built} when built");
        }
    }
}

/// A vacuum or a scan that looked at the metapage before the first insert chose another layout sees an empty index.
#[test]
fn nobody_is_misled_by_the_layout_that_the_first_insert_chooses() {
    let space = spaces()[0];
    let mut random = Random::new(74);
    let codes: Vec<_> = (0..40).map(|_| sparse_code(&space, &sparse(&mut random, 3, 2_000))).collect();
    let store = empty(&Meta::new(space, 4, 8));
    let before = Meta::read(&store.read(0).unwrap()).unwrap().geometry;
    let stop = AtomicU64::new(0);
    let rounds = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut rounds = 0;
            while stop.load(Ordering::SeqCst) == 0 || rounds < 3 {
                vacuum(&store, |_| false).unwrap();
                first(&store, &codes[0], 10);
                rounds += 1;
            }
            rounds
        });
        for (tid, code) in (1..).zip(&codes) {
            insert(&store, code, tid, tid).unwrap();
        }
        stop.store(1, Ordering::SeqCst);
        other.join().unwrap()
    });
    assert!(rounds >= 3);
    assert_ne!(Meta::read(&store.read(0).unwrap()).unwrap().geometry, before);
    assert_eq!(verified(&store).rows.len(), 40);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Codes of any length, which come and go, lie where they do not lie over each other, and are what they were.
    #[test]
    fn any_order_of_lengths_leaves_a_sound_index(seed: u64, built_rows in 0usize..120, m in 2usize..8, form in 0usize..2) {
        let space = spaces()[form];
        let mut random = Random::new(seed);
        let mut codes: BTreeMap<Tid, Vec<u32>> = BTreeMap::new();
        let mut next: Tid = 1;
        let fresh = |random: &mut Random, next: &mut Tid| {
            let len = mixed(random);
            *next += 1;
            (*next - 1, sparse_code(&space, &sparse(random, len, space.dimensions)))
        };
        let first_codes: Vec<_> = (0..built_rows).map(|_| fresh(&mut random, &mut next)).collect();
        let store = built(Meta::new(space, m, 16), &first_codes.iter().map(|(_, code)| code.clone()).collect::<Vec<_>>());
        codes.extend(first_codes);
        verified(&store);
        for _ in 0..5 {
            for _ in 0..random.next() % 50 {
                let (tid, code) = fresh(&mut random, &mut next);
                insert(&store, &code, tid, tid.wrapping_mul(0xD134_2543_DE82_EF95)).unwrap();
                codes.insert(tid, code);
            }
            verified(&store);
            let dead: HashSet<Tid> = codes.keys().copied().filter(|_| random.next().is_multiple_of(2)).collect();
            let outcome = vacuum(&store, |tid| dead.contains(&tid)).unwrap();
            codes.retain(|tid, _| !dead.contains(tid));
            prop_assert_eq!(outcome.rows, codes.len() as u64);
            let report = verified(&store);
            prop_assert_eq!(report.rows.iter().collect::<BTreeSet<Tid>>(), codes.keys().copied().collect::<BTreeSet<Tid>>());
            for (tid, code) in codes.iter().take(20) {
                prop_assert_eq!(first(&store, code, 200)[0], *tid);
            }
        }
    }
}

#[test]
fn a_change_of_codes_of_mixed_lengths_cut_anywhere_leaves_a_sound_index() {
    for space in spaces() {
        let mut random = Random::new(75);
        let mut codes = Vec::new();
        for _ in 0..70 {
            let len = mixed(&mut random);
            codes.push(sparse_code(&space, &sparse(&mut random, len, space.dimensions)));
        }
        let mut points = 0;
        let mut cut = |store: &MemPages, kept: &[Tid], change: &dyn Fn(&MemPages) -> Result<()>| {
            for writes in 0.. {
                let copy = store.fork();
                copy.cut_power_after(writes);
                let is_done = change(&copy).is_ok();
                copy.restart();
                let report = verified(&copy);
                assert!(kept.iter().all(|tid| report.rows.iter().any(|row| row == *tid)), "after {writes} writes");
                if is_done {
                    change(store).unwrap();
                    return;
                }
                points += 1;
            }
        };
        let store = empty(&Meta::new(space, 3, 12));
        let mut kept: Vec<Tid> = Vec::new();
        for (tid, code) in (1..).zip(&codes) {
            cut(&store, &kept, &|store| insert(store, code, tid, tid));
            kept.push(tid);
        }
        kept.retain(|tid| tid.is_multiple_of(3));
        cut(&store, &kept, &|store| vacuum(store, |tid| !tid.is_multiple_of(3)).map(drop));
        for (tid, code) in (100..).zip(&codes).step_by(4) {
            cut(&store, &kept, &|store| insert(store, code, tid, tid));
            kept.push(tid);
        }
        assert_eq!(verified(&store).rows.len(), kept.len());
        assert!(points > 200, "only {points} crashes");
    }
}

#[test]
fn threads_insert_scan_and_vacuum_codes_of_mixed_lengths() {
    let space = spaces()[0];
    let mut random = Random::new(76);
    let mut codes = Vec::new();
    for _ in 0..600 {
        let len = mixed(&mut random);
        codes.push(sparse_code(&space, &sparse(&mut random, len, space.dimensions)));
    }
    let store = empty(&Meta::new(space, 4, 16));
    let (next, left) = (AtomicU64::new(1), AtomicU64::new(3));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let tid = next.fetch_add(1, Ordering::SeqCst);
                    let Some(code) = codes.get(tid as usize - 1) else { break };
                    insert(&store, code, tid, tid).unwrap();
                }
                left.fetch_sub(1, Ordering::SeqCst);
            });
        }
        scope.spawn(|| {
            while left.load(Ordering::SeqCst) > 0 {
                for code in codes.iter().take(20) {
                    first(&store, code, 20);
                }
            }
        });
        scope.spawn(|| {
            while left.load(Ordering::SeqCst) > 0 {
                let horizon = next.load(Ordering::SeqCst).saturating_sub(50);
                vacuum(&store, |tid| tid < horizon && tid % 5 != 0).unwrap();
            }
        });
    });
    vacuum(&store, |tid| tid % 5 != 0).unwrap();
    assert_eq!(verified(&store).rows.len(), 120);
    for (tid, code) in (1..).zip(&codes).filter(|(tid, _)| tid % 5 == 0) {
        assert_eq!(first(&store, code, 200).first(), Some(&tid));
    }
}

#[test]
fn room_that_vacuum_frees_is_used_again() {
    let space = spaces()[0];
    let mut random = Random::new(78);
    let mut codes = Vec::new();
    for _ in 0..200 {
        let len = mixed(&mut random);
        codes.push(sparse_code(&space, &sparse(&mut random, len, space.dimensions)));
    }
    let store = built(Meta::new(space, 4, 16), &codes);
    // A build leaves out the empty pages at the end of its last group; inserts add them.
    let geometry = PagedGraph::open(&store).unwrap().meta.geometry;
    let before = geometry.blocks(geometry.node_pages_of(store.blocks().unwrap()));
    for round in 1..4 {
        assert_eq!(vacuum(&store, |_| true).unwrap().freed, 200);
        for (tid, code) in (round * 1000..).zip(&codes) {
            insert(&store, code, tid, tid).unwrap();
        }
        let now = store.blocks().unwrap();
        assert!(now <= before + before / 4, "{before} blocks became {now} in round {round}");
        verified(&store);
    }
}

/// Somebody else's code takes the room that an insert has found, before it gets there.
#[test]
fn an_insert_whose_room_is_taken_finds_another() {
    let space = spaces()[1];
    let mut random = Random::new(77);
    let codes: Vec<_> = (0..30).map(|_| sparse_code(&space, &sparse(&mut random, 300, 1_000_000))).collect();
    let store = empty(&Meta::new(space, 4, 16));
    // On the lowest layer: nobody moves the entry point, under a lock that both would want.
    let seed = (0..).find(|seed| Levels::new(4, 30, *seed).draw() == 0).unwrap();
    insert(&store, &codes[0], 1, seed).unwrap();
    let mut tid = 100;
    let busy = Eventful::new(&store, |store| {
        if let Some(code) = codes.get(tid as usize - 85) {
            tid += 1;
            insert(store, code, tid - 1, seed).unwrap();
        }
    });
    for (tid, code) in (2..).zip(&codes[1..15]) {
        insert(&busy, code, tid, seed).unwrap();
    }
    let report = verified(&store);
    assert_eq!(report.rows.len(), 30);
    let graph = PagedGraph::open(&store).unwrap();
    assert!(graph.meta.geometry.packed().is_some());
}

/// Of this thread on a processor.
fn seconds() -> f64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse::<f64>().unwrap() * 1e-9
}

/// `cargo test --release -p lagoon-vector figures_of_sparse -- --ignored --nocapture`
#[test]
#[ignore = "prints figures"]
fn figures_of_sparse_indexes() {
    for dimensions in [1_000, 30_000, 250_000, 5_000_000, 1_000_000_000] {
        let metric = Metric::L2;
        for non_zero in [30, 100, 400, 1000].into_iter().filter(|non_zero| non_zero * 2 < dimensions) {
            let space = Space::new(Element::Sparse, metric, dimensions);
            let mut random = Random::new(7);
            let vectors: Vec<_> = (0..2100).map(|_| sparse(&mut random, non_zero, dimensions)).collect();
            let codes: Vec<_> = vectors.iter().map(|vector| sparse_code(&space, vector)).collect();
            let (queries, rows) = codes.split_at(100);
            let mut sum = 0.0;
            let mut nanos = |distance: &dyn Fn(usize, usize) -> f32| {
                let start = seconds();
                for (i, j) in (0..100).flat_map(|i| (100..1100).map(move |j| (i, j))) {
                    sum += distance(i, j);
                }
                (seconds() - start) * 1e4
            };
            let parts = |i: usize| Sparse::new(&vectors[i].0, &vectors[i].1);
            let plain = nanos(&|i, j| distance::sparse::l2_squared(parts(i), parts(j)));
            let coded = nanos(&|i, j| space.measure().distance(&codes[i], &codes[j]));
            let start = seconds();
            let store = built(Meta::new(space, 16, 64), rows);
            let build = seconds() - start;
            let bytes = bytes_a_row(&store, rows.len());
            let start = seconds();
            queries.iter().for_each(|query| drop(first(&store, query, 40)));
            let rate = 100.0 / (seconds() - start);
            let start = seconds();
            for (tid, query) in (6000..).zip(queries) {
                insert(&store, query, tid, tid).unwrap();
            }
            let inserts = 100.0 / (seconds() - start);
            let theirs = pgvector(&vec![non_zero; rows.len()]);
            println!(
                "{metric:?} {dimensions} {non_zero}: {coded:.0} ns a distance ({plain:.0} place by place), {bytes} bytes a row ({theirs} in pgvector), build {build:.2} s, {rate:.0} queries/s, {inserts:.0} inserts/s ({sum})"
            );
        }
    }
}
