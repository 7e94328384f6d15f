//! The reader: the thread that decides what is read. It hands out chunks of the log to the workers and decides when
//! to cut.
//!
//! The file also holds the loop of a worker ([`work`]), since the two share the messages between them.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
        mpsc::Sender,
    },
    time::{Duration, Instant},
};

use super::{committer::Message, control::Control, pace::Pace, queue};
use crate::{
    Error,
    aggregate::{Part, Skip, Worker},
    counters::Counters,
    describe,
    position::{Frontier, Inventory, InventoryChange},
    status::Board,
    tail::{
        Chunk, ChunkKind, LogHandle, OnChanged, OnGone, OnUnreadable, TailError, TailEvent, TailOptions,
        Tailer,
    },
};

/// The maximum number of cuts that are begun and not yet committed. With two, one is merged and written while the
/// rows of the next one are gathered.
const CUTS_MAX: u64 = 2;
/// The interval of polling the log while there is much to read.
const POLL_BUSY: Duration = Duration::from_millis(100);
/// The time for which files may come and go before an error of the log is reported. No rotation takes longer.
const SETTLE_TIME: Duration = Duration::from_secs(3);
/// The interval of polling the log during that time.
const SETTLE_PAUSE: Duration = Duration::from_millis(50);
/// The interval at which finished files leave all positions, unless their room is needed earlier.
const RETIRE_EVERY: Duration = Duration::from_secs(1);
/// The number of bytes after which the first cut is made if the previous process was killed, unless a flush interval
/// asks for one earlier. Each next cut comes after four times as many bytes (64 MiB, 256 MiB, 1 GiB, and so on). So a
/// process that never lives as long as a flush interval still makes progress. Otherwise there are fewer cuts, since
/// each cut is a batch that adds to rows which a store already has.
const FIRST_CUT_BYTES: u64 = 64 << 20;
/// The interval of samples for the rates.
const RATES_EVERY: Duration = Duration::from_secs(1);

/// The work of a worker: chunks, and between them cuts, which are at the same place of the log for every worker.
#[derive(Debug)]
pub(super) enum Work {
    /// A chunk of whole lines, and the statistics that skip it because they have counted it before.
    Chunk(Chunk, Option<Arc<Skip>>),
    /// A cut of these statistics. The worker hands its rows to the committer.
    Cut { number: u64, statistics: Arc<[usize]> },
}

/// A cut as it begins: its positions, and the files that must be durable before it is committed.
#[derive(Debug)]
pub(super) struct Cut {
    /// The number of the cut in this run.
    pub(super) number: u64,
    /// The indices of the statistics that are cut.
    pub(super) statistics: Arc<[usize]>,
    /// The position of each of these statistics after the cut.
    pub(super) to: Vec<Arc<Frontier>>,
    /// The position of the totals after the cut.
    pub(super) frontier: Arc<Frontier>,
    /// The open files of the log, which are synced before the cut is committed.
    pub(super) handles: Vec<Arc<LogHandle>>,
    /// The files that were read, with their paths.
    pub(super) names: Arc<Frontier>,
    /// True if finished files leave all positions with this cut.
    pub(super) retires: bool,
    /// The bytes that vanished unread since the last cut.
    pub(super) lost_bytes: u64,
    /// The change in the inventory of known files.
    pub(super) files: InventoryChange,
}

/// The flush timetable of one statistic.
#[derive(Debug)]
struct Timetable {
    flush_every: Duration,
    due: Instant,
    /// True if anything was read since the last cut of the statistic.
    is_dirty: bool,
}

