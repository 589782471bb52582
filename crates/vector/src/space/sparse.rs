//! Sparse vectors: the number of elements that are not zero, their places, and the elements.
//!
//! ```text
//! count u16 | groups u16 | own f64 | groups | places, ascending | elements f32
//! ```
//!
//! `own` is the sum of squares, for L1 of amounts: how far the vector of zeros is. Up to [`NARROW`] dimensions a place is
//! half a word, counted from 1. Beyond, places that are mostly near to others are in groups of [`GROUP`], in which each is half a
//! word, counted from 1, too; a group is a word: its number and where its places end. Places that are not, of which there are as
//! many groups as [that takes room](is_grouped), are words, counted from 0, without groups.

use std::ops::Range;

use zerocopy::{FromBytes, IntoBytes};

use super::{Metric, Space, finite, floats};
use crate::distance::shared::{self, Terms};

/// Elements that are not zero, at most: pgvector's limit for hnsw.
pub(super) const MAX_NON_ZERO: usize = 1000;
/// Dimensions up to which a place is a `u16` that is neither zero nor the largest one, which a place beyond becomes.
const NARROW: usize = u16::MAX as usize - 1;

/// Places of a group: half words but zero.
const GROUP: i32 = u16::MAX as i32;

/// Where the groups begin.
const GROUPS: usize = 3;

/// Whether so many places in so many groups take less room than words, and about as much time to compare: each group costs some
/// nanoseconds of its own.
fn is_grouped(places: usize, groups: usize) -> bool {
    64 * groups <= places
}

/// What the first word of a code says: how many elements there are, and groups.
#[inline]
fn counts(first: u32) -> (usize, usize) {
    let [count, groups]: [u16; 2] = zerocopy::transmute!(first);
    (count.into(), groups.into())
}

/// Where the elements of a code of so many begin.
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

