//! Compares the progress that a sink remembers with the binlog's.

use std::{cmp::Ordering, sync::Arc};

use super::{
    delivery::Delivery,
    message::{Ended, Report},
    stream::Stream,
};
use crate::{
    batch::{Epoch, checksum},
    position::Frontier,
    sink::{Progress, SinkError},
};

impl<M: From<Report> + Send> Delivery<M> {
    /// Skips the batches of a copied state directory that the sink has from the source they were cut for. That directory
    /// may not know that the sink has them: an acknowledgement is written after the batch was applied, and a process may
    /// be killed in between. Returns the streams that have moved on.
    ///
    /// The sink's last batch there is compared by its checksum with the batch here that has its rows. A sink whose last
    /// batch is another one has gone on without this directory, and has none of these.
    pub(super) async fn skip_what_the_original_delivered(
        &mut self,
        remembered: &[Progress],
    ) -> Result<Vec<usize>, Ended> {
        let mut skipped = Vec::new();
        let Some(cloned) = self.cloned.clone() else { return Ok(skipped) };
        let is_known = |statistic: &str| {
            remembered.iter().any(|found| found.epoch == self.epoch && found.statistic == statistic)
        };
        let is_new = |stream: &Stream| stream.acknowledged == stream.begin && !is_known(&stream.statistic);
        let new: Vec<_> = (0..self.streams.len()).filter(|&at| is_new(&self.streams[at])).collect();
        if new.is_empty() {
            return Ok(skipped);
        }
        let sink = Arc::clone(&self.sink);
        let original = self.attempt(|| sink.progress(&cloned.source)).await?;
        for at in new {
            let statistic = Arc::clone(&self.streams[at].statistic);
            let found = |found: &&Progress| found.epoch == cloned.epoch && *found.statistic == *statistic;
            let Some(found) = original.iter().find(found) else { continue };
            let begin = cloned.begins.get(&*statistic).copied().unwrap_or_default();
            let sequence = found.sequence.saturating_sub(begin);
            if sequence <= self.streams[at].acknowledged {
                continue;
            }
            let Some(batch) = self.read(at, sequence).await? else { continue };
            if checksum(found.sequence, &batch.schema, &batch.to, &batch.rows) == found.checksum {
                let stream = &mut self.streams[at];
                (stream.begin, stream.acknowledged) = (sequence, sequence);
                skipped.push(at);
            }
        }
        Ok(skipped)
    }

    /// Finds the next batch of every statistic, or an error if the sink and the state directory do not belong
    /// together.
    pub(super) async fn reconcile(&mut self, remembered: Vec<Progress>) -> Result<(), Ended> {
        if let Some(foreign) = foreign(&remembered, self.epoch, &self.predecessors) {
            let (sink, source) = (Arc::clone(&self.sink), Arc::clone(&self.source));
            let writer = self.attempt(|| sink.writer(&source)).await?;
            return Err(self.foreign_state(foreign.epoch, Some(&foreign.to), writer));
        }
        for progress in remembered.iter().filter(|progress| progress.epoch == self.epoch) {
            let known = self.streams.iter().any(|stream| *stream.statistic == *progress.statistic);
            if !known {
                return Err(ahead(&progress.statistic, progress.sequence, 0));
            }
        }
        for at in 0..self.streams.len() {
            if self.streams[at].refused.is_some() {
                continue;
            }
            let found = remembered.iter().find(|progress| {
                progress.epoch == self.epoch && *progress.statistic == *self.streams[at].statistic
            });
            let reconciled = match found {
                Some(progress) => self.go_on(at, progress),
                None => self.begin(at).await,
            };
            self.stop_if_refused(at, reconciled)?;
        }
        Ok(())
    }

    /// Continues a statistic that the sink knows: its progress names the last batch applied.
    fn go_on(&mut self, at: usize, progress: &Progress) -> Result<(), Ended> {
        match progress.sequence.cmp(&self.streams[at].acknowledged) {
            Ordering::Less => {
                self.compare(at, progress.sequence, progress.checksum)?;
                self.go_back(at, progress.sequence)
            }
            Ordering::Equal => self.compare(at, progress.sequence, progress.checksum),
            // Acknowledgements are not synced: these batches were applied, and a crash lost the acknowledgement.
            Ordering::Greater => self.go_forward(at, progress.sequence, progress.checksum),
        }
    }

    /// Handles a sink that has batches up to `sequence`, the last with the given checksum. They count as applied if
    /// they are of this history.
    pub(super) fn go_forward(&mut self, at: usize, sequence: u64, checksum: u64) -> Result<(), Ended> {
        self.compare(at, sequence, checksum)?;
        self.move_to(at, sequence, false);
        Ok(())
    }

    /// Compares the last batch of the sink with the one in the binlog. A batch that the binlog no longer has cannot
    /// be compared.
    fn compare(&self, at: usize, sequence: u64, found: u64) -> Result<(), Ended> {
        let statistic = &self.streams[at].statistic;
        let last = self.binlog.last_sequence(statistic);
        if sequence > last {
            return Err(ahead(statistic, sequence, last));
        }
        match self.binlog.checksum(statistic, sequence) {
            // A checksum of 0 means that an earlier version of evs set the progress and knew only the sequence.
            Some(offered) if offered != found && found != 0 => {
                let statistic = statistic.to_string();
                Err(Ended::Refused(SinkError::Foreign { statistic, sequence, offered, found }))
            }
            _ => Ok(()),
        }
    }

    /// Handles a sink that does not know the statistic. For a new sink that is right; for one that has acknowledged
    /// batches it is a loss.
    async fn begin(&mut self, at: usize) -> Result<(), Ended> {
        let stream = &self.streams[at];
        if stream.acknowledged > stream.begin {
            return Err(self.emptied(at));
        }
        if stream.begin == 0 {
            return Ok(());
        }
        // The batch before the sink's first one may be gone. Then its position is not known any more.
        let checksum = self.binlog.checksum(&stream.statistic, stream.begin).unwrap_or_default();
        let batch = self.read(at, stream.begin).await?;
        let to = batch.map_or_else(Frontier::default, |batch| Frontier::clone(&batch.to));
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

/// Returns the first entry whose epoch is neither this one nor one that this one has taken over.
pub(crate) fn foreign<'p>(
    remembered: &'p [Progress],
    epoch: Epoch,
    predecessors: &[Epoch],
) -> Option<&'p Progress> {
    remembered.iter().find(|progress| progress.epoch != epoch && !predecessors.contains(&progress.epoch))
}

/// The end of a delivery whose sink has batches that the binlog never had.
fn ahead(statistic: &str, sequence: u64, last: u64) -> Ended {
    Ended::Refused(SinkError::AheadOfBinlog { statistic: statistic.to_owned(), applied: sequence, last })
}
