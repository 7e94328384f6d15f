//! The requests of a service: to try a refused statistic again, or to give a batch up.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::oneshot;

use super::{
    delivery::Delivery,
    message::{Discard, Ended, Report},
};
use crate::{error::Error, status::Request};

impl<M: From<Report> + Send> Delivery<M> {
    /// Does what the service asks for.
    pub(super) async fn serve(&mut self, request: Request) -> Result<(), Ended> {
        match request {
            Request::Retry { statistic } => self.retry(statistic.as_deref()).await,
            Request::Discard { statistic, sequence, answer } => {
                let done = self.discard(&statistic, sequence).await?;
                let is_done = done.is_ok();
                // The service may have given up waiting.
                let _ = answer.send(done);
                if is_done { self.retry(Some(&statistic)).await } else { Ok(()) }
            }
        }
    }

    /// Tries the refused statistics again. The sink is asked for its progress first, since that may have been the
    /// reason. If nothing of it is refused, there is nothing to ask.
    async fn retry(&mut self, statistic: Option<&str>) -> Result<(), Ended> {
        if !self.streams.iter().any(|stream| stream.is_refused(statistic)) {
            return Ok(());
        }
        tracing::info!(
            source = &*self.source,
            sink = &*self.name,
            statistic,
            "another attempt was asked for"
        );
        self.forget_refusals(statistic);
        self.begin_delivering().await
    }

    /// Gives up the batch that the sink has refused: exports its rows, and makes the decision durable.
    async fn discard(&mut self, statistic: &str, sequence: u64) -> Result<Result<PathBuf, Error>, Ended> {
        let is_refused = |at: &usize| {
            let stream = &self.streams[*at];
            stream.is_refused(Some(statistic)) && stream.acknowledged + 1 == sequence
        };
        let Some(at) = (0..self.streams.len()).find(is_refused) else {
            return Ok(Err(self.not_refused(statistic, sequence)));
        };
        // The sink may have applied the batch, lost its answer, and refused it then. So it has the rows after all.
        if self.has_applied(statistic, sequence).await? {
            self.retry(Some(statistic)).await?;
            return Ok(Err(self.not_refused(statistic, sequence)));
        }
        // A batch that is gone was not refused: the sink lacks it, and that is an error with ways out of its own.
        let Some(batch) = self.read(at, sequence).await? else {
            return Ok(Err(self.not_refused(statistic, sequence)));
        };
        let rows = batch.rows.len() as u64;
        let (answer, answered) = oneshot::channel();
        let discard = Discard { sink: Arc::clone(&self.name), batch, answer };
        // If the committer has failed, the pipeline ends.
        self.committer.send(Report::Discard(discard));
        let done = answered.await.map_err(|_| Ended::Asked)?;
        if done.is_ok() {
            self.streams[at].discarded.add(sequence, rows);
        }
        Ok(done)
    }

    /// Asks the sink whether it has a batch.
    async fn has_applied(&mut self, statistic: &str, sequence: u64) -> Result<bool, Ended> {
        let (sink, source) = (Arc::clone(&self.sink), Arc::clone(&self.source));
        let remembered = self.attempt(|| sink.progress(&source)).await?;
        let mut of_statistic = remembered
            .iter()
            .filter(|progress| progress.epoch == self.epoch && *progress.statistic == *statistic);
        Ok(of_statistic.any(|progress| progress.sequence >= sequence))
    }

    /// Makes the error for a batch that cannot be given up, since it is not the one that the sink has refused.
    pub(super) fn not_refused(&self, statistic: &str, sequence: u64) -> Error {
        let stream = self.streams.iter().find(|stream| *stream.statistic == *statistic);
        let refused = stream.filter(|stream| stream.refused.is_some()).map(|stream| stream.acknowledged + 1);
        Error::NotRefused { sink: self.name.to_string(), statistic: statistic.to_owned(), sequence, refused }
    }
}
