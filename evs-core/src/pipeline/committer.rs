//! The committer: the thread that owns the binlog. It merges the workers' tables at a cut, commits the cut, and
//! records the acknowledgements of the sinks.
//!
//! Cuts are committed strictly in order. If the disk is full, the committer keeps the first commit that did not fit
//! and tries it again; reading pauses meanwhile.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    discards,
    gather::{Gatherer, Whole},
    lock::Lock,
    message::Message,
    mismatch::Mismatch,
    rejects::RejectsFile,
    reserve::Reserve,
    shared::Shared,
};
use crate::{
    Error,
    batch::{Rows, escape},
    binlog::{self, Binlog, BinlogError, BinlogState, Commit},
    counters::Counters,
    deliver::{Acknowledged, Discard, Report},
    describe,
    disk::{self, Disk},
    format::Reason,
    position::{Frontier, OlderFiles},
    statistic::Schema,
    status::{Committed, Overdue, RejectedSample, Stepping},
    turns::{Announced, Inbox, Received},
};

/// The pause before a full disk is tried again.
const DISK_FULL_PAUSE: Duration = Duration::from_secs(1);
/// The interval at which segments that are no longer needed are removed.
const RETAIN_EVERY: Duration = Duration::from_secs(1);

/// The state of the committer.
#[derive(Debug)]
pub(super) struct Committer {
    /// The binlog, which only this thread changes.
    binlog: Binlog,
    /// The file of rejected lines.
    rejects: RejectsFile,
    /// The room on the disk that is kept for acknowledgements.
    reserve: Reserve,
    shared: Shared,
    /// Announces each commit.
    commits: Announced<Counters>,
    /// Cuts that wait for the parts of workers.
    gathering: Gatherer,
    /// Complete cuts that wait for their turn, or for room on the disk.
    waiting: VecDeque<Whole>,
    /// The commit made from the first complete cut. It is tried until there is room, and its contents do not change.
    commit: Option<Commit>,
    /// Rejected lines of the last commit that are not written to their file yet, and the paths of the log files.
    rejected: Option<(Arc<[binlog::RejectedLine]>, Arc<Frontier>)>,
    /// The paths of the files from which the last commit was read.
    names: Arc<Frontier>,
    /// Notices that the log has another format.
    mismatch: Mismatch,
    /// By statistic, the lines that its condition selected for that commit.
    selected: Vec<u64>,
    /// By statistic, the lines that were too late for that commit.
    too_late: Vec<u64>,
    /// The fields that lines had for the first time in that commit.
    found: Vec<usize>,
    /// The rejected lines of that commit by reason.
    rejections: Vec<(Reason, u64)>,
    /// The time at which its cut began.
    begun: Option<Instant>,
    /// Acknowledgements that wait for room on the disk.
    acknowledged: VecDeque<Acknowledged>,
    /// The time at which a full disk is tried again.
    retry_at: Option<Instant>,
    /// The state directory, for files of batches that are given up.
    state_dir: Arc<dyn Disk>,
    /// The lock on the state directory, held as long as this thread writes there.
    lock: Arc<Lock>,
}

impl Committer {
    /// Makes a committer that first writes the rejected lines of the last commit again. `doubtful` are the fields whose names
    /// may be mistaken, by their indices in the plan.
    pub(super) fn open(
        binlog: Binlog,
        statistics: Vec<Arc<Schema>>,
        doubtful: BTreeMap<usize, String>,
        state_dir: Arc<dyn Disk>,
        lock: Arc<Lock>,
        commits: Announced<Counters>,
        shared: Shared,
    ) -> Result<Self, Error> {
        let BinlogState { ledger, rejected, .. } = binlog.state();
        let bytes_max = shared.settings.rejected_bytes_max;
        Ok(Self {
            gathering: Gatherer::new(statistics, shared.settings.workers),
            rejects: RejectsFile::open(Arc::clone(&state_dir), bytes_max, ledger.rejects)?,
            reserve: Reserve::new(Arc::clone(&state_dir)),
            state_dir,
            shared,
            commits,
            waiting: VecDeque::new(),
            commit: None,
            rejected: Some((Arc::clone(rejected), Arc::clone(&ledger.frontier))),
            names: Arc::clone(&ledger.frontier),
            mismatch: Mismatch::new(doubtful),
            selected: Vec::new(),
            too_late: Vec::new(),
            found: Vec::new(),
            rejections: Vec::new(),
            begun: None,
            acknowledged: VecDeque::new(),
            retry_at: None,
            lock,
            binlog,
        })
    }

