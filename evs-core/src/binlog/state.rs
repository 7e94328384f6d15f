use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    error::Contradiction,
    event::{Advance, BatchHeader, Define, Event, Mark, Settle},
};
use crate::{
    batch::{Epoch, escape, unescape},
    statistic::Schema,
    tail::{Frontier, Inventory},
};

/// What a binlog says, all in all: how far everything is.
///
/// Every segment begins with one, so that the segments before it can go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// The state directory's epoch.
    pub epoch: Epoch,
    /// The source's name.
    pub source: String,
    /// The epochs that this one has taken over from, on somebody's order.
    pub predecessors: Vec<Epoch>,
    /// What was counted of the log, over all statistics, as of the last commit.
    pub ledger: Ledger,
    /// The rejected lines of the last commit. They are written to the file of rejected lines from
    /// `ledger.rejects` on; those of earlier commits are in it.
    pub rejected: Arc<[RejectedLine]>,
    /// The statistics, by name, also those that are no longer configured.
    pub statistics: BTreeMap<String, StatisticState>,
    /// The registered sinks, by name: how far each has a statistic's batches.
    pub sinks: BTreeMap<String, BTreeMap<String, SinkMark>>,
    /// The source's files beside the open ones. `None` if no commit has said anything of them yet, as in a
    /// binlog that version 1 wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Inventory>,
}

/// How far a sink has the batches of one statistic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkMark {
    /// The sequence behind which the sink began: it never had that batch or those before it, and remembers
    /// nothing of the statistic until it has a later one.
    pub begin: u64,
    /// The sequence up to which batches are acknowledged.
    pub acknowledged: u64,
}

/// How far one statistic is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatisticState {
    /// What the rows of the next batch mean, if it is not redefined.
    pub schema: Arc<Schema>,
    /// The last batch's sequence; 0 if there was none.
    pub sequence: u64,
    /// Up to where the log is counted.
    pub to: Arc<Frontier>,
    /// The last batch's [`Batch::checksum`](crate::Batch::checksum); 0 if there was none.
    pub checksum: u64,
}

/// What was counted of a source as a whole, whatever became of it in each statistic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Up to where the totals count.
    pub frontier: Arc<Frontier>,
    /// What was counted up to there.
    pub totals: Totals,
    /// How far the file of rejected lines was written, durably, before this commit.
    pub rejects: RejectsMark,
    /// The time that retention went by at this commit, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
}

/// Sums over all of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Lines that were read, rejected ones included.
    pub lines: u64,
    /// Their bytes, newlines included.
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
    /// What has been added since `before`.
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
    /// The number of the file it is in: [`FileMark::number`](crate::tail::FileMark).
    pub file: u64,
    /// Where in the file it begins.
    pub offset: u64,
    /// Where in the line reading it failed, in bytes.
    pub column: u64,
    /// Why.
    pub reason: String,
    /// The line's bytes, or some of them.
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
        }
    }

    /// Up to where every registered sink has a statistic's batches; 0 as long as no sink is registered.
    pub fn acknowledged(&self, statistic: &str) -> u64 {
        let marks = self.sinks.values().filter_map(|marks| marks.get(statistic));
        match (
            marks.map(|mark| mark.acknowledged).min(),
            self.sinks.is_empty(),
            self.statistics.get(statistic),
        ) {
            (Some(acknowledged), ..) => acknowledged,
            // There are sinks, and none of them takes it.
            (None, false, Some(known)) => known.sequence,
            _ => 0,
        }
    }

    /// Whether this can be the state of a binlog: no sequence is so large that counting on would overflow,
    /// and no sink has what was never cut.
    pub(super) fn is_sound(&self) -> bool {
        let last = |statistic: &String| self.statistics.get(statistic).map_or(0, |known| known.sequence);
        let mut marks = self.sinks.values().flatten();
        self.statistics.values().all(|known| known.sequence <= u64::MAX / 2)
            && marks.all(|(statistic, mark)| {
                mark.begin <= mark.acknowledged && mark.acknowledged <= last(statistic)
            })
    }

    /// What follows from one more frame. The same code serves appending and recovery, so that both always
    /// come to the same state. After an error the state is as before.
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

    fn settle(&mut self, settle: &Settle) {
        self.ledger = settle.ledger.clone();
        self.rejected = Arc::clone(&settle.rejected);
        self.predecessors.extend_from_slice(&settle.predecessors);
    }

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

    fn register(&mut self, mark: &Mark) -> Result<(), Contradiction> {
        self.not_ahead(mark)?;
        let acknowledged = mark.sequence;
        let marks = self.sinks.entry(mark.sink.clone()).or_default();
        let known =
            marks.entry(mark.statistic.clone()).or_insert(SinkMark { begin: acknowledged, acknowledged });
        // A sink that went back is where it was before, but has begun where it did.
        *known = SinkMark { begin: known.begin.min(acknowledged), acknowledged };
        Ok(())
    }

    fn not_ahead(&self, mark: &Mark) -> Result<(), Contradiction> {
        let last = self.statistics.get(&mark.statistic).map_or(0, |known| known.sequence);
        if mark.sequence <= last {
            return Ok(());
        }
        let (sink, statistic, found) = (mark.sink.clone(), mark.statistic.clone(), mark.sequence);
        Err(Contradiction::Ahead { sink, statistic, found, last })
    }

    pub(super) fn known(&mut self, statistic: &str) -> Result<&mut StatisticState, Contradiction> {
        self.statistics
            .get_mut(statistic)
            .ok_or_else(|| Contradiction::UnknownStatistic { statistic: statistic.to_owned() })
    }
}

/// The mark by which a batch's frame names its schema.
pub(super) fn schema_hash(schema: &Schema) -> u64 {
    xxh3_64(schema.to_json().as_bytes())
}

/// Refuses a `from` that names other positions than `to`. What else is known of the files may have changed.
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
