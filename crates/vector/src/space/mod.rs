//! The indexed values, their codes, and the distances of codes.
//!
//! An index stores a *code* for each value, and all its distances are distances of codes: of rows, of queries, and of elements
//! whose links are selected. A code is a sequence of 32-bit words in one [`Form`]. Short dense vectors, sparse vectors and bits
//! are stored exactly. Dense vectors of [`QUANTISED_FROM`] dimensions and more are [`quantised`] to a byte or two for each
//! element, with a bound of the error, from which follow [bounds](Coder::bounds) of the distances of values. An index
//! [learns](learn()) the number of bytes and a centre from a sample of its values.

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

/// Minimum number of dimensions for which dense vectors are quantised. In shorter ones, links take more room than vectors.
pub const QUANTISED_FROM: usize = 32;

/// Maximum bytes of the code of a dense vector: what both kinds of index can store on two pages.
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
    /// The space of an index that has learnt nothing about its values. `metric` must be one for this kind of values.
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

    /// Whether codes are quantised residuals: [`Form::Quantised`] and [`Form::Fine`].
    #[inline]
    pub fn is_quantised(&self) -> bool {
        matches!(self.form, Form::Quantised | Form::Fine)
    }

    /// Whether the distance of two codes is that of the values.
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

    /// The square of the Euclidean distance of codes, whatever the metric that they were made for; for bits, the number
    /// that differ. Quantised and sparse codes for L1 have no such distance: L1 is used instead.
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

    /// The operator's result, up to rounding, for values whose codes are [exact](Self::is_exact) and have this distance.
    pub fn exact(&self, distance: f32) -> f64 {
        let distance = f64::from(distance);
        match self.metric {
            Metric::L2 => distance.sqrt(),
            Metric::Cosine if self.form == Form::Sparse => 1.0 + distance.clamp(-1.0, 1.0),
            Metric::Cosine => (distance / 2.0).min(2.0),
            Metric::InnerProduct | Metric::L1 | Metric::Hamming | Metric::Jaccard => distance,
        }
    }

    /// A hash of a code that is not [exact](Self::is_exact); 0 for exact ones.
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
    // Both types have the same size and alignment, so this cannot fail.
    <[f32]>::ref_from_bytes(words.as_bytes()).unwrap_or(&[])
}

/// Clamps a distance to the range of `f32`, where only the order of distances matters. NaN counts as the largest.
fn finite(distance: f32) -> f32 {
    if distance.is_nan() { f32::MAX } else { distance.clamp(f32::MIN, f32::MAX) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
