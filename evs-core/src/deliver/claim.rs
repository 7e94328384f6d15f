//! Claims a source in a sink, so that only one process writes it.

use std::sync::Arc;

use super::{
    claims::next_writer,
    delivery::Delivery,
    message::{Ended, Report},
};
use crate::{batch::Epoch, error::Error, position::Frontier, sink::SinkError, writer::Writer};

impl<M: From<Report> + Send> Delivery<M> {
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
