//! The reader: the thread that decides what is read. It hands out chunks of the log to the workers and decides when
//! to cut (`cuts`).

mod cuts;
mod older;
mod resume;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use cuts::CUTS_MAX;
use older::{Next, Older};
use resume::{SETTLE_TIME, resume};

use super::{
    message::{Message, Work},
    pace::Pace,
    queue,
    shared::Shared,
};
use crate::{
    Error,
    aggregate::Skip,
    counters::Counters,
    position::{Frontier, Inventory, OlderFiles, OlderPosition},
    statistic::Statistic,
    status::Stepping,
    tail::{Chunk, Logs, TailError, TailEvent},
    turns::Outbox,
};

/// The interval of polling the log while there is much to read.
const POLL_BUSY: Duration = Duration::from_millis(100);
/// The number of bytes after which the first cut is made if the previous process was killed, unless a flush interval
/// asks for one earlier. Each next cut comes after four times as many bytes (64 MiB, 256 MiB, 1 GiB, and so on). So a
/// process that never lives as long as a flush interval still makes progress. Otherwise there are fewer cuts, since
/// each cut is a batch that adds to rows which a store already has.
const FIRST_CUT_BYTES: u64 = 64 << 20;
/// The time for which the files may be changing when a new statistic needs the list of all of them: one rotation may follow
/// another, and the more files there are, the longer a look takes.
const BEGIN_TIME: Duration = Duration::from_secs(60);
/// The interval of samples for the rates.
const RATES_EVERY: Duration = Duration::from_secs(1);

/// The flush timetable of one statistic.
#[derive(Debug)]
struct Timetable {
    flush_every: Duration,
    due: Instant,
    /// True if anything was read since the last cut of the statistic.
    is_dirty: bool,
}

/// The part of the log that a run reads: everything after what was counted before.
pub(super) struct Range {
    /// The position of each statistic, and at the end of the list that of the totals; empty for a new source.
    pub(super) counted: Vec<Frontier>,
    /// By statistic, its older files and its position in them.
    pub(super) older: Vec<(OlderFiles, OlderPosition)>,
    /// The indices of the statistics that are new and begin at an earlier place than the source stands.
    pub(super) new: Vec<usize>,
    /// The known files that are not in these positions.
    pub(super) inventory: Option<Inventory>,
    /// True if the previous process was killed.
    pub(super) was_killed: bool,
    /// True if reading ends at the end of the log.
    pub(super) to_end: bool,
}

/// The state of the reader.
pub(super) struct Reader {
    shared: Shared,
    logs: Logs,
    pace: Option<Pace>,
    to_end: bool,
    workers: queue::Sender<Work>,
    committer: Outbox<Message>,
    timetables: Vec<Timetable>,
    /// The position of each statistic at the start, and at the end of the list the position of the totals. It is
    /// empty as soon as reading has passed all of them.
    counted: Vec<Frontier>,
    /// The older files of statistics that began at one.
    older: Older,
    /// True if something was read of them since the last cut of everything.
    has_older_rows: bool,
    /// The statistics that are to get their older files with the first cut.
    new: Vec<usize>,
    cuts: u64,
    lost_bytes: u64,
    next_rates: Instant,
    next_retire: Instant,
    /// The bytes handed out since the last cut of every statistic.
    bytes: u64,
    /// The number of such bytes after which every statistic is cut.
    cut_bytes: u64,
    /// True if everything that was in the log at the start has been handed out and cut.
    has_caught_up: bool,
    /// The time since which polling fails with an error that may pass.
    unsettled_since: Option<Instant>,
}

impl Reader {
    /// Finds the place in the log at which reading continues.
    ///
    /// Returns `None` if the run is to stop before the place was found.
    pub(super) async fn open(
        shared: Shared,
        range: Range,
        workers: queue::Sender<Work>,
        committer: Outbox<Message>,
    ) -> Result<Option<Self>, Error> {
        let resumed = resume(&shared, &range.counted, range.inventory.as_ref(), range.to_end).await?;
        let Some(logs) = resumed else { return Ok(None) };
        let Range { counted, older, new, was_killed, to_end, .. } = range;
        let now = shared.now();
        let timetable = |statistic: &Statistic| {
            let flush_every = statistic.flush_every;
            Timetable { flush_every, due: now + flush_every, is_dirty: false }
        };
        let settings = &shared.settings;
        let lines = shared.board.lines_read.load(Relaxed);
        Ok(Some(Self {
            logs,
            pace: settings.lines_per_second_max.map(|max| Pace::new(max, now, lines)),
            to_end,
            workers,
            committer,
            timetables: settings.statistics.iter().map(timetable).collect(),
            counted,
            older: Older::new(settings.tail.clone(), older),
            has_older_rows: false,
            new,
            cuts: 0,
            lost_bytes: 0,
            next_rates: now,
            next_retire: now,
            bytes: 0,
            cut_bytes: settings.cut_bytes_max.min(if was_killed { FIRST_CUT_BYTES } else { u64::MAX }),
            has_caught_up: false,
            unsettled_since: None,
            shared,
        }))
    }

