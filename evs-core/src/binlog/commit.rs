//! Commits: the batches of a cut, with everything that must become durable together with them.
//!
//! A commit is a sequence of frames that ends with a frame of the kind SETTLE. For example, a commit of two
//! statistics, of which the second one is new, is written as BATCH, DEFINE, BATCH, SETTLE. Recovery ignores the
//! frames of a commit whose end is missing, so a crash in the middle of the write leaves nothing of it.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    apply::{follows, schema_hash},
    binlog::Binlog,
    error::{BinlogError, Contradiction, check_size},
    event::{Advance, BatchHeader, Define, Event, ROWS_BYTES_MAX, Settle},
    frame::{Frames, Location},
    ledger::{Ledger, RejectedLine},
    reader::IndexEntry,
    state::BinlogState,
    writer::Durability,
};
use crate::{
    batch::{Epoch, Rows, checksum},
    position::{Frontier, InventoryChange, OlderFiles},
    statistic::Schema,
};

/// The changes that become durable together, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The totals of the source as a whole, including this commit.
    pub ledger: Ledger,
    /// The rows that the statistics have gathered, at most one cut for each statistic.
    pub cuts: Vec<Cut>,
    /// The lines that were rejected since the last commit. They replace [`BinlogState::rejected`](super::BinlogState::rejected).
    pub rejected: Arc<[RejectedLine]>,
    /// Further epochs that this source has taken over.
    pub predecessors: Vec<Epoch>,
    /// The change in the inventory of the source's files. `None` leaves the inventory as it is. An empty change makes
    /// [`BinlogState::files`](super::BinlogState::files) known if it was not.
    pub files: Option<InventoryChange>,
}

/// The rows that one statistic has gathered over a part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The schema of the rows, with the name of the statistic. The statistic has this schema from here on.
    pub schema: Arc<Schema>,
    /// The start of the part: the position of the statistic, or any position if the statistic is new.
    pub from: Arc<Frontier>,
    /// The end of the part.
    pub to: Arc<Frontier>,
    /// The rows, in pieces that are no larger than a batch should be: each piece becomes a batch. Without rows there
    /// is no batch, and the statistic only moves to `to`.
    pub rows: Vec<Rows>,
    /// The older files that the statistic reads besides, if it is new.
    pub older: OlderFiles,
}

impl Binlog {
    /// Makes a commit durable, with one write and one fsync. The rows of each cut become the next batches of its
    /// statistic.
    ///
    /// # Errors
    ///
    /// If there was no room ([`is_disk_full`](BinlogError::is_disk_full)), nothing was committed, and the same or
    /// another commit can be tried later. If the commit contradicts the state, nothing was written. After any other
    /// error all further calls fail; only opening the binlog again shows whether the commit is there.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), BinlogError> {
        self.check_usable()?;
        let mut draft = Draft { next: self.state.clone(), frames: Frames::default(), batches: Vec::new() };
        // The ledger comes first: its position is the one from which the others are described.
        let ledger = Ledger {
            frontier: draft.position(&commit.ledger.frontier).map_err(|source| self.refused(source))?,
            ..commit.ledger.clone()
        };
        let mut names = BTreeSet::new();
        for cut in &commit.cuts {
            let statistic = &cut.schema.statistic;
            if !names.insert(statistic) {
                return Err(self.refused(Contradiction::Twice { statistic: statistic.clone() }));
            }
            for rows in &cut.rows {
                check_size(statistic, rows.as_bytes().len() as u64, ROWS_BYTES_MAX)?;
            }
            draft.cut(cut).map_err(|source| self.refused(source))?;
        }
        if let Some(change) = &commit.files {
            draft.files(change).map_err(|source| self.refused(source))?;
        }
        let settle = Settle {
            ledger,
            rejected: Arc::clone(&commit.rejected),
            predecessors: commit.predecessors.clone(),
        };
        draft.add(&Event::Settle(settle), &[]).map_err(|source| self.refused(source))?;

