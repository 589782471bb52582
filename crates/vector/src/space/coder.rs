//! How values become codes.

use super::{Form, Metric, Space, Value, bits, quantised, sparse};
use crate::distance::norm;
use crate::{Error, Result};

/// Makes the codes of one index: what its [`Space`] says, and what the index has learnt of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Coder {
    /// What codes consist of and how they are measured.
    pub space: Space,
    /// What is subtracted from dense values before they are quantised: about their mean, as long as they are.
    centre: Option<Box<[f32]>>,
}

impl Coder {
    /// Of an index that knows nothing of its values yet.
    pub fn plain(space: Space) -> Self {
        Self { space, centre: None }
    }

    /// Of an index that has learnt a centre.
    pub fn new(space: Space, centre: Option<Box<[f32]>>) -> Self {
        Self { space, centre }
    }

    /// The centre, of as many elements as values have.
    pub fn centre(&self) -> Option<&[f32]> {
        self.centre.as_deref()
    }

    /// The code of a value. None: a zero vector has no direction, hence no cosine.
    pub fn encode(&self, value: Value<'_>) -> Result<Option<Vec<u32>>> {
        let space = &self.space;
        match value {
            Value::Dense(vector) => {
                if vector.len() != space.dimensions {
                    return Err(Error::DimensionMismatch { expected: space.dimensions, actual: vector.len() });
                }
                let length = norm(vector);
                let normalised;
                let vector = match space.metric {
                    Metric::Cosine => match normalise(vector, length) {
                        Some(unit) => {
                            normalised = unit;
                            &normalised
                        }
                        None => return Ok(None),
                    },
                    _ => vector,
                };
                Ok(Some(match space.form {
                    Form::Quantised => quantised::encode(vector, space.metric, length),
                    _ => vector.iter().map(|x| x.to_bits()).collect(),
                }))
            }
            Value::Sparse(sparse) => {
                let (places, values) = (sparse.indices(), sparse.values());
                if values.len() > sparse::MAX_NON_ZERO {
                    return Err(Error::TooManyNonZero { max: sparse::MAX_NON_ZERO });
                }
                if space.metric != Metric::Cosine {
                    return Ok(Some(sparse::encode(places, values)));
                }
                Ok(normalise(values, norm(values)).map(|unit| sparse::encode(places, &unit)))
            }
            Value::Bits(bits) => Ok(Some(bits::encode(bits))),
        }
    }

    /// The code of a value of zeros, whatever the metric: to ask for the rows when there is nothing to compare with.
    pub fn origin(&self) -> Vec<u32> {
        match self.space.form {
            Form::Floats | Form::Bits => vec![0; self.space.max_code_bytes() / 4],
            Form::Quantised => quantised::encode(&vec![0.0; self.space.dimensions], self.space.metric, 0.0),
            Form::Sparse => sparse::encode(&[], &[]),
        }
    }
}

fn normalise(values: &[f32], norm: f64) -> Option<Vec<f32>> {
    (norm > 0.0).then(|| values.iter().map(|x| (f64::from(*x) / norm) as f32).collect())
}
