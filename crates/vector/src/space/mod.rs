//! What is indexed, and how it is measured.
//!
//! A value becomes a *code*, and everything in the graph is a code: rows, queries, and what links are chosen by. A code is a
//! row of 32-bit words whose meaning is the [`Form`]. Small dense vectors, sparse vectors and bits are kept as they are;
//! dense vectors of [`QUANTISED_FROM`] dimensions and more are [`quantised`], a byte for each element, with a bound of the
//! error, so that the distance of the values is known to lie above [`Space::bound`].

mod bits;
mod coder;
mod mean;
mod metric;
mod quantised;
mod sparse;

use zerocopy::{FromBytes, IntoBytes};

use crate::distance::{self, kernels};

pub use coder::Coder;
pub use metric::Metric;

/// From this many dimensions on a dense vector is quantised: below, links take more room than vectors.
pub const QUANTISED_FROM: usize = 32;

/// A value as PostgreSQL has it.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// Every element.
    Dense(&'a [f32]),
    /// The elements that are not zero.
    Sparse(distance::sparse::Sparse<'a>),
    /// Bits, eight to a byte; those after the last are zero.
    Bits(&'a [u8]),
}

/// What kind of values an index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// [`Value::Dense`].
    Dense,
    /// [`Value::Sparse`].
    Sparse,
    /// [`Value::Bits`].
    Bits,
}

/// What a code consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The elements as `f32`.
    Floats,
    /// A header and a byte for each element.
    Quantised,
    /// The number of elements that are not zero, their places, and the elements.
    Sparse,
    /// The bits.
    Bits,
}

impl Form {
    const ALL: [Self; 4] = [Self::Floats, Self::Quantised, Self::Sparse, Self::Bits];

    /// Its number on disk.
    pub fn code(self) -> u16 {
        match self {
            Self::Floats => 1,
            Self::Quantised => 2,
            Self::Sparse => 3,
            Self::Bits => 4,
        }
    }

    /// From its number on disk.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.code() == code)
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floats => "floats",
            Self::Quantised => "quantised",
            Self::Sparse => "sparse",
            Self::Bits => "bits",
        }
    }
}

/// The values of an index and their distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What codes consist of.
    pub form: Form,
    /// How distance is measured.
    pub metric: Metric,
    /// Elements or bits of each value.
    pub dimensions: usize,
}

impl Space {
    /// For values of a kind. `metric` must be one for that kind.
    pub fn new(element: Element, metric: Metric, dimensions: usize) -> Self {
        let form = match element {
            Element::Dense if dimensions < QUANTISED_FROM => Form::Floats,
            Element::Dense => Form::Quantised,
            Element::Sparse => Form::Sparse,
            Element::Bits => Form::Bits,
        };
        Self { form, metric, dimensions }
    }

    /// Whether a distance of codes is that of the values.
    pub fn is_exact(&self) -> bool {
        self.form != Form::Quantised
    }

    /// Bytes of the longest code.
    pub fn max_code_bytes(&self) -> usize {
        4 * match self.form {
            Form::Floats => self.dimensions,
            Form::Quantised => quantised::words(self.dimensions),
            Form::Sparse => sparse::words(sparse::MAX_NON_ZERO),
            Form::Bits => self.dimensions.div_ceil(32),
        }
    }

    /// Words of the code that begins with `first`.
    #[inline]
    pub fn code_words(&self, first: u32) -> usize {
        match self.form {
            Form::Sparse => sparse::words((first as usize).min(sparse::MAX_NON_ZERO)),
            _ => self.max_code_bytes() / 4,
        }
    }

