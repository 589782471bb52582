//! Recall against looking at every row. One thread, fixed seeds: the figures are always the same.

use super::*;
use crate::hnsw::graph::PagedGraph;
use crate::hnsw::search::{ScanMode, Scratch, descend, search_layer};

pub fn recall(store: &MemPages, rows: &BTreeMap<Tid, Vec<f32>>, queries: &[Vec<f32>], ef: usize) -> f64 {
    let mut found = 0;
    for query in queries {
        let truth = exact(rows, &space(store), query, 10);
        let got: Vec<Tid> = nearest(store, query, ef).into_iter().take(10).collect();
        found += truth.iter().filter(|tid| got.contains(tid)).count();
    }
    found as f64 / (queries.len() * 10) as f64
}

#[test]
fn built_and_inserted_graphs_find_the_nearest_with_every_metric() {
    let vectors = clustered(4000, 24, 11);
    let rows = numbered(&vectors);
    let queries = clustered(60, 24, 12);
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
        let meta = super::meta(24, 16, 64, metric);
        let built = build(meta, &vectors, 1);
        assert_eq!(verified(&built).rows.len(), 4000);
        let r = recall(&built, &rows, &queries, 40);
        assert!(r > 0.95, "{metric:?} built: {r}");
        let inserted = empty(&meta);
        for (tid, vector) in &rows {
            add(&inserted, vector, *tid).unwrap();
        }
        assert_eq!(verified(&inserted).rows.len(), 4000);
        let r = recall(&inserted, &rows, &queries, 40);
        assert!(r > 0.95, "{metric:?} inserted: {r}");
    }
}

#[test]
fn vectors_that_run_on_over_pages_are_found() {
    for dimensions in [1, 3, 768, 1024, 1536, 1999, 2000] {
        let vectors = clustered(60, dimensions, 5);
        let meta = super::meta(dimensions, 8, 32, Metric::L2);
        let built = build(meta, &vectors[..30], 1);
        for (i, vector) in vectors.iter().enumerate().skip(30) {
            add(&built, vector, i as Tid + 1).unwrap();
        }
        verified(&built);
        for (i, vector) in vectors.iter().enumerate() {
            assert_eq!(nearest(&built, vector, 40)[0], i as Tid + 1, "{dimensions} dimensions");
        }
    }
}

#[test]
fn recall_survives_deleting_three_quarters() {
    let vectors = clustered(4000, 24, 21);
    let mut rows = numbered(&vectors);
    let queries = clustered(60, 24, 22);
    let store = build(meta(24, 8, 64, Metric::L2), &vectors, 1);
    for round in 1..4 {
        let outcome = crate::hnsw::vacuum::vacuum(&store, |tid| tid % 4 == round).unwrap();
        assert_eq!(outcome.removed, 1000);
        rows.retain(|tid, _| tid % 4 != round);
        assert_eq!(verified(&store).rows.len(), rows.len());
        let r = recall(&store, &rows, &queries, 40);
        assert!(r > 0.95, "round {round}: {r}");
    }
}

/// As pgvector's own test of it, which asks for 0.8: nothing is near to anything else, and the lists are short.
#[test]
fn recall_of_random_bits_survives_deleting_three_quarters() {
    let (k, left) = (20, 2500);
    for (seed, rounds) in [(1, 1), (2, 1), (3, 1), (4, 3)] {
        let mut random = Random::new(seed);
        let mut vectors = |count: usize| -> Vec<Vec<f32>> { (0..count).map(|_| random.vector(52)).collect() };
        let (vectors, queries) = (vectors(10_000), vectors(60));
        let meta = Meta::new(Space::new(Element::Bits, Metric::Hamming, 52), 4, 8);
        let store = build(meta, &vectors, 1);
        for round in 0..rounds {
            crate::hnsw::vacuum::vacuum(&store, |tid| tid > left && tid % rounds <= round).unwrap();
        }
        assert_eq!(verified(&store).rows.len(), left as usize);
        let mut found = 0;
        for query in &queries {
            let distance = |tid: Tid| {
                let codes = [query, &vectors[tid as usize - 1]].map(|vector| code(&meta.space, vector));
                meta.space.measure().distance(&codes[0], &codes[1])
            };
            // Whatever is as near as the last of the nearest is a hit.
            let mut all: Vec<f32> = (1..=left).map(distance).collect();
            all.sort_by(f32::total_cmp);
            let hits = nearest(&store, query, 100).into_iter().take(k);
            found += hits.filter(|tid| distance(*tid) <= all[k - 1]).count();
        }
        let r = found as f64 / (queries.len() * k) as f64;
        assert!(r > 0.85, "seed {seed}, {rounds} rounds: {r}");
    }
}

