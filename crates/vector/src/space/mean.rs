//! What clustering needs: codes as numbers, and numbers as the code of a centre.

use zerocopy::IntoBytes;

use super::{Form, Metric, Space, bits, floats, quantised};

impl Space {
    /// How many numbers [`Self::decode`] gives: the elements, or the bits up to a whole word. None for sparse vectors.
    pub fn numbers(&self) -> usize {
        match self.form {
            Form::Floats | Form::Quantised => self.dimensions,
            Form::Bits => self.max_code_bytes() * 8,
            Form::Sparse => 0,
        }
    }

    /// The elements of a code, as near as the code knows them; 0 and 1 for bits. `out` has [`Self::numbers`] places.
    pub fn decode(&self, code: &[u32], out: &mut [f32]) {
        match self.form {
            Form::Floats => out.copy_from_slice(floats(code)),
            Form::Quantised => quantised::decode(code, out),
            Form::Bits => {
                for (chunk, byte) in out.chunks_mut(8).zip(code.as_bytes()) {
                    for (i, x) in chunk.iter_mut().enumerate() {
                        *x = f32::from(byte >> i & 1);
                    }
                }
            }
            Form::Sparse => {}
        }
    }

    /// The code of a centre with these [numbers](Self::numbers): of length one for cosine, bits by
    /// majority. None: there is no direction, or such values have no centre.
    pub fn centre(&self, mean: &[f64]) -> Option<Vec<u32>> {
        let floats = |by: f64| mean.iter().map(|x| (x * by) as f32).collect::<Vec<f32>>();
        let unit = || {
            let norm = mean.iter().map(|x| x * x).sum::<f64>().sqrt();
            (norm > 0.0 && norm.is_finite()).then(|| floats(1.0 / norm))
        };
        let vector = match (self.form, self.metric) {
            (Form::Sparse, _) => return None,
            (Form::Bits, _) => {
                let byte = |chunk: &[f64]| (0..).zip(chunk).map(|(i, x)| u8::from(*x > 0.5) << i).sum();
                return Some(bits::encode(&mean.chunks(8).map(byte).collect::<Vec<u8>>()));
            }
            (_, Metric::Cosine) => unit()?,
            _ => floats(1.0),
        };
        Some(match self.form {
            Form::Quantised => quantised::encode(&vector, self.metric, 1.0),
            _ => vector.iter().map(|x| x.to_bits()).collect(),
        })
    }
}