    /// How codes are measured. Take it once per operation.
    pub fn measure(&self) -> Measure {
        use Metric::{Cosine, Hamming, InnerProduct, Jaccard, L1, L2};
        let distance: Distance = match (self.form, self.metric) {
            (Form::Quantised, L2) => quantised::l2_squared,
            (Form::Quantised, L1) => quantised::l1,
            (Form::Quantised, _) => quantised::negative_inner_product,
            (Form::Floats, L2) => |_, a, b| (kernels().l2_squared)(floats(a), floats(b)).min(f32::MAX),
            (Form::Floats, L1) => |_, a, b| (kernels().l1)(floats(a), floats(b)).min(f32::MAX),
            (Form::Floats, _) => |_, a, b| finite(-(kernels().inner_product)(floats(a), floats(b))),
            (Form::Sparse, L2) => sparse::l2_squared,
            (Form::Sparse, L1) => sparse::l1,
            (Form::Sparse, InnerProduct | Cosine | Hamming | Jaccard) => sparse::negative_inner_product,
            (Form::Bits, Jaccard) => bits::jaccard,
            (Form::Bits, _) => bits::hamming,
        };
        Measure { distance, dimensions: self.dimensions }
    }

    /// What the operator says of the values of two codes at this distance: a lower bound where codes are quantised, itself
    /// where they are [exact](Self::is_exact), but for rounding.
    pub fn bound(&self, a: &[u32], b: &[u32], distance: f32) -> f64 {
        if self.form == Form::Quantised {
            return quantised::bound(self.metric, self.dimensions, a, b);
        }
        let distance = f64::from(distance);
        match self.metric {
            Metric::L2 => distance.sqrt(),
            Metric::Cosine => 1.0 + distance.clamp(-1.0, 1.0),
            Metric::InnerProduct | Metric::L1 | Metric::Hamming | Metric::Jaccard => distance,
        }
    }

    /// [`Self::bound`] of one code and many others.
    pub fn bounds<'a>(&self, query: &'a [u32]) -> Bounds<'a> {
        let quantised = match self.form {
            Form::Quantised => Some(quantised::Query::new(self.metric, self.dimensions, query)),
            _ => None,
        };
        Bounds { space: *self, measure: self.measure(), query, quantised }
    }

    /// Whether words can be a code; for [`crate::hnsw::verify`].
    pub fn is_sound(&self, code: &[u32]) -> bool {
        match self.form {
            Form::Floats => floats(code).iter().all(|x| x.is_finite()),
            Form::Quantised => quantised::is_sound(code, self.dimensions),
            Form::Sparse => sparse::is_sound(code, self.dimensions),
            Form::Bits => true,
        }
    }
}

/// Gives the distance of two codes of a number of dimensions.
type Distance = fn(usize, &[u32], &[u32]) -> f32;

/// The distance of codes of one [`Space`].
#[derive(Clone, Copy)]
pub struct Measure {
    distance: Distance,
    dimensions: usize,
}

impl Measure {
    /// Of two codes; only its order matters. Never NaN.
    #[inline]
    pub fn distance(&self, a: &[u32], b: &[u32]) -> f32 {
        (self.distance)(self.dimensions, a, b)
    }
}

/// Bounds of the distances to one code.
pub struct Bounds<'a> {
    space: Space,
    measure: Measure,
    query: &'a [u32],
    quantised: Option<quantised::Query<'a>>,
}

impl Bounds<'_> {
    /// [`Space::bound`] of another code.
    #[inline]
    pub fn to(&self, code: &[u32]) -> f64 {
        match &self.quantised {
            Some(query) => query.bound(code),
            None => self.space.bound(self.query, code, self.measure.distance(self.query, code)),
        }
    }
}

#[inline]
fn floats(words: &[u32]) -> &[f32] {
    // Same size, same alignment: it cannot fail.
    <[f32]>::ref_from_bytes(words.as_bytes()).unwrap_or(&[])
}

/// Of an infinite distance only that it is large matters; of one between infinities, that it is none.
fn finite(distance: f32) -> f32 {
    if distance.is_nan() { f32::MAX } else { distance.clamp(f32::MIN, f32::MAX) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
