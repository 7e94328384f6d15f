//! The state that a binlog describes, and the one function by which a frame changes it.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    error::Contradiction,
    event::{Advance, BatchHeader, Define, Event, Mark, Settle},
};
use crate::{
    batch::{Epoch, escape, unescape},
    position::{Frontier, Inventory},
    statistic::Schema,
};

/// The state of a binlog: the progress of everything that it records.
///
/// Every segment begins with a state (a snapshot), so that the segments before it can be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
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
    pub sinks: BTreeMap<String, BTreeMap<String, SinkMark>>,
    /// The known files of the source other than the open ones. `None` if no commit has listed them yet, as in a
    /// binlog of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Inventory>,
    /// The state directory whose undelivered batches became the first ones of this source, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloned: Option<ClonedBatches>,
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

/// The progress of a sink in the batches of one statistic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkMark {
    /// The sequence after which the sink began. It never had this batch or an earlier one, and it does not know the
    /// statistic until it has a later one.
    pub begin: u64,
    /// The sequence up to which batches are acknowledged.
    pub acknowledged: u64,
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
}

/// The totals of a source as a whole, independent of its statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The position up to which the totals count.
    pub frontier: Arc<Frontier>,
    /// The totals up to that position.
    pub totals: Totals,
    /// The position in the file of rejected lines that was written durably before this commit.
    pub rejects: RejectsMark,
    /// The time of the pipeline's clock at this commit, in seconds since 1970. Old windows are removed by that clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
}

/// The totals of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Lines that were read, including rejected ones.
    pub lines: u64,
    /// Bytes of these lines, including newlines.
    pub bytes: u64,
    /// Lines that were rejected.
    pub rejected: u64,
    /// Bytes of the log that vanished before they were read.
    pub lost_bytes: u64,
    /// Lines left out of a statistic because their window was past its retention, once for each such statistic.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub too_late: u64,
    /// Lines that were counted although their time was more than a day ahead of the clock.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ahead: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Totals {
    /// Returns the difference from `before` to these totals.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            lines: self.lines - before.lines,
            bytes: self.bytes - before.bytes,
            rejected: self.rejected - before.rejected,
            lost_bytes: self.lost_bytes - before.lost_bytes,
            too_late: self.too_late - before.too_late,
            ahead: self.ahead - before.ahead,
        }
    }
}

/// A position in the files of rejected lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectsMark {
    /// The file's number.
    pub file: u64,
    /// The file's length.
    pub bytes: u64,
}

/// A line that could not be counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedLine {
    /// The number of its file: [`FileMark::number`](crate::position::FileMark).
    pub file: u64,
    /// The offset in the file at which the line begins.
    pub offset: u64,
    /// The offset in the line at which reading failed, in bytes.
    pub column: u64,
    /// The reason.
    pub reason: String,
    /// The bytes of the line, or the first of them.
    #[serde(serialize_with = "serialize_bytes", deserialize_with = "deserialize_bytes")]
    pub sample: Vec<u8>,
}

fn serialize_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&escape(bytes))
}

fn deserialize_bytes<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Cow::<'d, str>::deserialize(deserializer)?;
    let bytes = unescape(&text).ok_or_else(|| D::Error::custom("escaped bytes are expected"))?;
    Ok(bytes.into_owned())
}

