//! Claims a source in a sink, so that only one process writes it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Acknowledged, Delivery, Ended};
use crate::{batch::Epoch, error::Error, position::Frontier, sink::SinkError, writer::Writer};

/// The claims of this process, one per sink. They outlive the runs of a pipeline: a process whose source was taken
/// over stays without it until the process ends.
#[derive(Debug)]
pub(crate) struct Claims {
    own: Arc<Writer>,
    by_sink: Mutex<BTreeMap<String, Arc<Writer>>>,
}

impl Claims {
    /// Makes the claims of a process that has not claimed anything yet.
    pub(crate) fn new(own: Writer) -> Self {
        Self { own: Arc::new(own), by_sink: Mutex::default() }
    }

    /// Returns this process as `sink` knows it. The fence is 0 if the source was not claimed there.
    pub(crate) fn writer(&self, sink: &str) -> Arc<Writer> {
        let by_sink = self.by_sink.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_sink.get(sink).unwrap_or(&self.own))
    }

    /// Remembers that this process has claimed the source in `sink` as `writer`.
    pub(crate) fn claimed(&self, sink: &str, writer: Writer) {
        let mut by_sink = self.by_sink.lock().unwrap_or_else(PoisonError::into_inner);
        by_sink.insert(sink.to_owned(), Arc::new(writer));
    }
}

/// Returns `own` as it claims a source that `last` was the last to claim. Returns `None` if the epoch of `last` is
/// neither that of `own` nor one of `predecessors`: then another state directory uses the name of the source.
pub(crate) fn next_writer(own: &Writer, last: Option<&Writer>, predecessors: &[Epoch]) -> Option<Writer> {
    let is_ours = |last: &Writer| last.epoch == own.epoch || predecessors.contains(&last.epoch);
    if !last.is_none_or(is_ours) {
        return None;
    }
    let fence = own.fence.max(last.map_or(0, |last| last.fence)) + 1;
    Some(Writer { fence, ..own.clone() })
}

impl<M: From<Acknowledged> + Send> Delivery<M> {
    /// Makes this process the one that writes the source to the sink.
    ///
    /// If the last writer is another process of the same epoch, it is taken for a predecessor of this one that has
    /// ended. If it is still alive, it stops at its next batch.
    pub(super) async fn claim(&mut self) -> Result<(), Ended> {
        let (sink, source) = (Arc::clone(&self.sink), Arc::clone(&self.source));
        self.claimed += 1;
        let own = self.claims.writer(&self.name);
        loop {
            let last = self.attempt(|| sink.writer(&source)).await?;
            match own.check(last.as_ref()) {
                Ok(()) => {
                    // The writer is taken from the store, since the answer to an earlier claim may have been lost.
                    last.into_iter().for_each(|last| self.claims.claimed(&self.name, last));
                    return Ok(());
                }
                // This process had claimed the source before, and another process claimed it later.
                Err(taken @ SinkError::TakenOver { .. }) if own.fence > 0 => {
                    return Err(Ended::Refused(taken));
                }
                Err(_) => {}
            }
            let Some(next) = next_writer(&own, last.as_ref(), &self.predecessors) else {
                let found = last.as_ref().map_or(self.epoch, |last| last.epoch);
                return Err(self.foreign_state(found, None, last));
            };
            if self.attempt(|| sink.claim(&next, last.as_ref())).await? {
                tracing::info!(source = &*self.source, sink = &*self.name, writer = %next, "the source is claimed");
                self.claims.claimed(&self.name, next);
                return Ok(());
            }
        }
    }

    /// The end of a delivery whose sink knows the source under an epoch that is not this state directory's.
    pub(super) fn foreign_state(
        &self,
        found: Epoch,
        position: Option<&Frontier>,
        writer: Option<Writer>,
    ) -> Ended {
        Ended::Fatal(Box::new(Error::ForeignState {
            name: self.source.to_string(),
            sink: self.name.to_string(),
            found,
            epoch: self.epoch,
            position: position.cloned().map(Box::new),
            writer: writer.map(Box::new),
        }))
    }
}