    /// Serves messages until it is told to end or the pipeline fails.
    pub(super) async fn run(mut self, mut messages: Inbox<Message>) -> Result<(), Error> {
        let mut flushes = Vec::new();
        let mut retain_at = self.shared.now();
        self.show_waiting();
        loop {
            self.shared.board.steps.wait(Stepping::Committer);
            let next = self.retry_at.map_or(retain_at, |retry_at| retry_at.min(retain_at));
            let received = messages.receive(self.shared.settings.environment.wall.until(next)).await;
            self.shared.board.steps.step(Stepping::Committer);
            match received {
                Received::Message(Message::Cut(cut)) => self.gathering.begin(cut, self.shared.now()),
                Received::Message(Message::Part { cut, part }) => {
                    self.waiting.extend(self.gathering.take_part(cut, part)?);
                }
                Received::Message(Message::Report(Report::Acknowledged(acknowledged))) => {
                    self.note(acknowledged);
                }
                Received::Message(Message::Report(Report::Discard(discard))) => self.discard(discard)?,
                Received::Message(Message::Flush(done)) => flushes.push(done),
                Received::Message(Message::Finish) => return self.finish(),
                Received::Closed => return Ok(()),
                Received::Nothing => {}
            }
            // After a failure elsewhere nothing more is committed: the rows may be wrong.
            if self.shared.control.has_failed() {
                return Ok(());
            }
            if self.retry_at.is_none_or(|retry_at| self.shared.now() >= retry_at) {
                self.write()?;
            }
            self.show_waiting();
            if self.gathering.is_empty() && self.waiting.is_empty() && self.commit.is_none() {
                for flush in flushes.drain(..) {
                    // The receiver may be gone.
                    let _ = oneshot::Sender::send(flush, ());
                }
            }
            if self.shared.now() >= retain_at {
                self.retain()?;
                retain_at = self.shared.now() + RETAIN_EVERY;
            }
        }
    }

    /// Writes the last acknowledgements, so that the next start offers nothing again.
    fn finish(&mut self) -> Result<(), Error> {
        if self.shared.control.has_failed() {
            return Ok(());
        }
        self.write()?;
        let warning = self.mismatch.end(self.shared.now());
        self.warn_of_log(warning);
        self.show_waiting();
        self.binlog.sync()?;
        self.lock.note_end();
        Ok(())
    }

    /// Queues an acknowledgement. It replaces an earlier one of the same stream that still waits for room: little has
    /// to be written before a full disk can be freed.
    fn note(&mut self, new: Acknowledged) {
        let same = |known: &&mut Acknowledged| known.sink == new.sink && known.statistic == new.statistic;
        match self.acknowledged.iter_mut().rev().find(same) {
            Some(known) if !known.went_back && !new.went_back => {
                debug_assert!(known.sequence <= new.sequence, "{known:?} before {new:?}");
                known.sequence = new.sequence;
            }
            _ => self.acknowledged.push_back(new),
        }
    }

    /// Gives up a batch for a sink: exports its rows, and makes the decision durable.
    fn discard(&mut self, discard: Discard) -> Result<(), Error> {
        let Discard { sink, batch, answer } = discard;
        self.lock.verify()?;
        let written = discards::export(&*self.state_dir, &sink, &batch).and_then(|path| {
            self.binlog.discard(&sink, batch.statistic(), batch.sequence, batch.rows.len() as u64)?;
            Ok(path)
        });
        if let Ok(path) = &written {
            let (statistic, sequence, rows) = (batch.statistic(), batch.sequence, batch.rows.len());
            self.shared.board.show_discard(&sink, &batch, path);
            let path = path.display();
            tracing::warn!(sink = &*sink, statistic, sequence, rows, %path, "a batch was given up");
        }
        // The delivery may have been told to end. After a failed write the binlog is unusable, and the run ends when it is
        // used next.
        let _ = answer.send(written);
        Ok(())
    }