/// The state of the reader.
pub(super) struct Reader {
    source: String,
    path: PathBuf,
    control: Arc<Control>,
    board: Arc<Board>,
    tailer: Tailer,
    poll_every: Duration,
    pace: Option<Pace>,
    to_end: bool,
    workers: queue::Sender<Work>,
    committer: Sender<Message>,
    timetables: Vec<Timetable>,
    /// The position of each statistic at the start, and at the end of the list the position of the totals. It is
    /// empty as soon as reading has passed all of them.
    counted: Vec<Frontier>,
    cuts: u64,
    lost_bytes: u64,
    next_rates: Instant,
    next_retire: Instant,
    /// The bytes handed out since the last cut of every statistic.
    bytes: u64,
    /// The number of such bytes after which every statistic is cut.
    cut_bytes: u64,
    cut_bytes_max: u64,
    /// True if everything that was in the log at the start has been handed out and cut.
    has_caught_up: bool,
    /// The time since which polling fails with an error that may pass.
    unsettled_since: Option<Instant>,
}

/// The parts from which a reader is made.
pub(super) struct ReaderParts {
    pub(super) source: String,
    pub(super) control: Arc<Control>,
    pub(super) board: Arc<Board>,
    pub(super) poll_every: Duration,
    pub(super) lines_per_second_max: Option<u64>,
    pub(super) to_end: bool,
    pub(super) workers: queue::Sender<Work>,
    pub(super) committer: Sender<Message>,
    pub(super) flush_every: Vec<Duration>,
    /// The position of each statistic, and at the end of the list that of the totals; empty for a new source.
    pub(super) counted: Vec<Frontier>,
    /// The known files that are not in these positions.
    pub(super) inventory: Option<Inventory>,
    pub(super) cut_bytes_max: u64,
    /// True if the previous process was killed.
    pub(super) was_killed: bool,
}

impl Reader {
    /// Finds the place in the log at which reading continues.
    ///
    /// Returns `None` if the run is to stop before the place was found.
    pub(super) fn open(parts: ReaderParts, options: &TailOptions) -> Result<Option<Self>, Error> {
        let started = Instant::now();
        // While a rotation may still be under way, the strict options apply: what the caller allows is done only
        // after that time.
        let strict = TailOptions {
            on_gone: OnGone::Stop,
            on_changed: OnChanged::Stop,
            on_unreadable: OnUnreadable::Stop,
            ..options.clone()
        };
        let tailer = loop {
            // Without any position, this begins a new source.
            let inventory = parts.inventory.as_ref();
            let is_settling = started.elapsed() < SETTLE_TIME;
            let options = if is_settling { &strict } else { options };
            match Tailer::resume(options.clone(), &parts.counted, inventory, Instant::now()) {
                Err(_) if parts.control.is_reading_stopped() => return Ok(None),
                Err(error) if (error.may_pass() || matches!(error, TailError::Io { .. })) && is_settling => {
                    parts.control.wake.wait(SETTLE_PAUSE);
                }
                // A log that cannot be opened is waited for, like one that does not exist.
                Err(error @ TailError::Io { .. }) if !parts.to_end => {
                    let error = describe(&error);
                    let event = &mut parts.board.rest().last_event;
                    if event.as_ref() != Some(&error) {
                        tracing::error!(
                            source = parts.source,
                            error,
                            "the log cannot be read and is waited for"
                        );
                        *event = Some(error);
                    }
                    parts.control.wake.wait(RATES_EVERY);
                }
                Err(source) => return Err(Error::Log { name: parts.source, source }),
                Ok(tailer) => break tailer,
            }
        };
        let mut tailer = tailer;
        tailer.set_options(options);
        Ok(Some(Self::new(parts, tailer, options.path.clone())))
    }

    fn new(parts: ReaderParts, tailer: Tailer, path: PathBuf) -> Self {
        let now = Instant::now();
        let timetable = |flush_every| Timetable { flush_every, due: now + flush_every, is_dirty: false };
        Self {
            pace: parts
                .lines_per_second_max
                .map(|max| Pace::new(max, now, parts.board.counters.load().lines)),
            source: parts.source,
            path,
            control: parts.control,
            board: parts.board,
            tailer,
            poll_every: parts.poll_every,
            to_end: parts.to_end,
            workers: parts.workers,
            committer: parts.committer,
            timetables: parts.flush_every.into_iter().map(timetable).collect(),
            counted: parts.counted,
            cuts: 0,
            lost_bytes: 0,
            next_rates: now,
            next_retire: now,
            bytes: 0,
            cut_bytes: if parts.was_killed {
                FIRST_CUT_BYTES.min(parts.cut_bytes_max)
            } else {
                parts.cut_bytes_max
            },
            cut_bytes_max: parts.cut_bytes_max,
            has_caught_up: false,
            unsettled_since: None,
        }
    }

