//! What is indexed, and how it is measured.
//!
//! A value becomes a *code*, and everything in the graph is a code: rows, queries, and what links are chosen by. A code is a
//! row of 32-bit words whose meaning is the [`Form`]. Small dense vectors, sparse vectors and bits are kept as they are;
//! dense vectors of [`QUANTISED_FROM`] dimensions and more are [`quantised`], a byte or two for each element, with a bound of
//! the error, from which follows a [lower bound](Coder::bounds) of the distance of the values. How many bytes, and around
//! which centre, an index [learns](learn()) from a sample of its values.

mod bits;
mod coder;
mod direction;
mod fit;
mod learn;
mod mean;
mod metric;
mod quantised;
mod rotation;
mod sparse;

use zerocopy::{FromBytes, IntoBytes};

use crate::distance::{self, kernels};

use quantised::{Bytes, Pairs};

pub use coder::{Bounds, Coder};
pub(crate) use direction::Directions;
pub use learn::{ENOUGH, MOST, learn};
pub use metric::Metric;

/// From this many dimensions on a dense vector is quantised: below, links take more room than vectors.
pub const QUANTISED_FROM: usize = 32;

/// Bytes of the longest code of a dense vector: what an index of either kind puts on two pages.
pub const MAX_DENSE_BYTES: usize = 16_272;

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
    /// A header and two bytes for each element.
    Fine,
    /// The number of elements that are not zero, their positions, and the elements.
    Sparse,
    /// The bits.
    Bits,
}

impl Form {
    const ALL: [Self; 5] = [Self::Floats, Self::Quantised, Self::Sparse, Self::Bits, Self::Fine];

