//! The failure of an attempt: a database's error, sorted by what to do about it, or a refusal by evs.

use evs_core::SinkError;

/// The ways to react to an error of a database.
///
/// `Lost` and `Busy` are both transient. The difference is what else must be made again: after `Lost` the connection
/// is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The database cannot be reached any more. The same call may succeed over a new connection.
    Lost,
    /// The database cannot do it now. The same call may succeed later.
    Busy,
    /// The same call fails until somebody changes something.
    Permanent,
}

/// An error that a database returned.
///
/// ```
/// use evs_store::{Kind, StoreError};
///
/// let error = StoreError::new(Kind::Busy, "lock wait timeout exceeded (error 1205)");
/// assert!(error.is_transient());
/// let error = error.into_sink_error("batch 7 was not applied");
/// assert_eq!(error.to_string(), "batch 7 was not applied: lock wait timeout exceeded (error 1205)");
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// The reaction to it. In SQL stores a duplicate key in `evs_progress` or `evs_statistics` is transient, since
    /// another writer caused it.
    pub kind: Kind,
    /// The database's own code and message.
    pub message: String,
}

impl StoreError {
    /// An error of that kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A transient error, or a permanent one.
    pub fn sorted(is_transient: bool, message: impl Into<String>) -> Self {
        Self::new(if is_transient { Kind::Busy } else { Kind::Permanent }, message)
    }

    /// A transient error: the same call may succeed later.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(Kind::Busy, message)
    }

    /// A permanent error: the same call fails until somebody changes something.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(Kind::Permanent, message)
    }

    /// True if the same call may succeed later, without anybody's help.
    pub fn is_transient(&self) -> bool {
        self.kind != Kind::Permanent
    }

    /// The error as a sink returns it. `what` describes the attempt that failed.
    pub fn into_sink_error(self, what: impl Into<String>) -> SinkError {
        if self.is_transient() {
            SinkError::unavailable(what, self)
        } else {
            SinkError::refused_by(what, self)
        }
    }
}

/// The failure of an attempt: a database's error, sorted by what to do about it, or a refusal by evs.
///
/// A refusal by evs has no words of a database to add, and none to strike secrets out of.
#[derive(Debug)]
pub enum Failure {
    /// evs refuses. The message is complete: nothing is added to it.
    Sink(SinkError),
    /// The database returned an error, in its own words.
    Store(StoreError),
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
