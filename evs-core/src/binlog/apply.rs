//! The one function by which a frame changes the state of a binlog.
//!
//! The rules are checks first and assignments after them, so that an error leaves the state as it was. They are the
//! last line of defence between a defect elsewhere and wrong numbers: if a batch does not follow from the one before,
//! it is not written; if it is found on the disk, the binlog is damaged.
//!
//! | frame | accepted if |
//! | --- | --- |
//! | define | it is new, or begins where the statistic stands |
//! | batch | it has the next sequence, the present schema, and begins with the last batch's checksum and position |
//! | advance | the statistic is known |
//! | acknowledge | the sink is registered, and the batch exists |
//! | register | the batch exists, or is 0 |
//! | rename | the old name is registered, and the new one is not |
//! | move | its number is new, and that of its base is known |
//! | settle, forget, files | always, if their positions are known |

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::{
    error::Contradiction,
    event::{Advance, BatchHeader, Define, Discard, Event, Rename, Settle, SinkPosition},
    ledger::Ledger,
    state::{BinlogState, FormerName, SinkProgress, StatisticState},
};
use crate::{
    position::{Frontier, Inventory, OlderPosition},
    statistic::Schema,
};

impl BinlogState {
    /// Applies one more frame. Appending and recovery use this same code, so both always arrive at the same state.
    /// After an error the state is unchanged.
    pub(super) fn apply(&mut self, event: &Event) -> Result<(), Contradiction> {
        match event {
            Event::Define(define) => self.define(define),
            Event::Batch(batch) => self.batch(batch),
            Event::Advance(advance) => self.advance(advance),
            Event::Settle(settle) => self.settle(settle),
            Event::Move(to) => self.make_move(to),
            Event::Acknowledge(position) => self.acknowledge(position),
            Event::Register(position) => self.register(position),
            Event::Forget(forget) => {
                self.sinks.remove(&forget.sink);
                self.former_names.remove(&forget.sink);
                Ok(())
            }
            Event::Files(change) => {
                self.files.get_or_insert_with(Inventory::default).apply(change);
                Ok(())
            }
            Event::Rename(rename) => self.rename(rename),
            Event::Discard(discard) => self.discard(discard),
        }
    }

    /// Gives a statistic a schema. A new one begins at `from`, and every sink needs it from its first batch on.
    ///
    /// Sinks that are registered already get the new statistic with the progress 0: they need all of its batches. A
    /// sink that is added later is registered for it with whatever batch it begins at.
    fn define(&mut self, define: &Define) -> Result<(), Contradiction> {
        let name = &define.schema.statistic;
        let from = self.resolve(&define.from)?;
        if let Some(known) = self.statistics.get_mut(name) {
            follows(name, &known.to, &from)?;
            self.is_routed |= define.schema.to.is_some();
            known.schema = Arc::clone(&define.schema);
            return Ok(());
        }
        self.is_routed |= define.schema.to.is_some();
        let schema = Arc::clone(&define.schema);
        let new = StatisticState::new(schema, from, Arc::clone(&define.older));
        self.statistics.insert(name.clone(), new);
        for statistics in self.sinks.values_mut() {
            statistics.entry(name.clone()).or_default();
        }
        Ok(())
    }

    /// Applies a batch, if it follows from the last one of its statistic.
    ///
    /// Version 1 did not write predecessors. There the checksum of the last batch in the state takes their place, and
    /// cannot contradict it.
    fn batch(&mut self, batch: &BatchHeader) -> Result<(), Contradiction> {
        let name = &batch.statistic;
        let (from, to) = (self.resolve(&batch.from)?, self.resolve(&batch.to)?);
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
        follows(name, &known.to, &from)?;
        if schema_hash(&known.schema) != batch.schema {
            return Err(Contradiction::Schema { statistic: name.clone() });
        }
        known.sequence = batch.sequence;
        known.move_to(&to);
        known.checksum = batch.checksum;
        Ok(())
    }

    fn advance(&mut self, advance: &Advance) -> Result<(), Contradiction> {
        let to = self.resolve(&advance.to)?;
        self.known(&advance.statistic)?.move_to(&to);
        Ok(())
    }

