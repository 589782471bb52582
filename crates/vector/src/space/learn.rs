//! What an index learns from its values before it is built: a centre, and how fine its codes must be.

use std::collections::HashSet;

use super::{Coder, Element, Form, Metric, Space, Value};
use crate::Result;
use crate::distance::norm;
use crate::memory::{filled, push, room};
use crate::pace::Pace;

/// Minimum number of values from which something is learnt.
pub const ENOUGH: usize = 1000;
/// Maximum number of values that are examined.
pub const MOST: usize = 5000;
/// Number of values for which is checked whether a form [fits](Space::fits).
const ASKED: usize = 200;
/// At most 1/MISFITS of them may be misfits.
const MISFITS: usize = 100;
/// Number of neighbours of each value that is checked.
const NEAR: usize = 64;
/// Values longer than the median length by this factor do not count for a centre.
const LONG: f64 = 4.0;
/// A centre must reduce the median error to less than this share of the error without one.
const SMALLER: f32 = 0.9;

/// The coder of an index over values like those of `sample`, which has them one after the other, with `dimensions` elements
/// each. Its form of codes is the smallest that [fits](Space::fits) nearly all of them, else the finest that an index can
/// store. It has a centre if that reduces errors clearly. For values that are not dense or have few dimensions, and for samples
/// of fewer than 1,000, it is the coder of an index that has learnt nothing. The same sample gives the same coder. `poll` is
/// called every few milliseconds, and ends this by an error.
pub fn learn(
    element: Element,
    metric: Metric,
    dimensions: usize,
    sample: &[f32],
    poll: &dyn Fn() -> Result<()>,
) -> Result<Coder> {
    let space = Space::new(element, metric, dimensions);
    let count = sample.len() / dimensions.max(1);
    if !space.is_quantised() || count < ENOUGH {
        return Ok(Coder::plain(space));
    }
    let taken = count.min(MOST);
    let sample = Sample { space, sample, count, taken };
    let pace = Pace::new(poll);
    let centre = sample.centre(&pace)?;
    let coder = |form| Coder::new(space.with_form(form), centre.clone());
    let mut finest = coder(Form::Quantised);
    for form in [Form::Fine, Form::Floats] {
        if !space.with_form(form).is_possible() || sample.fits(&finest, &pace)? {
            return Ok(finest);
        }
        finest = coder(form);
    }
    Ok(Coder::plain(finest.space))
}

struct Sample<'a> {
    space: Space,
    sample: &'a [f32],
    count: usize,
    taken: usize,
}

impl Sample<'_> {
    /// Value `i` of the examined ones, which are spread evenly over all.
    fn value(&self, i: usize) -> &[f32] {
        let (at, dimensions) = (i * self.count / self.taken, self.space.dimensions);
        &self.sample[at * dimensions..(at + 1) * dimensions]
    }

    fn bytes(&self) -> usize {
        4 * self.space.dimensions
    }

    /// The mean of the values (for cosine, of normalised ones), if it reduces errors.
    fn centre(&self, pace: &Pace<'_>) -> Result<Option<Box<[f32]>>> {
        let mut lengths = room(self.taken)?;
        for i in 0..self.taken {
            pace.spend(self.bytes())?;
            push(&mut lengths, norm(self.value(i)))?;
        }
        let mut ordered = room(self.taken)?;
        ordered.extend_from_slice(&lengths);
        let (_, usual, _) = ordered.select_nth_unstable_by(self.taken / 2, f64::total_cmp);
        let longest = LONG * *usual;
        let (mut sum, mut members) = (filled(0.0f64, self.space.dimensions, || pace.check())?, 0.0);
        for (i, length) in lengths.iter().enumerate() {
            pace.spend(2 * self.bytes())?;
            let by = match self.space.metric {
                Metric::Cosine if *length > 0.0 => 1.0 / length,
                Metric::Cosine => continue,
                _ if *length > longest => continue,
                _ => 1.0,
            };
            sum.iter_mut().zip(self.value(i)).for_each(|(sum, x)| *sum += by * f64::from(*x));
            members += 1.0;
        }
        if members == 0.0 {
            return Ok(None);
        }
        let centre: Box<[f32]> = sum.iter().map(|sum| (sum / members) as f32).collect();
        let space = self.space.with_form(Form::Quantised);
        let with = self.usual_error(&Coder::new(space, Some(centre.clone())), pace)?;
        let without = self.usual_error(&Coder::plain(space), pace)?;
        Ok((with < SMALLER * without).then_some(centre))
    }

    /// The median error of codes.
    fn usual_error(&self, coder: &Coder, pace: &Pace<'_>) -> Result<f32> {
        let mut errors = Vec::new();
        for i in 0..ASKED {
            pace.spend(8 * self.bytes())?;
            if let Some(code) = coder.encode(Value::Dense(self.value(i * self.taken / ASKED)))? {
                errors.push(coder.space.error(&code));
            }
        }
        errors.sort_by(f32::total_cmp);
        Ok(errors.get(errors.len() / 2).copied().unwrap_or(0.0))
    }

    /// Whether nearly all codes are fine enough to order their neighbours.
    fn fits(&self, coder: &Coder, pace: &Pace<'_>) -> Result<bool> {
        let words = coder.space.max_code_bytes() / 4;
        let (mut codes, mut seen) = (room::<u32>(self.taken * words)?, HashSet::new());
        for i in 0..self.taken {
            pace.spend(8 * self.bytes())?;
            // Equal values are one element of an index.
            if let Some(code) = coder.encode(Value::Dense(self.value(i)))?
                && seen.insert(code.clone())
            {
                codes.extend_from_slice(&code);
            }
        }
        let count = codes.len() / words;
        let asked = ASKED.min(count);
        let measure = coder.space.measure();
        let (mut near, mut misfits): (Vec<(f32, usize)>, _) = (room(self.taken)?, 0);
        for own in (0..asked).map(|i| i * count / asked) {
            let code = &codes[own * words..][..words];
            near.clear();
            for (i, other) in codes.chunks_exact(words).enumerate() {
                pace.spend(4 * words)?;
                if i != own {
                    near.push((measure.distance(code, other), i));
                }
            }
            let last = NEAR.min(near.len());
            if last < near.len() {
                near.select_nth_unstable_by(last, |a, b| a.0.total_cmp(&b.0));
            }
            near.truncate(last);
            near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let nearest: Vec<f32> = near.iter().map(|(distance, _)| *distance).collect();
            misfits += usize::from(!coder.space.fits(code, &nearest));
            if misfits > asked / MISFITS {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