    /// Makes the commit of a complete cut, to follow all earlier commits.
    fn commit_of(&self, whole: Whole) -> Commit {
        let Whole { frontier, counted, mut rows, mut older, rejected, retires, files, .. } = whole;
        let state = self.binlog.state();
        // A new statistic begins at the position of its source.
        for schema in self.gathering.statistics() {
            let is_cut = rows.iter().any(|(other, ..)| other == schema);
            if !is_cut && !state.statistics.contains_key(&schema.statistic) {
                rows.push((Arc::clone(schema), Arc::clone(&frontier), Vec::new()));
            }
        }
        let mut ledger = state.ledger.clone();
        ledger.frontier = Arc::clone(&frontier);
        ledger.totals += counted;
        ledger.rejects = self.rejects.mark();
        ledger.time = Some(self.shared.board.clock.now());
        let cut = |(schema, to, rows): (Arc<Schema>, Arc<Frontier>, Vec<Rows>)| {
            let known = state.statistics.get(&schema.statistic);
            let from = Arc::clone(known.map_or(&to, |known| &known.to));
            let older = older.remove(&schema.statistic).unwrap_or_default();
            binlog::Cut { schema, from, to, rows, older }
        };
        debug_assert!(
            is_after(&frontier, &state.ledger.frontier),
            "{frontier} before {}",
            state.ledger.frontier
        );
        let mut cuts: Vec<_> = rows.into_iter().map(cut).collect();
        if retires {
            // A statistic that is no longer configured must not keep its position in a file that is removed.
            let configured =
                |name: &String| self.gathering.statistics().iter().any(|schema| schema.statistic == *name);
            let others = state.statistics.iter().filter(|(name, _)| !configured(name));
            cuts.extend(others.map(|(_, known)| {
                let schema = Arc::clone(&known.schema);
                let (from, to) =
                    (Arc::clone(&known.to), Frontier::clone(&frontier).with_older(known.to.older));
                binlog::Cut { schema, from, to: Arc::new(to), rows: Vec::new(), older: OlderFiles::default() }
            }));
        }
        debug_assert!(
            cuts.iter().all(|cut| is_after(&cut.to, &cut.from)),
            "no statistic goes back: {cuts:?}"
        );
        Commit { ledger, cuts, rejected, predecessors: Vec::new(), files: Some(files) }
    }

    /// Appends what is waiting, as long as there is room on the disk.
    fn write(&mut self) -> Result<(), Error> {
        self.retry_at = None;
        self.lock.verify()?;
        // Acknowledgements come first: they may allow a segment to be removed, and that makes room.
        while let Some(Acknowledged { sink, statistic, sequence, went_back }) = self.acknowledged.front() {
            let appended = match went_back {
                false => self.binlog.acknowledge(sink, statistic, *sequence),
                true => match self.binlog.register_sink(sink, statistic, *sequence) {
                    // The batches that the sink needs are gone. Its delivery will find that out and stop alone.
                    Err(BinlogError::Gone { .. }) => Ok(()),
                    registered => registered,
                },
            };
            if matches!(&appended, Err(error) if error.is_disk_full()) && self.reserve.give_up()? {
                continue;
            }
            if !self.has_room(appended)? {
                return Ok(());
            }
            self.acknowledged.pop_front();
        }
        // A commit must not take the room that the next acknowledgements will need.
        if let Some(error) = self.reserve.hold()? {
            return self.wait_for_room(format!("no room for {}: {error}", self.reserve));
        }
        loop {
            if !self.write_rejected()? {
                return Ok(());
            }
            let commit = match (self.commit.take(), self.waiting.pop_front()) {
                (Some(commit), whole) => {
                    whole.into_iter().for_each(|whole| self.waiting.push_front(whole));
                    commit
                }
                (None, Some(mut whole)) => {
                    self.names = Arc::clone(&whole.names);
                    self.selected = mem::take(&mut whole.selected);
                    self.too_late = mem::take(&mut whole.too_late);
                    self.found = mem::take(&mut whole.found);
                    self.rejections = mem::take(&mut whole.rejections);
                    self.begun = Some(whole.begun);
                    self.commit_of(whole)
                }
                (None, None) => return Ok(()),
            };
            self.lock.verify()?;
            let writing = self.shared.now();
            let appended = self.binlog.commit(&commit);
            if !self.has_room(appended)? {
                self.commit = Some(commit);
                return Ok(());
            }
            self.rejected = Some((Arc::clone(&commit.rejected), Arc::clone(&self.names)));
            self.show_commit(&commit, writing);
            self.shared.control.cuts_done.fetch_add(1, SeqCst);
            self.shared.control.wake();
            self.commits.update(|_| Some(commit.ledger.totals));
            // Segments are removed at once: until the next regular time, the binlog could grow far beyond its limit.
            if self.binlog.bytes() > self.shared.settings.spool_bytes_max {
                self.retain()?;
            }
        }
    }