        let Draft { next, mut frames, batches } = draft;
        let first = self.append(&mut frames, Durability::Synced)?;
        let spans: Vec<_> = frames.spans(first.offset).collect();
        debug_assert!(spans.is_sorted_by(|one, next| one.0 + one.1 == next.0), "frames are consecutive");
        let mut index = self.reader.index_mut();
        for Drafted { frame, header, schema } in batches {
            let (offset, bytes) = spans[frame];
            let entry = IndexEntry {
                location: Location { offset, ..first },
                bytes,
                schema,
                checksum: header.checksum,
                rows: header.rows,
                time: commit.ledger.time,
            };
            index.push(&header, entry);
        }
        drop(index);
        self.state = next;
        Ok(())
    }
}

/// A commit while it is turned into frames.
struct Draft {
    /// The state after the commit.
    next: BinlogState,
    frames: Frames,
    batches: Vec<Drafted>,
}

/// A batch in a draft.
struct Drafted {
    /// The index of its frame.
    frame: usize,
    header: BatchHeader,
    schema: Arc<Schema>,
}

impl Draft {
    /// Returns a position as it is written: with a number if it has many files. Adds the frame that makes it, if it is new.
    fn position(&mut self, frontier: &Arc<Frontier>) -> Result<Arc<Frontier>, Contradiction> {
        let (numbered, made) = self.next.number(frontier);
        if let Some(made) = made {
            self.add(&Event::Move(made), &[])?;
        }
        Ok(numbered)
    }

    /// Adds the frames of a cut: the definition if the schema is new, and the batches.
    fn cut(&mut self, cut: &Cut) -> Result<(), Contradiction> {
        let statistic = &cut.schema.statistic;
        let columns = (cut.schema.keys.len(), cut.schema.measures.len());
        if cut.rows.iter().any(|rows| (rows.key_columns(), rows.measure_columns()) != columns) {
            return Err(Contradiction::Schema { statistic: statistic.clone() });
        }
        let known = self.next.statistics.get(statistic);
        if let Some(known) = known {
            follows(statistic, &known.to, &cut.from)?;
        }
        let (is_new, is_redefined) = (known.is_none(), known.is_none_or(|known| known.schema != cut.schema));
        let from = match known {
            Some(known) => Arc::clone(&known.to),
            None => self.position(&cut.from)?,
        };
        let to = self.position(&cut.to)?;
        if is_redefined {
            let older = if is_new { Arc::clone(&cut.older) } else { OlderFiles::default() };
            let (schema, from) = (Arc::clone(&cut.schema), Arc::clone(&from));
            self.add(&Event::Define(Define { schema, from, older }), &[])?;
        }
        let Some((last, before)) = cut.rows.split_last() else {
            if to != from {
                self.add(&Event::Advance(Advance { statistic: statistic.clone(), to }), &[])?;
            }
            return Ok(());
        };
        // No position of the log describes the rows within a cut, so all batches but the last have an empty one.
        let within = Arc::new(Frontier::default());
        for rows in before {
            self.batch(&cut.schema, &within, rows)?;
        }
        self.batch(&cut.schema, &to, last)
    }

    /// Adds a batch of a statistic that is known by now.
    fn batch(&mut self, schema: &Arc<Schema>, to: &Arc<Frontier>, rows: &Rows) -> Result<(), Contradiction> {
        let known = self.next.known(&schema.statistic)?;
        let sequence = known.sequence + 1;
        let header = BatchHeader {
            statistic: schema.statistic.clone(),
            schema: schema_hash(schema),
            sequence,
            predecessor: Some(known.checksum),
            from: Arc::clone(&known.to),
            to: Arc::clone(to),
            rows: rows.len() as u64,
            bytes: rows.as_bytes().len() as u64,
            checksum: checksum(sequence, schema, to, rows),
        };
        let schema = Arc::clone(schema);
        self.batches.push(Drafted { frame: self.frames.count(), header: header.clone(), schema });
        self.add(&Event::Batch(header), rows.as_bytes())
    }

    /// Adds a change of the inventory. A change that leaves the state as it is takes no frame.
    fn files(&mut self, change: &InventoryChange) -> Result<(), Contradiction> {
        if change.is_empty() && self.next.files.is_some() {
            return Ok(());
        }
        self.add(&Event::Files(change.clone()), &[])
    }

    /// Adds one frame, and applies it to the state: the state always follows from what is written.
    fn add(&mut self, event: &Event, rows: &[u8]) -> Result<(), Contradiction> {
        self.next.apply(event)?;
        event.push(rows, &mut self.frames);
        Ok(())
    }
}
