//! Reading an index on pages: its centres and where its lists are.

use crate::Result;
use crate::distance::prefetch;
use crate::ivf::format::{Entries, Geometry, HEADS, Head, Meta, NONE, PAGE_ID, PageKind, check_page};
use crate::ivf::kmeans::Assigning;
use crate::page::{Part, words};
use crate::space::Measure;
use crate::store::PageStore;
use crate::{Coder, Error, Metric, centre, ivf::format};

/// Number of pages of centres that are read between two checks for a cancel.
const AT_ONCE: usize = 16;

/// The coder of an index, with what the build has learnt.
pub fn coder<S: PageStore>(store: &S) -> Result<Coder> {
    let meta = Meta::read(&store.read(0)?)?;
    let read = || centre::read(meta.space.dimensions, PAGE_ID, PageKind::CoderCentre as u16, store);
    Ok(Coder::new(meta.space, meta.is_centred.then(read).transpose()?))
}

/// An open index.
pub(crate) struct Lists<'a, S> {
    pub store: &'a S,
    pub meta: Meta,
    pub geometry: Geometry,
    /// The measure of codes.
    pub measure: Measure,
}

impl<'a, S: PageStore> Lists<'a, S> {
    /// Reads the metapage.
    pub fn open(store: &'a S) -> Result<Self> {
        let meta = Meta::read(&store.read(0)?)?;
        Ok(Self { store, meta, geometry: meta.geometry(), measure: meta.space.measure() })
    }

    /// Calls `f` with the centres, list by list.
    pub fn centres(&self, mut f: impl FnMut(u32, &[u32])) -> Result<()> {
        let (parts, count) = (self.geometry.centre_parts(), self.geometry.words());
        let mut list = 0;
        let mut damaged = None;
        let mut whole: Vec<u32> = Vec::new();
        // Centres never change, so their pages need no lock. A few pages are pinned at a time.
        for parts in parts.chunks(AT_ONCE) {
            self.store.poll()?;
            self.store.read_unlocked(parts, &mut |i, page| {
                let part: Part = parts[i];
                if check_page(page, part.block, PageKind::Centres).is_err() {
                    damaged = Some(part.block);
                    return;
                }
                let codes = words(page, part);
                if self.geometry.centres == 0 {
                    whole.extend_from_slice(codes);
                    if whole.len() == count {
                        f(list, &whole);
                        whole.clear();
                        list += 1;
                    }
                    return;
                }
                for code in codes.chunks_exact(count) {
                    f(list, code);
                    list += 1;
                }
            })?;
        }
        match damaged {
            Some(block) => Err(Error::Corrupt { block, what: "not a page of centres" }),
            None => Ok(()),
        }
    }

    /// Assigns rows and queries to lists.
    pub fn assigning(&self) -> Result<Assigning> {
        Ok(Assigning::new(&match self.meta.space.metric {
            Metric::InnerProduct => coder(self.store)?,
            _ => Coder::plain(self.meta.space), // other metrics need no centre
        }))
    }

    /// The list whose centre is nearest to a code. For inner product, also the length of the code's projection onto the centre's
    /// direction if it is longer than the centre, else 0.
    pub fn nearest(&self, code: &[u32]) -> Result<(u32, f32)> {
        let (mut best, mut length, assigning) = ((0, f32::INFINITY), 0.0, self.assigning()?);
        self.centres(|list, centre| {
            let distance = assigning.distance(code, centre);
            if distance < best.1 {
                best = (list, distance);
                length = assigning.length(centre);
            }
        })?;
        Ok((best.0, if -best.1 > length { -best.1 } else { 0.0 }))
    }

    /// The first pages of the `count` lists whose centres are nearest to a code, nearest first. Empty lists do not count:
    /// if there are more lists than values, most of them are empty, and a scan of few lists would find nothing.
    pub fn rank(&self, code: &[u32], count: usize) -> Result<Vec<u32>> {
        let heads = self.heads()?;
        let lengthened = heads.iter().any(|head| head.length > 0.0).then(|| self.assigning()).transpose()?;
        let mut all = Vec::with_capacity(self.meta.lists as usize);
        self.centres(|list, centre| {
            let Head { first, length, .. } = heads[list as usize];
            if first != NONE {
                let distance = self.measure.distance(code, centre);
                let farthest = lengthened.as_ref().map(|assigning| assigning.lengthened(distance, centre, length));
                all.push((farthest.unwrap_or(distance), list));
            }
        })?;
        let order = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if count < all.len() {
            all.select_nth_unstable_by(count, order);
            all.truncate(count);
        }
        all.sort_unstable_by(order);
        Ok(all.into_iter().map(|(_, list)| heads[list as usize].first).collect())
    }

    /// The heads of all lists.
    fn heads(&self) -> Result<Vec<Head>> {
        let mut heads = Vec::with_capacity(self.meta.lists as usize);
        for block in self.geometry.head_blocks() {
            self.store.poll()?;
            let page = self.store.read(block)?;
            let end = self.meta.lists.min((block - self.geometry.head_blocks().start + 1) * HEADS as u32);
            for list in heads.len() as u32..end {
                heads.push(Head::read(&page, &self.geometry, list)?);
            }
        }
        Ok(heads)
    }

    /// Where a list begins and where there is room in it.
    pub fn head(&self, list: u32) -> Result<Head> {
        Head::read(&self.store.read(self.geometry.head(list).0)?, &self.geometry, list)
    }

    /// Calls `f` with an entry page, which is locked meanwhile: `f` must not call the store.
    pub fn entries<T>(&self, block: u32, f: impl FnOnce(&Entries<'_>) -> T) -> Result<T> {
        let page = self.store.read(block)?;
        Ok(f(&Entries::new(&page, &self.geometry, block)?))
    }

    /// Counts the pages of a list while they are read, and fails when there are more than blocks: such a list is a cycle.
    pub fn chain(&self) -> Result<impl FnMut(u32) -> Result<()>> {
        let mut left = self.store.blocks()?;
        Ok(move |block| match left.checked_sub(1) {
            Some(rest) => {
                left = rest;
                Ok(())
            }
            None => Err(Error::Corrupt { block, what: "list without an end" }),
        })
    }

    /// Calls `f` with each code and row of an entry page. Returns the next page of the list.
    pub fn each(&self, block: u32, mut f: impl FnMut(&[u32], crate::page::Tid)) -> Result<u32> {
        if !self.geometry.is_long() {
            return self.entries(block, |entries| {
                for i in 0..entries.count() {
                    if i + 2 < entries.count() {
                        prefetch(entries.code(i + 2));
                    }
                    f(entries.code(i), entries.tid(i));
                }
                entries.next()
            });
        }
        // The two pages are not locked together. A row that a snapshot sees is not removed in between; for other rows, which
        // no scan returns, the distance may be wrong.
        let (next, entry) = self.entries(block, |entries| {
            let entry = (entries.count() > 0).then(|| (entries.code(0).to_vec(), entries.tid(0), entries.rest()));
            (entries.next(), entry)
        })?;
        if let Some((mut code, tid, rest)) = entry {
            code.extend_from_slice(format::rest_of_code(&self.store.read(rest)?, &self.geometry, rest)?);
            f(&code, tid);
        }
        Ok(next)
    }
}
