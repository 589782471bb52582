//! Recall on many kinds of data, beside a graph of the exact vectors. One thread, fixed seeds: the figures are always the same.

use super::*;
use crate::store::Values;
use crate::tests::kinds::{self, K, Kind};

const EF: usize = 40;
/// How much of recall codes may cost.
const COST: f64 = 0.01;
/// Recall that there must be in any case.
const BAR: f64 = 0.9;

/// An index that is made as `CREATE INDEX` and inserts make it, beginning with the codes of `coder`.
fn made(kind: &Kind, coder: Coder) -> MemPages {
    made_from(kind, coder, 42)
}

/// With levels from a seed.
pub fn made_from(kind: &Kind, mut coder: Coder, seed: u64) -> MemPages {
    let store = MemPages::new();
    loop {
        let mut builder = Builder::new(&coder, 16, 64, memory(1 << 32), seed);
        for (tid, vector) in (1..).zip(&kind.rows[..kind.before]) {
            builder.push(&encoded(&coder, vector), tid).unwrap();
        }
        builder.close().unwrap();
        while builder.work_here(&|| Ok(())).unwrap() {}
        if builder.fits(&|| Ok(())).unwrap() {
            builder.flush(&store).unwrap();
            break;
        }
        coder = coder.finer().unwrap();
    }
    for (row, vector) in kind.rows.iter().enumerate().skip(kind.before) {
        add(&store, vector, row as Tid + 1).unwrap();
    }
    store
}

/// The table, and the query of a scan.
pub struct Asked<'a>(pub &'a Kind, pub &'a [f32]);

impl Values for Asked<'_> {
    fn distance(&mut self, tid: Tid) -> Result<Option<f64>> {
        Ok(Some(self.0.distance(self.1, tid as usize - 1)))
    }
}

fn recall(kind: &Kind, limits: &[f64], store: &MemPages) -> f64 {
    kind.recall(limits, |query| {
        let mut scan = scan(store, query, Limits { ef: EF, iterative: Iterative::Off, max_elements: 0, max_memory: 0 });
        std::iter::from_fn(|| scan.next(store, &mut Asked(kind, query)).unwrap()).take(K).map(|hit| hit.tid).collect()
    })
}

fn hold(kinds: Vec<Kind>) {
    let mut failures = Vec::new();
    for kind in kinds {
        let limits = kind.limits();
        let store = made(&kind, kind.coder());
        let (form, got) = (space(&store).form, recall(&kind, &limits, &store));
        let exact = match form {
            Form::Quantised | Form::Fine => {
                let floats = Coder::plain(Space { form: Form::Floats, ..kind.space });
                recall(&kind, &limits, &made(&kind, floats))
            }
            _ => got,
        };
        println!("{}: {got:.3}, exact vectors {exact:.3}, {form:?}", kind.name);
        if got < exact - COST || got < BAR {
            failures.push(format!("{}: {got:.3}, exact vectors {exact:.3}", kind.name));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn codes_cost_no_recall_whatever_dense_vectors_are() {
    hold(kinds::dense());
}

#[test]
fn nor_in_whatever_order_and_place_they_are_inserted() {
    hold(kinds::inserted());
}

#[test]
fn nor_of_sparse_vectors_and_bits() {
    hold(kinds::others());
}
