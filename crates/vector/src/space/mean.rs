//! Decoding codes to numbers, and encoding the mean of such numbers: what clustering needs.

use zerocopy::IntoBytes;

use super::quantised::{self, Bytes, Pairs, Residual};
use super::{Form, Metric, Space, bits, floats};

impl Space {
    /// How many numbers [`Self::decode`] gives: the elements, or the bits up to a whole word; 0 for sparse vectors.
    pub fn numbers(&self) -> usize {
        match (self.form, self.metric) {
            (Form::Quantised | Form::Fine, Metric::InnerProduct) => self.dimensions + 1,
            (Form::Floats | Form::Quantised | Form::Fine, _) => self.dimensions,
            (Form::Bits, _) => self.max_code_bytes() * 8,
            (Form::Sparse, _) => 0,
        }
    }

    /// The elements of a code, 0 and 1 for bits. Those of [quantised](Self::is_quantised) codes are the approximate residual, for
    /// inner product followed by the inner product with the centre. `out` has [`Self::numbers`] elements.
    pub fn decode(&self, code: &[u32], out: &mut [f32]) {
        match self.form {
            Form::Floats => out.copy_from_slice(floats(code)),
            Form::Quantised => quantised::decode::<Bytes>(self.metric, code, out),
            Form::Fine => quantised::decode::<Pairs>(self.metric, code, out),
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

    /// The code of a centre with these [numbers](Self::numbers). Bits are decided by majority; floats for cosine are
    /// normalised. None for a zero vector under cosine, and for sparse vectors.
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
            (Form::Quantised | Form::Fine, _) => {
                let elements = floats(1.0);
                let (elements, rest) = elements.split_at(self.dimensions);
                let with_centre = rest.first().copied().unwrap_or(0.0);
                let residual = Residual { elements, unit: 1.0, error: 0.0, hash: 0, with_centre };
                return Some(match self.form {
                    Form::Quantised => quantised::encode::<Bytes>(&residual, self.metric),
                    _ => quantised::encode::<Pairs>(&residual, self.metric),
                });
            }
            (Form::Floats, Metric::Cosine) => unit()?,
            (Form::Floats, _) => floats(1.0),
        };
        Some(vector.iter().map(|x| x.to_bits()).collect())
    }
}
