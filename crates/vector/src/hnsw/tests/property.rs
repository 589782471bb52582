//! Any order of inserts, deletes and vacuums leaves a sound graph: verify checks that every live element is reachable, that
//! no link leads to a free slot, and the bounds of degrees.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::hnsw::level::Levels;
use crate::hnsw::vacuum::vacuum;

#[derive(Debug, Clone)]
enum Step {
    Insert { near: u8, count: u8 },
    Delete { every: u8 },
    DeleteNear { centre: u8 },
    Vacuum,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..6, 1u8..60).prop_map(|(near, count)| Step::Insert { near, count }),
        1 => (1u8..5).prop_map(|every| Step::Delete { every }),
        2 => (0u8..6).prop_map(|centre| Step::DeleteNear { centre }),
        2 => Just(Step::Vacuum),
    ];
    prop::collection::vec(step, 1..25)
}

const SPACES: [Space; 4] = [
    Space { form: Form::Floats, metric: Metric::L2, dimensions: 4 },
    Space { form: Form::Quantised, metric: Metric::L2, dimensions: 32 },
    Space { form: Form::Sparse, metric: Metric::L2, dimensions: 300 },
    Space { form: Form::Bits, metric: Metric::Hamming, dimensions: 40 },
];

/// Six tight clusters far apart: the graph that comes apart most easily. One vector in `equal` is the middle of its cluster.
fn point(dimensions: usize, near: u8, equal: u64, random: &mut Random) -> Vec<f32> {
    let spread = if random.next().is_multiple_of(equal) { 0.0 } else { 0.01 };
    // A third of the elements is around zero, so that bits and sparse vectors differ, too.
    let centre = |i: usize| match i % 3 {
        0 => 0.0,
        _ if i % 4 == usize::from(near % 4) => f32::from(near) * 100.0,
        _ => f32::from(near) - 2.5,
    };
    (0..dimensions).map(|i| centre(i) + spread * random.float()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_changes_leaves_a_sound_graph(
        steps in steps(), m in 2usize..6, form in 0usize..4, equal in 1u64..9, seed: u64, built in 0usize..100,
    ) {
        let point = |near, random: &mut Random| point(SPACES[form].dimensions, near, equal, random);
        let mut random = Random::new(seed);
        let mut rows: BTreeMap<Tid, (u8, Vec<f32>)> = BTreeMap::new();
        let mut dead: BTreeSet<Tid> = BTreeSet::new();
        let first: Vec<Vec<f32>> = (0..built).map(|i| point(i as u8 % 6, &mut random)).collect();
        let space = SPACES[form];
        // An index with a centre has its pages elsewhere, and its codes are others.
        let is_centred = space.form == Form::Quantised && seed.is_multiple_of(2);
        let coder = Coder::new(space, is_centred.then(|| vec![1.5; space.dimensions].into()));
        let store = build_coded(memory(1 << 30), &coder, m, 16, &first, 1);
        rows.extend(first.into_iter().enumerate().map(|(i, v)| (i as Tid + 1, (i as u8 % 6, v))));
        verified(&store);
        let mut next = built as Tid + 1;
        for step in steps {
            match step {
                Step::Insert { near, count } => for _ in 0..count {
                    let vector = point(near, &mut random);
                    add(&store, &vector, next).unwrap();
                    rows.insert(next, (near, vector));
                    next += 1;
                },
                Step::Delete { every } => dead.extend(rows.keys().filter(|tid| *tid % u64::from(every) == 0)),
                Step::DeleteNear { centre } => {
                    dead.extend(rows.iter().filter(|(_, (near, _))| *near == centre).map(|(tid, _)| *tid));
                }
                Step::Vacuum => {
                    let outcome = vacuum(&store, |tid| dead.contains(&tid)).unwrap();
                    prop_assert_eq!(outcome.removed, dead.len() as u64);
                    rows.retain(|tid, _| !dead.contains(tid));
                    prop_assert_eq!(outcome.rows, rows.len() as u64);
                    dead.clear();
                }
            }
            let report = verified(&store);
            prop_assert_eq!(report.rows.iter().collect::<BTreeSet<_>>(), rows.keys().copied().collect());
        }
        // Everything is reachable, so a scan wide enough returns everything, nearest first.
        let all = nearest(&store, &vec![1.0; SPACES[form].dimensions], rows.len() + 1);
        prop_assert_eq!(all.len(), rows.len());
    }
}

/// A walk that ends among elements without rows has not seen that there are others.
#[test]
fn an_insert_where_all_around_is_gone_is_linked_to_what_is_left() {
    let meta = meta(2, 2, 4, Metric::L2);
    let store = empty(&meta);
    let seed = (0..).find(|seed| Levels::new(2, meta.geometry.max_level(), *seed).draw() == 0).unwrap();
    insert(&store, &code(&meta.space, &[1000.0, 0.0]), 1, seed).unwrap();
    let mut random = Random::new(3);
    for tid in 2..=40 {
        add(&store, &random.vector(2), tid).unwrap();
    }
    store.cut_power_after(2); // rows are taken out, the entry point is moved, nothing is repaired
    vacuum(&store, |tid| tid != 1).unwrap_err();
    store.restart();
    assert_eq!(Meta::read(&store.read(0).unwrap()).unwrap().entry, 0);
    add(&store, &[0.5, 0.5], 100).unwrap();
    verified(&store);
    vacuum(&store, |_| false).unwrap();
    verified(&store);
    let mut all = nearest(&store, &[0.0, 0.0], 10);
    all.sort_unstable();
    assert_eq!(all, [1, 100]);
}

#[test]
fn deleting_everything_and_starting_again_reuses_all_space() {
    let store = empty(&meta(16, 8, 32, Metric::L2));
    let vectors = clustered(500, 16, 9);
    let mut blocks = 0;
    for round in 0..4u64 {
        for (i, vector) in vectors.iter().enumerate() {
            add(&store, vector, round * 1000 + i as u64).unwrap();
        }
        let now = crate::store::PageStore::blocks(&store).unwrap();
        assert!(round == 0 || now == blocks, "{blocks} blocks became {now}");
        blocks = now;
        verified(&store);
        let outcome = vacuum(&store, |_| true).unwrap();
        assert_eq!((outcome.rows, outcome.freed), (0, 500));
        verified(&store);
        assert!(nearest(&store, &vectors[0], 10).is_empty());
    }
}
