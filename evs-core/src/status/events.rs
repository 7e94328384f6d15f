//! Events: what happened to a pipeline, one by one, for a service that wants to be told.
//!
//! Some events are reported where they happen: commits and what happened to the files of the log. The others follow
//! from the board: after each change of it, [`Told`] compares it with what was told before. So a state that the status
//! shows cannot lack its event.

use std::{fmt, time::SystemTime};

use serde::Serialize;
use tokio::sync::broadcast;

use super::status::{Pause, Phase, SinkState, SinkStatus, StoppedStatistic};
use crate::{seconds, tail::TailEvent};

/// The number of events that a slow receiver may be behind. Then it misses the oldest.
const EVENTS_MAX: usize = 1024;

/// Something that happened to a pipeline. [`StatusHandle::events`](crate::StatusHandle::events) gives them out.
///
/// As text it is one sentence. When it is serialized, the kind is the field `event`, and the time is in seconds since
/// 1970: `{"time":1795246822.25,"event":"sink_down","sink":"reports","error":"connecting: refused"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// The time at which it happened.
    #[serde(serialize_with = "seconds::since_1970")]
    pub time: SystemTime,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kind of an [`Event`], with its facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A run has begun.
    RunBegun,
    /// The log was truncated while it was read. The run reads again from its last commit.
    RunRestarted {
        /// The error, in words.
        error: String,
    },
    /// The run has stopped reading. It commits and delivers what is left.
    RunDraining,
    /// The run has ended. Unless the pipeline is run again, nothing more happens.
    RunEnded {
        /// The error that ended it, in words with its causes. A run that was dropped ends with an error, too.
        error: Option<String>,
    },
    /// Reading pauses, or pauses for another reason than before.
    ReadingPaused {
        /// The reason, in words, as in [`Pause::reason`].
        reason: String,
    },
    /// The pause has ended.
    ReadingResumed,
    /// A file of the log was opened.
    FileOpened {
        /// The path of the file.
        path: String,
        /// The offset at which reading begins.
        offset: u64,
    },
    /// The log's name no longer leads to this file. It is read until it stops growing.
    FileRotated {
        /// The path of the file when the rotation was noticed.
        path: String,
    },
    /// A file was truncated. It is read from its start.
    FileTruncated {
        /// The path of the file.
        path: String,
        /// Bytes that were seen and not read before they were gone.
        lost_bytes: u64,
    },
    /// A rotated file was read to its end.
    FileFinished {
        /// The path of the file.
        path: String,
        /// The length of the file.
        bytes: u64,
    },
    /// A file, or a part of it, cannot be read any more, and the options say to go on without it.
    FileLost {
        /// The path of the file.
        path: String,
        /// Bytes that are known to be lost. For a compressed file, its compressed bytes.
        lost_bytes: u64,
        /// The reason, in words.
        reason: String,
    },
    /// The log, or its next file, is not there or cannot be opened. It is tried again and again.
    LogUnavailable {
        /// The reason, in words.
        reason: String,
    },
    /// The log has something that the operator should look at.
    LogWarning {
        /// What it is, in words.
        text: String,
    },
    /// A cut was committed: its batches are durable in the binlog, and can be delivered.
    Committed {
        /// The statistics that have a batch in it.
        statistics: Vec<String>,
        /// The number of batches.
        batches: u64,
        /// The number of rows in them.
        rows: u64,
    },
    /// A commit has lines that were rejected. They are in the file of rejected lines, as far as there is room.
    LinesRejected {
        /// The number of lines.
        lines: u64,
    },
    /// A commit left lines out of a statistic because their window was past its retention.
    LinesTooLate {
        /// The name of the statistic.
        statistic: String,
        /// The number of lines.
        lines: u64,
    },
    /// A sink answers, for the first time in this run or again.
    SinkUp {
        /// The name of the sink.
        sink: String,
    },
    /// A call of a sink failed with an error that may pass. It is made again and again; the next event is when that
    /// changes.
    SinkDown {
        /// The name of the sink.
        sink: String,
        /// The error, in words with its causes.
        error: String,
    },
    /// A sink refused a batch of a statistic for good. The other statistics go on.
    StatisticStopped {
        /// The name of the sink.
        sink: String,
        /// The name of the statistic.
        statistic: String,
        /// The sequence of the batch.
        sequence: u64,
        /// The error, in words with its causes.
        error: String,
    },
    /// A batch was given up for a sink, by [`StatusHandle::discard`](crate::StatusHandle::discard).
    BatchDiscarded {
        /// The name of the sink.
        sink: String,
        /// The name of the statistic.
        statistic: String,
        /// The sequence of the batch.
        sequence: u64,
        /// The number of its rows.
        rows: u64,
        /// The path of the file that has them.
        path: String,
    },
    /// A sink has stopped: it has refused all statistics, or has a history that is not the one of this state directory.
    SinkStopped {
        /// The name of the sink.
        sink: String,
        /// The error, in words with its causes.
        error: String,
    },
    /// The receiver was too slow and missed events: those before the next one.
    Missed {
        /// The number of events that it missed.
        events: u64,
    },
}

