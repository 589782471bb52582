//! How values become codes.

use super::quantised::{self, Bytes, Pairs, Query, Residual};
use super::{Form, Measure, Metric, Space, Value, bits, rotation, sparse};
use crate::distance::norm;
use crate::{Error, Result};

/// Encodes the values of one index, by its [`Space`] and by what it has learnt from its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Coder {
    /// What codes consist of and how they are measured.
    pub space: Space,
    /// A vector that is subtracted from dense values before they are quantised: approximately their mean.
    centre: Option<Box<[f32]>>,
}

/// Lengths whose squares `f32` can sum. For other vectors the result of an operator that sums squares is arbitrary.
const SANE: std::ops::Range<f64> = 1e-18..1e18;
/// Range of the largest element of a residual for which no sum of the rotation overflows or underflows `f32`.
const PLAIN: std::ops::Range<f32> = 1e-18..1e18;

impl Coder {
    /// The coder of an index that has learnt nothing.
    pub fn plain(space: Space) -> Self {
        Self::new(space, None)
    }

    /// The coder of an index that has learnt a centre, with as many elements as values have. Only
    /// [quantised](Space::is_quantised) codes use it.
    pub fn new(space: Space, centre: Option<Box<[f32]>>) -> Self {
        Self { space, centre }
    }

    /// The centre, of as many elements as values have.
    pub fn centre(&self) -> Option<&[f32]> {
        self.centre.as_deref()
    }

    /// The coder of the next finer codes of the same values. None if codes are exact, or if an index cannot store longer ones.
    pub fn finer(&self) -> Option<Self> {
        let finer = match self.space.form {
            Form::Quantised => Self::new(self.space.with_form(Form::Fine), self.centre.clone()),
            Form::Fine => Self::plain(self.space.with_form(Form::Floats)),
            Form::Floats | Form::Sparse | Form::Bits => return None,
        };
        finer.space.is_possible().then_some(finer)
    }

    /// The centre, rotated as residuals are; zeros if there is none, or if codes are not quantised.
    pub(crate) fn rotated_centre(&self) -> Box<[f32]> {
        match &self.centre {
            Some(centre) if self.space.is_quantised() => {
                let mut centre = centre.clone();
                if self.space.metric != Metric::L1 {
                    rotation::rotate(&mut centre);
                }
                centre
            }
            _ => vec![0.0; self.space.dimensions].into(),
        }
    }

    /// The code of a value. None for a zero vector under cosine, which has no direction.
    pub fn encode(&self, value: Value<'_>) -> Result<Option<Vec<u32>>> {
        let space = &self.space;
        match value {
            Value::Dense(vector) => {
                if vector.len() != space.dimensions {
                    return Err(Error::DimensionMismatch { expected: space.dimensions, actual: vector.len() });
                }
                if space.metric != Metric::Cosine {
                    return Ok(Some(self.dense(vector, true)));
                }
                let length = norm(vector);
                Ok(normalise(vector, length).map(|unit| self.dense(&unit, SANE.contains(&length))))
            }
            Value::Sparse(sparse) => {
                let (positions, values) = (sparse.indices(), sparse.values());
                if values.len() > sparse::MAX_NON_ZERO {
                    return Err(Error::TooManyNonZero { max: sparse::MAX_NON_ZERO });
                }
                if space.metric != Metric::Cosine {
                    return Ok(Some(sparse::encode(space, positions, values)));
                }
                Ok(normalise(values, norm(values)).map(|unit| sparse::encode(space, positions, &unit)))
            }
            Value::Bits(bits) => Ok(Some(bits::encode(bits))),
        }
    }

    /// The code of the zero vector, for any metric; scans without a value to compare with use it.
    pub fn origin(&self) -> Vec<u32> {
        match self.space.form {
            Form::Floats | Form::Quantised | Form::Fine => self.dense(&vec![0.0; self.space.dimensions], true),
            Form::Bits => vec![0; self.space.max_code_bytes() / 4],
            Form::Sparse => sparse::encode(&self.space, &[], &[]),
        }
    }

