//! Codes that are too coarse are noticed: by the build, and by inserts.

use super::*;
use crate::ivf::info::info;
use crate::space::Form;

const DIMENSIONS: usize = 64;

/// Far clusters, and one in a hundred rows in one that is so dense that a byte for each element does not tell them apart.
fn dense_within(count: usize) -> Vec<Vec<f32>> {
    let mut vectors = clustered(count, DIMENSIONS, 3);
    let mut random = Random::new(31);
    let centre = random.vector(DIMENSIONS);
    for vector in vectors.iter_mut().step_by(20) {
        *vector = centre.iter().map(|x| x + 3e-3 * random.float()).collect();
    }
    vectors
}

fn coder_of(form: Form) -> Coder {
    Coder::plain(Space::new(Element::Dense, Metric::L2, DIMENSIONS).with_form(form))
}

/// Whether a build over these rows finds its codes fine enough.
fn fits(coder: &Coder, vectors: &[Vec<f32>]) -> bool {
    let mut builder = Builder::new(coder.clone(), 20, memory(1 << 32), 2000, 42).unwrap();
    for vector in vectors {
        if let Some(place) = builder.draw() {
            builder.sample(place, &encoded(coder, vector)).unwrap();
        }
    }
    builder.train(&|| Ok(())).unwrap();
    for (tid, vector) in (1..).zip(vectors) {
        builder.push(&encoded(coder, vector), tid).unwrap();
    }
    builder.close();
    while builder.work_here(&|| Ok(())).unwrap() {}
    builder.fits(&|| Ok(())).unwrap()
}

#[test]
fn a_build_says_when_its_codes_are_too_coarse() {
    let (usual, dense) = (clustered(5000, DIMENSIONS, 3), dense_within(5000));
    assert!(fits(&coder_of(Form::Quantised), &usual));
    assert!(!fits(&coder_of(Form::Quantised), &dense));
    assert!(fits(&coder_of(Form::Fine), &dense) && fits(&coder_of(Form::Floats), &dense));
    assert!(
        fits(&coder_of(Form::Quantised), &vec![vec![0.3; DIMENSIONS]; 2000]),
        "equal rows have nothing between them"
    );
    assert!(fits(&coder_of(Form::Quantised), &dense[..900]), "of few rows nothing is said");
}

#[test]
fn there_are_no_finer_codes_than_an_index_can_hold() {
    let forms = |dimensions| {
        let mut coder = Some(Coder::plain(dense(Metric::L2, dimensions)));
        std::iter::from_fn(move || {
            let now = coder.take()?;
            coder = now.finer();
            Some(now.space.form)
        })
    };
    assert!(forms(4000).eq([Form::Quantised, Form::Fine, Form::Floats]));
    assert!(forms(5000).eq([Form::Quantised, Form::Fine]));
    assert!(forms(9000).eq([Form::Quantised]));
}

#[test]
fn inserts_count_the_rows_that_codes_are_too_coarse_for() {
    for dimensions in [DIMENSIONS, 1536] {
        let coder = Coder::plain(Space::new(Element::Dense, Metric::L2, dimensions).with_form(Form::Quantised));
        let store = build_with(coder, 10, &clustered(2000, dimensions, 3), 0);
        let misfits = || info(&store).unwrap().meta.misfits;
        for (tid, vector) in (10_000..).zip(&clustered(500, dimensions, 4)) {
            add(&store, vector, tid).unwrap();
        }
        assert!(misfits() <= 2, "{} of rows like those of the build", misfits());
        let before = misfits();
        for tid in 20_000..20_100 {
            add(&store, &vec![0.3; dimensions], tid).unwrap();
        }
        assert!(misfits() <= before + 1, "{} of equal rows", misfits() - before);
        let before = misfits();
        let mut random = Random::new(31);
        let centre = random.vector(dimensions);
        for tid in 30_000..30_500 {
            let vector: Vec<f32> = centre.iter().map(|x| x + 1e-5 * random.float()).collect();
            add(&store, &vector, tid).unwrap();
        }
        assert!((300..=500).contains(&(misfits() - before)), "{} of 500 that are one to the codes", misfits() - before);
        let report = verified(&store);
        assert!(report.misfits.are_many() && report.misfits.count == misfits());
    }
}