    /// Reads until it is told to stop, or to the end of the log. Then it cuts everything.
    pub(super) fn run(mut self) -> Result<(), Error> {
        // The beginning of a new source becomes durable before anything is counted from there: a rotation while evs
        // is down must not move it.
        self.cut(Vec::new());
        let mut last_poll = Instant::now();
        self.poll(last_poll)?;
        while !self.control.is_reading_stopped() {
            let now = Instant::now();
            self.cut_what_is_due(now);
            if now >= self.next_rates {
                self.board.sample_rates(now);
                self.next_rates = now + RATES_EVERY;
            }
            if now.duration_since(last_poll) >= POLL_BUSY {
                self.poll(now)?;
                last_poll = now;
            }
            if self.must_wait() {
                self.control.wake.wait(POLL_BUSY);
                continue;
            }
            let lines = self.board.counters.load().lines;
            if let Some(wait) = self.pace.as_mut().and_then(|pace| pace.wait(now, lines)) {
                self.control.wake.wait(wait.min(POLL_BUSY));
                continue;
            }
            if let Some(chunk) = self.next_chunk()? {
                self.give_out(chunk);
                continue;
            }
            // The last poll found nothing more; another poll confirms it.
            self.poll(now)?;
            last_poll = now;
            if let Some(chunk) = self.next_chunk()? {
                self.give_out(chunk);
                continue;
            }
            self.cut_when_caught_up();
            if self.to_end && self.unsettled_since.is_none() && self.is_at_end()? {
                if !self.tailer.has_found_any() {
                    return Err(Error::Setting {
                        setting: "tail".to_owned(),
                        value: self.path.display().to_string(),
                        expected: "a log that exists, for a run to its end",
                    });
                }
                break;
            }
            self.control.wake.wait(self.idle_for(now));
        }
        self.cut_everything();
        Ok(())
    }

    /// Returns whether there is nothing more to read. It polls all files again.
    fn is_at_end(&mut self) -> Result<bool, Error> {
        let is_at_end = self.tailer.check_end(Instant::now());
        self.note_events();
        is_at_end.map_err(|error| self.log_error(error))
    }

    /// Returns whether nothing may be handed out now.
    fn must_wait(&self) -> bool {
        let rows_reached = || (0..self.timetables.len()).any(|at| self.control.has_reached_rows(at));
        self.control.hold.load(SeqCst) || (self.cuts_under_way() >= CUTS_MAX && rows_reached())
    }

    /// Returns the number of cuts that are begun and not yet committed.
    fn cuts_under_way(&self) -> u64 {
        self.cuts - self.control.cuts_done.load(SeqCst)
    }

    /// Returns the time for which there is nothing to do unless somebody wakes the reader.
    fn idle_for(&self, now: Instant) -> Duration {
        if self.cuts_under_way() >= CUTS_MAX {
            // Everything that is due has to wait for a commit, which wakes the reader.
            return self.poll_every;
        }
        let due = self.timetables.iter().filter(|timetable| timetable.is_dirty);
        let due = due.map(|timetable| timetable.due).min();
        due.map_or(self.poll_every, |due| due.saturating_duration_since(now).min(self.poll_every))
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        self.tailer.next_chunk().map_err(|error| self.log_error(error))
    }

    /// Polls the log and shows on the board how much is unread.
    fn poll(&mut self, now: Instant) -> Result<(), Error> {
        let polled = self.tailer.poll(now);
        self.note_events();
        match polled {
            Ok(()) => self.unsettled_since = None,
            // The tailer reports other errors only after they have lasted.
            Err(error @ TailError::Io { .. }) if error.may_pass() && self.is_settling(now) => {}
            Err(error) => return Err(self.log_error(error)),
        }
        let backlog = self.tailer.backlog();
        self.board.behind_bytes.store(backlog.bytes, Relaxed);
        self.board.behind_files.store(backlog.files, Relaxed);
        self.board.is_behind_estimated.store(backlog.is_estimated, Relaxed);
        Ok(())
    }