    /// Applies the end of a commit.
    fn settle(&mut self, settle: &Settle) -> Result<(), Contradiction> {
        let frontier = self.resolve(&settle.ledger.frontier)?;
        self.ledger = Ledger { frontier, ..settle.ledger.clone() };
        self.moved.clear();
        self.rejected = Arc::clone(&settle.rejected);
        self.predecessors.extend_from_slice(&settle.predecessors);
        Ok(())
    }

    /// Moves a registered sink to a later batch.
    fn acknowledge(&mut self, position: &SinkPosition) -> Result<(), Contradiction> {
        let SinkPosition { sink, statistic, sequence } = position;
        self.registered(sink, statistic, *sequence)?.acknowledged = *sequence;
        Ok(())
    }

    /// Gives up a batch for a registered sink. A batch that was given up before stays so.
    fn discard(&mut self, discard: &Discard) -> Result<(), Contradiction> {
        let Discard { sink, statistic, sequence, rows } = discard;
        if *sequence == 0 {
            return Err(Contradiction::Sequence { statistic: statistic.clone(), expected: 1, found: 0 });
        }
        self.registered(sink, statistic, *sequence)?.discarded.add(*sequence, *rows);
        Ok(())
    }

    /// Registers a sink, or sets one that is registered to another batch.
    fn register(&mut self, position: &SinkPosition) -> Result<(), Contradiction> {
        let SinkPosition { sink, statistic, sequence: acknowledged } = position;
        self.not_ahead(sink, statistic, *acknowledged)?;
        let statistics = self.sinks.entry(sink.clone()).or_default();
        let known = statistics.entry(statistic.clone()).or_insert_with(|| SinkProgress::at(*acknowledged));
        // A sink that went back stands at the earlier batch now. Its beginning stays the earlier of the two.
        (known.begin, known.acknowledged) = (known.begin.min(*acknowledged), *acknowledged);
        Ok(())
    }

    /// Moves the progress of a sink to another name, as it is: both where the sink began and what it has.
    fn rename(&mut self, rename: &Rename) -> Result<(), Contradiction> {
        let Rename { sink, to } = rename;
        match self.sinks.remove(sink) {
            Some(statistics) if !self.sinks.contains_key(to) && sink != to => {
                self.sinks.insert(to.clone(), statistics);
                if self.is_routed {
                    let mut names = self.former_names.remove(sink).unwrap_or_default();
                    let until = self.statistics.iter().map(|(name, known)| (name.clone(), known.sequence));
                    names.push(FormerName { name: sink.clone(), until: until.collect() });
                    self.former_names.insert(to.clone(), names);
                }
                Ok(())
            }
            found => {
                self.sinks.extend(found.map(|statistics| (sink.clone(), statistics)));
                Err(Contradiction::Rename { sink: sink.clone(), to: to.clone() })
            }
        }
    }

    /// Returns the progress of a registered sink, or an error if it is not registered or the batch was never cut.
    fn registered(
        &mut self,
        sink: &str,
        statistic: &str,
        sequence: u64,
    ) -> Result<&mut SinkProgress, Contradiction> {
        self.not_ahead(sink, statistic, sequence)?;
        let known = self.sinks.get_mut(sink).and_then(|statistics| statistics.get_mut(statistic));
        let unknown =
            || Contradiction::UnknownSink { sink: sink.to_owned(), statistic: statistic.to_owned() };
        known.ok_or_else(unknown)
    }

    /// Returns an error if the batch was never cut.
    fn not_ahead(&self, sink: &str, statistic: &str, sequence: u64) -> Result<(), Contradiction> {
        let last = self.statistics.get(statistic).map_or(0, |known| known.sequence);
        if sequence <= last {
            return Ok(());
        }
        let (sink, statistic) = (sink.to_owned(), statistic.to_owned());
        Err(Contradiction::Ahead { sink, statistic, found: sequence, last })
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
///
/// For example, `(file 3 to byte 120)` follows `(file 3 to byte 120)`, also if the file was renamed or has grown
/// meanwhile: the path, the size and the time are facts about the file, not the position.
pub(super) fn follows(statistic: &str, to: &Frontier, from: &Frontier) -> Result<(), Contradiction> {
    let positions = |frontier: &Frontier| -> (Vec<_>, Option<OlderPosition>) {
        let files = frontier.files.iter().map(|file| (file.number, file.offset));
        (files.collect(), frontier.older)
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