/// Or vacuum would look at everything for each list that it repairs.
#[test]
fn a_walk_among_elements_without_rows_ends_before_the_graph() {
    let (count, ef) = (4000, 16);
    let vectors = clustered(count, 24, 21);
    let store = build(meta(24, 8, 64, Metric::L2), &vectors, 1);
    let geometry = Meta::read(&store.read(0).unwrap()).unwrap().geometry;
    store.cut_power_after(geometry.node_pages_of(store.blocks().unwrap()));
    crate::hnsw::vacuum::vacuum(&store, |tid| tid % 4 != 0).unwrap_err(); // rows are gone, nothing is repaired
    store.restart();
    let graph = PagedGraph::open(&store).unwrap();
    let mut scratch = Scratch::new(count).unwrap();
    for query in clustered(60, 24, 22) {
        let query = code(&graph.meta.space, &query);
        let nearest = descend(&graph, &query, graph.entry().unwrap(), 0, ef, ScanMode::Links, &mut scratch).unwrap();
        let found = search_layer(&graph, &query, &nearest, ef, 0, &mut scratch).unwrap();
        assert!(found.iter().filter(|candidate| candidate.live).count() >= ef / 2);
        assert!(scratch.visited().len() < count / 2, "{}", scratch.visited().len());
    }
}

/// Of so many clusters the upper layers hold few elements each. A walk that keeps only the nearest of them comes down in a wrong
/// cluster, where nothing leads out.
#[test]
fn the_nearest_are_found_in_whichever_of_many_clusters_they_are() {
    let (count, dimensions, spread, ef) = (12_000, 16, 0.15, 40);
    let vectors = clustered_within(spread, count, dimensions, 51);
    let mut rows = numbered(&vectors);
    let queries = clustered_within(spread, 300, dimensions, 52);
    let meta = meta(dimensions, 8, 32, Metric::L2);
    let store = build(meta, &vectors, 1);
    let built = recall(&store, &rows, &queries, ef);
    assert!(built > 0.99, "built: {built}");
    let one_by_one = empty(&meta);
    for (tid, vector) in &rows {
        add(&one_by_one, vector, *tid).unwrap();
    }
    let inserted = recall(&one_by_one, &rows, &queries, ef);
    assert!(inserted > 0.99, "inserted: {inserted}");
    crate::hnsw::vacuum::vacuum(&store, |tid| tid % 5 == 0).unwrap();
    rows.retain(|tid, _| tid % 5 != 0);
    let vacuumed = recall(&store, &rows, &queries, ef);
    assert!(vacuumed > 0.99, "vacuumed: {vacuumed}");
}

/// All, which is what hnsw_rs finds, less a hundredth. [`nightly`](super::nightly) compares with hnsw_rs itself, which draws at random.
#[test]
fn recall_is_what_hnsw_rs_finds() {
    let meta = Meta::new(Space::new(Element::Dense, Metric::L2, 32), 16, 64);
    let vectors = clustered(5000, 32, 31);
    let r = recall(&build(meta, &vectors, 1), &numbered(&vectors), &clustered(100, 32, 32), 40);
    assert!(r >= 0.99, "{r}");
}

/// Seconds of processor time that this process has used, on machines with a /proc.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(')').next().unwrap_or_default().split(' ').skip(12).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// From a file of `f32` that `VECTORS` names (what comes before the first whole row is skipped), else made up.
fn figure_vectors(dimensions: usize) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let Some(path) = std::env::var_os("VECTORS") else {
        return (clustered(100_000, dimensions, 41), clustered(200, dimensions, 42));
    };
    let bytes = std::fs::read(path).unwrap();
    let rows = bytes.rchunks_exact(4 * dimensions).rev();
    let float = |x: &[u8]| f32::from_le_bytes(x.try_into().unwrap());
    let mut vectors: Vec<Vec<f32>> = rows.map(|row| row.chunks_exact(4).map(float).collect()).collect();
    let queries = vectors.split_off(vectors.len() - 200);
    (vectors, queries)
}