    /// Its number on disk.
    pub fn code(self) -> u16 {
        match self {
            Self::Floats => 1,
            Self::Quantised => 2,
            Self::Sparse => 3,
            Self::Bits => 4,
            Self::Fine => 5,
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
            Self::Quantised => "8 bits",
            Self::Fine => "16 bits",
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
    /// The space of values of which only the kind is known. `metric` must be one for that kind.
    pub fn new(element: Element, metric: Metric, dimensions: usize) -> Self {
        let form = match element {
            Element::Dense if dimensions < QUANTISED_FROM => Form::Floats,
            Element::Dense => Form::Fine,
            Element::Sparse => Form::Sparse,
            Element::Bits => Form::Bits,
        };
        let space = Self { form, metric, dimensions };
        if space.is_quantised() && !space.is_possible() { space.with_form(Form::Quantised) } else { space }
    }

    /// Whether an index can hold such codes of dense vectors.
    pub(crate) fn is_possible(&self) -> bool {
        self.max_code_bytes() <= MAX_DENSE_BYTES
    }

    /// The same values in codes of another form.
    pub fn with_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// Whether codes are of residuals in few bits: [`Form::Quantised`] and [`Form::Fine`].
    #[inline]
    pub fn is_quantised(&self) -> bool {
        matches!(self.form, Form::Quantised | Form::Fine)
    }

    /// Whether a distance of codes is that of the values.
    #[inline]
    pub fn is_exact(&self) -> bool {
        !self.is_quantised()
    }

    /// Bytes of the longest code.
    pub fn max_code_bytes(&self) -> usize {
        4 * match self.form {
            Form::Floats => self.dimensions,
            Form::Quantised => quantised::words::<Bytes>(self.metric, self.dimensions),
            Form::Fine => quantised::words::<Pairs>(self.metric, self.dimensions),
            Form::Sparse => sparse::max_words(self),
            Form::Bits => self.dimensions.div_ceil(32),
        }
    }

    /// Words of the code that begins with `first`.
    #[inline]
    pub fn code_words(&self, first: u32) -> usize {
        match self.form {
            Form::Sparse => sparse::words(self, first),
            _ => self.max_code_bytes() / 4,
        }
    }

    /// The distance function of codes. Callers get it once per operation.
    ///
    /// - [`Metric::L2`]: the square of the distance.
    /// - [`Metric::Cosine`]: the square of the Euclidean distance of the normalised values, whose order is the same; of sparse
    ///   values their negative inner product.
    /// - [`Metric::InnerProduct`]: negative; of quantised codes without the square of the centre's length.
    /// - The others as they are.
    pub fn measure(&self) -> Measure {
        use Metric::{Cosine, Hamming, InnerProduct, Jaccard, L1, L2};
        let distance: Distance = match (self.form, self.metric) {
            (Form::Quantised, L1) => quantised::l1::<Bytes>,
            (Form::Quantised, InnerProduct) => quantised::negative_inner_product::<Bytes>,
            (Form::Fine, L1) => quantised::l1::<Pairs>,
            (Form::Fine, InnerProduct) => quantised::negative_inner_product::<Pairs>,
            (Form::Quantised | Form::Fine, _) => return self.euclidean(),
            (Form::Floats, L1) => |_, a, b| (kernels().l1)(floats(a), floats(b)).min(f32::MAX),
            (Form::Floats, InnerProduct) => |_, a, b| finite(-(kernels().inner_product)(floats(a), floats(b))),
            (Form::Floats, _) => return self.euclidean(),
            (Form::Sparse, L2) => sparse::l2_squared,
            (Form::Sparse, L1) => sparse::l1,
            (Form::Sparse, InnerProduct | Cosine | Hamming | Jaccard) => sparse::negative_inner_product,
            (Form::Bits, Jaccard) => bits::jaccard,
            (Form::Bits, _) => bits::hamming,
        };
        Measure { distance, dimensions: self.dimensions }
    }

    /// The square of the Euclidean distance of codes, whatever they were made for; of bits how many differ. There is none of
    /// quantised and of sparse codes for L1, and they are measured by that.
    pub fn euclidean(&self) -> Measure {
        use Metric::{InnerProduct, L1, L2};
        let distance: Distance = match (self.form, self.metric) {
            (Form::Quantised, L1) => quantised::l1::<Bytes>,
            (Form::Quantised, InnerProduct) => |n, a, b| quantised::l2_squared::<Bytes>(InnerProduct, n, a, b),
            (Form::Quantised, _) => |n, a, b| quantised::l2_squared::<Bytes>(L2, n, a, b),
            (Form::Fine, L1) => quantised::l1::<Pairs>,
            (Form::Fine, InnerProduct) => |n, a, b| quantised::l2_squared::<Pairs>(InnerProduct, n, a, b),
            (Form::Fine, _) => |n, a, b| quantised::l2_squared::<Pairs>(L2, n, a, b),
            (Form::Floats, _) => |_, a, b| (kernels().l2_squared)(floats(a), floats(b)).min(f32::MAX),
            (Form::Sparse, L1) => sparse::l1,
            (Form::Sparse, _) => sparse::l2_squared,
            (Form::Bits, _) => bits::hamming,
        };
        Measure { distance, dimensions: self.dimensions }
    }

    /// The operator's result, but for rounding, for values whose codes are [exact](Self::is_exact) and have this distance.
    pub fn exact(&self, distance: f32) -> f64 {
        let distance = f64::from(distance);
        match self.metric {
            Metric::L2 => distance.sqrt(),
            Metric::Cosine if self.form == Form::Sparse => 1.0 + distance.clamp(-1.0, 1.0),
            Metric::Cosine => (distance / 2.0).min(2.0),
            Metric::InnerProduct | Metric::L1 | Metric::Hamming | Metric::Jaccard => distance,
        }
    }

    /// Tells codes that are not [exact](Self::is_exact) apart, which have a hash of their value: equal ones have the same.
    #[inline]
    pub(crate) fn fingerprint(&self, code: &[u32]) -> u64 {
        match self.form {
            Form::Quantised => quantised::fingerprint::<Bytes>(self.metric, code),
            Form::Fine => quantised::fingerprint::<Pairs>(self.metric, code),
            Form::Floats | Form::Sparse | Form::Bits => 0,
        }
    }

    /// Whether words can be a code, for verification.
    pub fn is_sound(&self, code: &[u32]) -> bool {
        match self.form {
            Form::Floats => floats(code).iter().all(|x| x.is_finite()),
            Form::Quantised => quantised::is_sound::<Bytes>(self.metric, code, self.dimensions),
            Form::Fine => quantised::is_sound::<Pairs>(self.metric, code, self.dimensions),
            Form::Sparse => sparse::is_sound(self, code),
            Form::Bits => true,
        }
    }
}

/// A function that returns the distance of two codes of so many dimensions.
type Distance = fn(usize, &[u32], &[u32]) -> f32;

/// The distance of codes of one [`Space`].
#[derive(Clone, Copy)]
pub struct Measure {
    distance: Distance,
    dimensions: usize,
}

impl Measure {
    /// The distance of two codes, of which only the order matters. Never NaN.
    #[inline]
    pub fn distance(&self, a: &[u32], b: &[u32]) -> f32 {
        (self.distance)(self.dimensions, a, b)
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