/// `places` are counted from 0.
pub(super) fn encode(space: &Space, places: &[i32], values: &[f32]) -> Vec<u32> {
    let is_narrow = space.dimensions <= NARROW;
    let mut groups = Vec::new();
    if !is_narrow {
        let mut end = 0;
        for group in places.chunk_by(|one, next| one / GROUP == next / GROUP) {
            end += group.len();
            let group: u32 = zerocopy::transmute!([(group[0] / GROUP) as u16, end as u16]);
            groups.push(group);
        }
        if !is_grouped(places.len(), groups.len()) {
            groups.clear();
        }
    }
    let mut code = Vec::with_capacity(values_at(space.dimensions, values.len(), groups.len()) + values.len());
    code.push(zerocopy::transmute!([values.len() as u16, groups.len() as u16]));
    let own: [u32; 2] = zerocopy::transmute!(own(space.metric, values));
    code.extend_from_slice(&own);
    code.extend_from_slice(&groups);
    if is_narrow || !groups.is_empty() {
        let narrow = |place: Option<&i32>| match place {
            None => 0,
            Some(place) if is_narrow => u16::try_from(*place + 1).unwrap_or(u16::MAX),
            Some(place) => (place % GROUP + 1) as u16,
        };
        code.extend(
            places.chunks(2).map(|pair| -> u32 { zerocopy::transmute!([narrow(pair.first()), narrow(pair.get(1))]) }),
        );
    } else {
        code.extend(places.iter().map(|place| place.cast_unsigned()));
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
    places: Places<'a>,
    values: &'a [f32],
}

#[derive(Clone, Copy)]
enum Places<'a> {
    Narrow(&'a [u16]),
    Grouped(&'a [[u16; 2]], &'a [u16]),
    Wide(&'a [i32]),
}

/// Words as something else that is not larger than a word, and no more aligned: it cannot fail.
#[inline]
fn cast<T: FromBytes + zerocopy::Immutable>(words: &[u32]) -> &[T] {
    <[T]>::ref_from_bytes(words.as_bytes()).unwrap_or(&[])
}

impl<'a> Parts<'a> {
    /// What is no code becomes a vector of zeros.
    #[inline]
    fn new(dimensions: usize, code: &'a [u32]) -> Self {
        let (count, groups) = code.first().map_or((0, 0), |first| counts(*first));
        let at = values_at(dimensions, count, groups);
        let (Some(places), Some(values)) = (code.get(GROUPS..at), code.get(at..at + count)) else {
            return Self { own: 0.0, places: Places::Narrow(&[]), values: &[] };
        };
        let places = if dimensions <= NARROW {
            Places::Narrow(cast(places))
        } else if groups > 0 {
            let (groups, places) = places.split_at(groups);
            Places::Grouped(cast(groups), cast(places))
        } else {
            Places::Wide(cast(places))
        };
        Self { own: zerocopy::transmute!([code[1], code[2]]), places, values: floats(values) }
    }

    /// The places, counted from 0; `room` is for those that are not words.
    fn places<'b>(&'b self, room: &'b mut [i32; MAX_NON_ZERO]) -> &'b [i32] {
        match self.places {
            Places::Wide(places) => return places,
            Places::Narrow(places) => {
                room.iter_mut().zip(places).for_each(|(wide, place)| *wide = i32::from(*place) - 1);
            }
            Places::Grouped(groups, places) => {
                let mut from = 0;
                for [number, end] in groups {
                    let end = usize::from(*end);
                    let (Some(wide), Some(places)) = (room.get_mut(from..end), places.get(from..end)) else { break };
                    let first = i32::from(*number) * GROUP - 1;
                    wide.iter_mut().zip(places).for_each(|(wide, place)| *wide = first + i32::from(*place));
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
    (a, places_a, values_a): (&[[u16; 2]], &[u16], &[f32]),
    (b, places_b, values_b): (&[[u16; 2]], &[u16], &[f32]),
    kernel: impl Fn(Terms<'_, u16>, Terms<'_, u16>) -> f64,
) -> f64 {
    let (mut sum, mut i, mut j, mut from_a, mut from_b) = (0.0, 0, 0, 0, 0);
    while let (Some([x, end_a]), Some([y, end_b])) = (a.get(i), b.get(j)) {
        let (end_a, end_b) = (usize::from(*end_a), usize::from(*end_b));
        if x == y {
            sum += kernel(terms(places_a, values_a, from_a..end_a), terms(places_b, values_b, from_b..end_b));
        }
        // Which one steps ahead is data, not a branch: it cannot be predicted.
        let (is_a, is_b) = (x <= y, y <= x);
        (i, j) = (i + usize::from(is_a), j + usize::from(is_b));
        from_a = if is_a { end_a } else { from_a };
        from_b = if is_b { end_b } else { from_b };
    }
    sum
}

#[inline]
fn terms<'a>(places: &'a [u16], values: &'a [f32], of: Range<usize>) -> Terms<'a, u16> {
    Terms::new(places.get(of.start..).unwrap_or(&[]), values.get(of).unwrap_or(&[]))
}

/// The sum of a kernel over the places that two codes share.
#[inline]
fn over_places(
    a: &Parts<'_>,
    b: &Parts<'_>,
    narrow: impl Fn(Terms<'_, u16>, Terms<'_, u16>) -> f64,
    wide: impl Fn(Terms<'_, i32>, Terms<'_, i32>) -> f64,
) -> f64 {
    match (a.places, b.places) {
        (Places::Narrow(p), Places::Narrow(q)) => narrow(Terms::new(p, a.values), Terms::new(q, b.values)),
        (Places::Grouped(g, p), Places::Grouped(h, q)) => over_groups((g, p, a.values), (h, q, b.values), narrow),
        (Places::Wide(p), Places::Wide(q)) => wide(Terms::new(p, a.values), Terms::new(q, b.values)),
        _ => {
            let (mut room_a, mut room_b) = ([0; MAX_NON_ZERO], [0; MAX_NON_ZERO]);
            wide(Terms::new(a.places(&mut room_a), a.values), Terms::new(b.places(&mut room_b), b.values))
        }
    }
}

/// The distance of a metric by its function of the codes taken apart and of the sum of a kernel over what they share.
macro_rules! distance {
    ($name:ident, $kernel:path, |$a:ident, $b:ident, $shared:ident| $distance:expr) => {
        pub(super) fn $name(dimensions: usize, a: &[u32], b: &[u32]) -> f32 {
            let ($a, $b) = (Parts::new(dimensions, a), Parts::new(dimensions, b));
            let $shared = over_places(&$a, &$b, |x, y| $kernel(x, y), |x, y| $kernel(x, y));
            finite($distance as f32)
        }
    };
}

// In `f64`, squares of `f32` are exact: what cancels out loses no more than a sum of squares of differences in `f32` would.
distance!(l2_squared, shared::inner_product, |a, b, shared| (a.own + b.own - 2.0 * shared).max(0.0));
distance!(l1, shared::l1, |a, b, shared| (a.own + b.own - shared).max(0.0));
distance!(negative_inner_product, shared::inner_product, |_a, _b, shared| -shared);

pub(super) fn is_sound(space: &Space, code: &[u32]) -> bool {
    let Some(first) = code.first() else { return false };
    if counts(*first).0 > MAX_NON_ZERO || code.len() != words(space, *first) {
        return false;
    }
    let (parts, mut room) = (Parts::new(space.dimensions, code), [0; MAX_NON_ZERO]);
    let places = parts.places(&mut room);
    places.is_sorted_by(|one, next| one < next)
        && places.iter().all(|place| usize::try_from(*place).is_ok_and(|place| place < space.dimensions))
        && parts.values.iter().all(|x| x.is_finite())
        && encode(space, places, parts.values) == code
}
