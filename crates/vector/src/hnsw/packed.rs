//! Pages of codes that have lengths of their own.
//!
//! ```text
//! bytes of the tail: u16 | where each code begins: u16 bytes from the start of the page, 0 for none | tail | codes, with gaps
//! ```
//!
//! A code begins on the page of its entry and never moves. One that reaches the end of that page runs on over the next page of
//! the group, right behind the directory there: it is that page's *tail*. What is between codes is free.

use zerocopy::IntoBytes;

use crate::Result;
use crate::hnsw::format::{Packing, PageKind, check_page, init_page};
use crate::page::{PAGE_HEADER, PAYLOAD, Part, SPECIAL_OFFSET, is_new, put_u16, u16_at, words};
use crate::space::Space;

/// Bytes of codes that take so long to measure that a second page is little.
const LONG: usize = PAYLOAD / 4;
/// Bytes at the end of a page that are worth a second page with any code. Those of which more share a page never run on.
const HOLE: usize = PAYLOAD / 16;

/// Whether a code of so many bytes runs on where a page has so many left.
#[inline]
pub fn runs_on(bytes: usize, left: usize) -> bool {
    // The first word says how long the code is.
    left >= if bytes >= LONG { 4 } else { HOLE }
}

/// The code to which an entry leads, or what of it lies on the page, and how many bytes it has. Nothing where it leads nowhere.
#[inline]
pub fn code<'a>(page: &'a [u8], entry: Part, space: &Space) -> (&'a [u32], usize) {
    let offset = usize::from(u16_at(page, entry.offset));
    if offset < PAGE_HEADER || !offset.is_multiple_of(4) || offset + 4 > SPECIAL_OFFSET {
        return (&[], 0);
    }
    let part = Part { block: entry.block, offset, len: 4 };
    let bytes = 4 * space.code_words(words(page, part)[0]);
    (words(page, Part { len: bytes.min(SPECIAL_OFFSET - offset), ..part }), bytes)
}

/// The stretches that codes which begin on a page take, in ascending order. The last one may end behind the page.
fn taken(page: &[u8], packing: Packing, space: &Space) -> Vec<(usize, usize)> {
    let entries = (0..packing.entries).map(|i| packing.entry(0, i));
    let mut taken: Vec<_> = entries
        .map(|entry| (usize::from(u16_at(page, entry.offset)), code(page, entry, space).1))
        .filter(|(offset, _)| *offset != 0)
        .map(|(offset, bytes)| (offset, offset + bytes))
        .collect();
    taken.sort_unstable();
    taken
}

/// Bytes of the tail.
#[inline]
fn tail(page: &[u8]) -> usize {
    usize::from(u16_at(page, PAGE_HEADER))
}

/// Where on a page there is room for so many bytes; with `may_run_on`, on the page and the beginning of the next one, which must
/// have [room](room_for_tail) too.
pub fn gap(page: &[u8], packing: Packing, space: &Space, bytes: usize, may_run_on: bool) -> Option<usize> {
    let mut from = packing.begin();
    if !is_new(page) {
        from += tail(page);
        for (start, end) in taken(page, packing, space) {
            if from + bytes <= start {
                return Some(from);
            }
            from = from.max(end);
        }
    }
    let room = SPECIAL_OFFSET.checked_sub(from)?;
    (bytes <= room || may_run_on && runs_on(bytes, room)).then_some(from)
}

/// Bytes of a code that begins at `offset` which are behind its page.
#[inline]
pub fn beyond(offset: usize, bytes: usize) -> usize {
    (offset + bytes).saturating_sub(SPECIAL_OFFSET)
}

/// Whether a page has room for a tail.
pub fn room_for_tail(page: &[u8], packing: Packing, space: &Space, bytes: usize) -> bool {
    let end = packing.begin() + bytes;
    let is_free = || tail(page) == 0 && taken(page, packing, space).first().is_none_or(|(start, _)| end <= *start);
    end <= SPECIAL_OFFSET && (is_new(page) || is_free())
}

