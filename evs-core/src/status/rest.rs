//! The part of the board that changes seldom.

use std::{
    collections::VecDeque,
    time::{Instant, SystemTime},
};

use tokio::sync::mpsc::UnboundedSender;

use super::{
    events::{Sender, Told},
    request::Request,
    status::{Pause, Phase, RejectedLines, RejectedSample, SinkStatus, StatisticStatus},
    timing::Timing,
};
use crate::{Error, counters::Counters, format::Reason, position::Frontier, tail::Backlog};

/// The part of the board that changes seldom; a mutex protects it.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) phase: Phase,
    pub(crate) position: Frontier,
    pub(crate) paused: Option<Pause>,
    /// The pause that the service has requested.
    pub(super) requested: Option<Pause>,
    pub(crate) last_event: Option<String>,
    pub(crate) sinks: Vec<SinkStatus>,
    /// By sink, the time of the oldest commit that waits.
    pub(super) waiting_since: Vec<Option<i64>>,
    /// By sink, the requests to its delivery, while it runs.
    pub(super) requests: Vec<Option<UnboundedSender<Request>>>,
    pub(super) statistics: Vec<StatisticStatus>,
    /// The rejected lines by reason.
    pub(super) rejections: Vec<(Reason, u64)>,
    pub(super) rejected_samples: VecDeque<RejectedSample>,
    pub(super) cut_time: Timing,
    pub(super) commit_time: Timing,
    pub(super) started: Option<SystemTime>,
    pub(super) backlog: Backlog,
    /// The last time at which nothing was unread.
    pub(super) caught_up: Option<Instant>,
    pub(super) rates: VecDeque<(Instant, Counters)>,
    /// The counters when watchers were last woken because of them.
    pub(super) watched: Counters,
    /// The reason for the end of the run, if it was an error.
    pub(super) error: Option<String>,
    /// True when the pipeline is gone.
    pub(super) is_gone: bool,
    /// Sends events.
    pub(super) events: Sender,
    pub(super) told: Told,
}

impl Rest {
    /// Makes the part of a pipeline that was built and is not running.
    pub(super) fn new(sinks: Vec<SinkStatus>, statistics: Vec<StatisticStatus>) -> Self {
        Self {
            phase: Phase::Built,
            position: Frontier::default(),
            paused: None,
            requested: None,
            last_event: None,
            waiting_since: vec![None; sinks.len()],
            requests: vec![None; sinks.len()],
            told: Told::new(sinks.len()),
            sinks,
            statistics,
            rejections: Vec::new(),
            rejected_samples: VecDeque::new(),
            cut_time: Timing::default(),
            commit_time: Timing::default(),
            started: None,
            backlog: Backlog::default(),
            caught_up: None,
            rates: VecDeque::new(),
            watched: Counters::default(),
            error: None,
            is_gone: false,
            events: Sender::Idle,
        }
    }

    /// The reason for a pause in reading: the pipeline's own, or else the service's.
    pub(super) fn pause(&self) -> Option<&Pause> {
        self.paused.as_ref().or(self.requested.as_ref())
    }

    /// Returns how many lines were rejected for each reason, most first.
    pub(super) fn rejected_by_reason(&self) -> Vec<RejectedLines> {
        let of = |(reason, lines): &(Reason, u64)| RejectedLines { reason: reason.code(), lines: *lines };
        let mut by_reason: Vec<_> = self.rejections.iter().map(of).collect();
        by_reason.sort_unstable_by_key(|of| (std::cmp::Reverse(of.lines), of.reason));
        by_reason
    }

    /// Sends the events that follow from the last change.
    pub(super) fn tell(&mut self) {
        // A reason of the pipeline's own ends with its run.
        let own = self.paused.as_ref().filter(|_| self.phase != Phase::Ended);
        let paused = own.or(self.requested.as_ref());
        self.told.tell(&self.events, self.phase, self.error.as_ref(), paused, &self.sinks);
    }

    /// Returns the index of the sink with that name.
    pub(crate) fn index_of(&self, sink: &str) -> Result<usize, Error> {
        let at = self.sinks.iter().position(|known| known.name == sink);
        at.ok_or_else(|| Error::UnknownSink { sink: sink.to_owned() })
    }
}
