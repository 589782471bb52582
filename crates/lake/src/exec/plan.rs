//! The physical plan of a piece: a Parquet source that prunes by the filter, and the filter itself, exactly.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use parquet::file::metadata::ParquetMetaData;

use super::guess;
use super::late::{self, Job, Step, Tally};
use super::learned::Learned;
use super::pieces::Piece;
use super::prune::Pruner;
use super::reader::Source;
use super::spec::ScanSpec;
use crate::adapt::Adapters;
use crate::error::{Error, Result};
use crate::expr::{Condition, Expr};
use crate::source::Location;
use crate::source::files::DataFile;
use crate::source::table::{self, TableColumn};
use crate::types::{ColumnType, Declared};

/// What all pieces of a scan have in common.
pub(super) struct Plan {
    schema: SchemaRef,
    /// Columns that the source reads: the projection, then what only the filter needs. Indexes into those of the table.
    wanted: Vec<usize>,
    names: Vec<String>,
    delivered: usize,
    /// Over what comes out of the source; the source makes of it what statistics are compared with.
    condition: Option<Condition>,
    /// All that the scan knows.
    columns: Arc<[TableColumn]>,
    /// Stored bytes of each of these columns.
    sizes: Vec<u64>,
    /// The filter in steps.
    steps: Vec<Step>,
    tally: Tally,
    pruner: Option<Pruner>,
    bytes: Arc<AtomicU64>,
}

impl Plan {
    pub(super) fn new(spec: &ScanSpec, bytes: Arc<AtomicU64>) -> Result<Self> {
        let mut columns = spec.columns.clone();
        let mut wanted = spec.projection.clone();
        if let Some(filter) = &spec.filter {
            let mut seen: HashSet<usize> = wanted.iter().copied().collect();
            filter.visit_columns(&mut |column| {
                if seen.insert(column) {
                    wanted.push(column);
                }
            });
        }
        if wanted.is_empty()
            && let Some(witness) = witness(&spec.files)?
        {
            wanted.push(columns.len());
            columns.push(witness);
        }
        let schema = Arc::new(schema(&mut columns.iter()));
        let columns: Arc<[TableColumn]> = columns.into();
        let names = wanted.iter().filter_map(|i| columns.get(*i)).map(|column| column.name.clone()).collect();
        let condition = match &spec.filter {
            Some(filter) => {
                let position = |column: usize| wanted.iter().position(|i| *i == column).unwrap_or(usize::MAX);
                let positions: Vec<_> = (0..columns.len()).map(position).collect();
                let position = |column: usize| positions.get(column).copied().unwrap_or(usize::MAX);
                Some(Condition::new(filter.clone(), columns.clone(), &position)?)
            }
            None => None,
        };
        let sizes: Vec<_> = columns.iter().map(|column| stored_bytes(&spec.files, &column.name)).collect();
        let size = |column: usize| sizes.get(column).copied().unwrap_or(0);
        let steps = spec.filter.as_ref().map(|filter| late::steps(filter, &columns, &size)).transpose()?;
        let (steps, tally) = (steps.unwrap_or_default(), Tally::default());
        let pruner = condition.clone().map(Pruner::new);
        let delivered = spec.projection.len();
        Ok(Self { schema, wanted, names, delivered, condition, columns, sizes, steps, tally, pruner, bytes })
    }

    /// Whether all rows that are read are delivered, so that a limit can end the reading.
    pub(super) fn is_bare(&self) -> bool {
        self.condition.is_none()
    }

    /// Which of these row groups of a file may have rows that pass the filter; `None` if nothing is known.
    pub(super) fn survivors(&self, metadata: &ParquetMetaData, groups: &[usize]) -> Option<Vec<bool>> {
        self.pruner.as_ref()?.survivors(metadata, groups)
    }

    /// What was learned: a condition over columns of the table, and tests over those that are delivered.
    pub(super) fn learned(&self, condition: Option<Expr>, tests: &[Arc<dyn PhysicalExpr>]) -> Result<Learned> {
        let condition = condition.map(|expr| Condition::new(Arc::new(expr), self.columns.clone(), &|column| column));
        let steps = tests.iter().filter_map(|test| late::step(test, self.delivered()).transpose());
        let steps = steps.collect::<datafusion::error::Result<Vec<_>>>().map_err(|error| Error::from_query(&error))?;
        Ok(Learned::new(condition.transpose()?, steps))
    }

    /// What a column of the table is called in the files.
    pub(super) fn name(&self, column: usize) -> Option<&str> {
        self.columns.get(column).map(|column| column.name.as_str())
    }

    /// Names of the columns that are read.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// A batch without what was read only to be counted.
    pub(super) fn trim(&self, batch: RecordBatch) -> RecordBatch {
        if batch.num_columns() <= self.delivered {
            return batch;
        }
        let columns: Vec<_> = (0..self.delivered).collect();
        batch.project(&columns).unwrap_or(batch)
    }

