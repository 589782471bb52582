//! What a process remembers of footers, by the identity of the file: a file that changes is another one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lagoon_file::Identity;
use parquet::file::metadata::ParquetMetaData;

use super::facts::FileFacts;
use super::footer::Footer;

/// Bytes of summaries, of parsed footers and of facts for estimates that are remembered, each.
const MOST_BYTES: usize = 64 << 20;

/// A file that was written to so lately can be written to again within one tick of the file system's clock, and then looks
/// the same: nothing is remembered of it.
const SETTLED: Duration = Duration::from_millis(100);

static SUMMARIES: Mutex<Option<Remembered<Footer>>> = Mutex::new(None);
static PARSED: Mutex<Option<Remembered<ParquetMetaData>>> = Mutex::new(None);
static FACTS: Mutex<Option<Remembered<FileFacts>>> = Mutex::new(None);

/// The summary of a file that was opened before and is still the same.
pub(crate) fn summary(identity: &Identity) -> Option<Arc<Footer>> {
    lock(&SUMMARIES).as_ref()?.get(identity)
}

/// Its parsed footer, if that is still remembered.
pub(crate) fn parsed(identity: &Identity) -> Option<Arc<ParquetMetaData>> {
    lock(&PARSED).as_ref()?.get(identity)
}

/// What its footer says for estimates, if that is still remembered.
pub(crate) fn facts(identity: &Identity) -> Option<Arc<FileFacts>> {
    lock(&FACTS).as_ref()?.get(identity)
}

/// Remembers a summary. Columns that are those of the file before are shared with it.
pub(crate) fn remember(identity: Identity, mut footer: Footer) -> Arc<Footer> {
    let mut summaries = lock(&SUMMARIES);
    let summaries = summaries.get_or_insert_default();
    if let Some(last) = summaries.last()
        && last.columns == footer.columns
    {
        footer.columns = last.columns.clone();
    }
    let bytes = footer.memory();
    let footer = Arc::new(footer);
    if is_settled(&identity) {
        summaries.put(identity, footer.clone(), bytes);
    }
    footer
}

/// Remembers a parsed footer.
pub(crate) fn remember_parsed(identity: Identity, metadata: ParquetMetaData) -> Arc<ParquetMetaData> {
    let bytes = metadata.memory_size();
    let metadata = Arc::new(metadata);
    if is_settled(&identity) {
        lock(&PARSED).get_or_insert_default().put(identity, metadata.clone(), bytes);
    }
    metadata
}

/// Remembers what a footer says for estimates.
pub(crate) fn remember_facts(identity: Identity, facts: FileFacts) -> Arc<FileFacts> {
    let bytes = facts.memory();
    let facts = Arc::new(facts);
    if is_settled(&identity) {
        lock(&FACTS).get_or_insert_default().put(identity, facts.clone(), bytes);
    }
    facts
}

fn is_settled(identity: &Identity) -> bool {
    let (seconds, nanos) = identity.modified;
    let since = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
    SystemTime::now().duration_since(UNIX_EPOCH).is_ok_and(|now| now > since + SETTLED)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct Remembered<T> {
    entries: HashMap<Identity, (Arc<T>, usize)>,
    /// Oldest first.
    order: VecDeque<Identity>,
    bytes: usize,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Remembered<T> {
    fn get(&self, identity: &Identity) -> Option<Arc<T>> {
        self.entries.get(identity).map(|(value, _)| value.clone())
    }

    fn last(&self) -> Option<Arc<T>> {
        self.order.back().and_then(|identity| self.get(identity))
    }

    fn put(&mut self, identity: Identity, value: Arc<T>, bytes: usize) {
        if self.entries.insert(identity, (value, bytes)).is_none() {
            self.order.push_back(identity);
            self.bytes += bytes;
        }
        while self.bytes > MOST_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            let bytes = self.entries.remove(&oldest).map_or(0, |(_, bytes)| bytes);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }
}
