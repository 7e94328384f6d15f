//! Why an attempt came to nothing.

use evs_core::SinkError;

/// What to do about an error of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The database cannot be reached any more. The same call may succeed over a new connection.
    Lost,
    /// The database cannot do it now. The same call may succeed later.
    Busy,
    /// The same call fails until somebody changes something.
    Permanent,
}

/// What a database answered instead.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What to do about it. In SQL stores a duplicate key in `evs_progress` or `evs_statistics` passes, since that is
    /// another writer's doing.
    pub kind: Kind,
    /// The database's own code and words.
    pub message: String,
}

impl StoreError {
    /// An error of that kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// An error that passes by itself, or one that does not.
    pub fn sorted(is_transient: bool, message: impl Into<String>) -> Self {
        Self::new(if is_transient { Kind::Busy } else { Kind::Permanent }, message)
    }

    /// An error that passes by itself.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(Kind::Busy, message)
    }

    /// An error that does not pass by itself.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(Kind::Permanent, message)
    }

    /// Whether the same call may succeed later, without anybody's help.
    pub fn is_transient(&self) -> bool {
        self.kind != Kind::Permanent
    }

    /// The error as a sink returns it, with what was tried.
    pub fn into_sink_error(self, what: impl Into<String>) -> SinkError {
        if self.is_transient() {
            SinkError::unavailable(what, self)
        } else {
            SinkError::refused_by(what, self)
        }
    }
}

/// Why an attempt came to nothing.
#[derive(Debug)]
pub enum Failure {
    /// evs refuses, and the message is complete.
    Sink(SinkError),
    /// The database refuses, in its own words.
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
