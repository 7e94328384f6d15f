//! The requests of a service to the delivery of a sink.

use std::path::PathBuf;

use tokio::sync::oneshot;

use crate::Error;

/// A request of a service. A [`StatusHandle`](super::StatusHandle) makes it; the delivery of the sink serves it.
#[derive(Debug)]
pub(crate) enum Request {
    /// Try again what the sink has refused: one statistic, or all of them.
    Retry { statistic: Option<String> },
    /// Give up the batch that the sink has refused.
    Discard {
        statistic: String,
        sequence: u64,
        /// Gets the path of the file with the rows.
        answer: oneshot::Sender<Result<PathBuf, Error>>,
    },
}
