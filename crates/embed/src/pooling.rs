//! Pooling: from one vector for each token to one for the text, as in sentence_transformers/models/Pooling.py. Several modes may
//! be on; their results are concatenated.

/// The modes that are on. Their results are concatenated in the order of the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pooling {
    /// The first token.
    pub cls: bool,
    /// The maximum of each element.
    pub max: bool,
    /// The mean of each element.
    pub mean: bool,
    /// The sum, divided by the square root of the number of tokens.
    pub mean_sqrt_len: bool,
    /// The mean with weights 1, 2, 3...: later tokens attend to more text.
    pub weighted_mean: bool,
    /// The last token.
    pub last: bool,
}

impl Pooling {
    /// Only the mean, the usual one.
    pub const MEAN: Self =
        Self { cls: false, max: false, mean: true, mean_sqrt_len: false, weighted_mean: false, last: false };

    fn flags(&self) -> [(bool, &'static str); 6] {
        [
            (self.cls, "cls"),
            (self.max, "max"),
            (self.mean, "mean"),
            (self.mean_sqrt_len, "mean_sqrt_len"),
            (self.weighted_mean, "weightedmean"),
            (self.last, "lasttoken"),
        ]
    }

    /// How many results are concatenated.
    pub fn count(&self) -> usize {
        self.flags().iter().filter(|(on, _)| *on).count()
    }

    /// The names of the modes, joined by `+`.
    pub fn name(&self) -> String {
        let names: Vec<_> = self.flags().into_iter().filter_map(|(on, name)| on.then_some(name)).collect();
        names.join("+")
    }

    /// Pools the tokens of one text. `tokens` is `[sequence, width]`, `mask` is `[sequence]` with 1 for a token and 0 for
    /// padding on either side. Appends `count() * width` elements.
    pub fn apply(&self, tokens: &[f32], mask: &[i64], width: usize, out: &mut Vec<f32>) {
        let rows = || tokens.chunks_exact(width).zip(mask).filter(|(_, m)| **m != 0).map(|(row, _)| row);
        let count = rows().count() as f32;
        if self.cls {
            append_row(rows().next(), width, out);
        }
        if self.max {
            let start = append(width, f32::NEG_INFINITY, out);
            rows().for_each(|row| out[start..].iter_mut().zip(row).for_each(|(o, x)| *o = o.max(*x)));
        }
        for (on, divisor) in [(self.mean, count.max(1e-9)), (self.mean_sqrt_len, count.max(1e-9).sqrt())] {
            if on {
                let start = append(width, 0.0, out);
                rows().for_each(|row| out[start..].iter_mut().zip(row).for_each(|(o, x)| *o += x));
                out[start..].iter_mut().for_each(|o| *o /= divisor);
            }
        }
        if self.weighted_mean {
            let start = append(width, 0.0, out);
            // The weight is the position in the padded sequence, as in sentence-transformers.
            let weighted = tokens.chunks_exact(width).zip(mask).zip(1u32..).filter(|((_, m), _)| **m != 0);
            let mut total = 0.0;
            for ((row, _), weight) in weighted {
                let weight = weight as f32;
                total += weight;
                out[start..].iter_mut().zip(row).for_each(|(o, x)| *o += x * weight);
            }
            out[start..].iter_mut().for_each(|o| *o /= total.max(1e-9));
        }
        if self.last {
            append_row(rows().next_back(), width, out);
        }
    }
}

fn append(width: usize, value: f32, out: &mut Vec<f32>) -> usize {
    let start = out.len();
    out.resize(start + width, value);
    start
}

fn append_row(row: Option<&[f32]>, width: usize, out: &mut Vec<f32>) {
    match row {
        Some(row) => out.extend_from_slice(row),
        None => {
            append(width, 0.0, out);
        }
    }
}

/// Divides by the length, or by 1e-12 if it is less, as torch.nn.functional.normalize.
pub fn normalize(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt().max(1e-12) as f32;
    vector.iter_mut().for_each(|x| *x /= norm);
}
