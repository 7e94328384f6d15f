//! Health: whether the threads advance, and whether the pipelines read.

use std::time::Duration;

use evs_core::SinkState;
use serde::Serialize;

use crate::cockpit::{Cockpit, SourceState, SourceStatus};

/// The health of all pipelines, for an orchestrator.
///
/// A sink that is down makes nothing unhealthy: the pipeline goes on reading, and catches up when the sink is back. To kill or
/// drain a process for it would help nobody. It is among the [`notes`](Self::notes).
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// True if nothing failed.
    pub is_ok: bool,
    /// What failed, in words.
    pub failures: Vec<String>,
    /// What an operator should know all the same, in words: sinks that are down, pauses.
    pub notes: Vec<String>,
}

impl Health {
    fn of(failures: Vec<String>, sources: &[SourceStatus]) -> Self {
        Self { is_ok: failures.is_empty(), failures, notes: sources.iter().flat_map(notes).collect() }
    }
}

impl Cockpit {
    /// Returns whether the process works, or should be restarted: a run has ended with an error, or a thread has made no step for
    /// a [set time](Cockpit::stuck_after) although it has work, such as a sync of a disk that does not return.
    pub fn live(&self) -> Health {
        let sources = self.sources();
        let failures = sources.iter().flat_map(|source| not_live(source, self.limit())).collect();
        Health::of(failures, &sources)
    }

    /// Returns whether all pipelines read their logs: a pipeline that starts, ends or has failed is not ready.
    pub fn ready(&self) -> Health {
        let sources = self.sources();
        let not_ready = |source: &SourceStatus| match source.state {
            SourceState::Running => None,
            state => {
                let error = source.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
                Some(format!("{}: {}{error}", source.source, in_words(state)))
            }
        };
        let failures = sources.iter().filter_map(not_ready).collect();
        Health::of(failures, &sources)
    }
}

/// Says why a pipeline should be restarted.
fn not_live(source: &SourceStatus, limit: Duration) -> Vec<String> {
    let name = &source.source;
    let mut failures = Vec::new();
    if let (SourceState::Ended | SourceState::Failed, Some(error)) = (source.state, &source.error) {
        failures.push(format!("{name}: {}: {error}", in_words(source.state)));
    }
    for thread in source.status.iter().flat_map(|status| &status.threads) {
        if !thread.is_waiting && thread.since > limit {
            let (thread, seconds) = (&thread.name, thread.since.as_secs());
            failures.push(format!("{name}: the {thread} has made no step for {seconds} s"));
        }
    }
    failures
}

fn notes(source: &SourceStatus) -> Vec<String> {
    let Some(status) = &source.status else { return Vec::new() };
    let name = &source.source;
    let mut notes = Vec::new();
    if let Some(pause) = &status.paused {
        notes.push(format!("{name}: reading is paused: {}", pause.reason));
    }
    for sink in &status.sinks {
        let error = sink.last_error.as_deref().unwrap_or("no answer yet");
        if sink.state != SinkState::Up {
            notes.push(format!("{name}: the sink {} is {}: {error}", sink.name, sink.state));
        }
        for stopped in &sink.stopped {
            let (statistic, sequence, error) = (&stopped.statistic, stopped.sequence, &stopped.error);
            notes.push(format!(
                "{name}: the sink {} refused batch {sequence} of {statistic}: {error}",
                sink.name
            ));
        }
    }
    notes
}

fn in_words(state: SourceState) -> &'static str {
    match state {
        SourceState::Starting => "the state directory is opened",
        SourceState::Failed => "the pipeline could not be built",
        SourceState::Built => "the pipeline is not run yet",
        SourceState::Running => "the pipeline runs",
        SourceState::Draining => "the pipeline ends",
        SourceState::Ended => "the run has ended",
    }
}