impl State {
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
            files: None,
            cloned: None,
        }
    }

    /// Returns the sequence up to which every registered sink has the batches of a statistic; 0 while no sink is
    /// registered.
    pub fn acknowledged(&self, statistic: &str) -> u64 {
        let marks = self.sinks.values().filter_map(|marks| marks.get(statistic));
        match (
            marks.map(|mark| mark.acknowledged).min(),
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
    /// and no sink has a batch that was never cut.
    pub(super) fn is_sound(&self) -> bool {
        let last = |statistic: &String| self.statistics.get(statistic).map_or(0, |known| known.sequence);
        let mut marks = self.sinks.values().flatten();
        self.statistics.values().all(|known| known.sequence <= u64::MAX / 2)
            && marks.all(|(statistic, mark)| {
                mark.begin <= mark.acknowledged && mark.acknowledged <= last(statistic)
            })
    }

    /// Applies one more frame. Appending and recovery use this same code, so both always arrive at the same state.
    /// After an error the state is unchanged.
    pub(super) fn apply(&mut self, event: &Event) -> Result<(), Contradiction> {
        match event {
            Event::Define(define) => self.define(define),
            Event::Batch(batch) => self.batch(batch),
            Event::Advance(advance) => self.advance(advance),
            Event::Settle(settle) => {
                self.settle(settle);
                Ok(())
            }
            Event::Acknowledge(mark) => self.acknowledge(mark),
            Event::Register(mark) => self.register(mark),
            Event::Forget(forget) => {
                self.sinks.remove(&forget.sink);
                Ok(())
            }
            Event::Files(change) => {
                self.files.get_or_insert_with(Inventory::default).apply(change);
                Ok(())
            }
        }
    }

    /// Gives a statistic a schema. A new one begins at `from`, and every sink needs it from its first batch on.
    fn define(&mut self, define: &Define) -> Result<(), Contradiction> {
        let name = &define.schema.statistic;
        if let Some(known) = self.statistics.get_mut(name) {
            follows(name, &known.to, &define.from)?;
            known.schema = Arc::clone(&define.schema);
            return Ok(());
        }
        let (schema, to) = (Arc::clone(&define.schema), Arc::clone(&define.from));
        self.statistics.insert(name.clone(), StatisticState { schema, sequence: 0, to, checksum: 0 });
        for marks in self.sinks.values_mut() {
            marks.entry(name.clone()).or_default();
        }
        Ok(())
    }

    /// Applies a batch, if it follows from the last one of its statistic.
    fn batch(&mut self, batch: &BatchHeader) -> Result<(), Contradiction> {
        let name = &batch.statistic;
        let known = self.known(name)?;
        let expected = known.sequence + 1;
        if batch.sequence != expected {
            let (statistic, found) = (name.clone(), batch.sequence);
            return Err(Contradiction::Sequence { statistic, expected, found });
        }
        if let Some(found) = batch.predecessor
            && found != known.checksum
        {
            let (statistic, sequence, expected) = (name.clone(), batch.sequence, known.checksum);
            return Err(Contradiction::Predecessor { statistic, sequence, expected, found });
        }
        follows(name, &known.to, &batch.from)?;
        if schema_hash(&known.schema) != batch.schema {
            return Err(Contradiction::Schema { statistic: name.clone() });
        }
        known.sequence = batch.sequence;
        known.to = Arc::clone(&batch.to);
        known.checksum = batch.checksum;
        Ok(())
    }

    fn advance(&mut self, advance: &Advance) -> Result<(), Contradiction> {
        self.known(&advance.statistic)?.to = Arc::clone(&advance.to);
        Ok(())
    }

    /// Applies the end of a commit.
    fn settle(&mut self, settle: &Settle) {
        self.ledger = settle.ledger.clone();
        self.rejected = Arc::clone(&settle.rejected);
        self.predecessors.extend_from_slice(&settle.predecessors);
    }

    /// Moves a registered sink to a later batch.
    fn acknowledge(&mut self, mark: &Mark) -> Result<(), Contradiction> {
        self.not_ahead(mark)?;
        let known = self.sinks.get_mut(&mark.sink).and_then(|marks| marks.get_mut(&mark.statistic));
        let Some(known) = known else {
            let (sink, statistic) = (mark.sink.clone(), mark.statistic.clone());
            return Err(Contradiction::UnknownSink { sink, statistic });
        };
        known.acknowledged = mark.sequence;
        Ok(())
    }

    /// Registers a sink, or sets one that is registered to another batch.
    fn register(&mut self, mark: &Mark) -> Result<(), Contradiction> {
        self.not_ahead(mark)?;
        let acknowledged = mark.sequence;
        let marks = self.sinks.entry(mark.sink.clone()).or_default();
        let known =
            marks.entry(mark.statistic.clone()).or_insert(SinkMark { begin: acknowledged, acknowledged });
        // A sink that went back stands at the earlier batch now. Its beginning stays the earlier of the two.
        *known = SinkMark { begin: known.begin.min(acknowledged), acknowledged };
        Ok(())
    }

    /// Returns an error if a sink would have a batch that was never cut.
    fn not_ahead(&self, mark: &Mark) -> Result<(), Contradiction> {
        let last = self.statistics.get(&mark.statistic).map_or(0, |known| known.sequence);
        if mark.sequence <= last {
            return Ok(());
        }
        let (sink, statistic, found) = (mark.sink.clone(), mark.statistic.clone(), mark.sequence);
        Err(Contradiction::Ahead { sink, statistic, found, last })
    }

    /// Returns a statistic, or an error if it was never defined.
    pub(super) fn known(&mut self, statistic: &str) -> Result<&mut StatisticState, Contradiction> {
        self.statistics
            .get_mut(statistic)
            .ok_or_else(|| Contradiction::UnknownStatistic { statistic: statistic.to_owned() })
    }
}

/// Returns the hash by which the frame of a batch names its schema.
pub(super) fn schema_hash(schema: &Schema) -> u64 {
    xxh3_64(schema.to_json().as_bytes())
}

/// Returns an error if `from` has other positions than `to`. Other facts about the files may have changed.
pub(super) fn follows(statistic: &str, to: &Frontier, from: &Frontier) -> Result<(), Contradiction> {
    let positions = |frontier: &Frontier| -> Vec<_> {
        frontier.files.iter().map(|mark| (mark.number, mark.offset)).collect()
    };
    if positions(to) == positions(from) {
        return Ok(());
    }
    Err(Contradiction::From {
        statistic: statistic.to_owned(),
        expected: to.to_string(),
        found: from.to_string(),
    })
}
