//! Recall against looking at every row: the bars of pgvector's own tests (003, 004, 032, 035), with its lists and rows.

use super::*;
use crate::space::Value;

const LIMIT: usize = 20;

struct Data {
    space: Space,
    rows: Vec<Vec<u32>>,
    queries: Vec<Vec<u32>>,
}

impl Data {
    /// Elements in 0..1, or random bits.
    fn random(space: Space, rows: usize) -> Self {
        let mut random = Random::new(17);
        let coder = crate::Coder::plain(space);
        let mut code = || {
            let numbers: Vec<f32> = (0..space.dimensions).map(|_| (random.float() + 1.0) / 2.0).collect();
            match space.metric {
                Metric::Hamming => {
                    let bits = |chunk: &[f32]| (0..).zip(chunk).map(|(i, x)| u8::from(*x > 0.5) << i).sum();
                    coder.encode(Value::Bits(&numbers.chunks(8).map(bits).collect::<Vec<u8>>())).unwrap().unwrap()
                }
                _ => coder.encode(Value::Dense(&numbers)).unwrap().unwrap(),
            }
        };
        let queries = (0..20).map(|_| code()).collect();
        Self { space, rows: (0..rows).map(|_| code()).collect(), queries }
    }

    /// How many of the rows found are as near as the [`LIMIT`] nearest.
    fn recall(&self, store: &MemPages, probes: usize) -> f64 {
        let (measure, mut found) = (self.space.measure(), 0);
        for query in &self.queries {
            let distance = |row: &Vec<u32>| measure.distance(query, row);
            let mut all: Vec<f32> = self.rows.iter().map(distance).collect();
            let (_, farthest, _) = all.select_nth_unstable_by(LIMIT - 1, f32::total_cmp);
            let mut scan = Scan::new(Coder::plain(self.space), query.clone(), limits(probes));
            for _ in 0..LIMIT {
                let Some(hit) = scan.next(store, &mut NoTable).unwrap() else { break };
                found += usize::from(distance(&self.rows[hit.tid as usize - 1]) <= *farthest);
            }
        }
        found as f64 / (LIMIT * self.queries.len()) as f64
    }
}

#[test]
fn recall_is_what_pgvector_asks_of_itself() {
    let dense = |dimensions, metric| Space::new(Element::Dense, metric, dimensions);
    for (space, one, ten) in [
        (dense(3, Metric::L2), 0.71, 0.95),
        (dense(3, Metric::InnerProduct), 0.30, 0.95), // pgvector has no bar here, as its lists find next to nothing
        (dense(3, Metric::Cosine), 0.71, 0.95),
        (dense(10, Metric::L2), 0.33, 0.93),
        (dense(10, Metric::Cosine), 0.33, 0.93),
        (Space::new(Element::Bits, Metric::Hamming, 52), 0.08, 0.50),
    ] {
        let data = Data::random(space, 100_000);
        let store = build_codes(crate::Coder::plain(space), 100, &data.rows, 1);
        assert_eq!(verified(&store).rows.len(), 100_000);
        let [first, tenth, all] = [1, 10, 100].map(|probes| data.recall(&store, probes));
        println!("{space:?}: {first:.3} {tenth:.3}");
        assert!(first >= one && tenth >= ten, "{space:?}: {first} {tenth}");
        assert_eq!(all, 1.0, "{space:?}");
    }
}

/// 004: the index is empty when rows are inserted, so its centres are random.
#[test]
fn inserted_rows_are_found_too() {
    for metric in [Metric::L2, Metric::Cosine] {
        let meta = meta(3, 100, metric);
        let data = Data::random(meta.space, 100_000);
        let store = build(meta, &[], 0);
        for (tid, code) in (1..).zip(&data.rows) {
            insert(&store, code, tid).unwrap();
        }
        let [first, tenth, all] = [1, 10, 100].map(|probes| data.recall(&store, probes));
        assert!(first >= 0.71 && tenth >= 0.95 && all == 1.0, "{metric:?}: {first} {tenth} {all}");
        verified(&store);
    }
}

/// Embeddings lie in clusters, and there a few lists are enough.
#[test]
fn few_lists_are_enough_where_there_are_clusters() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        let space = Space::new(Element::Dense, metric, 48);
        let encode = |vectors: Vec<Vec<f32>>| vectors.iter().map(|vector| code(&space, vector)).collect::<Vec<_>>();
        let data = Data { space, rows: encode(clustered(20_000, 48, 5)), queries: encode(clustered(30, 48, 6)) };
        let store = build_codes(crate::Coder::plain(space), 140, &data.rows, 1);
        let recall = data.recall(&store, 10);
        assert!(recall >= 0.95, "{metric:?}: {recall}");
    }
}

/// Not a promise but figures: `cargo engine -p lagoon-vector figures_of_ivf -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
fn figures_of_ivf() {
    let (rows, dimensions, lists) = (100_000, 384, 316);
    let space = Space::new(Element::Dense, Metric::L2, dimensions);
    let encode = |vectors: Vec<Vec<f32>>| vectors.iter().map(|vector| code(&space, vector)).collect::<Vec<_>>();
    let data =
        Data { space, rows: encode(clustered(rows, dimensions, 5)), queries: encode(clustered(30, dimensions, 6)) };
    for threads in [1, 2] {
        let start = std::time::Instant::now();
        let store = build_codes(crate::Coder::plain(space), lists, &data.rows, threads);
        println!("{threads} threads: {:.2} s", start.elapsed().as_secs_f64());
        let info = crate::ivf::info::info(&store).unwrap();
        println!("{info:?}, {} bytes", info.total_bytes());
        for probes in [1, 4, 10, 20, 40] {
            let start = std::time::Instant::now();
            for query in data.queries.iter().cycle().take(300) {
                let mut scan = Scan::new(Coder::plain(space), query.clone(), limits(probes));
                assert_eq!((0..10).filter_map(|_| scan.next(&store, &mut NoTable).unwrap()).count(), 10);
            }
            let rate = 300.0 / start.elapsed().as_secs_f64();
            println!("probes {probes}: recall {:.3}, {rate:.0} queries/s", data.recall(&store, probes));
        }
    }
}

/// As [`figures_of_ivf`], of what is done most.
#[test]
#[ignore = "prints figures"]
fn figures_of_ivf_distances() {
    for dimensions in [3, 128, 384, 1536] {
        let space = Space::new(Element::Dense, Metric::L2, dimensions);
        let data = Data::random(space, 1000);
        let codes = crate::ivf::kmeans::Codes { words: space.max_code_bytes() / 4, codes: data.rows.concat() };
        let time = |f: &mut dyn FnMut(&[u32])| {
            let start = std::time::Instant::now();
            data.rows.iter().for_each(|row| f(row));
            start.elapsed().as_secs_f64() * 1e3
        };
        let (measure, mut sum) = (space.measure(), 0.0);
        let pace = crate::pace::Pace::new(&|| Ok(()));
        let nearest =
            time(&mut |row| sum += f64::from(codes.nearest(|a, b| measure.distance(a, b), row, &pace).unwrap().1));
        let bounds = time(&mut |row| {
            let coder = crate::Coder::plain(space);
            let bounds = coder.bounds(row);
            data.rows.iter().for_each(|code| sum += bounds.to(code));
        });
        println!("{dimensions} dimensions: nearest {nearest:.1} ns, bound {bounds:.1} ns for each distance ({sum})");
    }
}
