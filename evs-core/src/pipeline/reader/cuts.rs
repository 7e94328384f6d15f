//! The cuts of the reader: when a statistic is cut, and how.
//!
//! A statistic is cut when its flush interval is over or one of its tables is full. Every statistic is cut when finished
//! files leave the positions, after a number of bytes, at the end of what was there at the start, and at the end of a run.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use super::Reader;
use crate::{
    pipeline::message::{Cut, Message, Work},
    position::{Frontier, OlderFiles},
    tail::LogHandle,
};

/// The maximum number of cuts that are begun and not yet committed. With two, one is merged and written while the
/// rows of the next one are gathered.
pub(super) const CUTS_MAX: u64 = 2;
/// The interval at which finished files leave all positions, unless their room is needed earlier.
const RETIRE_EVERY: Duration = Duration::from_secs(1);
/// The number of logs for each of which that interval is once as long, and how many times it may be.
const LOGS_PER_RETIRE: u32 = 16;
const RETIRE_FACTOR_MAX: u32 = 60;

impl Reader {
    /// Returns whether nothing may be handed out now.
    pub(super) fn must_wait(&self) -> bool {
        let rows_reached = || (0..self.timetables.len()).any(|at| self.shared.control.has_reached_rows(at));
        self.shared.control.hold.load(SeqCst)
            || self.shared.board.is_pause_requested()
            || (self.cuts_under_way() >= CUTS_MAX && rows_reached())
    }

    /// Returns the number of cuts that are begun and not yet committed.
    pub(super) fn cuts_under_way(&self) -> u64 {
        self.cuts - self.shared.control.cuts_done.load(SeqCst)
    }

    /// Returns the time for which there is nothing to do unless somebody wakes the reader.
    pub(super) fn idle_for(&self, now: Instant) -> Duration {
        let poll_every = self.shared.settings.poll_every;
        if self.cuts_under_way() >= CUTS_MAX {
            // Everything that is due has to wait for a commit, which wakes the reader.
            return poll_every;
        }
        let due = self.timetables.iter().filter(|timetable| timetable.is_dirty);
        let due = due.map(|timetable| timetable.due).min();
        due.map_or(poll_every, |due| due.saturating_duration_since(now).min(poll_every))
    }

    /// Returns the position of a statistic (or of the totals, for the last index) when the log has been handed out up
    /// to `frontier`. After a restart, `frontier` may be before the position that the statistic had; then the
    /// statistic keeps its own.
    fn counted_to(&self, at: usize, frontier: &Arc<Frontier>) -> Arc<Frontier> {
        match self.counted.get(at) {
            Some(counted) => Arc::new(frontier.join(counted)),
            None => Arc::clone(frontier),
        }
    }

    /// Returns the position of a statistic, with that in its older files.
    fn position_of(&self, at: usize, frontier: &Arc<Frontier>) -> Arc<Frontier> {
        let counted = self.counted_to(at, frontier);
        if self.older.is_without(at) {
            counted
        } else {
            Arc::new(self.older.locate(at, Frontier::clone(&counted)))
        }
    }

    /// Cuts the statistics that are due by time, by rows or by bytes, unless too many cuts are under way.
    pub(super) fn cut_what_is_due(&mut self, now: Instant) {
        if self.cuts_under_way() >= CUTS_MAX {
            return;
        }
        if self.logs.has_retired() && (self.logs.is_full() || now >= self.next_retire) {
            self.retire();
            self.next_retire = now + self.retire_every();
            return;
        }
        if self.bytes >= self.cut_bytes {
            self.cut_bytes = self.cut_bytes.saturating_mul(4).min(self.shared.settings.cut_bytes_max);
            self.cut_everything();
            return;
        }
        let due: Vec<usize> = (0..self.timetables.len())
            .filter(|&at| {
                let timetable = &self.timetables[at];
                timetable.is_dirty && (now >= timetable.due || self.shared.control.has_reached_rows(at))
            })
            .collect();
        if !due.is_empty() {
            self.cut(due);
        }
    }

