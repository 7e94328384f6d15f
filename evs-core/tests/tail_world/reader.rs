//! The reader of the log: three statistics and the ledger, as in the pipeline, but killed at any moment.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io::ErrorKind,
    time::{Duration, Instant},
};

use evs_core::{
    FileMark, Frontier, OnGone, TailError,
    internals::{
        position::{Inventory, InventoryChange},
        tail::{Chunk, ChunkKind, TailOptions, Tailer},
    },
};

use super::{
    Fate, Who, World,
    added::{Added, lines_of_all},
};
use crate::tail_support::{GRACE, sim::SimFs};

/// The number of statistics that commit when they are told. The ledger commits with each of them.
pub const STATISTICS: usize = 3;
/// The number of times that an error must come again, while nothing happens, before it is believed.
const ERRORS_MAX: u32 = 20;
/// The time between two of them.
const RETRY_TIME: Duration = Duration::from_millis(500);
/// The time between two polls.
const POLL_TIME: Duration = Duration::from_millis(100);
/// The end must be reached within this many rounds. Each round reads and commits all files.
const ROUNDS_MAX: u32 = 60;
const ROUNDS_MIN: u32 = 3;

/// One statistic: the lines that it has committed, and those that it has read since.
#[derive(Debug, Default)]
struct Statistic {
    frontier: Frontier,
    committed: HashSet<String>,
    read: Vec<String>,
}

/// The meaning of an error.
enum Verdict {
    /// The error may pass.
    TryAgain,
    /// A process would end here, and another one would start.
    Restart,
    /// The error stays, and rightly so: bytes were deleted.
    Stop,
}

pub struct Reader {
    fs: SimFs<World>,
    options: TailOptions,
    /// It is `None` only while another tailer starts, or after the reader was right to stop.
    tailer: Option<Tailer>,
    /// The ledger is the last one.
    statistics: Vec<Statistic>,
    /// The statistic that was added, if one was.
    added: Option<Added>,
    inventory: Inventory,
    /// The frontiers at the last restart.
    counted: Vec<Frontier>,
    now: Instant,
    /// The number of chunks that are handed out and not yet read, and these chunks.
    lag: usize,
    chunks: VecDeque<Chunk>,
    /// File numbers and end offsets of the ranges that were read since the last commit.
    read: Vec<(u64, u64)>,
    /// The number of times that the log could not be read while nothing happened.
    errors: u32,
    lost_bytes: u64,
    /// The lines that were read of a file, by its number, until all statistics are done with it.
    lines: HashMap<u64, HashSet<String>>,
}

impl Reader {
    /// Starts a new source, and commits its position.
    pub fn start(fs: SimFs<World>, options: TailOptions, lag: usize) -> Self {
        let mut reader = Self {
            fs,
            options,
            tailer: None,
            statistics: (0..=STATISTICS).map(|_| Statistic::default()).collect(),
            added: None,
            inventory: Inventory::default(),
            counted: Vec::new(),
            now: Instant::now(),
            lag,
            chunks: VecDeque::new(),
            read: Vec::new(),
            errors: 0,
            lost_bytes: 0,
            lines: HashMap::new(),
        };
        reader.open(|reader| Tailer::start(reader.options.clone(), reader.now));
        reader.commit(STATISTICS);
        reader
    }

    /// Returns true if nothing more is read because bytes were deleted.
    pub fn is_stopped(&self) -> bool {
        self.tailer.is_none()
    }

    /// Drops the tailer at this moment. Another one continues from the last commit.
    pub fn restart(&mut self) {
        self.note_events();
        self.tailer = None;
        self.chunks.clear();
        self.read.clear();
        self.statistics.iter_mut().for_each(|statistic| statistic.read.clear());
        let stored = |statistic: &Statistic| Frontier::from_json(&statistic.frontier.to_json()).unwrap();
        self.counted = self.statistics.iter().map(stored).collect();
        self.added.iter_mut().for_each(|added| added.restart(&self.options));
        let inventory = serde_json::to_string(&self.inventory).unwrap();
        self.inventory = serde_json::from_str(&inventory).unwrap();
        // A number that was never committed belongs to another file now.
        let marks = self.statistics.iter().flat_map(|statistic| &statistic.frontier.files);
        let last = marks.map(|mark| mark.number).max().unwrap_or(0);
        self.lines.retain(|number, _| *number <= last);
        self.open(|reader| {
            let (mut options, inventory) = (reader.options.clone(), Some(&reader.inventory));
            // As in the pipeline, a loss is not accepted at once, even if the caller allows it.
            if reader.errors < ERRORS_MAX / 2 {
                options.on_gone = OnGone::Stop;
            }
            let added = reader.added.iter().map(|added| added.frontier.clone());
            let counted: Vec<Frontier> = reader.counted.iter().cloned().chain(added).collect();
            Tailer::resume(options, &counted, inventory, reader.now)
        });
    }

