//! The centre that an index has learnt for its codes, on pages: the `f32` of all elements one after the other, from block 1
//! on. The build writes it, and it never changes.

use zerocopy::{FromBytes, IntoBytes};

use crate::memory::room;
use crate::page::{self, PAGE_HEADER, PAYLOAD};
use crate::store::{PAGE_SIZE, PageStore};
use crate::{Error, Result};

/// Number of elements on a page.
const ELEMENTS: usize = PAYLOAD / size_of::<f32>();

/// Number of pages of a centre of so many elements.
pub(crate) fn pages(elements: usize) -> u32 {
    elements.div_ceil(ELEMENTS) as u32
}

/// Appends the pages of a centre to a store that has its metapage. `id` and `kind` are as for [`page::init`].
pub(crate) fn append<S: PageStore>(centre: &[f32], id: u16, kind: u16, store: &S) -> Result<()> {
    let mut page = [0; PAGE_SIZE];
    for part in centre.chunks(ELEMENTS) {
        store.poll()?;
        let bytes = part.as_bytes();
        page::init(&mut page, id, kind, bytes.len());
        page[PAGE_HEADER..PAGE_HEADER + bytes.len()].copy_from_slice(bytes);
        store.append(&page)?;
    }
    Ok(())
}

/// Reads the centre of so many elements.
pub(crate) fn read<S: PageStore>(elements: usize, id: u16, kind: u16, store: &S) -> Result<Box<[f32]>> {
    let mut centre = room(elements)?;
    for block in 1..=pages(elements) {
        let page = store.read(block)?;
        page::check(&page, block, id, kind)?;
        let len = ELEMENTS.min(elements - centre.len()) * size_of::<f32>();
        let part = <[f32]>::ref_from_bytes(&page[PAGE_HEADER..PAGE_HEADER + len]).unwrap_or(&[]); // pages are aligned
        if part.is_empty() || !part.iter().all(|x| x.is_finite()) {
            return Err(Error::Corrupt { block, what: "centre that is not finite" });
        }
        centre.extend_from_slice(part);
    }
    Ok(centre.into_boxed_slice())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::mem::MemPages;

    /// The bytes of version 3, on a little-endian machine.
    #[test]
    #[cfg(target_endian = "little")]
    fn golden_centre_pages() {
        let centre: Vec<f32> = (0..2042).map(|i| i as f32 / 2.0).collect();
        let store = MemPages::new();
        store.append(&[0; PAGE_SIZE]).unwrap();
        append(&centre, 0xFFA2, 6, &store).unwrap();
        assert_eq!((store.blocks().unwrap(), pages(2040), pages(2041)), (3, 1, 2));
        let (first, second) = (store.read(1).unwrap(), store.read(2).unwrap());
        assert_eq!(first[8..20], [0, 0, 0, 0, 0xF8, 0x1F, 0xF8, 0x1F, 0xF8, 0x1F, 4, 0x20]);
        assert_eq!(first[24..36], [0, 0, 0, 0, 0, 0, 0, 0x3F, 0, 0, 0x80, 0x3F]);
        assert_eq!(first[8184..], [6, 0, 0xA2, 0xFF, 0, 0, 0, 0]);
        assert_eq!(second[12..14], [32, 0]);
        assert_eq!(second[24..36], [0, 0, 0x7F, 0x44, 0, 0x20, 0x7F, 0x44, 0, 0, 0, 0]);
        assert_eq!(read(2042, 0xFFA2, 6, &store).unwrap()[..], centre);
        assert!(matches!(read(2042, 0xFFA2, 7, &store), Err(Error::Corrupt { block: 1, .. })));
        store.damage(2, |page| page[24..28].fill(0xFF));
        assert!(matches!(read(2042, 0xFFA2, 6, &store), Err(Error::Corrupt { block: 2, .. })));
    }
}
