//! Gathers the parts of all workers at a cut. The cut is complete with the last worker's part; then the log is made
//! durable up to it, and the rows of all workers are merged.
//!
//! A cut is a message in the queue of every worker, between two chunks. Worker 0 may reach it while worker 1 still
//! counts a chunk before it. Rows of different cuts are never mixed: a worker hands over its rows at the cut, and
//! goes on with empty tables.
//!
//! ```text
//! worker 0   chunk 1   chunk 3   CUT 7   chunk 5
//! worker 1   chunk 2   chunk 4 .........   CUT 7        cut 7 is complete here: chunks 1 to 4
//! ```

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use super::message::Cut;
use crate::{
    Error,
    aggregate::{Part, RejectedLine, TableRows, Tally, merge},
    batch::Rows,
    binlog,
    counters::Counters,
    format::Reason,
    position::{Frontier, InventoryChange, OlderFiles},
    statistic::Schema,
};

/// The cuts that wait for parts, in order.
#[derive(Debug)]
pub(super) struct Gatherer {
    /// The configured statistics, by index.
    statistics: Vec<Arc<Schema>>,
    /// The number of workers, and so of the parts of a cut.
    workers: usize,
    cuts: VecDeque<Gathering>,
}

/// A cut that waits for the parts of some workers.
#[derive(Debug)]
struct Gathering {
    cut: Cut,
    begun: Instant,
    parts: usize,
    /// The rows of all workers, by statistic in the order of the cut.
    rows: Vec<Vec<TableRows>>,
    tally: Tally,
}

/// A complete cut: all workers have reached it, and the log is durable up to it.
#[derive(Debug)]
pub(super) struct Whole {
    /// The position of the totals after the cut.
    pub(super) frontier: Arc<Frontier>,
    /// The counters of the lines since the last cut.
    pub(super) counted: Counters,
    /// By statistic, the lines since the last cut that its condition selected; empty if no statistic has one.
    pub(super) selected: Vec<u64>,
    /// By statistic, the lines since the last cut that were too late; empty if none was.
    pub(super) too_late: Vec<u64>,
    /// The schema, the position and the rows of each statistic.
    pub(super) rows: Vec<(Arc<Schema>, Arc<Frontier>, Vec<Rows>)>,
    /// The older files of statistics that are new, by their names.
    pub(super) older: HashMap<String, OlderFiles>,
    pub(super) rejected: Arc<[binlog::RejectedLine]>,
    /// All rejected lines by reason.
    pub(super) rejections: Vec<(Reason, u64)>,
    /// The time at which the cut began.
    pub(super) begun: Instant,
    /// The fields that lines have for the first time.
    pub(super) found: Vec<usize>,
    /// The files that were read, with their paths.
    pub(super) names: Arc<Frontier>,
    /// True if finished files leave all positions with this cut.
    pub(super) retires: bool,
    /// The change in the inventory of known files.
    pub(super) files: InventoryChange,
}

impl Gatherer {
    /// Makes a gatherer without any cut.
    pub(super) fn new(statistics: Vec<Arc<Schema>>, workers: usize) -> Self {
        Self { statistics, workers, cuts: VecDeque::new() }
    }

    /// Returns the configured statistics.
    pub(super) fn statistics(&self) -> &[Arc<Schema>] {
        &self.statistics
    }

    /// Returns whether no cut waits for a part.
    pub(super) fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    /// Begins to gather the parts of a cut.
    pub(super) fn begin(&mut self, cut: Cut, now: Instant) {
        debug_assert!(self.cuts.back().is_none_or(|last| last.cut.number + 1 == cut.number), "in order");
        debug_assert!(
            cut.statistics.iter().all(|&at| at < self.statistics.len()),
            "only configured statistics"
        );
        debug_assert_eq!(cut.statistics.len(), cut.to.len());
        let rows = cut.statistics.iter().map(|_| Vec::new()).collect();
        self.cuts.push_back(Gathering { cut, begun: now, parts: 0, rows, tally: Tally::default() });
    }

    /// Takes the part of one worker at a cut. Returns the cut if that was the last part.
    pub(super) fn take_part(&mut self, number: u64, part: Part) -> Result<Option<Whole>, Error> {
        // The reader sends a cut to the committer before it sends it to the workers.
        let Some(gathering) = self.cuts.iter_mut().find(|gathering| gathering.cut.number == number) else {
            return Ok(None);
        };
        debug_assert_eq!(part.rows.len(), gathering.rows.len());
        gathering.tally.add(part.tally);
        for (rows, others) in gathering.rows.iter_mut().zip(part.rows) {
            rows.extend(others);
        }
        gathering.parts += 1;
        // Each worker reaches the cuts in order, so the cuts become complete in order, too.
        if gathering.parts == self.workers
            && let Some(gathering) = self.cuts.pop_front()
        {
            debug_assert_eq!(gathering.cut.number, number, "an earlier cut is complete earlier");
            return self.complete(gathering).map(Some);
        }
        Ok(None)
    }

    /// Makes the log durable up to a cut and merges the rows of all workers.
    fn complete(&self, gathering: Gathering) -> Result<Whole, Error> {
        let Gathering { cut, begun, rows, tally, .. } = gathering;
        for handle in &cut.handles {
            let path = handle.path().to_owned();
            handle.sync().map_err(|source| Error::LogSync { path, source })?;
        }
        let statistics = cut.statistics.iter().map(|&at| Arc::clone(&self.statistics[at])).zip(cut.to);
        let merged = |((schema, to), parts): ((Arc<Schema>, _), Vec<TableRows>)| {
            let kinds: Vec<_> = schema.measures.iter().map(|measure| measure.kind).collect();
            let top = schema.top.map(|keys| keys as usize);
            match merge(&parts, schema.keys.len(), &kinds, top) {
                Ok(rows) => Ok((schema, to, rows)),
                Err(_) => Err(Error::Overflow { statistic: schema.statistic.clone() }),
            }
        };
        let rows = statistics.zip(rows).map(merged).collect::<Result<_, _>>()?;
        let mut counted = tally.counters;
        counted.lost_bytes += cut.lost_bytes;
        debug_assert!(counted.rejected <= counted.lines, "rejected lines are lines, too: {counted:?}");
        debug_assert!(tally.samples.len() as u64 <= counted.rejected, "a sample is a rejected line");
        Ok(Whole {
            frontier: cut.frontier,
            counted,
            selected: tally.selected,
            too_late: tally.too_late,
            rows,
            older: cut
                .older
                .into_iter()
                .map(|(at, list)| (self.statistics[at].statistic.clone(), list))
                .collect(),
            found: tally.found,
            rejections: tally.rejections,
            begun,
            rejected: tally.samples.into_iter().map(binlog::RejectedLine::from).collect(),
            names: cut.names,
            retires: cut.retires,
            files: cut.files,
        })
    }
}

impl From<RejectedLine> for binlog::RejectedLine {
    fn from(line: RejectedLine) -> Self {
        Self {
            file: line.file,
            offset: line.offset,
            column: u64::from(line.rejection.column),
            reason: line.rejection.reason.to_string(),
            sample: line.sample,
        }
    }
}