    /// Adds a statistic that begins at the oldest file, once.
    pub fn add(&mut self) {
        if let (Some(tailer), None) = (&mut self.tailer, &self.added) {
            self.added = Added::begin(tailer, &self.options);
        }
        if self.fs.lock().agent.take_killed() {
            self.added = None;
            self.restart();
        }
    }

    /// Polls, and reads up to `chunks` chunks. The planned turns happen meanwhile.
    pub fn read(&mut self, chunks: usize) {
        self.pass(POLL_TIME);
        if !self.is_stopped() && self.try_read(chunks) {
            // The workers have read everything before a cut is made.
            self.read_chunks(0);
        }
    }

    /// Makes one statistic commit, or all of them. The ledger commits in any case.
    pub fn commit(&mut self, which: usize) {
        let Some(tailer) = &mut self.tailer else { return };
        let is_all = which >= STATISTICS;
        if is_all && tailer.has_retired() {
            tailer.retire();
        }
        let (frontier, change) = (tailer.frontier(), stored(&tailer.take_change()));
        for (number, end) in self.read.drain(..) {
            assert!(
                frontier.covers(number, end),
                "file {number} was read to byte {end}, but not in {frontier}"
            );
        }
        for (at, statistic) in self.statistics.iter_mut().enumerate() {
            if !is_all && at != which && at != STATISTICS {
                continue;
            }
            statistic.frontier = match self.counted.get(at) {
                Some(counted) => frontier.join(counted),
                None => frontier.clone(),
            };
            statistic.committed.extend(statistic.read.drain(..));
        }
        if let Some(added) = self.added.as_mut().filter(|_| is_all || which == 0) {
            added.commit(&frontier);
        }
        self.inventory.apply(&change);
        self.note_done();
    }

    /// Records the rotated files that all statistics have committed to their ends, since these may be deleted. A
    /// file that may be the live one is not among them: nobody could tell what was written to it meanwhile.
    fn note_done(&mut self) {
        let frontiers = || {
            let added = self.added.iter().map(|added| &added.frontier);
            self.statistics.iter().map(|statistic| &statistic.frontier).chain(added)
        };
        let marks = || frontiers().flat_map(|frontier| &frontier.files);
        let is_done = |number: &u64| {
            // One statistic may have seen the file longer than another did.
            let size = marks().filter(|mark| mark.number == *number).map(|mark| mark.size).max();
            frontiers().all(|frontier| {
                let mark = frontier.files.iter().find(|mark| mark.number == *number);
                let is_at_end = |mark: &FileMark| mark.is_rotated && Some(mark.offset) == size;
                mark.map_or(frontier.covers(*number, 0), is_at_end)
            })
        };
        let shared = &mut *self.fs.lock();
        for (_, lines) in self.lines.extract_if(|number, _| is_done(number)) {
            shared.agent.writer.note_done(lines);
        }
    }

