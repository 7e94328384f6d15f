//! What a sink remembers, held against what the binlog knows.

use std::{cmp::Ordering, sync::Arc};

use super::{Acknowledged, Delivery, Ended};
use crate::{
    sink::{Progress, SinkError},
    tail::Frontier,
};

impl<M: From<Acknowledged> + Send> Delivery<M> {
    /// Finds for every statistic the batch to go on with, or that sink and state directory do not belong
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
            let found = remembered.iter().find(|progress| {
                progress.epoch == self.epoch && *progress.statistic == *self.streams[at].statistic
            });
            match found {
                Some(progress) => self.go_on(at, progress)?,
                None => self.begin(at).await?,
            }
        }
        Ok(())
    }

    /// The sink knows the statistic: it says where to go on.
    fn go_on(&mut self, at: usize, progress: &Progress) -> Result<(), Ended> {
        match progress.sequence.cmp(&self.streams[at].acknowledged) {
            Ordering::Less => {
                self.compare(at, progress.sequence, progress.checksum)?;
                self.go_back(at, progress.sequence)
            }
            Ordering::Equal => self.compare(at, progress.sequence, progress.checksum),
            // Acknowledgements are not synced: these batches were applied, and that was forgotten in a crash.
            Ordering::Greater => self.go_forward(at, progress.sequence, progress.checksum),
        }
    }

    /// The sink has batches up to `sequence`, which has that checksum there: they count as applied if they are of
    /// this history.
    pub(super) fn go_forward(&mut self, at: usize, sequence: u64, checksum: u64) -> Result<(), Ended> {
        self.compare(at, sequence, checksum)?;
        self.move_to(at, sequence, false);
        Ok(())
    }

    /// Compares the last batch that the sink has with the binlog's. One that the binlog does not have any more
    /// cannot be compared.
    fn compare(&self, at: usize, sequence: u64, found: u64) -> Result<(), Ended> {
        let statistic = &self.streams[at].statistic;
        let last = self.binlog.last_sequence(statistic);
        if sequence > last {
            return Err(ahead(statistic, sequence, last));
        }
        match self.binlog.checksum(statistic, sequence) {
            // 0: an earlier evs has set the progress, and knew only the number.
            Some(offered) if offered != found && found != 0 => {
                let statistic = statistic.to_string();
                Err(Ended::Refused(SinkError::Foreign { statistic, sequence, offered, found }))
            }
            _ => Ok(()),
        }
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
        // The batch before the sink's first may be gone; then its position is not known any more.
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

/// The first entry of an epoch that is neither this one nor one that this one has taken over.
pub(crate) fn foreign<'p>(
    remembered: &'p [Progress],
    epoch: crate::Epoch,
    predecessors: &[crate::Epoch],
) -> Option<&'p Progress> {
    remembered.iter().find(|progress| progress.epoch != epoch && !predecessors.contains(&progress.epoch))
}

fn ahead(statistic: &str, sequence: u64, last: u64) -> Ended {
    Ended::Refused(SinkError::AheadOfBinlog { statistic: statistic.to_owned(), applied: sequence, last })
}
