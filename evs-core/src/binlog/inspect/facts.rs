//! The contents of a frame in public types. The decoding is that of `event`.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    binlog::{
        Counters,
        event::{Event, kind},
        state::BinlogState,
    },
    position::Frontier,
};

/// The contents of one frame of a binlog. In JSON, `kind` names the variant.
///
/// Positions are complete here, even if the frame only has the number of one; in JSON such a position is its number.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Facts {
    /// The state at the start of a segment.
    Snapshot {
        /// The number of statistics.
        statistics: usize,
        /// The number of sinks.
        sinks: usize,
        /// The lines that were read up to there.
        lines: u64,
    },
    /// The definition of a statistic.
    Define {
        /// The statistic.
        statistic: String,
        /// The position from which it counts.
        from: Arc<Frontier>,
        /// The number of older files that it reads besides.
        older_files: usize,
    },
    /// A batch.
    Batch {
        /// The statistic.
        statistic: String,
        /// The batch's sequence.
        sequence: u64,
        /// The number of rows.
        rows: u64,
        /// The length of the rows before compression.
        rows_bytes: u64,
        /// The checksum of the batch, in hexadecimal digits.
        checksum: String,
        /// The checksum of the batch before it; `None` in version 1, where it follows from the frames before.
        predecessor: Option<String>,
        /// The position before the batch; empty if the batch continues a cut.
        from: Arc<Frontier>,
        /// The position after the batch; empty if the cut goes on in the next batch.
        to: Arc<Frontier>,
    },
    /// A later position of a statistic, without rows.
    Advance {
        /// The statistic.
        statistic: String,
        /// The position.
        to: Arc<Frontier>,
    },
    /// The end of a commit.
    Settle {
        /// The totals up to there.
        totals: Counters,
        /// The number of lines that were rejected in the commit.
        rejected_lines: usize,
        /// The time of the commit, in seconds since 1970; `None` if it was not noted.
        time: Option<i64>,
        /// The position of the source.
        to: Arc<Frontier>,
    },
    /// The progress of a sink.
    Acknowledge {
        /// The sink.
        sink: String,
        /// The statistic.
        statistic: String,
        /// The sequence up to which the sink has the batches.
        sequence: u64,
    },
    /// A new sink, or a new position of a known one.
    Register {
        /// The sink.
        sink: String,
        /// The statistic.
        statistic: String,
        /// The sequence after which the sink begins.
        sequence: u64,
    },
    /// The removal of a sink.
    Forget {
        /// The sink.
        sink: String,
    },
    /// A change of the known files.
    Files {
        /// The number of files that are no longer known, or are open by now.
        removed: usize,
        /// The paths of the files that are known from now on.
        added: Vec<String>,
    },
    /// Another name for a sink.
    Rename {
        /// The name so far.
        sink: String,
        /// The new name.
        to: String,
    },
    /// A batch that is given up for a sink.
    Discard {
        /// The sink.
        sink: String,
        /// The statistic.
        statistic: String,
        /// The batch's sequence.
        sequence: u64,
        /// The number of its rows.
        rows: u64,
    },
    /// A position of a source of many logs, which gets a number.
    Move {
        /// The number of the position.
        position: u64,
        /// The number of the position from which it differs; `None` if it is the beginning.
        base: Option<u64>,
        /// The number of files that are in that position alone.
        removed: usize,
        /// The number of files that are new, or have changed.
        files: usize,
    },
}

/// The names of the kinds of frames, in the order of their numbers, which begin with 1.
const KINDS: [&str; 12] = [
    "snapshot",
    "define",
    "batch",
    "advance",
    "settle",
    "acknowledge",
    "register",
    "forget",
    "files",
    "rename",
    "discard",
    "move",
];
const _: () = assert!(KINDS.len() == kind::MOVE as usize);

