//! Writing a built index out in one pass.

use crate::ivf::format::{self, EntriesMut, Geometry, Head, Meta, NONE, PAGE_ID, PageKind};
use crate::ivf::kmeans::{Codes, in_order};
use crate::ivf::rows::Rows;
use crate::page::PAYLOAD;
use crate::store::{PAGE_SIZE, PageStore};
use crate::{Coder, Error, Result, centre};

/// Writes centres and the first so many rows into an empty store, list by list.
pub(crate) fn write<S: PageStore>(
    meta: &Meta,
    coder: &Coder,
    centres: &Codes,
    rows: &Rows,
    count: u32,
    store: &S,
    progress: impl FnMut(u32),
) -> Result<()> {
    let geometry = meta.geometry();
    let (order, starts) = in_order(meta.lists as usize, count as usize, rows.lists(count), || store.poll())?;
    let mut page = [0; PAGE_SIZE];
    meta.write(&mut page);
    store.append(&page)?;
    if let Some(centre) = coder.centre() {
        centre::append(centre, PAGE_ID, PageKind::CoderCentre as u16, store)?;
    }
    write_heads(&geometry, &starts, store)?;
    write_centres(&geometry, centres, store)?;
    write_lists(&geometry, rows, &order, &starts, store, progress)
}

/// Number of entry pages of a list.
fn pages(geometry: &Geometry, starts: &[u32], list: u32) -> u32 {
    let rows = starts[list as usize + 1] - starts[list as usize];
    rows.div_ceil(geometry.entries as u32)
}

fn write_heads<S: PageStore>(geometry: &Geometry, starts: &[u32], store: &S) -> Result<()> {
    let mut page = [0; PAGE_SIZE];
    let mut next = geometry.first_entry_block();
    for block in geometry.head_blocks() {
        store.poll()?;
        format::init_page(&mut page, PageKind::Heads, PAYLOAD);
        for list in (0..geometry.lists).skip_while(|list| geometry.head(*list).0 < block) {
            if geometry.head(list).0 > block {
                break;
            }
            let pages = pages(geometry, starts, list);
            if pages > 0 {
                let insert = next + (pages - 1) * geometry.step();
                let head = Head { first: next, insert, ..Head::default() };
                head.write(&mut page, geometry, list)?;
                let end = pages.checked_mul(geometry.step()).and_then(|blocks| next.checked_add(blocks));
                next = end.ok_or(Error::Store("too many pages"))?;
            }
        }
        store.append(&page)?;
    }
    Ok(())
}

fn write_centres<S: PageStore>(geometry: &Geometry, centres: &Codes, store: &S) -> Result<()> {
    let mut page = [0; PAGE_SIZE];
    let mut rest = &centres.codes[..];
    for part in geometry.centre_parts() {
        store.poll()?;
        format::write_centres(&mut page, part, rest);
        rest = &rest[part.len / size_of::<u32>()..];
        store.append(&page)?;
    }
    Ok(())
}

fn write_lists<S: PageStore>(
    geometry: &Geometry,
    rows: &Rows,
    order: &[u32],
    starts: &[u32],
    store: &S,
    mut progress: impl FnMut(u32),
) -> Result<()> {
    let (mut page, mut rest) = ([0; PAGE_SIZE], [0; PAGE_SIZE]);
    let mut block = geometry.first_entry_block();
    let mut written = 0;
    for list in 0..geometry.lists {
        let members = &order[starts[list as usize] as usize..starts[list as usize + 1] as usize];
        let mut pages = members.chunks(geometry.entries).peekable();
        while let Some(members) = pages.next() {
            store.poll()?;
            let next = block + geometry.step();
            let mut entries =
                EntriesMut::init(&mut page, geometry, list, if geometry.is_long() { block + 1 } else { NONE });
            if pages.peek().is_some() {
                entries.set_next(next);
            }
            for row in members {
                let put = rows.row(*row, |code, tid| {
                    if geometry.is_long() {
                        rest.fill(0);
                        format::put_rest(&mut rest, block + 1, code)?;
                    }
                    Ok(entries.push(code, tid))
                });
                if !put.transpose()?.unwrap_or(false) {
                    return Err(Error::Store("a row of a build does not fit"));
                }
            }
            store.append(&page)?;
            if geometry.is_long() {
                store.append(&rest)?;
            }
            block = next;
            written += members.len() as u32;
            progress(written);
        }
    }
    Ok(())
}