fn check(page: &mut [u8], block: u32) -> Result<()> {
    if is_new(page) {
        init_page(page, PageKind::Code, PAYLOAD);
    }
    check_page(page, block, PageKind::Code)
}

/// Writes a code where there is a [gap]. Gives what does not fit, for [`put_tail`].
pub fn put<'a>(page: &mut [u8], entry: Part, offset: usize, code: &'a [u32]) -> Result<&'a [u32]> {
    check(page, entry.block)?;
    let (head, rest) = code.split_at(code.len() - beyond(offset, 4 * code.len()) / 4);
    put_u16(page, entry.offset, offset as u16);
    page[offset..offset + 4 * head.len()].copy_from_slice(head.as_bytes());
    Ok(rest)
}

/// Writes the rest of a code of the page before, where there is [room](room_for_tail).
pub fn put_tail(page: &mut [u8], block: u32, packing: Packing, rest: &[u32]) -> Result<()> {
    check(page, block)?;
    put_u16(page, PAGE_HEADER, 4 * rest.len() as u16);
    page[packing.begin()..packing.begin() + 4 * rest.len()].copy_from_slice(rest.as_bytes());
    Ok(())
}

/// Takes a code off its page. Whether it runs on over the next one, where [`remove_tail`] does the rest.
pub fn remove(page: &mut [u8], entry: Part, space: &Space) -> bool {
    let (head, bytes) = code(page, entry, space);
    let runs_on = 4 * head.len() < bytes;
    put_u16(page, entry.offset, 0);
    runs_on
}

/// Takes off the rest of a code of the page before.
pub fn remove_tail(page: &mut [u8]) {
    put_u16(page, PAGE_HEADER, 0);
}