    /// Handles the events that the tailer has collected.
    fn note_events(&mut self) {
        for event in self.tailer.take_events() {
            self.note(&event);
        }
    }

    /// Returns whether the errors of the log have not lasted long enough to be reported.
    fn is_settling(&mut self, now: Instant) -> bool {
        now.duration_since(*self.unsettled_since.get_or_insert(now)) < SETTLE_TIME
    }

    /// Logs an event, and counts the bytes that were lost by it.
    fn note(&mut self, event: &TailEvent) {
        let lost = event.lost();
        match event {
            _ if event.is_loss() => tracing::error!(source = self.source, lost, "{event}"),
            TailEvent::Unreadable { .. } => tracing::error!(source = self.source, "{event}"),
            TailEvent::Waiting { .. }
            | TailEvent::Gone { .. }
            | TailEvent::Olddir { .. }
            | TailEvent::Presumed { .. } => tracing::warn!(source = self.source, "{event}"),
            _ => tracing::info!(source = self.source, "{event}"),
        }
        self.lost_bytes += lost;
        self.board.counters.add(Counters { lost_bytes: lost, ..Counters::default() });
        self.board.rest().last_event = Some(event.to_string());
    }

    /// Adds the name of the source to an error of the log.
    fn log_error(&self, source: TailError) -> Error {
        Error::Log { name: self.source.clone(), source }
    }

    /// Hands a chunk to a worker that has room.
    fn give_out(&mut self, chunk: Chunk) {
        let skip = self.skip(&chunk);
        self.bytes += chunk.end - chunk.start;
        for (at, timetable) in self.timetables.iter_mut().enumerate() {
            timetable.is_dirty |= !skip.as_ref().is_some_and(|skip| skip.statistics[at]);
        }
        self.workers.send(Work::Chunk(chunk, skip.map(Arc::new)));
    }

