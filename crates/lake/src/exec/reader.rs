//! Reads the ranges of one open file for the Parquet decoder, and looks at every page before the decoder does.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use lagoon_file::RegularFile;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use crate::engine::memory::{self, Permit};
use crate::engine::runtime::Live;
use crate::error::{Error, Result};
use crate::source::Location;
use crate::source::footer::{damaged, pages};

/// Bytes that are read between two chances to be cancelled.
const PIECE: u64 = 4 << 20;

/// What is read of one file. DataFusion asks it for readers of the only file of a plan.
#[derive(Clone)]
pub(crate) struct Source {
    pub location: Location,
    pub file: Arc<RegularFile>,
    pub metadata: Arc<ParquetMetaData>,
    pub chunks: Arc<Chunks>,
    /// Of the whole scan.
    pub bytes: Arc<AtomicU64>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.location)
    }
}

impl ParquetFileReaderFactory for Source {
    fn create_reader(
        &self,
        _partition: usize,
        _file: PartitionedFile,
        _hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        Ok(Box::new(self.clone()))
    }
}

/// Bytes of a file, and what was taken of the limit for them.
struct Held(Vec<u8>, #[allow(dead_code)] Arc<Vec<Permit>>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsyncFileReader for Source {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move {
            let permit = self.take(length(&range)).map_err(external)?;
            let bytes = self.read(&range).await.map_err(external)?;
            Ok(Bytes::from_owner(Held(bytes, Arc::new(vec![permit]))))
        }
        .boxed()
    }

    /// The pages of column chunks.
    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move { self.pages(&ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let metadata = self.metadata.clone();
        async move { Ok(metadata) }.boxed()
    }
}

impl Source {
    async fn pages(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut permits = vec![self.take(ranges.iter().map(length).fold(0, u64::saturating_add))?];
        let mut pieces = Vec::with_capacity(ranges.len());
        let mut decompressed = 0u64;
        for range in ranges {
            let bytes = self.read(range).await?;
            let mut of_range = 0;
            for chunk in self.chunks.of(&self.metadata, range) {
                let (total, largest) =
                    pages::check_pages(&bytes, chunk).map_err(|message| damaged(&self.location, message))?;
                // The decoder has one page at a time, and the rows of a batch may still be in the one before.
                of_range = of_range.max(total.min(largest.saturating_mul(2)));
            }
            decompressed = decompressed.saturating_add(of_range);
            pieces.push(bytes);
        }
        permits.push(self.take(decompressed)?);
        let permits = Arc::new(permits);
        Ok(pieces.into_iter().map(|bytes| Bytes::from_owner(Held(bytes, permits.clone()))).collect())
    }

    fn take(&self, bytes: u64) -> Result<Permit> {
        memory::take(bytes, &|| format!("\"{}\"", self.location))
    }

    fn read_at_once(&self, start: u64, length: u64) -> lagoon_file::Result<Vec<u8>> {
        memory::fallible(|| self.file.read_range(start, length, || true))
    }

    async fn read(&self, range: &Range<u64>) -> Result<Vec<u8>> {
        let failed = |error| Error::file("read", &self.location, error);
        let size = self.file.identity().size;
        if range.start > range.end || range.end > size {
            return Err(damaged(
                &self.location,
                format!("a range of bytes {} to {} of {size}", range.start, range.end),
            ));
        }
        self.bytes.fetch_add(length(range), Ordering::Relaxed);
        Live::used(length(range));
        if length(range) <= PIECE {
            return self.read_at_once(range.start, length(range)).map_err(failed);
        }
        let mut bytes = Vec::new();
        let count = usize::try_from(length(range)).unwrap_or(usize::MAX);
        let no_memory = |_| failed(lagoon_file::Error::Memory { size: length(range) });
        memory::fallible(|| bytes.try_reserve_exact(count)).map_err(no_memory)?;
        for start in (range.start..range.end).step_by(PIECE as usize) {
            let piece = self.read_at_once(start, PIECE.min(range.end - start)).map_err(failed)?;
            bytes.extend_from_slice(&piece);
            tokio::task::yield_now().await;
        }
        Ok(bytes)
    }
}

/// Where the column chunks lie that a piece reads, to find the one that a range is of.
#[derive(Debug)]
pub(crate) struct Chunks {
    /// Beginning, end, row group and leaf column, by the beginning.
    places: Vec<(u64, u64, usize, usize)>,
    /// Some claim the same bytes, so a range may be of several.
    overlap: bool,
}

impl Chunks {
    /// Of these leaf columns of these row groups.
    pub(crate) fn new(metadata: &ParquetMetaData, groups: &[usize], leaves: &[usize]) -> Self {
        let place = |group: usize, leaf: usize| {
            let chunk = metadata.row_groups().get(group)?.columns().get(leaf)?;
            let (start, length) = chunk.byte_range();
            Some((start, start.saturating_add(length), group, leaf))
        };
        let mut places: Vec<_> =
            groups.iter().flat_map(|group| leaves.iter().filter_map(move |leaf| place(*group, *leaf))).collect();
        places.sort_unstable();
        let overlap = places.windows(2).any(|pair| matches!(pair, [a, b] if a.1 > b.0));
        Self { places, overlap }
    }

    fn of<'a>(
        &'a self,
        metadata: &'a ParquetMetaData,
        range: &Range<u64>,
    ) -> impl Iterator<Item = &'a ColumnChunkMetaData> {
        let (start, end) = (range.start, range.end);
        let behind = self.places.partition_point(|place| place.0 <= start);
        let first = if self.overlap { 0 } else { behind.saturating_sub(1) };
        let places = self.places.get(first..behind).unwrap_or_default().iter();
        places
            .filter(move |place| end <= place.1)
            .filter_map(|place| metadata.row_groups().get(place.2)?.columns().get(place.3))
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

fn external(error: Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
