//! The facts that a delivery keeps per statistic: the position of the sink, and the next removal of old windows.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    binlog::{Discarded, SinkProgress},
    sink::SinkError,
    statistic::Schema,
};

/// The delivery of one statistic's batches to one sink.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) statistic: Arc<str>,
    /// The sequence after which the sink began.
    pub(super) begin: u64,
    /// The last sequence that the sink has acknowledged.
    pub(super) acknowledged: u64,
    /// The schema with which the store was prepared last.
    pub(super) prepared: Option<Arc<Schema>>,
    /// The batches that were given up for this sink. They are offered without their rows.
    pub(super) discarded: Discarded,
    /// The refusal for which no more batches of this statistic are offered, until somebody asks for it.
    pub(super) refused: Option<SinkError>,
}

impl Stream {
    /// Makes the stream of a statistic that stands at `progress`.
    pub(crate) fn new(statistic: Arc<str>, progress: SinkProgress) -> Self {
        let SinkProgress { begin, acknowledged, discarded } = progress;
        Self { statistic, begin, acknowledged, prepared: None, discarded, refused: None }
    }

    /// Returns whether the sink has refused a batch of this statistic, and the statistic is the named one, or none is
    /// named.
    pub(super) fn is_refused(&self, statistic: Option<&str>) -> bool {
        self.refused.is_some() && statistic.is_none_or(|statistic| *self.statistic == *statistic)
    }
}

/// The time of the next removal of old windows of one statistic.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(super) schema: Arc<Schema>,
    pub(super) due: Instant,
}

impl Sweep {
    /// Makes a sweep of `schema` that is due at once.
    pub(crate) fn new(schema: Arc<Schema>) -> Self {
        Self { schema, due: Instant::now() }
    }
}
