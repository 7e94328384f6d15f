//! What a sink remembers, held against what the binlog knows.

use std::{cmp::Ordering, sync::Arc};

use super::{Acknowledged, Delivery, Ended};
use crate::{
    Error,
    sink::{Progress, SinkError},
    tail::Frontier,
};

impl<M: From<Acknowledged> + Send> Delivery<M> {
    /// Finds for every statistic the batch to go on with, or that sink and state directory do not belong
    /// together.
    pub(super) async fn reconcile(&mut self, remembered: Vec<Progress>) -> Result<(), Ended> {
        if let Some(foreign) = foreign(&remembered, self.epoch, &self.predecessors) {
            return Err(Ended::Fatal(Box::new(Error::ForeignState {
                name: self.source.to_string(),
                sink: self.name.to_string(),
                found: foreign.epoch,
                epoch: self.epoch,
                position: Box::new(foreign.to.clone()),
            })));
        }
        for progress in remembered.iter().filter(|progress| progress.epoch == self.epoch) {
            let known = self.streams.iter().any(|stream| *stream.statistic == *progress.statistic);
            if !known {
                return Err(ahead(progress, 0));
            }
        }
        for at in 0..self.streams.len() {
            let found = remembered.iter().find(|progress| {
                progress.epoch == self.epoch && *progress.statistic == *self.streams[at].statistic
            });
            match found {
                Some(progress) => self.go_on(at, progress).await?,
                None => self.begin(at).await?,
            }
        }
        Ok(())
    }

    /// The sink knows the statistic: it says where to go on.
    async fn go_on(&mut self, at: usize, progress: &Progress) -> Result<(), Ended> {
        let last = self.binlog.last_sequence(&self.streams[at].statistic);
        if progress.sequence > last {
            return Err(ahead(progress, last));
        }
        // What a sink began behind is only a number to it.
        if progress.sequence > self.streams[at].begin
            && let Some(batch) = self.read(at, progress.sequence).await?
            && batch.checksum() != progress.checksum
        {
            return Err(Ended::Refused(SinkError::Foreign {
                statistic: progress.statistic.clone(),
                sequence: progress.sequence,
                offered: batch.checksum(),
                found: progress.checksum,
            }));
        }
        match progress.sequence.cmp(&self.streams[at].acknowledged) {
            Ordering::Less => self.go_back(at, progress.sequence)?,
            Ordering::Equal => {}
            // Acknowledgements are not synced: these batches were applied, and that was forgotten in a crash.
            Ordering::Greater => self.move_to(at, progress.sequence, false),
        }
        Ok(())
    }

    /// The sink does not know the statistic: right for a new one, and a loss for one that it had.
    async fn begin(&mut self, at: usize) -> Result<(), Ended> {
        let stream = &self.streams[at];
        if stream.acknowledged > stream.begin {
            return Err(self.emptied(at));
        }
        if stream.begin == 0 {
            return Ok(());
        }
        // The batch before the sink's first may be gone; then only its number is remembered.
        let (to, checksum) = match self.read(at, stream.begin).await? {
            Some(batch) => (Frontier::clone(&batch.to), batch.checksum()),
            None => Default::default(),
        };
        let stream = &self.streams[at];
        let progress = Progress {
            source: self.source.to_string(),
            epoch: self.epoch,
            statistic: stream.statistic.to_string(),
            sequence: stream.begin,
            to,
            checksum,
        };
        let sink = Arc::clone(&self.sink);
        self.attempt(|| sink.begin(&progress)).await
    }
}

/// The first entry of an epoch that is neither this one nor one that this one has taken over.
pub(crate) fn foreign<'p>(
    remembered: &'p [Progress],
    epoch: crate::Epoch,
    predecessors: &[crate::Epoch],
) -> Option<&'p Progress> {
    remembered.iter().find(|progress| progress.epoch != epoch && !predecessors.contains(&progress.epoch))
}

fn ahead(progress: &Progress, last: u64) -> Ended {
    Ended::Refused(SinkError::refused(format!(
        "statistic {}: the sink has batch {}, but the binlog ends at {last}: the state directory is damaged or \
         older than the sink; restore it from its latest state, or remove it and adopt the sink's position",
        progress.statistic, progress.sequence
    )))
}
