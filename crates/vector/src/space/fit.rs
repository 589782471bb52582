//! Whether codes are fine enough to order neighbours.

use super::quantised::{self, Bytes, Pairs};
use super::{Form, Metric, Space};

/// Minimum difference of the distances to near neighbours, in standard deviations of the error by quantisation.
const RATIO: f64 = 10.0;
/// Minimum number of neighbours for a judgement. Where there are fewer, all of them are found.
const FEW: usize = 8;

impl Space {
    /// The standard deviation of the error by quantisation of the [distance](Self::measure) of two codes, which is
    /// `distance`; 0 if codes are [exact](Self::is_exact).
    pub fn noise(&self, a: &[u32], b: &[u32], distance: f32) -> f32 {
        let noise = match self.form {
            Form::Quantised => quantised::noise::<Bytes>(self.metric, self.dimensions, a, b, distance),
            Form::Fine => quantised::noise::<Pairs>(self.metric, self.dimensions, a, b, distance),
            Form::Floats | Form::Sparse | Form::Bits => 0.0,
        };
        noise.min(f64::from(f32::MAX)) as f32
    }

    /// Whether a code is fine enough to order the codes nearest to it. `near` are [distances](Self::measure) of the nearest other
    /// codes, in ascending order. The nearest quarter of them is judged, too, for all others may lie beyond a gap.
    pub fn fits(&self, code: &[u32], near: &[f32]) -> bool {
        self.tells_apart(code, near) && self.tells_apart(code, &near[..near.len() / 4])
    }

    fn tells_apart(&self, code: &[u32], near: &[f32]) -> bool {
        if near.len() < FEW {
            return true;
        }
        let (nearer, farther) = (near[near.len() / 6], near[near.len() * 5 / 8]);
        let noise = match self.form {
            Form::Quantised => quantised::own_noise::<Bytes>(self.metric, self.dimensions, code, farther),
            Form::Fine => quantised::own_noise::<Pairs>(self.metric, self.dimensions, code, farther),
            Form::Floats | Form::Sparse | Form::Bits => return true,
        };
        let (nearer, farther) = (f64::from(nearer), f64::from(farther));
        let apart = match self.metric {
            // A difference of the roots, because squares may differ by orders of magnitude.
            Metric::L2 | Metric::Cosine => 2.0 * farther.sqrt() * (farther.sqrt() - nearer.sqrt()),
            _ => farther - nearer,
        };
        RATIO * noise <= apart
    }

    /// An upper bound of the length of the error of a code; 0 if codes are exact.
    pub(super) fn error(&self, code: &[u32]) -> f32 {
        if self.is_quantised() { quantised::error(code) } else { 0.0 }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
