//! The reports of a delivery to its pipeline.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::oneshot;

use crate::{batch::Batch, binlog::BinlogError, error::Error, sink::SinkError};

/// A report of a delivery to the committer.
#[derive(Debug)]
pub(crate) enum Report {
    /// The sink has batches, or lacks some that it had.
    Acknowledged(Acknowledged),
    /// A batch is given up for the sink.
    Discard(Discard),
}

/// The progress of a sink in the batches of one statistic, which the binlog is to remember.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    /// The name of the sink.
    pub(crate) sink: Arc<str>,
    /// The name of the statistic.
    pub(crate) statistic: Arc<str>,
    /// The sequence up to which the sink has the batches.
    pub(crate) sequence: u64,
    /// True if the sink had more batches and lost them: the batches after `sequence` are needed again.
    pub(crate) went_back: bool,
}

/// A batch to give up for a sink: its rows are to be exported, and the binlog is to remember that.
#[derive(Debug)]
pub(crate) struct Discard {
    /// The name of the sink.
    pub(crate) sink: Arc<str>,
    /// The batch.
    pub(crate) batch: Batch,
    /// Gets the path of the exported file when both are durable. Nobody answers if the committer has failed.
    pub(crate) answer: oneshot::Sender<Result<PathBuf, Error>>,
}

/// The reason for the end of a delivery.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The pipeline asked for it.
    Asked,
    /// The sink refused something permanently.
    Refused(SinkError),
    /// An error after which the pipeline may commit nothing more.
    Fatal(Box<Error>),
}

impl From<BinlogError> for Ended {
    fn from(error: BinlogError) -> Self {
        Self::Fatal(Box::new(error.into()))
    }
}
