//! The steps of a run's threads, by which somebody outside can tell a thread that works from one that is stuck.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::status::ThreadStatus;

/// The time of each thread's last step, and whether it waits.
///
/// A thread notes a step whenever it begins a piece of work, and a wait before it waits for the next one: two atomic stores
/// and two looks at the clock per chunk.
#[derive(Debug)]
pub(crate) struct Steps {
    /// Times are counted from here.
    origin: Instant,
    /// By thread: twice the milliseconds of its last step, and one more if it waits since then. 0 if it does not run.
    threads: Vec<AtomicU64>,
}

/// A thread of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stepping {
    Reader,
    Committer,
    Worker(usize),
}

impl Stepping {
    fn index(self) -> usize {
        match self {
            Self::Reader => 0,
            Self::Committer => 1,
            Self::Worker(index) => 2 + index,
        }
    }

    fn of(index: usize) -> String {
        match index {
            0 => "reader".to_owned(),
            1 => "committer".to_owned(),
            _ => format!("worker {}", index - 2),
        }
    }
}

impl Steps {
    pub(super) fn new(workers: usize) -> Self {
        // A time of 0 stands for a thread that does not run.
        let origin = Instant::now().checked_sub(Duration::from_millis(1)).unwrap_or_else(Instant::now);
        Self { origin, threads: (0..workers + 2).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Notes that a thread begins a piece of work.
    pub(crate) fn step(&self, thread: Stepping) {
        self.note(thread, false);
    }

    /// Notes that a thread waits for work.
    pub(crate) fn wait(&self, thread: Stepping) {
        self.note(thread, true);
    }

    /// Notes that a thread has ended.
    pub(crate) fn end(&self, thread: Stepping) {
        self.threads[thread.index()].store(0, Relaxed);
    }

    /// Notes that all threads have ended.
    pub(super) fn end_all(&self) {
        self.threads.iter().for_each(|thread| thread.store(0, Relaxed));
    }

    fn note(&self, thread: Stepping, waits: bool) {
        let millis = self.origin.elapsed().as_millis() as u64;
        self.threads[thread.index()].store(millis.max(1) << 1 | u64::from(waits), Relaxed);
    }

    /// Returns the threads that run.
    pub(super) fn threads(&self) -> Vec<ThreadStatus> {
        let now = self.origin.elapsed();
        let of = |(index, thread): (usize, &AtomicU64)| {
            let noted = thread.load(Relaxed);
            (noted != 0).then(|| ThreadStatus {
                name: Stepping::of(index),
                is_waiting: noted & 1 == 1,
                since: now.saturating_sub(Duration::from_millis(noted >> 1)),
            })
        };
        self.threads.iter().enumerate().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_shown_while_it_runs_with_its_last_step() {
        let steps = Steps::new(1);
        assert!(steps.threads().is_empty());
        steps.step(Stepping::Reader);
        steps.wait(Stepping::Worker(0));
        let shown: Vec<_> =
            steps.threads().into_iter().map(|thread| (thread.name, thread.is_waiting)).collect();
        assert_eq!(shown, [("reader".to_owned(), false), ("worker 0".to_owned(), true)]);
        let before = Instant::now();
        steps.step(Stepping::Committer);
        let threads = steps.threads();
        // Times are in whole milliseconds.
        assert!(threads[1].since <= before.elapsed() + Duration::from_millis(1), "{threads:?}");
        steps.end(Stepping::Reader);
        assert_eq!(steps.threads()[0].name, "committer");
        steps.end_all();
        assert!(steps.threads().is_empty());
    }
}
