//! Copies of a binlog: a new source that begins where another source's binlog stands.
//!
//! This is for a machine that was cloned with its state directory. It cannot go on with the copy: two machines would
//! cut different batches under the same numbers. So it gets an epoch of its own. For example, requests 6 and 7 wait
//! for the sink in the copied binlog; with `undelivered` they become requests 1 and 2 of the new source, with the
//! same rows and positions.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    binlog::Binlog,
    commit::{Commit, Cut},
    error::BinlogError,
    ledger::Ledger,
    options::BinlogOptions,
    segment::{self, HEADER_BYTES_MAX, Named, Parsed, SegmentHeader},
    state::{BinlogState, ClonedBatches, StatisticState},
};
use crate::{
    batch::Epoch,
    disk::Disk,
    position::{Frontier, OlderFiles},
};

/// Returns the source of the binlog in a directory, from its newest readable segment; `None` if there is no binlog. A
/// crash may have left the last segment without a header.
pub(crate) fn source_of(disk: &dyn Disk) -> std::io::Result<Option<String>> {
    let mut names = disk.list()?;
    names.retain(|name| matches!(segment::parse_name(name), Named::Segment(_)));
    names.sort_unstable();
    for name in names.iter().rev() {
        let file = disk.open(name)?;
        let mut bytes = vec![0; file.size()?.min(HEADER_BYTES_MAX as u64) as usize];
        file.read_exact_at(&mut bytes, 0)?;
        if let Parsed::Header(SegmentHeader { source, .. }) = SegmentHeader::parse(&bytes) {
            return Ok(Some(source));
        }
    }
    Ok(None)
}

impl Binlog {
    /// Makes a binlog for another source, with an epoch of its own. It begins at the positions of this binlog, with
    /// nothing counted. With `undelivered`, the batches that not all sinks have acknowledged become its first
    /// batches, and each sink begins at its place among them.
    ///
    /// Everything is in one segment.
    pub(crate) fn copy_for(
        &self,
        source: &str,
        disk: &Arc<dyn Disk>,
        undelivered: bool,
    ) -> Result<(), BinlogError> {
        let mut state = BinlogState::new(Epoch::random(), source);
        state.files.clone_from(&self.state.files);
        state.ledger = Ledger { frontier: Arc::clone(&self.state.ledger.frontier), ..Ledger::default() };
        let mut begins = BTreeMap::new();
        for (name, known) in &self.state.statistics {
            // Earlier batches were removed, since every sink has them.
            let gone = self.reader.first_sequence(name).map_or(known.sequence, |first| first - 1);
            let begin = if undelivered { self.state.acknowledged(name).max(gone) } else { known.sequence };
            begins.insert(name.clone(), begin);
            let first = if begin < known.sequence { self.reader.batch(name, begin + 1)? } else { None };
            let (schema, to) = match first {
                // What a number stood for is not known any more. The statistic moves on from there below.
                Some(first) if first.from.is_number() => (first.schema, Arc::default()),
                Some(first) => (first.schema, first.from),
                None => (Arc::clone(&known.schema), Arc::clone(&known.to)),
            };
            let new = StatisticState::new(schema, to, Arc::clone(&known.older));
            state.statistics.insert(name.clone(), new);
        }
        if undelivered {
            let (source, epoch) = (self.state.source.clone(), self.state.epoch);
            state.cloned = Some(ClonedBatches { source, epoch, begins: begins.clone() });
        }
        if undelivered {
            // The batches that are taken over have other sequences here.
            state.former_names.clone_from(&self.state.former_names);
            state.is_routed = self.state.is_routed;
            for (statistic, until) in
                state.former_names.values_mut().flatten().flat_map(|former| &mut former.until)
            {
                *until = until.saturating_sub(begins.get(statistic).copied().unwrap_or_default());
            }
        }
        let options = BinlogOptions { segment_bytes_max: u64::MAX, ..BinlogOptions::default() };
        let mut copy = Self::create(disk, state, options)?;
        let mut given_up = Vec::new();
        for (name, begin) in &begins {
            let last = &self.state.statistics[name];
            for sequence in begin + 1..=last.sequence {
                let Some(batch) = self.reader.batch(name, sequence)? else { continue };
                let progress = self.state.sinks.iter().filter_map(|(sink, all)| Some((sink, all.get(name)?)));
                let discards = progress.filter(|(_, progress)| {
                    progress.acknowledged < sequence && progress.discarded.contains(sequence)
                });
                given_up.extend(discards.map(|(sink, _)| (sink, name, sequence - begin, batch.rows.len())));
                // The number is a part of the batch's checksum. It may stand for anything until the statistic moves on.
                let to = match copy.state.resolve(&batch.to) {
                    Err(_) => {
                        Arc::new(Frontier { files: last.to.files.clone(), ..Frontier::clone(&batch.to) })
                    }
                    Ok(_) => batch.to,
                };
                copy.cut(Cut {
                    schema: batch.schema,
                    from: batch.from,
                    to,
                    rows: vec![batch.rows],
                    older: OlderFiles::default(),
                })?;
            }
            let (schema, to) = (Arc::clone(&last.schema), Arc::clone(&last.to));
            let (rows, older) = (Vec::new(), OlderFiles::default());
            copy.cut(Cut { schema, from: Arc::clone(&to), to, rows, older })?;
        }
        // Without batches, the sinks begin like those of any new source.
        for (sink, statistics) in self.state.sinks.iter().filter(|_| undelivered) {
            for (name, progress) in statistics {
                let applied =
                    progress.acknowledged.saturating_sub(begins.get(name).copied().unwrap_or_default());
                copy.register_sink(sink, name, applied)?;
            }
        }
        for (sink, name, sequence, rows) in given_up {
            copy.discard(sink, name, sequence, rows as u64)?;
        }
        copy.sync()
    }

    /// Commits one cut, which begins at the position of its statistic.
    fn cut(&mut self, cut: Cut) -> Result<(), BinlogError> {
        let known = self.state.statistics.get(&cut.schema.statistic);
        let from = known.map_or(cut.from, |known| Arc::clone(&known.to));
        let ledger = self.state.ledger.clone();
        self.commit(&Commit { ledger, cuts: vec![Cut { from, ..cut }], ..Commit::default() })
    }
}
