//! The signals between the threads and tasks of a run: stop, pause, continue, and cut early.
//!
//! | signal | set by | seen by |
//! | --- | --- | --- |
//! | `failed` | whichever thread fails first | all: nothing more is committed |
//! | `stop_reading` | the shutdown | the reader, which then makes the last cut |
//! | `hold` | the committer | the reader, which pauses |
//! | `rows_reached` | a worker | the reader, which cuts early |
//! | `stop` | the run, at the end | the deliveries |
//!
//! The reader sleeps most of the time, so whoever has news for it also wakes it.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    Error,
    deliver::Stop,
    tail::{TailError, Wake},
    turns::{Announced, Turns, deadline},
};

/// The means by which the threads and tasks of a run tell each other to stop, to pause and to continue.
#[derive(Debug)]
pub(super) struct Control {
    /// Wakes the reader.
    wake: Wake,
    turns: Turns,
    /// Set after a failure: nothing more may be committed.
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
    /// Set when the reader is to stop reading.
    stop_reading: AtomicBool,
    /// Set while the reader is to pause: the binlog has reached its limit, or its disk is full.
    pub(super) hold: AtomicBool,
    /// Set, by statistic, when a worker's table has reached its share of the row limit.
    rows_reached: Box<[AtomicBool]>,
    /// The number of committed cuts. The reader counts the cuts that it has begun.
    pub(super) cuts_done: AtomicU64,
    stop: Announced<Stop>,
}

impl Control {
    /// Makes the signals of a run with the given number of statistics.
    pub(super) fn new(wake: Wake, turns: &Turns, statistics: usize) -> Self {
        Self {
            wake,
            turns: turns.clone(),
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
            stop_reading: AtomicBool::new(false),
            hold: AtomicBool::new(false),
            rows_reached: (0..statistics).map(|_| AtomicBool::new(false)).collect(),
            cuts_done: AtomicU64::new(0),
            stop: Announced::new(Stop::No),
        }
    }

    /// Returns what wakes the reader, which also collects what the file system reports.
    pub(super) fn wake_of_reader(&self) -> Wake {
        self.wake.clone()
    }

    /// Wakes the reader, which has news.
    pub(super) fn wake(&self) {
        self.wake.wake();
        self.turns.changed();
    }

    /// Lets the reader wait until it is woken, but no longer than `timeout`.
    pub(super) async fn wait(&self, timeout: Duration) {
        if self.turns.may_block() {
            return self.wake.wait(timeout);
        }
        let until = deadline(timeout);
        while !self.wake.take() && self.turns.change_before(until).await {}
    }

    /// Stops the whole pipeline before anything more is committed. The first error is reported.
    pub(super) fn fail(&self, error: Error) {
        let text = crate::describe(&error);
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        // After a truncation the run starts again, so any other error takes the place of that one: it must not be
        // lost.
        let may_restart = matches!(&*first, Some(Error::Log { source: TailError::Shrunk { .. }, .. }));
        if first.is_none() || may_restart {
            *first = Some(error);
        }
        drop(first);
        self.abort();
        // The message comes last, since the code that writes the program's log may panic, too.
        tracing::error!(error = text, "the pipeline stops");
    }

    /// Stops the pipeline like [`fail`](Self::fail), without an error.
    pub(super) fn abort(&self) {
        self.failed.store(true, SeqCst);
        self.stop.update(|_| Some(Stop::Now));
        self.wake();
    }

    /// Asks for an early cut of a statistic.
    pub(super) fn reach_rows(&self, statistic: usize) {
        if !self.rows_reached[statistic].swap(true, SeqCst) {
            self.wake();
        }
    }

    /// Returns whether an early cut of that statistic was asked for.
    pub(super) fn has_reached_rows(&self, statistic: usize) -> bool {
        self.rows_reached[statistic].load(SeqCst)
    }

    /// Clears the request for an early cut when the statistic is cut.
    pub(super) fn clear_rows_reached(&self, statistic: usize) {
        self.rows_reached[statistic].store(false, SeqCst);
    }

    /// Returns whether the pipeline has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(SeqCst)
    }

    /// Takes the error for which the pipeline failed.
    pub(super) fn take_error(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Tells the reader to stop reading.
    pub(super) fn stop_reading(&self) {
        self.stop_reading.store(true, SeqCst);
        self.wake();
    }

    /// Returns whether the reader is to stop reading, by request or after a failure.
    pub(super) fn is_reading_stopped(&self) -> bool {
        self.stop_reading.load(SeqCst) || self.has_failed()
    }

    /// Tells the deliveries when to end. A failure cannot be withdrawn.
    pub(super) fn stop_delivering(&self, stop: Stop) {
        self.stop.update(|now| (now != Stop::Now && now != stop).then_some(stop));
    }

    /// Subscribes a delivery to the request to end.
    pub(super) fn stop(&self) -> watch::Receiver<Stop> {
        self.stop.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use tracing::{
        Event, Metadata, Subscriber,
        span::{Attributes, Id, Record},
    };

    use super::*;

    /// A subscriber whose output is gone, and which reports that to a standard error that is gone, too.
    struct Panics;

    impl Subscriber for Panics {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            panic!("cannot write it down");
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_failure_stops_the_pipeline_also_if_logging_it_panics() {
        let control = Control::new(Wake::new(), &Turns::threads(), 1);
        let fail = AssertUnwindSafe(|| control.fail(Error::AlreadyRunning));
        assert!(tracing::subscriber::with_default(Panics, || catch_unwind(fail)).is_err());
        assert!(control.has_failed());
        assert!(matches!(control.take_error(), Some(Error::AlreadyRunning)));
    }
}
