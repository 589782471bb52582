//! What an index on pages begins with: the metapage, and the centre of its codes if there is one.

use crate::hnsw::format::{Meta, PAGE_ID, PageKind};
use crate::page::PAGE_SIZE;
use crate::store::PageStore;
use crate::{Coder, Result, centre};

/// What makes the codes of an index.
pub fn coder<S: PageStore>(store: &S) -> Result<Coder> {
    let meta = Meta::read(&store.read(0)?)?;
    Ok(Coder::new(meta.space, centre(&meta, store)?))
}

/// The centre, if there is one.
pub(crate) fn centre<S: PageStore>(meta: &Meta, store: &S) -> Result<Option<Box<[f32]>>> {
    let read = || centre::read(meta.space.dimensions, PAGE_ID, PageKind::Centre as u16, store);
    meta.is_centred().then(read).transpose()
}

/// Writes an index without elements, which has learnt nothing, into an empty store.
pub fn write_empty<S: PageStore>(meta: &Meta, store: &S) -> Result<()> {
    write_head(meta, None, store)
}

/// Writes what comes before the first group.
pub(crate) fn write_head<S: PageStore>(meta: &Meta, centre: Option<&[f32]>, store: &S) -> Result<()> {
    let mut page = [0; PAGE_SIZE];
    meta.write(&mut page);
    store.append(&page)?;
    centre.map_or(Ok(()), |centre| centre::append(centre, PAGE_ID, PageKind::Centre as u16, store))
}