impl Event {
    /// An event that happens now.
    fn now(kind: EventKind) -> Self {
        Self { time: SystemTime::now(), kind }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunBegun => f.write_str("the run has begun"),
            Self::RunRestarted { error } => write!(f, "the run reads again from its last commit: {error}"),
            Self::RunDraining => f.write_str("the run has stopped reading and delivers what is left"),
            Self::RunEnded { error: None } => f.write_str("the run has ended"),
            Self::RunEnded { error: Some(error) } => write!(f, "the run has ended: {error}"),
            Self::ReadingPaused { reason } => write!(f, "reading waits: {reason}"),
            Self::ReadingResumed => f.write_str("reading goes on"),
            Self::FileOpened { path, offset } => write!(f, "{path} is read from byte {offset} on"),
            Self::FileRotated { path } => write!(f, "{path} was rotated"),
            Self::FileTruncated { path, lost_bytes } => {
                write!(f, "{path} was truncated; {lost_bytes} bytes are lost")
            }
            Self::FileFinished { path, bytes } => write!(f, "{path} is finished at {bytes} bytes"),
            Self::FileLost { reason, .. } | Self::LogUnavailable { reason } => f.write_str(reason),
            Self::LogWarning { text } => f.write_str(text),
            Self::Committed { batches, rows, .. } => {
                write!(f, "committed {batches} batches with {rows} rows")
            }
            Self::LinesRejected { lines } => write!(f, "{lines} lines were rejected"),
            Self::LinesTooLate { statistic, lines } => {
                write!(f, "{lines} lines were too late for the statistic {statistic}")
            }
            Self::SinkUp { sink } => write!(f, "the sink {sink} is up"),
            Self::SinkDown { sink, error } => write!(f, "the sink {sink} is down: {error}"),
            Self::StatisticStopped { sink, statistic, sequence, error } => {
                write!(
                    f,
                    "the sink {sink} has stopped for the statistic {statistic} at batch {sequence}: {error}"
                )
            }
            Self::BatchDiscarded { sink, statistic, sequence, rows, path } => write!(
                f,
                "batch {sequence} of the statistic {statistic} was given up for the sink {sink}; its {rows} rows are in {path}"
            ),
            Self::SinkStopped { sink, error } => write!(f, "the sink {sink} has stopped: {error}"),
            Self::Missed { events } => write!(f, "{events} events were missed"),
        }
    }
}

impl From<&TailEvent> for EventKind {
    fn from(event: &TailEvent) -> Self {
        let (lost_bytes, text) = (event.lost(), event.to_string());
        match event {
            TailEvent::Opened { path, offset, .. } => {
                Self::FileOpened { path: path.display().to_string(), offset: *offset }
            }
            TailEvent::Rotated { path, .. } => Self::FileRotated { path: path.display().to_string() },
            TailEvent::Truncated { path, .. } => {
                Self::FileTruncated { path: path.display().to_string(), lost_bytes }
            }
            TailEvent::Finished { path, size, .. } => {
                Self::FileFinished { path: path.display().to_string(), bytes: *size }
            }
            TailEvent::Changed { path, .. }
            | TailEvent::Skipped { path, .. }
            | TailEvent::Gone { path, .. } => {
                Self::FileLost { path: path.display().to_string(), lost_bytes, reason: text }
            }
            TailEvent::Waiting { .. } | TailEvent::Unreadable { .. } => Self::LogUnavailable { reason: text },
            _ => Self::LogWarning { text },
        }
    }
}

