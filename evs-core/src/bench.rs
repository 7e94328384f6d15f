//! Private parts of evs that the benches measure. Outside semver.
//!
//! A bench of the public face alone would measure the whole pipeline, whose time is mostly that of the store. These
//! types run the parser by itself ([`Parsing`]), and the parser with the aggregation ([`Aggregation`]), on blocks in
//! memory.

use crate::{
    aggregate::{Plan, TableRows, Worker, merge},
    batch::Rows,
    format::{BlockParser, Columns, FormatError, LineLimits, LogFormat},
    statistic::{MeasureKind, Statistic},
};

pub use crate::format::agreement::assert_agreement;

/// Parses blocks of lines into columns, as a worker of a pipeline does before it aggregates them.
#[derive(Debug)]
pub struct Parsing {
    parser: BlockParser,
    columns: Columns,
}

impl Parsing {
    /// A parser of these fields of lines of that format.
    ///
    /// # Errors
    ///
    /// Fails if the format does not have the fields.
    pub fn new(format: &LogFormat, fields: &[&str]) -> Result<Self, FormatError> {
        let parser = BlockParser::new(format.parser(fields)?, Vec::new(), LineLimits::default());
        Ok(Self { parser, columns: Columns::new(fields.len(), 0) })
    }

    /// As [`new`](Self::new), with all lines read by the reference.
    ///
    /// # Errors
    ///
    /// Fails if the format does not have the fields.
    pub fn plain(format: &LogFormat, fields: &[&str]) -> Result<Self, FormatError> {
        let parser =
            BlockParser::without_fast_path(format.parser(fields)?, Vec::new(), LineLimits::default());
        Ok(Self { parser, columns: Columns::new(fields.len(), 0) })
    }

    /// Reads whole lines. Returns the number of accepted ones.
    pub fn lines(&mut self, block: &[u8]) -> usize {
        let mut good = 0;
        self.parser.begin(block);
        while self.parser.read(block, &mut self.columns) {
            good += self.columns.len();
        }
        good
    }
}

/// Parses and aggregates blocks of lines, as a worker of a pipeline does.
#[derive(Debug)]
pub struct Aggregation {
    worker: Worker,
    /// By statistic, its shape.
    shapes: Vec<Shape>,
}

/// The rows that a worker hands over at a cut.
#[derive(Debug)]
pub struct Gathered {
    shapes: Vec<Shape>,
    rows: Vec<Vec<TableRows>>,
}

/// The number of keys of a statistic, the kinds of its measures, and the length of its top list.
type Shape = (usize, Vec<MeasureKind>, Option<usize>);

impl Gathered {
    /// Merges the rows into those of batches, as the committer does.
    ///
    /// # Panics
    ///
    /// Panics if a sum does not fit 128 bits.
    pub fn merge(self) -> Vec<Rows> {
        let merged = |((keys, kinds, top), parts): (&Shape, &Vec<TableRows>)| {
            merge(parts, *keys, kinds, *top).expect("sums of 128 bits")
        };
        self.shapes.iter().zip(&self.rows).flat_map(merged).collect()
    }
}

impl Aggregation {
    /// A worker that computes these statistics of lines of that format.
    ///
    /// # Errors
    ///
    /// Fails if the format does not have the fields that the statistics use.
    pub fn new(format: &LogFormat, statistics: &[Statistic]) -> Result<Self, FormatError> {
        let plan = Plan::new(statistics, &[]);
        let parser = plan.parser(format)?;
        let shape = |plan: &crate::aggregate::StatisticPlan| (plan.keys.len(), plan.kinds.to_vec(), plan.top);
        let shapes = plan.statistics.iter().map(shape).collect();
        Ok(Self { worker: Worker::new(plan, parser, true), shapes })
    }

    /// Counts whole lines.
    pub fn lines(&mut self, block: &[u8]) {
        self.worker.lines(block, 1, 0, None);
    }

    /// Takes the rows gathered so far, as at a cut.
    pub fn cut(&mut self) -> Gathered {
        let all: Vec<usize> = (0..self.shapes.len()).collect();
        Gathered { shapes: self.shapes.clone(), rows: self.worker.cut(&all).rows }
    }

    /// The number of lines rejected since the last cut.
    pub fn rejected(&self) -> u64 {
        self.worker.counters().rejected
    }

    /// The number of rows gathered so far.
    pub fn rows(&self) -> usize {
        self.worker.rows().sum()
    }
}
