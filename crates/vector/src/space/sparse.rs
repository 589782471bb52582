//! Codes of sparse vectors: the number of elements that are not zero, their positions, and the elements.
//!
//! ```text
//! count u16 | groups u16 | own f64 | groups | positions, ascending | elements f32
//! ```
//!
//! `own` is the sum of the squares of the elements (for L1, of their absolute values): the distance to the vector of zeros.
//!
//! Up to [`NARROW`] dimensions a position is a `u16`, counted from 1. Longer vectors are divided into groups of [`GROUP`]
//! dimensions, if that [saves room](is_grouped): a position is a `u16` that counts from 1 within its group, and each group
//! that has elements takes a word, with its number and the end of its positions. Otherwise positions are `i32`, counted
//! from 0, without groups.

use std::ops::Range;

use zerocopy::{FromBytes, IntoBytes};

use super::{Metric, Space, finite, floats};
use crate::distance::shared::{self, Terms};

/// Elements that are not zero, at most: pgvector's limit for hnsw.
pub(super) const MAX_NON_ZERO: usize = 1000;
/// Maximum number of dimensions for which positions are `u16`. Zero is padding, and the largest `u16` stands for any
/// position that is out of range.
const NARROW: usize = u16::MAX as usize - 1;

/// Dimensions of a group: a position is a `u16` that is not zero.
const GROUP: i32 = u16::MAX as i32;

/// The word at which the groups begin.
const GROUPS: usize = 3;

/// Whether groups make a code smaller while a distance takes about as long: each group costs some nanoseconds.
fn is_grouped(positions: usize, groups: usize) -> bool {
    64 * groups <= positions
}

/// The numbers of elements and of groups, from the first word of a code.
#[inline]
fn counts(first: u32) -> (usize, usize) {
    let [count, groups]: [u16; 2] = zerocopy::transmute!(first);
    (count.into(), groups.into())
}

/// The word at which the elements begin.
#[inline]
fn values_at(dimensions: usize, non_zero: usize, groups: usize) -> usize {
    GROUPS + if dimensions <= NARROW || groups > 0 { groups + non_zero.div_ceil(2) } else { non_zero }
}

/// Words of the longest code.
pub(super) fn max_words(space: &Space) -> usize {
    values_at(space.dimensions, MAX_NON_ZERO, 0) + MAX_NON_ZERO
}

/// Words of the code that begins with `first`.
#[inline]
pub(super) fn words(space: &Space, first: u32) -> usize {
    let (non_zero, groups) = counts(first);
    let non_zero = non_zero.min(MAX_NON_ZERO);
    values_at(space.dimensions, non_zero, groups.min(non_zero)) + non_zero
}

/// `positions` are counted from 0.
pub(super) fn encode(space: &Space, positions: &[i32], values: &[f32]) -> Vec<u32> {
    let is_narrow = space.dimensions <= NARROW;
    let mut groups = Vec::new();
    if !is_narrow {
        let mut end = 0;
        for group in positions.chunk_by(|one, next| one / GROUP == next / GROUP) {
            end += group.len();
            let group: u32 = zerocopy::transmute!([(group[0] / GROUP) as u16, end as u16]);
            groups.push(group);
        }
        if !is_grouped(positions.len(), groups.len()) {
            groups.clear();
        }
    }
    let mut code = Vec::with_capacity(values_at(space.dimensions, values.len(), groups.len()) + values.len());
    code.push(zerocopy::transmute!([values.len() as u16, groups.len() as u16]));
    let own: [u32; 2] = zerocopy::transmute!(own(space.metric, values));
    code.extend_from_slice(&own);
    code.extend_from_slice(&groups);
    if is_narrow || !groups.is_empty() {
        let narrow = |position: Option<&i32>| match position {
            None => 0,
            Some(position) if is_narrow => u16::try_from(*position + 1).unwrap_or(u16::MAX),
            Some(position) => (position % GROUP + 1) as u16,
        };
        code.extend(
            positions
                .chunks(2)
                .map(|pair| -> u32 { zerocopy::transmute!([narrow(pair.first()), narrow(pair.get(1))]) }),
        );
    } else {
        code.extend(positions.iter().map(|position| position.cast_unsigned()));
    }
    code.extend(values.iter().map(|x| x.to_bits()));
    code
}

fn own(metric: Metric, values: &[f32]) -> f64 {
    let values = values.iter().map(|x| f64::from(*x));
    match metric {
        Metric::L1 => values.map(f64::abs).sum(),
        _ => values.map(|x| x * x).sum(),
    }
}

/// A code, taken apart.
#[derive(Clone, Copy)]
struct Parts<'a> {
    own: f64,
    positions: Positions<'a>,
    values: &'a [f32],
}

