//! Pages of codes that have lengths of their own.
//!
//! ```text
//! where each code lies: u16 bytes from the start of the page, 0 for none | codes, in any order, with gaps
//! ```
//!
//! A code lies on one page and never moves. What is between codes is free.

use zerocopy::IntoBytes;

use crate::Result;
use crate::hnsw::format::{PageKind, check_page, init_page};
use crate::page::{PAGE_HEADER, PAYLOAD, Part, SPECIAL_OFFSET, is_new, put_u16, u16_at, words};
use crate::space::Space;

/// Bytes of an entry of the directory.
pub const ENTRY: usize = 2;

/// Where codes may lie, on a page for so many.
#[inline]
fn begin(per_page: usize) -> usize {
    PAGE_HEADER + (ENTRY * per_page).next_multiple_of(4)
}

/// Bytes for codes of a page for so many.
#[inline]
pub fn room(per_page: usize) -> usize {
    PAYLOAD.saturating_sub(begin(per_page) - PAGE_HEADER)
}

/// The code to which an entry leads; nothing where it leads nowhere.
#[inline]
pub fn code<'a>(page: &'a [u8], entry: Part, space: &Space) -> &'a [u32] {
    let offset = usize::from(u16_at(page, entry.offset));
    if offset < PAGE_HEADER || !offset.is_multiple_of(4) || offset + 4 > SPECIAL_OFFSET {
        return &[];
    }
    let part = Part { block: entry.block, offset, len: 4 };
    let len = 4 * space.code_words(words(page, part)[0]);
    if offset + len > SPECIAL_OFFSET { &[] } else { words(page, Part { len, ..part }) }
}

/// The stretches of a page that codes take, in ascending order.
fn taken(page: &[u8], per_page: usize, space: &Space) -> Vec<(usize, usize)> {
    let entries = (0..per_page).map(|i| Part { block: 0, offset: PAGE_HEADER + ENTRY * i, len: ENTRY });
    let mut taken: Vec<_> = entries
        .map(|entry| (usize::from(u16_at(page, entry.offset)), code(page, entry, space)))
        .filter(|(offset, _)| *offset != 0)
        .map(|(offset, code)| (offset, offset + code.as_bytes().len()))
        .collect();
    taken.sort_unstable();
    taken
}

/// Where on a page for so many codes there is room for so many bytes.
pub fn gap(page: &[u8], per_page: usize, space: &Space, bytes: usize) -> Option<usize> {
    let mut from = begin(per_page);
    if !is_new(page) {
        for (start, end) in taken(page, per_page, space) {
            if from + bytes <= start {
                return Some(from);
            }
            from = from.max(end);
        }
    }
    (from + bytes <= SPECIAL_OFFSET).then_some(from)
}

/// Writes a code where there is [room](gap).
pub fn put(page: &mut [u8], entry: Part, offset: usize, code: &[u32]) -> Result<()> {
    if is_new(page) {
        init_page(page, PageKind::Code, PAYLOAD);
    }
    check_page(page, entry.block, PageKind::Code)?;
    put_u16(page, entry.offset, offset as u16);
    page[offset..offset + 4 * code.len()].copy_from_slice(code.as_bytes());
    Ok(())
}

/// Takes a code off its page.
pub fn remove(page: &mut [u8], entry: Part) {
    put_u16(page, entry.offset, 0);
}

/// Whether all codes of a page lie where codes may, none over another.
pub fn is_sound(page: &[u8], per_page: usize, space: &Space) -> bool {
    let mut from = begin(per_page);
    is_new(page)
        || taken(page, per_page, space).into_iter().all(|(start, end)| {
            let is_sound = from <= start && start < end;
            from = end;
            is_sound
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Metric;
    use crate::space::Element;
    use crate::store::PAGE_SIZE;

    const PER_PAGE: usize = 5;

    fn entry(i: usize) -> Part {
        Part { block: 3, offset: PAGE_HEADER + ENTRY * i, len: ENTRY }
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
            let gap = gap(page, PER_PAGE, &space, 4 * code.len());
            gap.map(|gap| put(page, entry(i), gap, &code).unwrap()).is_some()
        };
        assert!(add(page, 0, 400) && add(page, 1, 100) && add(page, 2, 400));
        assert!(!add(page, 3, 200), "900 take 7,236 of 8,148 bytes");
        assert!(add(page, 3, 0) && add(page, 4, 111));
        remove(page, entry(1));
        assert!(!add(page, 1, 101), "the gap is of 100");
        assert!(add(page, 1, 60));
        remove(page, entry(3));
        assert!(add(page, 3, 38), "the rest of the gap");
        for (i, non_zero) in [400, 60, 400, 38, 111].into_iter().enumerate() {
            assert_eq!(code(page, entry(i), &space), words_of(non_zero));
        }
        assert!(is_sound(page, PER_PAGE, &space));
        remove(page, entry(0));
        remove(page, entry(1));
        assert!(add(page, 0, 460), "gaps side by side are one");
        assert!(is_sound(page, PER_PAGE, &space));
        assert!(code(page, entry(1), &space).is_empty());
    }

    #[test]
    fn damage_of_a_page_is_noticed() {
        let space = Space::new(Element::Sparse, Metric::InnerProduct, 1_000_000);
        let damaged = |damage: &dyn Fn(&mut [u8])| {
            let mut page = vec![0u64; PAGE_SIZE / 8];
            let page = page.as_mut_slice().as_mut_bytes();
            for i in 0..2 {
                let gap = gap(page, PER_PAGE, &space, 92).unwrap();
                put(page, entry(i), gap, &words_of(10)).unwrap();
            }
            damage(page);
            !is_sound(page, PER_PAGE, &space)
        };
        assert!(!damaged(&|_| {}));
        for offset in [3, 6, 24, 32, 38, 40, 8182, 8184, 65_535] {
            assert!(damaged(&|page| put_u16(page, entry(1).offset, offset)), "{offset}");
        }
        assert!(damaged(&|page| page[36] = 11), "the first one is longer than it was");
    }
}