    /// Lets time pass, for the log and for the tailer.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        let shared = &mut *self.fs.lock();
        shared.agent.pass(&mut shared.disk, time);
    }

    /// Reads and commits everything, now that nothing happens any more.
    pub fn finish(&mut self) {
        for round in 1..=ROUNDS_MAX {
            let before = self.statistics[STATISTICS].frontier.clone();
            self.pass(2 * GRACE);
            self.read(usize::MAX);
            self.commit(STATISTICS);
            // An error, too, may need some rounds before it is believed.
            let is_same = before == self.statistics[STATISTICS].frontier;
            let is_added = self.added.as_ref().is_none_or(Added::is_done);
            if self.is_stopped() || (is_same && is_added && round >= ROUNDS_MIN) {
                return;
            }
        }
        panic!("no end after {ROUNDS_MAX} rounds: {}", self.statistics[STATISTICS].frontier);
    }

    /// Checks that every line was counted as often as its fate says.
    pub fn check(&mut self) {
        self.check_lines();
        self.check_added();
        let is_at_end = self.is_at_end();
        assert!(is_at_end || self.is_stopped(), "everything is read, and this is not the end");
    }

    fn check_lines(&self) {
        let shared = self.fs.lock();
        let writer = &shared.agent.writer;
        let is_exact = writer.lines.iter().all(|line| line.fate != Fate::Deleted);
        assert!(self.lost_bytes == 0 || !is_exact, "{} bytes are said to be lost", self.lost_bytes);
        for (at, statistic) in self.statistics.iter().enumerate() {
            let has = |line: &str| statistic.committed.contains(&writer.shorten(line));
            let lines = |fate| writer.lines.iter().filter(move |line| line.fate == fate);
            let lost: Vec<&str> =
                lines(Fate::Counted).map(|line| &*line.text).filter(|line| !has(line)).collect();
            assert!(lost.is_empty() || self.is_stopped(), "statistic {at} has lost {}", sample(&lost));
            let foreign: Vec<&str> =
                lines(Fate::Foreign).map(|line| &*line.text).filter(|line| has(line)).collect();
            assert!(foreign.is_empty(), "statistic {at} has counted older lines: {}", sample(&foreign));
            let written = writer.lines.len();
            assert!(statistic.committed.len() <= written, "statistic {at} has lines that nobody wrote");
        }
    }

    /// Checks that the added statistic has counted every line that is in a file of the log.
    fn check_added(&self) {
        let Some(added) = self.added.as_ref().filter(|_| !self.is_stopped()) else { return };
        let shared = self.fs.lock();
        let writer = &shared.agent.writer;
        let present = lines_of_all(&shared.disk, |line| writer.shorten(line));
        let lines = writer.lines.iter().filter(|line| line.fate != Fate::Deleted);
        let lines: Vec<String> = lines.map(|line| writer.shorten(&line.text)).collect();
        let missing = added.missing(lines.iter().map(|line| &**line).filter(|line| present.contains(*line)));
        assert!(missing.is_empty(), "the added statistic has lost {}", sample(&missing));
        assert!(
            added.committed.len() <= writer.lines.len(),
            "the added statistic has lines that nobody wrote"
        );
    }

    /// Tries to create a tailer until one is created.
    fn open(&mut self, open: impl Fn(&Self) -> Result<Tailer, TailError>) {
        while self.tailer.is_none() {
            match open(self) {
                Ok(tailer) => self.tailer = Some(tailer),
                Err(error) => {
                    if let Verdict::Stop = self.judge(&error) {
                        return;
                    }
                }
            }
            if self.fs.lock().agent.take_killed() {
                self.tailer = None;
            }
        }
        self.errors = 0;
        self.note_events();
    }

    /// Reads up to `chunks` chunks. Returns `false` if another tailer was started meanwhile.
    fn try_read(&mut self, mut chunks: usize) -> bool {
        let (now, older) = (self.now, chunks);
        while let Some(tailer) = &mut self.tailer {
            let next = tailer.poll(now).and_then(|()| self.hand_out(&mut chunks));
            match next {
                Ok(true) => break,
                Ok(false) => return false,
                Err(error) => {
                    if !self.endure(&error) {
                        return false;
                    }
                }
            }
        }
        self.errors = 0;
        self.note_events();
        let is_shrunk = self.added.as_mut().is_some_and(|added| added.read(&self.fs, older, now).is_err());
        let is_killed = self.fs.lock().agent.take_killed();
        if is_killed || is_shrunk {
            self.restart();
        }
        !is_killed && !is_shrunk
    }

    /// Takes up to `chunks` chunks from the tailer.
    fn hand_out(&mut self, chunks: &mut usize) -> Result<bool, TailError> {
        while *chunks > 0
            && let Some(tailer) = &mut self.tailer
            && let Some(chunk) = tailer.next_chunk()?
        {
            *chunks -= 1;
            self.chunks.push_back(chunk);
            if !self.read_chunks(self.lag) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads chunks until `lag` are left. Returns `false` if one cannot be read, which would end a process.
    fn read_chunks(&mut self, lag: usize) -> bool {
        while self.chunks.len() > lag {
            let Some(chunk) = self.chunks.pop_front() else { break };
            let mut buffer = Vec::new();
            match chunk.read(&mut buffer) {
                Ok(bytes) => {
                    let bytes = bytes.to_vec();
                    self.count(&chunk, &bytes);
                }
                Err(_) => {
                    self.fs.lock().agent.take_killed();
                    self.restart();
                    return false;
                }
            }
        }
        true
    }

    fn count(&mut self, chunk: &Chunk, bytes: &[u8]) {
        let (number, start, end) = (chunk.number, chunk.start, chunk.end);
        let text = std::str::from_utf8(bytes).unwrap();
        super::trace(format_args!("read: {chunk:?} {:?}", sample(&text.lines().collect::<Vec<_>>())));
        match chunk.kind {
            ChunkKind::Lines => assert!(text.ends_with('\n'), "{chunk:?} ends within a line"),
            ChunkKind::Final => assert!(!text.ends_with('\n'), "{chunk:?} ends with a line"),
            ChunkKind::Oversized => {
                assert!(text.trim_end().lines().count() == 1, "{chunk:?} is not one line");
            }
        }
        let lines: Vec<String> = {
            let shared = self.fs.lock();
            text.lines().map(|line| shared.agent.writer.shorten(line)).collect()
        };
        for (at, statistic) in self.statistics.iter_mut().enumerate() {
            if let Some(counted) = self.counted.get(at) {
                if counted.covers(number, end) {
                    continue;
                }
                let is_apart = !counted.covers(number, start + 1);
                assert!(is_apart, "{chunk:?} spans where statistic {at} stands: {counted}");
            }
            for line in &lines {
                let is_new = !statistic.committed.contains(line) && !statistic.read.contains(line);
                assert!(is_new, "statistic {at} counts {line:?} twice: {chunk:?}");
                statistic.read.push(line.clone());
            }
        }
        self.added.iter_mut().for_each(|added| added.count(chunk, &lines));
        self.read.push((number, end));
        self.lines.entry(number).or_default().extend(lines);
    }

    fn is_at_end(&mut self) -> bool {
        let now = self.now;
        while let Some(tailer) = &mut self.tailer {
            match tailer.check_end(now) {
                Ok(is_at_end) => return is_at_end,
                Err(error) => {
                    if !self.endure(&error) {
                        return false;
                    }
                }
            }
        }
        false
    }

    /// Handles an error. Returns `false` if another tailer was started, or none is left.
    fn endure(&mut self, error: &TailError) -> bool {
        self.note_events();
        let is_killed = self.fs.lock().agent.take_killed();
        let verdict = if is_killed { Verdict::Restart } else { self.judge(error) };
        match verdict {
            Verdict::TryAgain => return true,
            Verdict::Restart => self.restart(),
            Verdict::Stop => self.tailer = None,
        }
        false
    }

    /// Judges an error. It is believed if it comes again and again while nothing happens to the log.
    fn judge(&mut self, error: &TailError) -> Verdict {
        super::trace(format_args!("error: {error}"));
        match error {
            TailError::Shrunk { .. } => return Verdict::Restart,
            TailError::Io { source, .. } if source.kind() == ErrorKind::Other => return Verdict::Restart,
            _ => {}
        }
        let shared = &mut *self.fs.lock();
        if !shared.agent.rotator.is_idle() {
            shared.agent.step(&mut shared.disk, Who::Rotator, 1);
            return Verdict::TryAgain;
        }
        self.errors += 1;
        self.now += RETRY_TIME;
        if self.errors < ERRORS_MAX {
            return Verdict::TryAgain;
        }
        // If a line is in no copy, a file is left that resembles the one that was read and is not the same.
        let is_deleted = shared.agent.rotator.has_deleted_by_force
            || shared.agent.writer.lines.iter().any(|line| line.fate == Fate::Deleted);
        assert!(is_deleted, "the log cannot be read: {error}");
        Verdict::Stop
    }

    fn note_events(&mut self) {
        for event in self.tailer.iter_mut().flat_map(Tailer::take_events) {
            super::trace(format_args!("event: {event}"));
            let lost = event.lost();
            let lines = &self.fs.lock().agent.writer.lines;
            let is_exact = lines.iter().all(|line| line.fate != Fate::Deleted);
            assert!(!event.is_loss() || !is_exact, "no byte is lost, but: {event}");
            self.lost_bytes += lost;
        }
    }
}

/// Returns the change as it is after it was written and read back.
fn stored(change: &InventoryChange) -> InventoryChange {
    serde_json::from_str(&serde_json::to_string(change).unwrap()).unwrap()
}

fn sample(lines: &[&str]) -> String {
    let shown: Vec<String> = lines.iter().take(8).map(|line| line.chars().take(24).collect()).collect();
    format!("{} lines: {shown:?}", lines.len())
}
