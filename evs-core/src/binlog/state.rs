//! The state that a binlog describes.
//!
//! It is what a reader of all frames would know at the end, apart from the rows. For example:
//!
//! ```text
//! epoch 5f0c…, source web1
//! statistics   requests: batch 7, up to (file 3, byte 8192), checksum 00c2…
//!              errors:   batch 2, up to (file 3, byte 4096), checksum 91aa…
//! sinks        pg:       requests 7, errors 2
//!              archive:  requests 5, errors 2        requests 6 and 7 wait for it
//! ledger       12,000 lines, 3 rejected, up to (file 3, byte 8192)
//! ```
//!
//! A snapshot of it begins each segment, and recovery compares that snapshot with the state that the segments before
//! lead to. So a segment cannot be exchanged for one of another history without being noticed.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    discarded::Discarded,
    event::is_empty,
    ledger::{Ledger, RejectedLine},
};
use crate::{
    batch::Epoch,
    position::{Frontier, Inventory, Move, OlderFiles},
    statistic::Schema,
};

/// The state of a binlog: the progress of everything that it records.
///
/// Every segment begins with a state (a snapshot), so that the segments before it can be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BinlogState {
    /// The epoch of the state directory.
    pub epoch: Epoch,
    /// The name of the source.
    pub source: String,
    /// The epochs that this one has taken over, by order of an operator.
    pub predecessors: Vec<Epoch>,
    /// The totals of the log over all statistics, as of the last commit.
    pub ledger: Ledger,
    /// The rejected lines of the last commit. They are written to the file of rejected lines from `ledger.rejects`
    /// on. The lines of earlier commits are already in that file.
    pub rejected: Arc<[RejectedLine]>,
    /// The statistics by name, including ones that are no longer configured.
    pub statistics: BTreeMap<String, StatisticState>,
    /// The registered sinks by name, each with its progress by the name of the statistic.
    pub sinks: BTreeMap<String, BTreeMap<String, SinkProgress>>,
    /// True once a statistic went to some sinks only. From then on, the former names of sinks are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_routed: bool,
    /// By sink, the names that it had, the oldest first. A batch that goes to some sinks only has the names of its time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub former_names: BTreeMap<String, Vec<FormerName>>,
    /// The known files of the source other than the open ones. `None` if no commit has listed them yet, as in a
    /// binlog of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Inventory>,
    /// The state directory whose undelivered batches became the first ones of this source, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloned: Option<ClonedBatches>,
    /// In a snapshot, the positions that have numbers. Elsewhere it is empty: each statistic has its position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) positions: Vec<Move>,
    /// The positions of the commit that is being applied.
    #[serde(skip)]
    pub(super) moved: Vec<Arc<Frontier>>,
}

/// The batches that a source has taken over from the copied state directory of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClonedBatches {
    /// The name of the other source.
    pub source: String,
    /// The epoch of the copied directory.
    pub epoch: Epoch,
    /// By statistic, the sequence there of the batch before the first that was taken over: batch n here is batch
    /// `begin + n` there.
    pub begins: BTreeMap<String, u64>,
}

/// A name that a sink had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerName {
    /// The name.
    pub name: String,
    /// By statistic, the sequence of the last batch that was cut while the sink had the name.
    pub until: BTreeMap<String, u64>,
}

/// Returns the name of a sink when a batch was cut.
pub(crate) fn name_at<'n>(
    name: &'n str,
    former: &'n [FormerName],
    statistic: &str,
    sequence: u64,
) -> &'n str {
    let had =
        former.iter().find(|former| former.until.get(statistic).is_some_and(|until| sequence <= *until));
    had.map_or(name, |former| &former.name)
}

/// The progress of a sink in the batches of one statistic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SinkProgress {
    /// The sequence after which the sink began. It never had this batch or an earlier one, and it does not know the
    /// statistic until it has a later one.
    pub begin: u64,
    /// The sequence up to which batches are acknowledged.
    pub acknowledged: u64,
    /// The batches that were given up for this sink, by order of an operator.
    #[serde(default, skip_serializing_if = "Discarded::is_empty")]
    pub discarded: Discarded,
}

impl SinkProgress {
    /// Makes the progress of a sink that begins after the batch with that sequence.
    pub(super) fn at(sequence: u64) -> Self {
        Self { begin: sequence, acknowledged: sequence, discarded: Discarded::default() }
    }
}

/// The progress of one statistic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatisticState {
    /// The schema of the next batch's rows, if the statistic is not redefined.
    pub schema: Arc<Schema>,
    /// The sequence of the last batch; 0 if there was none.
    pub sequence: u64,
    /// The position up to which the log is counted.
    pub to: Arc<Frontier>,
    /// The [`Batch::checksum`](crate::Batch::checksum) of the last batch; 0 if there was none.
    pub checksum: u64,
    /// The older files that the statistic still has to read, if it began at one.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub older: OlderFiles,
}

impl StatisticState {
    /// Makes the state of a statistic without batches, which begins at a position and in a list of older files.
    pub(super) fn new(schema: Arc<Schema>, to: Arc<Frontier>, older: OlderFiles) -> Self {
        Self { schema, sequence: 0, to, checksum: 0, older }
    }

    /// Moves to a later position. An empty one is that of a batch within a cut, which says nothing.
    pub(super) fn move_to(&mut self, to: &Arc<Frontier>) {
        self.to = Arc::clone(to);
        if to.older.is_none() && !to.is_within_cut() {
            self.older = OlderFiles::default();
        }
    }
}

impl BinlogState {
    /// Makes the state of a new source.
    pub(super) fn new(epoch: Epoch, source: &str) -> Self {
        Self {
            epoch,
            source: source.to_owned(),
            predecessors: Vec::new(),
            ledger: Ledger::default(),
            rejected: Arc::new([]),
            statistics: BTreeMap::new(),
            sinks: BTreeMap::new(),
            is_routed: false,
            former_names: BTreeMap::new(),
            files: None,
            cloned: None,
            positions: Vec::new(),
            moved: Vec::new(),
        }
    }

    /// Returns the sequence up to which every registered sink has the batches of a statistic; 0 while no sink is
    /// registered.
    pub fn acknowledged(&self, statistic: &str) -> u64 {
        let progress = self.sinks.values().filter_map(|statistics| statistics.get(statistic));
        match (
            progress.map(|progress| progress.acknowledged).min(),
            self.sinks.is_empty(),
            self.statistics.get(statistic),
        ) {
            (Some(acknowledged), ..) => acknowledged,
            // There are sinks, and none of them receives the statistic.
            (None, false, Some(known)) => known.sequence,
            _ => 0,
        }
    }

    /// Returns whether this can be the state of a binlog: no sequence is so large that the next one would overflow,
    /// and no sink has a batch that was never cut or was given one up.
    pub(super) fn is_sound(&self) -> bool {
        let last = |statistic: &String| self.statistics.get(statistic).map_or(0, |known| known.sequence);
        let mut progress = self.sinks.values().flatten();
        self.statistics.values().all(|known| known.sequence <= u64::MAX / 2)
            && progress.all(|(statistic, sink)| {
                sink.begin <= sink.acknowledged
                    && sink.acknowledged <= last(statistic)
                    && sink.discarded.is_sound(last(statistic))
            })
    }
}
