//! Where a build puts elements.

use super::*;
use crate::hnsw::format::target;
use crate::hnsw::graph::PagedGraph;

/// Links of layer 0 that lead to a code on the page of the element's own code, `place` telling where an element lies.
fn links_within_pages(store: &MemPages, place: impl Fn(&PagedGraph<'_, MemPages>, u32) -> u32) -> usize {
    let graph = PagedGraph::open(store).unwrap();
    let geometry = graph.meta.geometry;
    let page = |id: u32| geometry.code_parts(place(&graph, id), 4).0.block;
    let elements = 0..geometry.node_pages_of(store.blocks().unwrap()) * geometry.nodes as u32;
    let within = |id: u32| {
        let links = graph.node(id, |nodes, slot| nodes.links(slot, 0).to_vec()).unwrap();
        links.into_iter().filter(|link| page(target(*link)) == page(id)).count()
    };
    elements.map(within).sum()
}

#[test]
fn neighbours_lie_on_the_same_pages() {
    for (dimensions, spill) in [(64, false), (384, false), (1024, true)] {
        let meta = meta(dimensions, 8, 32, Metric::L2);
        let vectors = clustered(3000, dimensions, 81);
        let store = build_within(memory(if spill { 2_000_000 } else { 1 << 32 }), meta, &vectors, 1);
        verified(&store);
        let came = |graph: &PagedGraph<'_, MemPages>, id| {
            graph.node(id, |nodes, slot| nodes.tids(slot).next().unwrap() as u32 - 1).unwrap()
        };
        let (ours, as_they_came) = (links_within_pages(&store, |_, id| id), links_within_pages(&store, came));
        assert!(ours > 5 * as_they_came, "{dimensions} dimensions: {ours}, in the order of the rows {as_they_came}");
    }
}

#[test]
fn every_row_has_a_place_in_any_graph() {
    let equal = vec![vec![1.0; 40]; 500];
    let (one, many) = (clustered(1, 40, 82), clustered(700, 40, 83));
    for m in [2, 16, 100] {
        for element in [Element::Dense, Element::Sparse, Element::Bits] {
            let metric = if element == Element::Bits { Metric::Hamming } else { Metric::L2 };
            let meta = Meta::new(Space::new(element, metric, 40), m, 2 * m);
            for vectors in [&equal, &one, &many] {
                let store = build(meta, vectors, 2);
                assert_eq!(verified(&store).rows.len(), vectors.len(), "m {m}, {element:?}");
            }
        }
    }
}