impl Facts {
    /// Returns the name of the frame's kind, as `docs/binlog-format.md` has it.
    pub fn kind(&self) -> &'static str {
        let number = match self {
            Self::Snapshot { .. } => kind::SNAPSHOT,
            Self::Define { .. } => kind::DEFINE,
            Self::Batch { .. } => kind::BATCH,
            Self::Advance { .. } => kind::ADVANCE,
            Self::Settle { .. } => kind::SETTLE,
            Self::Acknowledge { .. } => kind::ACKNOWLEDGE,
            Self::Register { .. } => kind::REGISTER,
            Self::Forget { .. } => kind::FORGET,
            Self::Files { .. } => kind::FILES,
            Self::Rename { .. } => kind::RENAME,
            Self::Discard { .. } => kind::DISCARD,
            Self::Move { .. } => kind::MOVE,
        };
        KINDS[usize::from(number) - 1]
    }

    /// Returns the name of the statistic that the frame is about, if it is about one.
    pub fn statistic(&self) -> Option<&str> {
        match self {
            Self::Define { statistic, .. }
            | Self::Batch { statistic, .. }
            | Self::Advance { statistic, .. }
            | Self::Acknowledge { statistic, .. }
            | Self::Register { statistic, .. }
            | Self::Discard { statistic, .. } => Some(statistic),
            _ => None,
        }
    }

    /// Returns the sequence of the batch that the frame is about, if it is about one.
    pub fn sequence(&self) -> Option<u64> {
        match self {
            Self::Batch { sequence, .. }
            | Self::Acknowledge { sequence, .. }
            | Self::Register { sequence, .. }
            | Self::Discard { sequence, .. } => Some(*sequence),
            _ => None,
        }
    }

    pub(super) fn of_snapshot(state: &BinlogState) -> Self {
        Self::Snapshot {
            statistics: state.statistics.len(),
            sinks: state.sinks.len(),
            lines: state.ledger.totals.lines,
        }
    }

    pub(super) fn of(event: &Event) -> Self {
        match event.clone() {
            Event::Define(define) => Self::Define {
                statistic: define.schema.statistic.clone(),
                from: define.from,
                older_files: define.older.len(),
            },
            Event::Batch(header) => Self::Batch {
                statistic: header.statistic,
                sequence: header.sequence,
                rows: header.rows,
                rows_bytes: header.bytes,
                checksum: format!("{:016x}", header.checksum),
                predecessor: header.predecessor.map(|checksum| format!("{checksum:016x}")),
                from: header.from,
                to: header.to,
            },
            Event::Advance(advance) => Self::Advance { statistic: advance.statistic, to: advance.to },
            Event::Settle(settle) => Self::Settle {
                totals: settle.ledger.totals,
                rejected_lines: settle.rejected.len(),
                time: settle.ledger.time,
                to: settle.ledger.frontier,
            },
            Event::Acknowledge(at) => {
                Self::Acknowledge { sink: at.sink, statistic: at.statistic, sequence: at.sequence }
            }
            Event::Register(at) => {
                Self::Register { sink: at.sink, statistic: at.statistic, sequence: at.sequence }
            }
            Event::Forget(forget) => Self::Forget { sink: forget.sink },
            Event::Files(change) => Self::Files {
                removed: change.removed.len(),
                added: change.added.iter().map(|file| file.path.clone()).collect(),
            },
            Event::Rename(rename) => Self::Rename { sink: rename.sink, to: rename.to },
            Event::Discard(discard) => Self::Discard {
                sink: discard.sink,
                statistic: discard.statistic,
                sequence: discard.sequence,
                rows: discard.rows,
            },
            Event::Move(to) => Self::Move {
                position: to.position,
                base: to.base,
                removed: to.removed.len(),
                files: to.files.len(),
            },
        }
    }

    /// Puts the positions that the numbers in the frame stand for in their place. `state` is the one before the frame;
    /// a position that it does not know stays a number.
    pub(super) fn resolve(&mut self, state: &BinlogState) {
        let resolve = |position: &mut Arc<Frontier>| {
            if let Ok(known) = state.resolve(position) {
                *position = known;
            }
        };
        match self {
            Self::Batch { from, to, .. } => {
                resolve(from);
                resolve(to);
            }
            Self::Define { from: position, .. }
            | Self::Advance { to: position, .. }
            | Self::Settle { to: position, .. } => resolve(position),
            _ => {}
        }
    }
}