/// Whether all codes of a page lie where codes may, none over another, and the tail is as long as it must be; gives the length of
/// the next page's tail.
pub fn is_sound(page: &[u8], packing: Packing, space: &Space, expected: usize) -> (bool, usize) {
    if is_new(page) {
        return (expected == 0, 0);
    }
    let mut from = packing.begin() + tail(page);
    let mut is_sound = tail(page) == expected;
    for (start, end) in taken(page, packing, space) {
        is_sound &= from <= start && start < end;
        from = from.max(end);
    }
    (is_sound, beyond(from, 0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Metric;
    use crate::space::Element;
    use crate::store::PAGE_SIZE;

    /// Five entries.
    fn packing() -> Packing {
        Packing::new(1700)
    }

    fn entry(i: usize) -> Part {
        packing().entry(3, i)
    }

    /// A code of so many elements: 2 words for each and 3 for what comes first.
    fn words_of(non_zero: u32) -> Vec<u32> {
        std::iter::once(non_zero).chain((0..2 * non_zero + 2).map(|word| word + non_zero)).collect()
    }

    #[test]
    fn codes_of_any_length_share_a_page_and_its_gaps() {
        let space = Space::new(Element::Sparse, Metric::InnerProduct, 1_000_000);
        let mut page = vec![0u64; PAGE_SIZE / 8];
        let page = page.as_mut_slice().as_mut_bytes();
        let add = |page: &mut [u8], i: usize, non_zero: u32| {
            let code = words_of(non_zero);
            let gap = gap(page, packing(), &space, 4 * code.len(), false);
            gap.map(|gap| assert!(put(page, entry(i), gap, &code).unwrap().is_empty())).is_some()
        };
        assert!(add(page, 0, 400) && add(page, 1, 100) && add(page, 2, 400));
        assert!(!add(page, 3, 200), "900 take 7,236 of 8,148 bytes");
        assert!(add(page, 3, 0) && add(page, 4, 111));
        assert!(!remove(page, entry(1), &space));
        assert!(!add(page, 1, 101), "the gap is of 100");
        assert!(add(page, 1, 60));
        remove(page, entry(3), &space);
        assert!(add(page, 3, 38), "the rest of the gap");
        for (i, non_zero) in [400, 60, 400, 38, 111].into_iter().enumerate() {
            assert_eq!(code(page, entry(i), &space).0, words_of(non_zero));
        }
        assert_eq!(is_sound(page, packing(), &space, 0), (true, 0));
        remove(page, entry(0), &space);
        remove(page, entry(1), &space);
        assert!(add(page, 0, 460), "gaps side by side are one");
        assert_eq!(is_sound(page, packing(), &space, 0), (true, 0));
        assert!(code(page, entry(1), &space).0.is_empty());
    }

    #[test]
    fn damage_of_a_page_is_noticed() {
        let space = Space::new(Element::Sparse, Metric::InnerProduct, 1_000_000);
        let damaged = |damage: &dyn Fn(&mut [u8])| {
            let mut page = vec![0u64; PAGE_SIZE / 8];
            let page = page.as_mut_slice().as_mut_bytes();
            for i in 0..2 {
                let gap = gap(page, packing(), &space, 92, false).unwrap();
                put(page, entry(i), gap, &words_of(10)).unwrap();
            }
            damage(page);
            !is_sound(page, packing(), &space, 0).0
        };
        assert!(!damaged(&|_| {}));
        for offset in [3, 6, 24, 32, 38, 40, 8182, 8184, 65_535] {
            assert!(damaged(&|page| put_u16(page, entry(1).offset, offset)), "{offset}");
        }
        assert!(damaged(&|page| page[36] = 11), "the first one is longer than it was");
    }

    #[test]
    fn a_code_runs_on_over_the_next_page() {
        let space = Space::new(Element::Sparse, Metric::InnerProduct, 1_000_000);
        let (mut one, mut two) = (vec![0u64; PAGE_SIZE / 8], vec![0u64; PAGE_SIZE / 8]);
        let (one, two) = (one.as_mut_slice().as_mut_bytes(), two.as_mut_slice().as_mut_bytes());
        let codes = [words_of(700), words_of(400), words_of(600)];
        for (i, code) in codes[..2].iter().enumerate() {
            let bytes = 4 * code.len();
            assert_eq!(gap(one, packing(), &space, bytes, false).is_some(), i == 0);
            let gap = gap(one, packing(), &space, bytes, true).unwrap();
            assert!(room_for_tail(two, packing(), &space, beyond(gap, bytes)));
            let rest = put(one, entry(i), gap, code).unwrap();
            assert_eq!(4 * rest.len(), beyond(gap, bytes));
            if i == 1 {
                put_tail(two, 4, packing(), rest).unwrap();
            }
        }
        let (head, bytes) = code(one, entry(1), &space);
        let tail = packing().tail(4, bytes - 4 * head.len()).unwrap();
        assert_eq!([head, words(two, tail)].concat(), codes[1]);
        assert!(!room_for_tail(two, packing(), &space, 4), "it has one");
        let gap = gap(two, packing(), &space, 4 * codes[2].len(), false).unwrap();
        assert_eq!(gap, tail.offset + tail.len);
        put(two, packing().entry(4, 0), gap, &codes[2]).unwrap();
        assert_eq!(is_sound(one, packing(), &space, 0), (true, tail.len));
        assert_eq!(is_sound(two, packing(), &space, tail.len), (true, 0));
        assert!(!is_sound(two, packing(), &space, tail.len - 4).0 && !is_sound(two, packing(), &space, 0).0);
        assert!(remove(one, entry(1), &space) && !remove(one, entry(0), &space));
        remove_tail(two);
        assert!(
            room_for_tail(two, packing(), &space, tail.len) && !room_for_tail(two, packing(), &space, tail.len + 4)
        );
        assert_eq!((is_sound(one, packing(), &space, 0), is_sound(two, packing(), &space, 0)), ((true, 0), (true, 0)));
    }
}
