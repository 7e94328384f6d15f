//! What the benches measure that is otherwise private. Outside semver.

use crate::{
    aggregate::{Plan, Worker},
    format::{FormatError, LogFormat},
    statistic::Statistic,
};

/// Parses and aggregates blocks of lines, as a worker of a pipeline does.
#[derive(Debug)]
pub struct Aggregation(Worker);

impl Aggregation {
    /// For lines of that format.
    ///
    /// # Errors
    ///
    /// If the format has not the fields that the statistics use.
    pub fn new(format: &LogFormat, statistics: &[Statistic]) -> Result<Self, FormatError> {
        let schemas: Vec<_> =
            statistics.iter().map(|statistic| (statistic.schema(), statistic.rows_max)).collect();
        let plan = Plan::new(schemas.iter().map(|(schema, rows_max)| (&**schema, *rows_max)));
        let parser = plan.parser(format)?;
        Ok(Self(Worker::new(plan, parser, true)))
    }

    /// Counts whole lines.
    pub fn lines(&mut self, block: &[u8]) {
        self.0.lines(block, 1, 0, None);
    }

    /// The rows gathered so far.
    pub fn rows(&self) -> usize {
        self.0.rows()
    }
}