    /// What rows of this piece are tested by before the other columns are decoded, if that pays.
    pub(super) fn late(&self, piece: &Piece, learned: Option<&Learned>) -> Option<Vec<Step>> {
        let mut steps = self.steps.clone();
        if let Some(learned) = learned {
            steps.extend_from_slice(learned.steps());
            late::order(&mut steps, &|column| self.sizes.get(column).copied().unwrap_or(0));
        }
        if steps.is_empty() {
            return None;
        }
        // Who learns something expects it to be of use.
        let guess = || match &self.condition {
            Some(condition) if learned.is_none() => guess::passing(condition, &self.columns, piece),
            _ => 0.0,
        };
        let name = |column| self.name(column);
        let pays = self.tally.few_pass(guess) && late::pays(&steps, self.delivered(), &name, piece);
        pays.then_some(steps)
    }

    /// Counts the rows of a piece that was read to its end, and those of them that passed.
    pub(super) fn count(&self, tested: u64, passed: u64) {
        self.tally.count(tested, passed);
    }

    fn delivered(&self) -> &[usize] {
        self.wanted.get(..self.delivered).unwrap_or_default()
    }

    /// What [`late::open`] opens.
    pub(super) fn job(&self, piece: Piece, limit: Option<usize>, metrics: ExecutionPlanMetricsSet) -> Job {
        let source = self.source(&piece);
        let (delivered, condition) = (self.delivered().to_vec(), self.condition.clone());
        let Piece { access, batch_rows, .. } = piece;
        Job { source, access, table: self.schema.clone(), delivered, condition, batch_rows, limit, metrics }
    }

    fn source(&self, piece: &Piece) -> Source {
        Source {
            location: piece.location.clone(),
            file: piece.file.clone(),
            metadata: piece.metadata.clone(),
            chunks: piece.chunks.clone(),
            bytes: self.bytes.clone(),
        }
    }

    pub(super) fn of(&self, piece: &Piece, limit: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        self.build(piece, limit).map_err(|error| failed(&error, &piece.location))
    }

    fn build(&self, piece: &Piece, limit: Option<usize>) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let mut options = TableParquetOptions::default();
        options.global.coerce_int96 = Some("us".to_owned());
        let mut source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(self.source(piece)));
        let filter = self.condition.clone().map(|condition| Arc::new(condition) as Arc<dyn PhysicalExpr>);
        if let Some(filter) = &filter {
            source = source.with_predicate(filter.clone());
        }
        // The reader knows the file; its name is nothing that DataFusion would have to know.
        let file = PartitionedFile::new("piece", piece.file.identity().size).with_extension(piece.access.clone());
        let source: Arc<dyn FileSource> = Arc::new(source);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(vec![FileGroup::new(vec![file])])
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(Adapters)))
            .with_projection_indices(Some(self.wanted.clone()))?
            .build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
        let Some(filter) = filter else { return Ok(scan) };
        let keep = (0..self.delivered).collect::<Vec<_>>();
        Ok(Arc::new(FilterExecBuilder::new(filter, scan).apply_projection(Some(keep))?.build()?))
    }
}

/// Bytes of a column in all files.
fn stored_bytes(files: &[DataFile], name: &str) -> u64 {
    let of = |file: &DataFile| {
        let at = file.footer.columns.iter().position(|column| column.name == name)?;
        file.footer.column_bytes.get(at).copied()
    };
    files.iter().filter_map(of).fold(0, u64::saturating_add)
}

/// Where rows alone are counted and a file claims unlikely many of them: the smallest column, which is decoded so that there
/// are as many as it has values.
fn witness(files: &[DataFile]) -> Result<Option<TableColumn>> {
    let Some(file) = files.iter().find(|file| file.footer.doubtful) else { return Ok(None) };
    let columns = file.footer.columns.iter().zip(&file.footer.column_bytes);
    let plain = columns.filter_map(|(column, bytes)| match &column.ty {
        Ok(ColumnType::Array(_)) | Err(_) => None,
        Ok(ty) => Some((bytes, &column.name, ty)),
    });
    let Some((_, name, ty)) = plain.min_by_key(|(bytes, ..)| **bytes) else { return Ok(None) };
    let declared = (name.clone(), Declared::Exactly(ty.clone()), ty.to_string());
    // Other files may lack it or have another type; then theirs are believed, as those of any other column would be.
    Ok(table::resolve(files, &[declared]).ok().and_then(|mut columns| columns.pop()))
}

pub(super) fn failed(error: &DataFusionError, location: &Location) -> Error {
    Error::from_engine(error, location)
}

fn schema(columns: &mut dyn Iterator<Item = &TableColumn>) -> Schema {
    Schema::new(columns.map(|column| Field::new(&column.name, column.ty.arrow(), true)).collect::<Vec<_>>())
}