    /// Bounds of the distances of values to the query with this code.
    pub fn bounds<'a>(&self, query: &'a [u32]) -> Bounds<'a> {
        let Space { form, metric, dimensions } = self.space;
        let centre = || self.centre().map_or(0.0, norm);
        match form {
            Form::Quantised => Bounds(From::Bytes(Query::new(metric, dimensions, query, centre()))),
            Form::Fine => Bounds(From::Pairs(Query::new(metric, dimensions, query, centre()))),
            _ => Bounds(From::Exact(self.space, self.space.measure(), query)),
        }
    }

    /// `is_sane`: whether the operator's result for the value is not arbitrary.
    fn dense(&self, vector: &[f32], is_sane: bool) -> Vec<u32> {
        match self.space.form {
            Form::Quantised => self.residual(vector, is_sane, quantised::encode::<Bytes>),
            Form::Fine => self.residual(vector, is_sane, quantised::encode::<Pairs>),
            _ => vector.iter().map(|x| x.to_bits()).collect(),
        }
    }

    fn residual(&self, vector: &[f32], is_sane: bool, encode: fn(&Residual<'_>, Metric) -> Vec<u32>) -> Vec<u32> {
        let metric = self.space.metric;
        let mut elements = match &self.centre {
            Some(centre) => vector.iter().zip(centre).map(|(x, c)| x - c).collect(),
            None => vector.to_vec(),
        };
        let mut unit = 1.0;
        let largest = largest(&elements);
        if largest != 0.0 && !PLAIN.contains(&largest) {
            let exact =
                |i: usize| f64::from(vector[i]) - self.centre.as_ref().map_or(0.0, |centre| f64::from(centre[i]));
            let largest = (0..vector.len()).fold(0.0, |largest, i| exact(i).abs().max(largest));
            unit = largest.log2().floor().exp2();
            elements.iter_mut().enumerate().for_each(|(i, x)| *x = (exact(i) / unit) as f32);
        }
        let is_rounded = self.centre.is_some() || unit != 1.0;
        let mut error = if is_rounded { f64::from(f32::EPSILON) } else { 0.0 };
        if metric == Metric::L1 {
            error *= elements.iter().map(|x| f64::from(x.abs())).sum::<f64>();
        } else {
            error = (error + rotation::rounding(elements.len())) * norm(&elements);
            rotation::rotate(&mut elements);
        }
        if !is_sane {
            error = 4.0 / unit; // more than any distance of vectors of length 1, so that the bounds exclude nothing
        }
        let with_centre = match &self.centre {
            Some(centre) if metric == Metric::InnerProduct => {
                let products = vector.iter().zip(centre).map(|(x, c)| f64::from(*c) * (f64::from(*x) - f64::from(*c)));
                products.sum::<f64>().clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
            }
            _ => 0.0,
        };
        encode(&Residual { elements: &elements, unit, error, hash: hash(vector), with_centre }, metric)
    }
}

/// Bounds of the distances to one value.
pub struct Bounds<'a>(From<'a>);

/// Maximum error of a distance by quantisation that [`Bounds::ends`] assumes, in standard deviations.
const DEVIATIONS: f64 = 5.0;

enum From<'a> {
    Bytes(Query<'a, Bytes>),
    Pairs(Query<'a, Pairs>),
    Exact(Space, Measure, &'a [u32]),
}

impl Bounds<'_> {
    /// A lower bound of the operator's result for the query and the value of a code; the result itself, up to rounding, if codes
    /// are [exact](Space::is_exact).
    #[inline]
    pub fn to(&self, code: &[u32]) -> f64 {
        self.bounds(code, f64::INFINITY).0
    }

    /// A lower and an upper bound of the operator's result. Quantisation errors count with their maximum or with [`DEVIATIONS`]
    /// standard deviations, whichever is smaller, so one in some million values is beyond the bounds. The upper bound is infinity
    /// if the operator may return infinity or NaN.
    #[inline]
    pub fn ends(&self, code: &[u32]) -> (f64, f64) {
        self.bounds(code, DEVIATIONS)
    }

    #[inline(always)]
    fn bounds(&self, code: &[u32], deviations: f64) -> (f64, f64) {
        match &self.0 {
            From::Bytes(query) => query.bounds(code, deviations),
            From::Pairs(query) => query.bounds(code, deviations),
            From::Exact(space, measure, query) => {
                let exact = space.exact(measure.distance(query, code));
                (exact, exact)
            }
        }
    }
}

fn largest(elements: &[f32]) -> f32 {
    let (blocks, rest) = elements.as_chunks::<16>();
    let mut most = [0.0f32; 16];
    let larger = |most: f32, x: f32| if x.abs() > most { x.abs() } else { most };
    for block in blocks {
        most.iter_mut().zip(block).for_each(|(most, x)| *most = larger(*most, *x));
    }
    most.iter().chain(rest).fold(0.0, |most, x| larger(most, *x))
}

/// A hash of the elements; 0 and -0 have the same.
fn hash(vector: &[f32]) -> u32 {
    const LANES: usize = 4;
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |hash: u64, word: u64| ((hash ^ word).wrapping_mul(FACTOR)).rotate_left(29);
    let mut hashes = [1, 2, 3, 4];
    for block in vector.chunks(2 * LANES) {
        for (hash, pair) in hashes.iter_mut().zip(block.chunks(2)) {
            let word = pair.iter().fold(0, |word, x| word << 32 | u64::from((x + 0.0).to_bits()));
            *hash = mix(*hash, word);
        }
    }
    (hashes.into_iter().fold(0, mix) >> 32) as u32
}

fn normalise(values: &[f32], norm: f64) -> Option<Vec<f32>> {
    (norm > 0.0).then(|| values.iter().map(|x| (f64::from(*x) / norm) as f32).collect())
}
