//! Any sequence of inserts, deletions and vacuums leaves each live row in exactly one list, where scans find it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Insert { near: u8, count: u8 },
    Delete { every: u8 },
    DeleteNear { centre: u8 },
    Vacuum,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6u8, 1..40u8).prop_map(|(near, count)| Step::Insert { near, count }),
        2 => (2..5u8).prop_map(|every| Step::Delete { every }),
        1 => (0..6u8).prop_map(|centre| Step::DeleteNear { centre }),
        2 => Just(Step::Vacuum),
    ]
}

fn point(near: u8, dimensions: usize, random: &mut Random) -> Vec<f32> {
    let centre = Random::new(u64::from(near) + 1).vector(dimensions);
    centre.iter().map(|x| x + 0.2 * random.float()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_live_row_is_in_one_list(
        form in 0..6usize, lists in 1..12u32, built in 0..60usize,
        steps in prop::collection::vec(step(), 1..16), seed: u64, few in 0..2000usize,
    ) {
        let space = spaces()[form];
        let (mut random, scale) = (Random::new(seed), if space.dimensions > 4000 { 10 } else { 1 });
        let mut rows: BTreeMap<Tid, (u8, Vec<f32>)> = BTreeMap::new();
        let mut dead = BTreeSet::new();
        let first: Vec<Vec<f32>> =
            (0..built / scale).map(|i| point(i as u8 % 6, space.dimensions, &mut random)).collect();
        let store = build(of(space, lists), &first, 0);
        rows.extend((1..).zip(first).map(|(tid, vector)| (tid, ((tid - 1) as u8 % 6, vector))));
        let mut next = rows.len() as Tid + 1;
        for step in steps {
            match step {
                Step::Insert { near, count } => for _ in 0..1 + usize::from(count) / scale {
                    let vector = point(near, space.dimensions, &mut random);
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
        // All lists together hold everything, in order, however little memory there is.
        let rows = rows.into_iter().map(|(tid, (_, vector))| (tid, vector)).collect();
        let query = point(0, space.dimensions, &mut random);
        let expected = exact(&rows, &space, &query);
        prop_assert_eq!(&nearest(&store, &query, lists as usize), &expected);
        let scan = Limits { max_memory: few, ..limits(lists as usize) };
        prop_assert_eq!(hits(&store, &query, scan).map(|hit| hit.tid).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn deleting_everything_and_starting_again_reuses_all_space() {
    for space in spaces() {
        let store = empty(&of(space, 4));
        let vectors = clustered(if space.dimensions > 4000 { 30 } else { 1000 }, space.dimensions, 9);
        let mut blocks = 0;
        for round in 0..4u64 {
            for (i, vector) in vectors.iter().enumerate() {
                add(&store, vector, round * 1000 + i as u64).unwrap();
            }
            let now = store.blocks().unwrap();
            assert!(round == 0 || now == blocks, "{blocks} blocks became {now}");
            blocks = now;
            verified(&store);
            let outcome = vacuum(&store, |_| true).unwrap();
            assert_eq!((outcome.rows, outcome.removed), (0, vectors.len() as u64));
            verified(&store);
            assert!(nearest(&store, &vectors[0], 4).is_empty());
        }
    }
}