    /// Writes the rejected lines of the last commit. Returns `false` if there was no room. The next commit replaces
    /// these lines in the binlog, so it has to wait until they are written.
    fn write_rejected(&mut self) -> Result<bool, Error> {
        let Some((lines, names)) = self.rejected.take() else {
            return Ok(true);
        };
        match self.rejects.write(&lines, &names) {
            Ok(()) => Ok(true),
            Err(Error::StateDir { op, path, source }) if disk::is_full(source.kind()) => {
                self.rejected = Some((lines, names));
                self.wait_for_room(format!("{op} {}: {source}", path.display()))?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns whether there was room on the disk. If not, reading pauses until there is.
    fn has_room(&mut self, appended: Result<(), BinlogError>) -> Result<bool, Error> {
        match appended {
            Ok(()) => Ok(true),
            Err(error) if error.is_disk_full() => {
                self.wait_for_room(describe(&error))?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Pauses reading and frees what can be freed: segments that are only kept in case a sink comes back with older
    /// data.
    fn wait_for_room(&mut self, reason: String) -> Result<(), Error> {
        let now = self.shared.now();
        self.retry_at = Some(now + DISK_FULL_PAUSE);
        self.hold(Some(reason));
        match self.binlog.retain(now, 0) {
            Err(error) if !error.is_disk_full() => Err(error.into()),
            // The reserve makes room to begin a segment, so that the one that nobody needs any more can be removed.
            Err(_) if self.reserve.give_up()? => match self.binlog.retain(now, 0) {
                Err(error) if !error.is_disk_full() => Err(error.into()),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Removes segments that are no longer needed, and pauses reading while the rest is too large. On a full disk
    /// this may make room; reading stays paused until there is some.
    fn retain(&mut self) -> Result<(), Error> {
        let now = self.shared.now();
        let retained = self.binlog.retain(now, self.shared.settings.spool_bytes_max).map(drop);
        if !self.has_room(retained)? {
            return Ok(());
        }
        let bytes = self.binlog.bytes();
        self.shared.board.binlog_bytes.store(bytes, Relaxed);
        if self.retry_at.is_some() {
            return Ok(());
        }
        let limit = self.shared.settings.spool_bytes_max;
        // The positions alone may be larger than a small limit. They wait for nobody.
        let is_full = bytes > limit && self.binlog.unacknowledged_bytes() > 0;
        self.hold(is_full.then(|| {
            let rest = self.shared.board.rest();
            let behind = rest.sinks.iter().filter(|sink| sink.waiting > 0).map(|sink| &*sink.name);
            let behind = behind.collect::<Vec<_>>().join(", ");
            format!("the binlog has reached its limit of {limit} bytes, which wait for: {behind}")
        }));
        Ok(())
    }

    /// Shows a commit on the board, which the binlog began to write at `writing`.
    fn show_commit(&mut self, commit: &Commit, writing: Instant) {
        let now = self.shared.now();
        let cut = |cut: &binlog::Cut| {
            let rows: usize = cut.rows.iter().map(Rows::len).sum();
            (cut.schema.statistic.clone(), cut.rows.len() as u64, rows as u64)
        };
        let cuts = commit.cuts.iter().filter(|cut| !cut.rows.is_empty());
        let counted = commit.ledger.totals - self.commits.get();
        self.shared.board.show_commit(Committed {
            cuts: cuts.map(cut).collect(),
            selected: mem::take(&mut self.selected),
            too_late: mem::take(&mut self.too_late),
            rejected: counted.rejected,
            rejections: mem::take(&mut self.rejections),
            samples: samples(&commit.rejected, &self.names),
            cut_time: now - self.begun.unwrap_or(writing),
            commit_time: now - writing,
        });
        let found = mem::take(&mut self.found);
        let warning = self.mismatch.add(&counted, &commit.rejected, &found, self.shared.now());
        self.warn_of_log(warning);
    }

    /// Warns that the log has another format, if it has.
    fn warn_of_log(&self, warning: Option<String>) {
        if let Some(text) = warning {
            tracing::warn!(source = self.shared.settings.source, "{text}");
            self.shared.board.show_log_warning(text);
        }
    }

    /// Shows on the board what waits for each sink, and the size of the binlog.
    fn show_waiting(&self) {
        self.shared.board.binlog_bytes.store(self.binlog.bytes(), Relaxed);
        let (state, reader) = (self.binlog.state(), self.binlog.reader());
        self.shared.board.show_waiting(|sink| {
            let marks = state.sinks.get(sink);
            let acknowledged = |statistic: &String| {
                // The sink has these batches, although their acknowledgements could not be written for lack of room.
                let unnoted = self.acknowledged.iter().rev();
                let mut unnoted = unnoted.filter(|ack| *ack.sink == *sink && *ack.statistic == **statistic);
                let noted =
                    || marks.and_then(|marks| marks.get(statistic)).map_or(0, |mark| mark.acknowledged);
                unnoted.next().map_or_else(noted, |ack| ack.sequence)
            };
            let mut overdue = Overdue::default();
            for (name, known) in &state.statistics {
                let acknowledged = acknowledged(name);
                overdue.batches += known.sequence - acknowledged;
                let discarded = marks.and_then(|marks| marks.get(name)).map(|mark| &mark.discarded);
                if let Some(discarded) = discarded {
                    overdue.discarded.0 += discarded.batches;
                    overdue.discarded.1 += discarded.rows;
                }
                let backlog = reader.backlog(name, acknowledged);
                overdue.rows += backlog.rows;
                overdue.bytes += backlog.bytes;
                overdue.since = overdue.since.into_iter().chain(backlog.since).min();
            }
            overdue
        });
    }

    /// Pauses reading for a reason, or continues it.
    fn hold(&self, reason: Option<String>) {
        self.shared.control.hold.store(reason.is_some(), SeqCst);
        self.shared.board.pause(reason);
        self.shared.control.wake();
    }
}

/// Returns whether everything that lies before `earlier` also lies before `later`.
fn is_after(later: &Frontier, earlier: &Frontier) -> bool {
    earlier.files.iter().all(|mark| later.covers(mark.number, mark.offset))
}

/// Returns the last rejected lines of a commit, for the status.
fn samples(lines: &[binlog::RejectedLine], names: &Frontier) -> Vec<RejectedSample> {
    let last = lines.len().saturating_sub(RejectedSample::MAX);
    let sample = |line: &binlog::RejectedLine| RejectedSample {
        path: names.files.iter().find(|mark| mark.number == line.file).map(|mark| mark.path.clone()),
        offset: line.offset,
        column: line.column,
        reason: line.reason.clone(),
        line: escape(&line.sample[..line.sample.len().min(RejectedSample::BYTES_MAX)]).into_owned(),
    };
    lines[last..].iter().map(sample).collect()
}
