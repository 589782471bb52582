//! The memory of one query as DataFusion asks for it: a part of what [`super::memory`] counts.
//!
//! Half of it is for who comes first. Three eighths are kept in even parts for those who can spill, so that a sort which has
//! nothing to spill yet finds something however much others have taken, and one eighth is for those who cannot.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::Result as EngineResult;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

use super::cancel::Flag;
use super::memory::{self, Refusal};
use crate::error::Error;

/// The quarter of a query's memory that is left to the pages of its scans.
const PAGES: usize = 4;
/// Of the rest: the eighths that are kept in even parts, and the one for those who cannot spill.
const SHARED: usize = 3;
const RIGID: usize = 1;
/// What the merge of sorted files calls itself: the less it gets, the fewer it merges at a time.
const MERGE: &str = "ExternalSorterMerge";
/// What joins without keys call themselves. When they get no memory they read their sides in several passes, in which rows of
/// an outer join come twice (DataFusion 55 says so itself), so they get an error instead.
const NESTED_LOOP: &str = "NestedLoopJoin";
/// The memory of one query.
#[derive(Debug)]
pub(crate) struct Pool {
    limit: usize,
    used: AtomicUsize,
    /// Consumers that can spill.
    spillers: AtomicUsize,
    flag: Flag,
}

impl Pool {
    /// For a query that may have so many bytes, pages included. Whoever asks after `flag` was raised gets an error.
    pub(crate) fn new(bytes: u64, flag: Flag) -> Arc<Self> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Arc::new(Self { limit: bytes - bytes / PAGES, used: AtomicUsize::new(0), spillers: AtomicUsize::new(0), flag })
    }

    fn take(&self, reservation: &MemoryReservation, additional: usize) -> Result<(), Refusal> {
        let (even, rigid) = (self.limit / 8 * SHARED, self.limit / 8 * RIGID);
        let consumer = reservation.consumer();
        let most = if consumer.can_spill() || consumer.name().starts_with(MERGE) {
            let share = even / self.spillers.load(Ordering::Relaxed).max(1);
            let is_modest = reservation.size().saturating_add(additional) <= share;
            // Others have their shares, if there are others.
            self.limit - rigid - if is_modest { 0 } else { even - share }
        } else {
            self.limit
        };
        let fits = |used: usize| used.checked_add(additional).filter(|sum| *sum <= most);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return Err(Refusal::Own);
        }
        memory::try_keep(additional as u64).inspect_err(|_| {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        })
    }
}

impl MemoryPool for Pool {
    fn name(&self) -> &str {
        "lagoon"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.spillers.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.spillers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        memory::count(additional as u64);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        memory::give(shrink as u64);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> EngineResult<()> {
        let external = |error: Error| DataFusionError::External(Box::new(error));
        self.flag.check().map_err(external)?;
        self.take(reservation, additional).map_err(|refusal| {
            let name = reservation.consumer().name();
            let name = name.split('[').next().unwrap_or(name);
            let error = refusal.error(format!("{name} needs {additional} bytes more"));
            if name.starts_with(NESTED_LOOP) {
                return external(error);
            }
            // Whoever can spill looks for this kind of error, which has room for a text only; `Error::from_query` reads it.
            DataFusionError::ResourcesExhausted(error.to_string())
        })
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lagoon ({} of {} bytes)", self.reserved(), self.limit)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KB: usize = 1 << 10;

    /// A pool that has 12 kB for what is kept: 6 for who comes first, 4.5 in even parts, and 1.5 for those who cannot spill.
    fn pool() -> Arc<dyn MemoryPool> {
        Pool::new(16 * KB as u64, Flag::default())
    }

    fn consumer(name: &str, can_spill: bool, pool: &Arc<dyn MemoryPool>) -> MemoryReservation {
        MemoryConsumer::new(name).with_can_spill(can_spill).register(pool)
    }

    #[test]
    fn a_spiller_cannot_take_what_others_need_to_begin() {
        let pool = pool();
        let first = consumer("first", true, &pool);
        first.try_grow(10 * KB + KB / 2).unwrap();
        assert!(first.try_grow(1).is_err(), "the part of those who cannot spill");
        first.free();
        let second = consumer("second", true, &pool);
        first.try_grow(8 * KB + KB / 4).unwrap();
        assert!(first.try_grow(1).is_err(), "the share of the second");
        second.try_grow(2 * KB).unwrap();
        second.try_grow(KB / 4).unwrap();
        assert!(second.try_grow(1).is_err());
        let merge = consumer("ExternalSorterMerge[0]", false, &pool);
        assert!(merge.try_grow(1).is_err(), "it can do with less");
        let last = consumer("last", false, &pool);
        last.try_grow(KB + KB / 2).unwrap();
        assert!(last.try_grow(1).is_err());
        first.free();
        merge.try_grow(4 * KB).unwrap();
        drop((first, second, merge, last));
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn what_is_refused_is_an_error_that_names_the_setting() {
        let pool = pool();
        let error = consumer("Sort[1]", true, &pool).try_grow(13 * KB).unwrap_err();
        assert!(matches!(error, DataFusionError::ResourcesExhausted(_)), "{error:?}");
        let error = Error::from_query(&error.context("more words\nand lines"));
        assert_eq!(error.to_string(), "lagoon.memory_limit is too small: Sort needs 13312 bytes more");
        assert_eq!(error.sqlstate(), "53200");
    }

    #[test]
    fn a_join_without_keys_is_never_told_to_spill() {
        let pool = pool();
        let error = consumer("NestedLoopJoinLoad[0]", false, &pool).try_grow(13 * KB).unwrap_err();
        assert!(!matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)), "{error:?}");
        assert_eq!(Error::from_query(&error).sqlstate(), "53200");
    }

    #[test]
    fn nobody_gets_memory_for_a_query_that_is_gone() {
        let flag = Flag::default();
        let pool: Arc<dyn MemoryPool> = Pool::new(16 * KB as u64, flag.clone());
        let one = consumer("one", true, &pool);
        one.try_grow(1).unwrap();
        flag.raise();
        assert_eq!(Error::from_query(&one.try_grow(1).unwrap_err()).sqlstate(), "57014");
    }
}