    /// Returns the statistics that have counted the chunk before; they skip it.
    fn skip(&self, chunk: &Chunk) -> Option<Skip> {
        let covered = |frontier: &Frontier| frontier.covers(chunk.number, chunk.end);
        if !self.counted.iter().any(covered) {
            return None;
        }
        let (tally, statistics) = self.counted.split_last()?;
        Some(Skip { statistics: statistics.iter().map(covered).collect(), tally: covered(tally) })
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

    /// Cuts the statistics that are due by time, by rows or by bytes, unless too many cuts are under way.
    fn cut_what_is_due(&mut self, now: Instant) {
        if self.cuts_under_way() >= CUTS_MAX {
            return;
        }
        if self.tailer.has_retired() && (self.tailer.is_full() || now >= self.next_retire) {
            self.retire();
            self.next_retire = now + RETIRE_EVERY;
            return;
        }
        if self.bytes >= self.cut_bytes {
            self.cut_bytes = self.cut_bytes.saturating_mul(4).min(self.cut_bytes_max);
            self.cut_everything();
            return;
        }
        let due: Vec<usize> = (0..self.timetables.len())
            .filter(|&at| {
                let timetable = &self.timetables[at];
                timetable.is_dirty && (now >= timetable.due || self.control.has_reached_rows(at))
            })
            .collect();
        if !due.is_empty() {
            self.cut(due);
        }
    }

    /// Removes finished files from all positions at once, so that no statistic looks for a file that others no longer
    /// know.
    fn retire(&mut self) {
        // The bytes that were read from these files must be durable, too.
        let (handles, names) = (self.tailer.handles(), Arc::new(self.tailer.frontier()));
        self.tailer.retire();
        self.cut_with((0..self.timetables.len()).collect(), handles, Some(names));
    }

    /// Cuts everything that was in the log at the start, once it has been handed out. So a process that is killed
    /// before its statistics are due still makes progress.
    fn cut_when_caught_up(&mut self) {
        if !self.has_caught_up && self.tailer.is_at_end() && self.cuts_under_way() < CUTS_MAX {
            self.has_caught_up = true;
            self.cut_everything();
        }
    }

    /// Cuts every statistic for which anything was read.
    fn cut_everything(&mut self) {
        self.bytes = 0;
        let dirty = (0..self.timetables.len()).filter(|&at| self.timetables[at].is_dirty).collect::<Vec<_>>();
        if !dirty.is_empty() || self.lost_bytes > 0 {
            self.cut(dirty);
        }
    }

    /// Cuts the given statistics here. Every worker reaches the cut between the same two chunks of the log.
    fn cut(&mut self, statistics: Vec<usize>) {
        let handles = self.tailer.handles();
        self.cut_with(statistics, handles, None);
    }

    /// Makes a cut. `retired` is the frontier before finished files were removed from it, if any were.
    fn cut_with(
        &mut self,
        statistics: Vec<usize>,
        handles: Vec<Arc<LogHandle>>,
        retired: Option<Arc<Frontier>>,
    ) {
        let now = Instant::now();
        for &at in &statistics {
            let timetable = &mut self.timetables[at];
            timetable.is_dirty = false;
            timetable.due = now + timetable.flush_every;
            self.control.clear_rows_reached(at);
        }
        self.cuts += 1;
        let statistics: Arc<[usize]> = statistics.into();
        let frontier = Arc::new(self.tailer.frontier());
        self.board.rest().position = Frontier::clone(&frontier);
        let cut = Cut {
            number: self.cuts,
            statistics: Arc::clone(&statistics),
            to: statistics.iter().map(|&at| self.counted_to(at, &frontier)).collect(),
            frontier: self.counted_to(self.timetables.len(), &frontier),
            handles,
            retires: retired.is_some(),
            names: retired.unwrap_or_else(|| Arc::clone(&frontier)),
            lost_bytes: std::mem::take(&mut self.lost_bytes),
            files: self.tailer.take_change(),
        };
        if self.counted.iter().all(|counted| counted.join(&frontier) == *frontier) {
            self.counted.clear();
        }
        // The committer ends only after it has failed and reported the error.
        let _ = self.committer.send(Message::Cut(cut));
        for worker in 0..self.workers.workers() {
            self.workers
                .send_to(worker, Work::Cut { number: self.cuts, statistics: Arc::clone(&statistics) });
        }
    }
}

/// The loop of a worker: it counts chunk after chunk and hands over its rows at each cut.
pub(super) fn work(
    index: usize,
    mut worker: Worker,
    queue: &queue::Receiver<Work>,
    committer: &Sender<Message>,
    control: &Control,
    board: &Board,
) -> Result<(), TailError> {
    let mut buffer = Vec::new();
    while let Some(work) = queue.receive() {
        if control.has_failed() {
            break;
        }
        let (chunk, skip) = match work {
            Work::Chunk(chunk, skip) => (chunk, skip),
            Work::Cut { number, statistics } => {
                let part: Part = worker.cut(&statistics);
                board.rows[index].store(worker.rows() as u64, Relaxed);
                // The committer ends only after it has failed and reported the error.
                let _ = committer.send(Message::Part { cut: number, part });
                continue;
            }
        };
        let block = chunk.read(&mut buffer)?;
        let (skip, before) = (skip.as_deref(), worker.counters());
        worker.set_now(board.clock.now());
        match chunk.kind {
            ChunkKind::Lines | ChunkKind::Final => worker.lines(block, chunk.number, chunk.start, skip),
            ChunkKind::Oversized => {
                worker.oversized(block, chunk.number, chunk.start, chunk.end - chunk.start, skip);
            }
        }
        board.counters.add(worker.counters() - before);
        if let Some(seconds) = worker.last_seconds() {
            board.last_seconds.store(seconds, Relaxed);
        }
        board.rows[index].store(worker.rows() as u64, Relaxed);
        worker.full(board.rows.len()).for_each(|statistic| control.reach_rows(statistic));
    }
    Ok(())
}