#[derive(Clone, Copy)]
enum Positions<'a> {
    Narrow(&'a [u16]),
    Grouped(&'a [[u16; 2]], &'a [u16]),
    Wide(&'a [i32]),
}

/// Reinterprets words as elements that are at most as large and as aligned as a word, so it cannot fail.
#[inline]
fn cast<T: FromBytes + zerocopy::Immutable>(words: &[u32]) -> &[T] {
    <[T]>::ref_from_bytes(words.as_bytes()).unwrap_or(&[])
}

impl<'a> Parts<'a> {
    /// Words that are not a code give the vector of zeros.
    #[inline]
    fn new(dimensions: usize, code: &'a [u32]) -> Self {
        let (count, groups) = code.first().map_or((0, 0), |first| counts(*first));
        let at = values_at(dimensions, count, groups);
        let (Some(positions), Some(values)) = (code.get(GROUPS..at), code.get(at..at + count)) else {
            return Self { own: 0.0, positions: Positions::Narrow(&[]), values: &[] };
        };
        let positions = if dimensions <= NARROW {
            Positions::Narrow(cast(positions))
        } else if groups > 0 {
            let (groups, positions) = positions.split_at(groups);
            Positions::Grouped(cast(groups), cast(positions))
        } else {
            Positions::Wide(cast(positions))
        };
        Self { own: zerocopy::transmute!([code[1], code[2]]), positions, values: floats(values) }
    }

    /// The positions, counted from 0; `room` receives those that are stored as `u16`.
    fn positions<'b>(&'b self, room: &'b mut [i32; MAX_NON_ZERO]) -> &'b [i32] {
        match self.positions {
            Positions::Wide(positions) => return positions,
            Positions::Narrow(positions) => {
                room.iter_mut().zip(positions).for_each(|(wide, position)| *wide = i32::from(*position) - 1);
            }
            Positions::Grouped(groups, positions) => {
                let mut from = 0;
                for [number, end] in groups {
                    let end = usize::from(*end);
                    let (Some(wide), Some(positions)) = (room.get_mut(from..end), positions.get(from..end)) else {
                        break;
                    };
                    let first = i32::from(*number) * GROUP - 1;
                    wide.iter_mut().zip(positions).for_each(|(wide, position)| *wide = first + i32::from(*position));
                    from = end;
                }
            }
        }
        room.get(..self.values.len()).unwrap_or(&[])
    }
}

/// The sum of a kernel over the groups that both have.
#[inline]
fn over_groups(
    (a, positions_a, values_a): (&[[u16; 2]], &[u16], &[f32]),
    (b, positions_b, values_b): (&[[u16; 2]], &[u16], &[f32]),
    kernel: impl Fn(Terms<'_, u16>, Terms<'_, u16>) -> f64,
) -> f64 {
    let (mut sum, mut i, mut j, mut from_a, mut from_b) = (0.0, 0, 0, 0, 0);
    while let (Some([x, end_a]), Some([y, end_b])) = (a.get(i), b.get(j)) {
        let (end_a, end_b) = (usize::from(*end_a), usize::from(*end_b));
        if x == y {
            sum += kernel(terms(positions_a, values_a, from_a..end_a), terms(positions_b, values_b, from_b..end_b));
        }
        // Advances without a branch, which the processor could not predict.
        let (is_a, is_b) = (x <= y, y <= x);
        (i, j) = (i + usize::from(is_a), j + usize::from(is_b));
        from_a = if is_a { end_a } else { from_a };
        from_b = if is_b { end_b } else { from_b };
    }
    sum
}

#[inline]
fn terms<'a>(positions: &'a [u16], values: &'a [f32], of: Range<usize>) -> Terms<'a, u16> {
    Terms::new(positions.get(of.start..).unwrap_or(&[]), values.get(of).unwrap_or(&[]))
}

/// The sum of a kernel over the positions that two codes share.
#[inline]
fn over_positions(
    a: &Parts<'_>,
    b: &Parts<'_>,
    narrow: impl Fn(Terms<'_, u16>, Terms<'_, u16>) -> f64,
    wide: impl Fn(Terms<'_, i32>, Terms<'_, i32>) -> f64,
) -> f64 {
    match (a.positions, b.positions) {
        (Positions::Narrow(p), Positions::Narrow(q)) => narrow(Terms::new(p, a.values), Terms::new(q, b.values)),
        (Positions::Grouped(g, p), Positions::Grouped(h, q)) => over_groups((g, p, a.values), (h, q, b.values), narrow),
        (Positions::Wide(p), Positions::Wide(q)) => wide(Terms::new(p, a.values), Terms::new(q, b.values)),
        _ => {
            let (mut room_a, mut room_b) = ([0; MAX_NON_ZERO], [0; MAX_NON_ZERO]);
            wide(Terms::new(a.positions(&mut room_a), a.values), Terms::new(b.positions(&mut room_b), b.values))
        }
    }
}

/// Defines the distance of a metric as a function of both codes and of a kernel's sum over the positions that they share.
macro_rules! distance {
    ($name:ident, $kernel:path, |$a:ident, $b:ident, $shared:ident| $distance:expr) => {
        pub(super) fn $name(dimensions: usize, a: &[u32], b: &[u32]) -> f32 {
            let ($a, $b) = (Parts::new(dimensions, a), Parts::new(dimensions, b));
            let $shared = over_positions(&$a, &$b, |x, y| $kernel(x, y), |x, y| $kernel(x, y));
            finite($distance as f32)
        }
    };
}

// In `f64` the squares of `f32` are exact, so cancellation loses no more than a sum of squared differences in `f32` would.
distance!(l2_squared, shared::inner_product, |a, b, shared| (a.own + b.own - 2.0 * shared).max(0.0));
distance!(l1, shared::l1, |a, b, shared| (a.own + b.own - shared).max(0.0));
distance!(negative_inner_product, shared::inner_product, |_a, _b, shared| -shared);

pub(super) fn is_sound(space: &Space, code: &[u32]) -> bool {
    let Some(first) = code.first() else { return false };
    if counts(*first).0 > MAX_NON_ZERO || code.len() != words(space, *first) {
        return false;
    }
    let (parts, mut room) = (Parts::new(space.dimensions, code), [0; MAX_NON_ZERO]);
    let positions = parts.positions(&mut room);
    positions.is_sorted_by(|one, next| one < next)
        && positions.iter().all(|position| usize::try_from(*position).is_ok_and(|position| position < space.dimensions))
        && parts.values.iter().all(|x| x.is_finite())
        && encode(space, positions, parts.values) == code
}
