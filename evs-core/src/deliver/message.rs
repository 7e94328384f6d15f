//! The reports of a delivery to its pipeline.

use std::sync::Arc;

use crate::{binlog::BinlogError, error::Error, sink::SinkError};

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

/// The reason for the end of a delivery.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The pipeline asked for it.
    Asked,
    /// The sink refused a batch permanently.
    Refused(SinkError),
    /// An error after which the pipeline may commit nothing more.
    Fatal(Box<Error>),
}

impl From<BinlogError> for Ended {
    fn from(error: BinlogError) -> Self {
        Self::Fatal(Box::new(error.into()))
    }
}
