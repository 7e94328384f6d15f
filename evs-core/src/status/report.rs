//! What happens to the log and at commits: the board shows it, and sends it as events.

use std::{
    path::Path,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, SystemTime},
};

use super::{board::Board, events::EventKind, rest::Rest, status::RejectedSample};
use crate::{
    batch::Batch,
    format::{Reason, add_reasons},
    tail::TailEvent,
};

/// The facts of a commit that a status or an event shows.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    /// The statistics that have a batch in it, with the number of batches and of rows.
    pub(crate) cuts: Vec<(String, u64, u64)>,
    /// By statistic, the lines that its condition selected since the last commit.
    pub(crate) selected: Vec<u64>,
    /// By statistic, the lines that were too late since the last commit.
    pub(crate) too_late: Vec<u64>,
    /// The lines that were rejected since the last commit.
    pub(crate) rejected: u64,
    /// The same by reason.
    pub(crate) rejections: Vec<(Reason, u64)>,
    /// The last of them.
    pub(crate) samples: Vec<RejectedSample>,
    /// The time from the beginning of the cut until it was durable.
    pub(crate) cut_time: Duration,
    /// The time that the binlog took of it.
    pub(crate) commit_time: Duration,
}

impl Board {
    /// Shows an event of the log.
    pub(crate) fn show_log_event(&self, event: &TailEvent) {
        let mut rest = self.rest();
        rest.last_event = Some(event.to_string());
        rest.events.send(|| event.into());
    }

    /// Shows something about the log that the operator should look at.
    pub(crate) fn show_log_warning(&self, text: String) {
        self.rest().events.send(|| EventKind::LogWarning { text });
    }

    /// Shows that the log cannot be opened. Returns whether that is news.
    pub(crate) fn show_log_unavailable(&self, error: &str) -> bool {
        let mut rest = self.rest();
        let is_new = rest.last_event.as_deref() != Some(error);
        if is_new {
            rest.last_event = Some(error.to_owned());
            rest.events.send(|| EventKind::LogUnavailable { reason: error.to_owned() });
        }
        is_new
    }

    /// Shows that a batch was given up for a sink, with its rows in the file at `path`.
    pub(crate) fn show_discard(&self, sink: &str, batch: &Batch, path: &Path) {
        self.rest().events.send(|| EventKind::BatchDiscarded {
            sink: sink.to_owned(),
            statistic: batch.statistic().to_owned(),
            sequence: batch.sequence,
            rows: batch.rows.len() as u64,
            path: path.display().to_string(),
        });
    }

    /// Shows a commit.
    pub(crate) fn show_commit(&self, committed: Committed) {
        let Committed { cuts, selected, too_late, rejected, rejections, samples, cut_time, commit_time } =
            committed;
        let batches = cuts.iter().map(|(_, batches, _)| batches).sum();
        self.batches.fetch_add(batches, Relaxed);
        let now = SystemTime::now();
        let mut rest = self.rest();
        rest.cut_time.add(cut_time);
        rest.commit_time.add(commit_time);
        add_reasons(&mut rest.rejections, &rejections);
        rest.rejected_samples.extend(samples);
        let surplus = rest.rejected_samples.len().saturating_sub(RejectedSample::MAX);
        rest.rejected_samples.drain(..surplus);
        let Rest { statistics, events, .. } = &mut *rest;
        if rejected > 0 {
            events.send(|| EventKind::LinesRejected { lines: rejected });
        }
        for (statistic, lines) in statistics.iter_mut().zip(selected) {
            statistic.selected += lines;
        }
        for (statistic, lines) in statistics.iter_mut().zip(too_late).filter(|(_, lines)| *lines > 0) {
            statistic.too_late += lines;
            events.send(|| EventKind::LinesTooLate { statistic: statistic.name.clone(), lines });
        }
        for (name, batches, rows) in &cuts {
            if let Some(statistic) = statistics.iter_mut().find(|statistic| statistic.name == *name) {
                statistic.last_cut = Some(now);
                statistic.batches += batches;
                statistic.batch_rows += rows;
            }
        }
        if batches > 0 {
            let rows = cuts.iter().map(|(.., rows)| rows).sum();
            let statistics = || cuts.iter().map(|(name, ..)| name.clone()).collect();
            events.send(|| EventKind::Committed { statistics: statistics(), batches, rows });
        }
    }
}
