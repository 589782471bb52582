//! What whoever takes the rows learns while the scan runs: rows that do not meet it do not matter.

use parquet::file::metadata::ParquetMetaData;

use super::late::Step;
use super::prune::Pruner;
use crate::expr::Condition;

/// What is known so far.
#[derive(Default)]
pub(crate) struct Learned {
    pruner: Option<Pruner>,
    steps: Vec<Step>,
}

impl Learned {
    /// By `condition` row groups are ruled out, by `steps` rows. Each may say less than is known.
    pub(super) fn new(condition: Option<Condition>, steps: Vec<Step>) -> Self {
        Self { pruner: condition.map(Pruner::new), steps }
    }

    /// Which of these row groups may have rows that matter; `None` if nothing is known.
    pub(super) fn survivors(&self, metadata: &ParquetMetaData, groups: &[usize]) -> Option<Vec<bool>> {
        self.pruner.as_ref()?.survivors(metadata, groups)
    }

    /// What rows must meet.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}
