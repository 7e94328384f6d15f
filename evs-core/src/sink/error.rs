//! The errors of a sink. Each variant is a case that the pipeline or the operator treats differently.

use std::{error::Error as StdError, fmt};

use crate::{describe::describe, writer::Writer};

/// The cause of a [`SinkError`].
pub type Cause = Box<dyn StdError + Send + Sync>;

/// A sink could not do what the pipeline asked for. `docs/errors.md` in the repository says what to do about each error.
///
/// Both `{}` and `{:?}` print the error with all its causes on one line. Since the causes are part of the text,
/// `source()` returns none; they are in the fields of the variants. Messages and causes never contain a password.
// A field is named `r#source` so that thiserror does not take it for the cause.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// A failure that passes: the store is away or busy, or a transaction was lost. The pipeline makes the same call
    /// again later.
    #[error("{what}: {}", describe(&**r#source))]
    Unavailable {
        /// The action that failed.
        what: String,
        /// The error of the store, unchanged.
        r#source: Cause,
    },
    /// A failure that does not pass by itself: missing access, a table of another shape, or a value that does not
    /// fit.
    #[error("{what}{}", after_colon(r#source.as_ref()))]
    Refused {
        /// The action that failed and the way out.
        what: String,
        /// The error of the store, if the store refused and not evs.
        r#source: Option<Cause>,
    },
    /// The batch is not the next one: the store has applied the batches up to `applied`.
    #[error("statistic {statistic}: batch {offered} was offered, but the store is at {applied}")]
    Gap {
        /// The statistic.
        statistic: String,
        /// The sequence that was offered.
        offered: u64,
        /// The last sequence applied; 0 if the store does not know the stream.
        applied: u64,
    },
    /// The store has already applied a later batch. The binlog tells whether that batch is of the same history.
    #[error("statistic {statistic}: batch {offered} was offered, but the store has batch {applied} already")]
    Ahead {
        /// The statistic.
        statistic: String,
        /// The sequence that was offered.
        offered: u64,
        /// The last sequence applied.
        applied: u64,
        /// The checksum of that batch, as the store remembers it.
        checksum: u64,
    },
    /// The store has another batch under this sequence. Either a copy of the state directory wrote that batch, or
    /// this state directory was restored from a backup.
    #[error(
        "statistic {statistic}: the store has batch {sequence} with checksum {found:016x}, here it has \
         {offered:016x}: another copy of this state directory has written it. {}",
        WAYS_OUT
    )]
    Foreign {
        /// The statistic.
        statistic: String,
        /// The sequence in question.
        sequence: u64,
        /// The checksum of that batch in the history that was offered.
        offered: u64,
        /// The checksum that the store remembers.
        found: u64,
    },
    /// The store stands at a batch, but the binlog no longer has the batches after it: the store was restored from an
    /// old backup, or its sink was not configured for a while.
    #[error(
        "statistic {statistic}: the sink is at batch {applied}, but the binlog no longer has the batches after it; \
         restore the sink or the state directory to a later state, or go on without these batches under another source \
         name, with `cloned_from`"
    )]
    TooOld {
        /// The statistic.
        statistic: String,
        /// The last sequence that the store has.
        applied: u64,
    },
    /// The store has more batches than the binlog ever had: the state directory is damaged, older than the store, or
    /// a copy.
    #[error(
        "statistic {statistic}: the sink has batch {applied}, but the binlog ends at {last}: the state directory is \
         damaged, older than the sink, or a copy of one that has gone on. {}",
        WAYS_OUT
    )]
    AheadOfBinlog {
        /// The statistic.
        statistic: String,
        /// The last sequence that the store has.
        applied: u64,
        /// The last sequence that the binlog has.
        last: u64,
    },
    /// The store does not know a stream although it has acknowledged batches of it.
    #[error(
        "statistic {statistic}: the sink acknowledged batch {acknowledged}, but remembers nothing of source \
         {source_name}: its tables were emptied or replaced; restore them, or begin again under another \
         name of the sink, with `forget_sink` for the present one"
    )]
    Emptied {
        /// The source.
        source_name: String,
        /// The statistic.
        statistic: String,
        /// The last sequence that the store has acknowledged.
        acknowledged: u64,
    },
    /// The store loses every claim of the source.
    #[error(
        "source {source_name} was claimed {claims} times in a row, and the sink does not know of it: see whether \
         something deletes or overwrites its row in evs_writers, or has reads answered by a replica"
    )]
    Forgetful {
        /// The source.
        source_name: String,
        /// The number of claims since the last batch was applied.
        claims: u32,
    },
    /// Another process has claimed the source.
    #[error(
        "source {} was taken over by {writer}: two processes write under one source name. {}",
        writer.source, WAYS_OUT
    )]
    TakenOver {
        /// The process that has claimed the source.
        writer: Box<Writer>,
    },
    /// The store does not know that the source was claimed: it was restored from a backup, or the row was removed.
    /// The pipeline has to claim the source again.
    #[error("the store does not know who writes source {source_name}")]
    Unclaimed {
        /// The source.
        source_name: String,
    },
}

/// The ways out when two state directories were in use under one source name.
const WAYS_OUT: &str = "If this machine is a copy of another one, give it a source name and a state \
    directory of its own, begun with `cloned_from`. If the state directory was restored from a backup, remove it and \
    go on where the sink stands with `LostState::Adopt`. Otherwise stop the other process, and start this one again";

/// Returns the text of a cause, if there is one, to follow that of its effect.
fn after_colon(cause: Option<&Cause>) -> String {
    cause.map_or(String::new(), |cause| format!(": {}", describe(&**cause)))
}

/// Prints what [`Display`](fmt::Display) prints.
impl fmt::Debug for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SinkError {
    /// Makes an error that passes: [`SinkError::Unavailable`].
    pub fn unavailable(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Unavailable { what: what.into(), source: source.into() }
    }

    /// Makes an error that does not pass and that evs itself has found: [`SinkError::Refused`] without a cause.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), source: None }
    }

    /// Makes an error that does not pass and that the store reported: [`SinkError::Refused`] with the store's error.
    pub fn refused_by(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Refused { what: what.into(), source: Some(source.into()) }
    }

    /// Returns whether the same call may succeed later, without anybody's help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