    /// Returns the interval at which finished files leave the positions. Each time, every statistic is cut, and of many logs
    /// some are always being rotated.
    fn retire_every(&self) -> Duration {
        let logs = u32::try_from(self.logs.len()).unwrap_or(u32::MAX);
        RETIRE_EVERY * (logs / LOGS_PER_RETIRE).clamp(1, RETIRE_FACTOR_MAX)
    }

    /// Removes finished files from all positions at once, so that no statistic looks for a file that others no longer
    /// know.
    fn retire(&mut self) {
        // The bytes that were read from these files must be durable, too.
        let (handles, names) = (self.logs.handles(), Arc::new(self.logs.frontier()));
        self.logs.retire();
        self.cut_with((0..self.timetables.len()).collect(), handles, Some(names), Vec::new());
    }

    /// Cuts everything that was in the log at the start, once it has been handed out. So a process that is killed
    /// before its statistics are due still makes progress.
    pub(super) fn cut_when_caught_up(&mut self) {
        if !self.has_caught_up && self.logs.is_at_end() && self.cuts_under_way() < CUTS_MAX {
            self.has_caught_up = true;
            self.cut_everything();
        }
    }

    /// Cuts every statistic for which anything was read.
    pub(super) fn cut_everything(&mut self) {
        self.bytes = 0;
        let dirty = (0..self.timetables.len()).filter(|&at| self.timetables[at].is_dirty).collect::<Vec<_>>();
        if !dirty.is_empty() || self.lost_bytes > 0 {
            self.cut(dirty);
        }
    }

    /// Cuts the given statistics here. Every worker reaches the cut between the same two chunks of the log.
    pub(super) fn cut(&mut self, statistics: Vec<usize>) {
        let handles = self.logs.handles();
        self.cut_with(statistics, handles, None, Vec::new());
    }

    /// Makes the first cut of a run, with the older files of new statistics. The beginning of a new source becomes
    /// durable before anything is counted from there: a rotation while evs is down must not move it.
    pub(super) fn begin_with(&mut self, older: Vec<(usize, OlderFiles)>) {
        let handles = self.logs.handles();
        self.cut_with(older.iter().map(|(at, _)| *at).collect(), handles, None, older);
    }

    /// Makes a cut. `retired` is the frontier before finished files were removed from it, if any were. `older` has the
    /// older files of new statistics.
    fn cut_with(
        &mut self,
        statistics: Vec<usize>,
        mut handles: Vec<Arc<LogHandle>>,
        retired: Option<Arc<Frontier>>,
        older: Vec<(usize, OlderFiles)>,
    ) {
        debug_assert!(statistics.is_sorted_by(|one, next| one < next), "each statistic is cut once");
        let now = self.shared.now();
        for &at in &statistics {
            let timetable = &mut self.timetables[at];
            timetable.is_dirty = false;
            timetable.due = now + timetable.flush_every;
            self.shared.control.clear_rows_reached(at);
        }
        self.cuts += 1;
        let statistics: Arc<[usize]> = statistics.into();
        let frontier = Arc::new(self.logs.frontier());
        handles.extend(self.older.take_handles());
        self.shared.board.rest().position = Frontier::clone(&frontier);
        let cut = Cut {
            number: self.cuts,
            statistics: Arc::clone(&statistics),
            to: statistics.iter().map(|&at| self.position_of(at, &frontier)).collect(),
            older,
            frontier: self.counted_to(self.timetables.len(), &frontier),
            handles,
            retires: retired.is_some(),
            names: retired.unwrap_or_else(|| Arc::clone(&frontier)),
            lost_bytes: std::mem::take(&mut self.lost_bytes),
            files: self.logs.take_change(),
        };
        if self.counted.iter().all(|counted| counted.join(&frontier) == *frontier) {
            self.counted.clear();
        }
        self.committer.send(Message::Cut(cut));
        for worker in 0..self.workers.workers() {
            self.workers
                .send_to(worker, Work::Cut { number: self.cuts, statistics: Arc::clone(&statistics) });
        }
    }
}