/// The events of a pipeline, from the moment at which [`StatusHandle::events`](crate::StatusHandle::events) was called.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// Waits for the next event. Returns `None` when the pipeline is gone and its last event was given out.
    ///
    /// A receiver may be up to 1,024 events behind. If it is further behind, it misses the oldest ones, and is told how
    /// many by an event of its own: [`EventKind::Missed`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(events)) => {
                Some(Event::now(EventKind::Missed { events }))
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// The sending side of the events of a pipeline.
#[derive(Debug)]
pub(super) enum Sender {
    /// Nobody has asked for events, so there is no buffer for them.
    Idle,
    /// The receivers share a buffer.
    Open(broadcast::Sender<Event>),
    /// The pipeline is gone.
    Closed,
}

impl Sender {
    /// Makes a receiver of the events from now on.
    pub(super) fn subscribe(&mut self) -> Events {
        if let Self::Open(sender) = self {
            return Events(sender.subscribe());
        }
        let (sender, receiver) = broadcast::channel(EVENTS_MAX);
        if let Self::Idle = self {
            *self = Self::Open(sender);
        }
        Events(receiver)
    }

    /// Sends an event to the receivers, if there are any. It does not wait for them.
    pub(super) fn send(&self, kind: impl FnOnce() -> EventKind) {
        if let Self::Open(sender) = self
            && sender.receiver_count() > 0
        {
            // The last receiver may be gone by now.
            let _ = sender.send(Event::now(kind()));
        }
    }
}

/// The part of the board for which there are events, as it was when the last event was sent.
#[derive(Debug)]
pub(super) struct Told {
    phase: Phase,
    /// The reason of the pause.
    paused: Option<String>,
    sinks: Vec<SinkState>,
    /// By sink, the statistics that have stopped there.
    stopped: Vec<Vec<String>>,
}

impl Told {
    /// A pipeline that was built, with its number of sinks.
    pub(super) fn new(sinks: usize) -> Self {
        Self {
            phase: Phase::Built,
            paused: None,
            sinks: vec![SinkState::Connecting; sinks],
            stopped: vec![Vec::new(); sinks],
        }
    }

    /// Sends the events that follow from the difference between the board and what was told before. `error` is the
    /// reason for the end of the run.
    pub(super) fn tell(
        &mut self,
        sender: &Sender,
        phase: Phase,
        error: Option<&String>,
        paused: Option<&Pause>,
        sinks: &[SinkStatus],
    ) {
        let has_changed = self.phase != phase;
        self.phase = phase;
        if has_changed && phase == Phase::Running {
            sender.send(|| EventKind::RunBegun);
        }
        for (told, sink) in self.stopped.iter_mut().zip(sinks) {
            for StoppedStatistic { statistic, sequence, error, .. } in &sink.stopped {
                if !told.contains(statistic) {
                    let (sink, statistic) = (sink.name.clone(), statistic.clone());
                    let (sequence, error) = (*sequence, error.clone());
                    sender.send(|| EventKind::StatisticStopped { sink, statistic, sequence, error });
                }
            }
            *told = sink.stopped.iter().map(|stopped| stopped.statistic.clone()).collect();
        }
        for (told, sink) in self.sinks.iter_mut().zip(sinks) {
            let has_changed = *told != sink.state;
            *told = sink.state;
            let error = || sink.last_error.clone().unwrap_or_default();
            match sink.state {
                _ if !has_changed => {}
                SinkState::Up => sender.send(|| EventKind::SinkUp { sink: sink.name.clone() }),
                SinkState::Down => {
                    sender.send(|| EventKind::SinkDown { sink: sink.name.clone(), error: error() });
                }
                SinkState::Stopped => {
                    sender.send(|| EventKind::SinkStopped { sink: sink.name.clone(), error: error() });
                }
                // A run begins, which is an event of its own.
                SinkState::Connecting => {}
            }
        }
        let reason = paused.map(|pause| &pause.reason);
        if self.paused.as_ref() != reason {
            self.paused = reason.cloned();
            sender.send(|| match reason {
                Some(reason) => EventKind::ReadingPaused { reason: reason.clone() },
                None => EventKind::ReadingResumed,
            });
        }
        match phase {
            _ if !has_changed => {}
            Phase::Draining => sender.send(|| EventKind::RunDraining),
            Phase::Ended => sender.send(|| EventKind::RunEnded { error: error.cloned() }),
            Phase::Built | Phase::Running => {}
        }
    }
}