/// Not a promise but figures: `cargo engine -p lagoon-vector figures_of_builds -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
fn figures_of_builds() {
    let dimensions = 384;
    let (vectors, _) = figure_vectors(dimensions);
    for (threads, limit) in [(1, 1 << 32), (2, 1 << 32), (2, 25 << 20)] {
        let (start, used) = (std::time::Instant::now(), processor_time());
        let store = build_within(memory(limit), meta(dimensions, 16, 64, Metric::L2), &vectors, threads);
        let (elapsed, used) = (start.elapsed().as_secs_f64(), processor_time() - used);
        println!("{threads} threads, {limit} bytes: {elapsed:.2} s, {used:.2} s of processor time");
        let (now, before) = pages_of_links(&store);
        println!("{now:.1} code pages for the links of an element, {before:.1} as they came");
    }
}

/// On how many pages the codes of an element's neighbours lie: as they are, and had rows been written as they came.
fn pages_of_links(store: &MemPages) -> (f64, f64) {
    let geometry = Meta::read(&store.read(0).unwrap()).unwrap().geometry;
    let (mut rows, mut lists) = (BTreeMap::new(), Vec::new());
    for node_page in 0..geometry.node_pages_of(store.blocks().unwrap()) {
        let block = geometry.node_block(node_page);
        let page = store.read(block).unwrap();
        let nodes = crate::hnsw::format::Nodes::new(&page, &geometry, block).unwrap();
        for slot in (0..geometry.nodes).filter(|slot| nodes.is_live(*slot)) {
            rows.insert(geometry.id(node_page, slot), nodes.tids(slot).next().unwrap() as u32);
            lists
                .push(nodes.links(slot, 0).iter().map(|link| crate::hnsw::format::target(*link)).collect::<Vec<u32>>());
        }
    }
    let pages = |place: &dyn Fn(u32) -> u32| {
        let block = |id: &u32| geometry.code_parts(place(*id), 4).0.block;
        let pages =
            lists.iter().map(|links| links.iter().map(block).collect::<std::collections::BTreeSet<u32>>().len());
        pages.sum::<usize>() as f64 / lists.len() as f64
    };
    (pages(&|id| id), pages(&|id| rows[&id]))
}

/// pgvector's own recall settings. Under an inner product the long vectors are near to everything: they must not be taken up by
/// the tree.
#[test]
fn recall_is_what_pgvector_asks_of_itself() {
    let mut random = Random::new(17);
    let mut positive = |count: usize| -> Vec<Vec<f32>> {
        (0..count).map(|_| (0..3).map(|_| random.float().abs()).collect()).collect()
    };
    let (vectors, queries) = (positive(10_000), positive(50));
    let rows = numbered(&vectors);
    for (metric, least) in
        [(Metric::L2, 0.99), (Metric::InnerProduct, 0.97), (Metric::Cosine, 0.99), (Metric::L1, 0.99)]
    {
        let meta = super::meta(3, 16, 64, metric);
        let built = recall(&build(meta, &vectors, 1), &rows, &queries, 40);
        assert!(built >= least, "{metric:?} built: {built}");
        let store = empty(&meta);
        for (tid, vector) in &rows {
            add(&store, vector, *tid).unwrap();
        }
        let inserted = recall(&store, &rows, &queries, 40);
        assert!(inserted >= least, "{metric:?} inserted: {inserted}");
    }
}

#[test]
fn neighbours_lie_side_by_side() {
    for dimensions in [16, 128, 1536] {
        let store = build(meta(dimensions, 8, 32, Metric::L2), &clustered(2000, dimensions, 13), 1);
        verified(&store);
        let (now, before) = pages_of_links(&store);
        assert!(now < 0.8 * before, "{dimensions} dimensions: {now} pages, {before} as they came");
    }
}

/// As [`figures_of_builds`].
#[test]
#[ignore = "prints figures"]
fn figures_of_scans() {
    let dimensions = 384;
    let (vectors, queries) = figure_vectors(dimensions);
    let rows = numbered(&vectors);
    let store = build(meta(dimensions, 16, 64, Metric::L2), &vectors, 2);
    println!("blocks {}", crate::store::PageStore::blocks(&store).unwrap());
    for ef in [20, 40, 80, 160] {
        let start = std::time::Instant::now();
        for query in &queries {
            nearest(&store, query, ef);
        }
        let rate = 200.0 / start.elapsed().as_secs_f64();
        println!("ef {ef}: recall {:.3}, {rate:.0} queries/s", recall(&store, &rows, &queries, ef));
    }
}