    /// Reads until it is told to stop, or to the end of the log. Then it cuts everything.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        // The beginning of a new source becomes durable before anything is counted from there: a rotation while evs
        // is down must not move it.
        if !self.begin().await? {
            return Ok(());
        }
        let mut last_poll = self.shared.now();
        self.poll(last_poll)?;
        while !self.shared.control.is_reading_stopped() {
            self.shared.pass().await;
            self.shared.board.steps.step(Stepping::Reader);
            let now = self.shared.now();
            self.cut_what_is_due(now);
            if now >= self.next_rates {
                self.shared.board.sample_rates(now);
                self.next_rates = now + RATES_EVERY;
            }
            if now.duration_since(last_poll) >= POLL_BUSY {
                self.poll(now)?;
                // Polling many logs takes time.
                last_poll = self.shared.now();
            }
            if self.must_wait() {
                self.shared.wait(POLL_BUSY).await;
                continue;
            }
            let lines = self.shared.board.lines_read.load(Relaxed);
            if let Some(wait) = self.pace.as_mut().and_then(|pace| pace.wait(now, lines)) {
                self.shared.wait(wait.min(POLL_BUSY)).await;
                continue;
            }
            if let Some(chunk) = self.next_chunk()? {
                self.give_out(chunk).await;
                continue;
            }
            // The last poll found nothing more; another poll confirms it.
            self.poll(now)?;
            last_poll = now;
            if let Some(chunk) = self.next_chunk()? {
                self.give_out(chunk).await;
                continue;
            }
            self.cut_when_caught_up();
            if self.give_out_older(now).await? {
                continue;
            }
            if self.to_end && self.older.is_done() && self.unsettled_since.is_none() && self.is_at_end()? {
                if !self.logs.has_found_any() {
                    return Err(Error::Setting {
                        setting: "tail".to_owned(),
                        value: self.shared.settings.tail.path.display().to_string(),
                        expected: "a log that exists, for a run to its end",
                    });
                }
                break;
            }
            self.shared.board.steps.wait(Stepping::Reader);
            self.shared.wait(self.idle_for(now)).await;
        }
        self.cut_everything();
        self.shared.board.steps.end(Stepping::Reader);
        Ok(())
    }

    /// Makes the first cut, with which new statistics get their older files. Returns `false` if the run is to stop
    /// before.
    async fn begin(&mut self) -> Result<bool, Error> {
        let started = self.shared.now();
        let mut older: Vec<(usize, OlderFiles)> = Vec::new();
        while let Some(&at) = self.new.get(older.len()) {
            let begin_of = |at: usize| self.shared.settings.statistics[at].begin;
            // Statistics with the same beginning have one list, and read it together.
            let same = older.iter().find(|(other, _)| begin_of(*other) == begin_of(at));
            let list = match same {
                Some((_, list)) => Ok(Arc::clone(list)),
                None => self.logs.older_files(begin_of(at)),
            };
            match list {
                Ok(list) => older.push((at, list)),
                Err(_) if self.shared.control.is_reading_stopped() => return Ok(false),
                // While a rotation is under way, a file may be missing in the list.
                Err(error) if error.may_pass() && self.shared.now() - started < BEGIN_TIME => {
                    older.clear();
                    self.shared.wait(POLL_BUSY).await;
                    let now = self.shared.now();
                    self.poll(now)?;
                }
                Err(error) => return Err(self.log_error(error)),
            }
        }
        for (at, list) in &older {
            let (statistic, files) = (&self.shared.settings.statistics[*at].name, list.len());
            tracing::info!(source = self.shared.settings.source, statistic, files, "older files are read");
            self.older.begin(*at, list);
            self.counted[*at] = self.logs.frontier();
        }
        self.begin_with(older);
        self.show_older();
        Ok(true)
    }

    /// Hands out a chunk of the older files that new statistics still have to read. Returns whether there was one.
    async fn give_out_older(&mut self, now: Instant) -> Result<bool, Error> {
        let next = self.older.next(now);
        for event in self.older.take_events() {
            self.note(&event);
        }
        let next = next.map_err(|error| self.log_error(error))?;
        let mut has_moved = false;
        for (at, timetable) in self.timetables.iter_mut().enumerate() {
            let moved = self.older.take_moved(at);
            timetable.is_dirty |= moved;
            has_moved |= moved;
        }
        if has_moved {
            self.show_older();
        }
        match next {
            Next::Chunk(chunk, skip) => {
                self.workers.send(Work::Chunk(chunk, Some(Arc::new(skip)))).await;
                self.has_older_rows = true;
                return Ok(true);
            }
            // All that was read of them becomes durable, and nothing of it is read again.
            Next::Done if self.has_older_rows && self.cuts_under_way() < CUTS_MAX => {
                self.has_older_rows = false;
                self.cut_everything();
            }
            Next::Done | Next::Wait => {}
        }
        Ok(false)
    }

    /// Shows on the board how many older files are left.
    fn show_older(&self) {
        let left: Vec<u64> = (0..self.timetables.len()).map(|at| self.older.left(at)).collect();
        self.shared.board.show_older(&left);
    }

    /// Returns whether there is nothing more to read. It polls all files again.
    fn is_at_end(&mut self) -> Result<bool, Error> {
        let now = self.shared.now();
        let is_at_end = self.logs.check_end(now);
        self.note_events();
        is_at_end.map_err(|error| self.log_error(error))
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        self.logs.next_chunk().map_err(|error| self.log_error(error))
    }

    /// Polls the log and shows on the board how much is unread.
    fn poll(&mut self, now: Instant) -> Result<(), Error> {
        let polled = self.logs.poll(now);
        self.note_events();
        match polled {
            Ok(()) => self.unsettled_since = None,
            // The tailer reports other errors only after they have lasted.
            Err(error @ TailError::Io { .. }) if error.may_pass() && self.is_settling(now) => {}
            Err(error) => return Err(self.log_error(error)),
        }
        self.shared.board.show_backlog(self.logs.backlog());
        Ok(())
    }

    /// Handles the events that the tailer has collected.
    fn note_events(&mut self) {
        for event in self.logs.take_events() {
            self.note(&event);
        }
    }

    /// Returns whether the errors of the log have not lasted long enough to be reported.
    fn is_settling(&mut self, now: Instant) -> bool {
        now.duration_since(*self.unsettled_since.get_or_insert(now)) < SETTLE_TIME
    }

    /// Logs an event, and counts the bytes that were lost by it.
    fn note(&mut self, event: &TailEvent) {
        let (source, lost) = (&self.shared.settings.source, event.lost());
        match event {
            _ if event.is_loss() => tracing::error!(source, lost, "{event}"),
            TailEvent::Unreadable { .. } => tracing::error!(source, "{event}"),
            TailEvent::Waiting { .. }
            | TailEvent::Gone { .. }
            | TailEvent::Olddir { .. }
            | TailEvent::Presumed { .. } => tracing::warn!(source, "{event}"),
            _ => tracing::info!(source, "{event}"),
        }
        self.lost_bytes += lost;
        self.shared.board.counters.add(Counters { lost_bytes: lost, ..Counters::default() });
        self.shared.board.show_log_event(event);
    }

    /// Adds the name of the source to an error of the log.
    fn log_error(&self, source: TailError) -> Error {
        Error::Log { name: self.shared.settings.source.clone(), source }
    }

    /// Hands a chunk to a worker that has room.
    async fn give_out(&mut self, chunk: Chunk) {
        debug_assert!(chunk.start < chunk.end, "a chunk has a line: {chunk:?}");
        let skip = self.skip(&chunk);
        self.bytes += chunk.end - chunk.start;
        for (at, timetable) in self.timetables.iter_mut().enumerate() {
            timetable.is_dirty |= !skip.as_ref().is_some_and(|skip| skip.statistics[at]);
        }
        self.workers.send(Work::Chunk(chunk, skip.map(Arc::new))).await;
    }

    /// Returns the statistics that have counted the chunk before; they skip it.
    fn skip(&self, chunk: &Chunk) -> Option<Skip> {
        let covered = |frontier: &Frontier| frontier.covers(chunk.number, chunk.end);
        if !self.counted.iter().any(covered) {
            return None;
        }
        let is_whole = |of: &Frontier| covered(of) == of.covers(chunk.number, chunk.start + 1);
        debug_assert!(
            self.counted.iter().all(is_whole),
            "a chunk lies before or after each position: {chunk:?}"
        );
        let (tally, statistics) = self.counted.split_last()?;
        debug_assert_eq!(statistics.len(), self.timetables.len());
        let statistics = statistics.iter().map(covered).collect();
        Some(Skip { statistics, tally: covered(tally), is_older: false })
    }
}
