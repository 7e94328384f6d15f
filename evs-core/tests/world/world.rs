//! A world: what there is, and what happens in it.

use std::{io::ErrorKind, path::Path, sync::atomic::Ordering::SeqCst, time::Duration};

use evs_core::{Error, MemorySink, Undelivered, internals::disk::SimDisk};

use crate::{
    chance::Chance,
    coverage::{Coverage, Event},
    given_up::{self, Files},
    life::End,
    lines::Kind,
    model::{Expected, rejected},
    naming::Scheme,
    operator::{Operator, STATISTICS},
    site::Site,
    store::Store,
    tail_support::sim::{Disk, SimFs},
    time::{TIME, Time},
};

/// The most calls to the state directory, and to the log, before a life ends in one.
const DISK_CALLS_MAX: u64 = 250;
const LOG_CALLS_MAX: u64 = 900;
/// The number of calls to the log after which a world counts as stuck, if each reads the given number of bytes. If they read
/// fewer, there are more of them.
const CALLS_MAX: u64 = 2_000_000;
const CALL_BYTES: u64 = 16;
/// The number of starts after which everything is delivered, once the faults have ended.
const STARTS_MAX: usize = 10;
/// The time for which an older state directory is tried, in milliseconds.
const RESTORED_MILLIS: u64 = 500;
/// The errors with which a call fails.
const ERRORS: [ErrorKind; 4] =
    [ErrorKind::Other, ErrorKind::Interrupted, ErrorKind::StorageFull, ErrorKind::PermissionDenied];
/// The steps by which the clock of the day may be wrong, in seconds.
const CLOCK_STEPS: [i64; 6] = [0, 60, -60, 86_400, -86_400, 3 * 365 * 86_400];

/// How much happens in a world at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The number of lives of a pipeline before the last one.
    pub lives: u64,
    /// The number of lines.
    pub lines: u64,
}

impl Size {
    pub const MAX: Self = Self { lives: 7, lines: 1500 };

    pub fn with_fewer_lives(self) -> Option<Self> {
        Some(Self { lives: self.lives.checked_sub(1)?, ..self })
    }

    pub fn with_fewer_lines(self) -> Option<Self> {
        (self.lines > 10).then_some(Self { lines: self.lines / 2, ..self })
    }
}

/// A web server with its log, a machine with a state directory, and stores.
pub struct World {
    pub seed: u64,
    size: Size,
    pub chance: Chance,
    /// The chance of what was added to the worlds later, so that a seed still decides the rest as before.
    pub later: Chance,
    pub log: SimFs<Site>,
    pub state: SimDisk,
    pub stores: [Store; 2],
    pub operator: Operator,
    pub time: Time,
    pub coverage: Coverage,
    pub manner: Manner,
    /// The name of the source.
    pub source: &'static str,
    /// The state directory that the source had under its former name, and what becomes of its undelivered batches.
    pub copied: Option<(SimDisk, Undelivered)>,
    /// A backup of each store, which may be old.
    pub old: [Option<MemorySink>; 2],
    /// A copy of the state directory from before the last lives.
    backup: Option<Files>,
    /// True during a life whose end the caller judges.
    pub is_judged_apart: bool,
    /// The rejected lines of the state directory that was lost.
    rejected_before: Option<Vec<String>>,
    /// The state directories of the source's former names, which have further rejected lines.
    former: Vec<SimDisk>,
    /// The files of batches that were given up.
    given_up: Files,
}

/// What is the same in all lives of a world.
#[derive(Debug)]
pub struct Manner {
    pub workers: usize,
    pub spool_bytes_max: u64,
    pub lines_per_second_max: Option<u64>,
    /// True if the same pipeline is run twice in a life.
    pub runs_again: bool,
    /// True if stores go back to an older state. evs keeps what such a store needs, unless its disk is full.
    pub fails_over: bool,
    /// The number of lives after which the source gets another name, and whether it gets one when everything is delivered.
    renamed_after: Option<u64>,
    is_renamed_at_end: bool,
}

impl Manner {
    fn new(chance: &mut Chance, later: &mut Chance) -> Self {
        Self {
            workers: 1 + chance.below(3) as usize,
            spool_bytes_max: [1 << 30, 20_000][usize::from(chance.one_in(4))],
            lines_per_second_max: chance.one_in(6).then_some(5000),
            runs_again: chance.one_in(3),
            fails_over: chance.one_in(3),
            renamed_after: later.one_in(6).then(|| later.below(4)),
            is_renamed_at_end: later.one_in(8),
        }
    }
}

impl World {
    pub fn new(seed: u64, size: Size) -> Self {
        let (mut chance, mut later) = (Chance::new(seed), Chance::new(!seed));
        let mut disk = Disk::new(Duration::from_secs(TIME), Duration::from_millis(1 + chance.below(500)));
        disk.create_directory(Path::new("/log"));
        let time = Time::new();
        let site = Site::new(chance.fork(), later.fork(), time.clone(), size.lines, &mut disk);
        let mut manner = Manner::new(&mut chance, &mut later);
        // On a full disk, and at the limit of the binlog, nothing is kept for a store that goes back.
        manner.fails_over &= manner.spool_bytes_max > 1 << 20;
        // A store that goes back then may lack batches of the former name, which nobody delivers.
        manner.renamed_after = manner.renamed_after.filter(|_| !manner.fails_over);
        let read_bytes_max = [usize::MAX, 1 + chance.below(200) as usize][usize::from(chance.one_in(4))];
        time.set_calls_max(CALLS_MAX * CALL_BYTES.div_ceil(read_bytes_max as u64));
        Self {
            seed,
            size,
            log: SimFs::new(disk, site, read_bytes_max),
            state: SimDisk::new(),
            stores: [(); 2].map(|()| Store::new(chance.fork(), time.clone(), manner.fails_over)),
            operator: Operator::new(chance.fork(), time.clone(), manner.renamed_after.is_none()),
            manner,
            time,
            coverage: Coverage::default(),
            source: "web1",
            copied: None,
            old: [None, None],
            backup: None,
            is_judged_apart: false,
            rejected_before: None,
            former: Vec::new(),
            given_up: Files::new(),
            chance,
            later,
        }
    }

    /// Lets everything happen, and then compares the stores with the log.
    pub fn run(mut self) -> Coverage {
        let lives = (1 + self.chance.below(Size::MAX.lives)).min(self.size.lives);
        for life in 0..lives {
            self.live_somehow();
            if self.manner.renamed_after == Some(life) {
                self.rename_source("web1-2", Undelivered::Deliver);
            }
        }
        self.end_well();
        if self.manner.is_renamed_at_end {
            self.rename_source("web1-3", Undelivered::Leave);
            self.wake_up();
            let lives = self.later.below(3).min(self.size.lives);
            (0..lives).for_each(|_| self.live_somehow());
            self.end_well();
        }
        if self.chance.one_in(6) && self.can_adopt() {
            if let Some(backup) = self.backup.take() {
                self.restore_state(&backup);
            }
            self.lose_state();
            let lives = self.chance.below(3).min(self.size.lives);
            (0..lives).for_each(|_| self.live_somehow());
            self.end_well();
        }
        self.into_coverage()
    }

    /// Lets time pass and the pipeline live, until something ends its life.
    fn live_somehow(&mut self) {
        let steps = self.chance.below(80);
        let gap = self.gap();
        self.time.pass(gap);
        if self.chance.one_in(8) {
            self.coverage.note(Event::ClockStep, 1);
            self.time.step(CLOCK_STEPS[self.chance.below(CLOCK_STEPS.len() as u64) as usize]);
        }
        self.log.with(|disk, site| site.work(disk, steps));
        self.operator.change();
        let end = self.end();
        let _ = self.live(end);
        if self.chance.one_in(2) {
            self.power_cut();
        }
        if self.chance.one_in(4) {
            let contents = |name: String| Some((name.clone(), self.state.contents(&name)?));
            self.backup = Some(self.state.names().into_iter().filter_map(contents).collect());
        }
        self.perhaps_a_mishap();
    }

    /// Lets the faults end, those of the stores in the course of a life. Then everything has to be right.
    fn end_well(&mut self) {
        self.operator.complete();
        self.log.with(|disk, site| site.calm_down(disk));
        let failovers = self.failovers();
        self.finish();
        // A run does not see that a store goes back after its last batch. The next one does.
        if self.failovers() == failovers {
            self.check();
        }
        // Everything that was counted is durable, in the log and in the state directory, and all that a store may have lost
        // is still in the latter.
        self.power_cut();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for store in &self.stores {
                store.is_calm.store(true, SeqCst);
                store.fail_over().await;
            }
        });
        assert_eq!(self.finish(), 0, "seed {}: nothing is read again", self.seed);
        self.check();
    }

    /// Returns true if the stores know where the pipeline stands: they have counted something of each statistic, and do not lack the end of the
    /// older files, which may have no lines. Which files are older than that place is then said by their names alone.
    fn can_adopt(&self) -> bool {
        self.coverage.get(Event::Line) > 0
            && self.log.with(|_, site| site.is_ordered)
            && self.stores.iter().all(|store| store.known(self.source) == STATISTICS.len())
            && self.stores.iter().all(|store| !store.is_among_older_files(self.source))
    }

    fn failovers(&self) -> u64 {
        self.stores.iter().map(|store| store.failovers.load(SeqCst)).sum()
    }

    /// Keeps what a state directory that goes away has reported. The first one has all rejected lines: an older one that took
    /// its place has fewer.
    fn keep_what_was_reported(&mut self) {
        self.rejected_before.get_or_insert_with(|| rejected(&self.state));
        self.given_up.extend(given_up::files(&self.state));
    }

    /// Replaces the state directory by an older one. The stores have more, which it must notice before it adds anything.
    fn restore_state(&mut self, backup: &Files) {
        self.keep_what_was_reported();
        self.state.names().iter().for_each(|name| self.state.lose(name));
        for (name, bytes) in backup {
            self.state.set_contents(name, bytes.clone());
        }
        self.is_judged_apart = true;
        let is_refused = match self.live(End::Stopped(RESTORED_MILLIS)).unwrap() {
            Ok(summary) => summary.undelivered > 0,
            // It may be from before its epoch was durable.
            Err(Error::SinkStopped { .. } | Error::ForeignState { .. }) => true,
            Err(error) => panic!("seed {}: {error:?}", self.seed),
        };
        // Otherwise it was as far as the stores are.
        self.coverage.note(Event::Restored, u64::from(is_refused));
        self.is_judged_apart = false;
        self.check();
    }

    /// Gives the source another name, with a new state directory that begins where the old one stands. The old one, which
    /// must have a binlog, does not run any more.
    fn rename_source(&mut self, name: &'static str, undelivered: Undelivered) {
        if self.stores.iter().all(|store| store.known(self.source) == 0) {
            return;
        }
        self.coverage.note(Event::Renamed, 1);
        self.given_up.extend(given_up::files(&self.state));
        let copied = SimDisk::new();
        for file in self.state.names() {
            copied.set_contents(&file, self.state.contents(&file).unwrap());
            self.state.lose(&file);
        }
        self.former.push(copied.clone());
        (self.source, self.copied, self.backup) = (name, Some((copied, undelivered)), None);
    }

    /// Loses the state directory, and lets everything go on.
    fn lose_state(&mut self) {
        self.coverage.note(Event::LostState, 1);
        self.keep_what_was_reported();
        self.operator.lose_state(&self.state);
        self.copied = None;
        self.wake_up();
    }

    /// Lets everything go on after the end.
    fn wake_up(&mut self) {
        for store in &self.stores {
            store.replica.lock().unwrap().take();
            store.is_calm.store(false, SeqCst);
            // A new state directory has nothing for a store that goes back beyond its beginning.
            store.fails_over.store(false, SeqCst);
        }
        let lines = self.chance.below(100);
        self.log.with(|_, site| site.wake_up(lines));
    }

    fn into_coverage(mut self) -> Coverage {
        let failovers = self.failovers();
        let coverage = &mut self.coverage;
        self.log.with(|_, site| {
            coverage.note(Event::Rotation, site.rotations);
            coverage.note(Event::Copy, site.copies);
            coverage.note(Event::Packed, site.packed);
            coverage.note(Event::LateLine, site.late_lines);
            coverage.note(Event::Described, u64::from(site.kind == Kind::W3c));
            coverage.note(Event::Pattern, u64::from(site.naming.scheme == Scheme::Pattern));
            coverage.note(Event::NamesUndone, site.undone);
            coverage.note(Event::LongLine, site.harm.long);
            coverage.note(Event::Truncated, site.harm.truncated);
            coverage.note(Event::Damaged, site.harm.damages());
            coverage.trace = site.trace;
        });
        coverage
            .note(Event::LostAnswer, self.stores.iter().map(|store| store.lost_answers.load(SeqCst)).sum());
        coverage.note(Event::Failover, failovers);
        coverage.note(Event::Change, self.operator.changes);
        coverage.note(Event::Guest, self.operator.guests.len() as u64);
        coverage.note(Event::Retry, self.operator.retries);
        coverage.note(Event::GivenUp, self.operator.given_up.len() as u64);
        self.coverage
    }

    /// Chooses the time between two lives.
    fn gap(&mut self) -> Duration {
        let longest = [100, 10_000, 7_200_000][self.chance.below(3) as usize];
        Duration::from_millis(self.chance.below(longest))
    }

    /// Chooses the end of a life.
    fn end(&mut self) -> End {
        let chance = &mut self.chance;
        let call = chance.below(DISK_CALLS_MAX) as usize;
        let mut error = ERRORS[chance.below(ERRORS.len() as u64) as usize];
        // On a full disk, nothing is kept for a store that goes back.
        if self.manner.fails_over && error == ErrorKind::StorageFull {
            error = ErrorKind::Other;
        }
        match chance.below(11) {
            0..=2 => End::KilledByDisk(call),
            3 | 4 => End::KilledByLog(chance.below(LOG_CALLS_MAX)),
            5 => End::Killed(chance.below(150)),
            6 => [End::Fails(call, error), End::Short(call, error)][chance.below(2) as usize],
            7 if !self.manner.fails_over => End::Full(chance.below(40_000)),
            8 => End::LogFails(chance.below(LOG_CALLS_MAX), error),
            _ => End::Stopped(chance.below(150)),
        }
    }

    fn power_cut(&mut self) {
        self.coverage.note(Event::PowerCut, 1);
        self.state.power_cut(self.chance.next());
        self.log.with(|disk, site| site.power_cut(disk));
        show!("power cut");
        self.show_log();
    }

    /// Prints the files of the log, if that is asked for.
    pub fn show_log(&self) {
        self.log.with(|disk, _| {
            for path in disk.paths() {
                let inode = disk.find(path).unwrap();
                let bytes = disk.bytes(inode);
                let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
                show!(
                    "  {} (inode {inode}, {} bytes): {}",
                    path.display(),
                    bytes.len(),
                    first.escape_ascii()
                );
            }
        });
    }

    /// Lets the pipeline read and deliver everything, and starts it again if a store has refused something. Returns the
    /// number of lines of the last life.
    fn finish(&mut self) -> u64 {
        for _ in 0..STARTS_MAX {
            match self.live(End::Done).unwrap() {
                Ok(summary) => {
                    assert!(
                        summary.is_complete && summary.undelivered == 0,
                        "seed {}: {summary:?}",
                        self.seed
                    );
                    return summary.lines;
                }
                Err(Error::SinkStopped { .. }) => {}
                Err(error) => panic!("seed {}: {error:?}", self.seed),
            }
        }
        panic!("seed {}: stopped after each of {STARTS_MAX} starts", self.seed)
    }

    /// Compares the stores and the file of rejected lines with the log.
    fn check(&mut self) {
        let (kind, lines) = self.log.with(|disk, site| (site.kind, site.lines(disk)));
        let expected = Expected::of(kind, &lines);
        self.coverage.set(Event::Line, expected.counted.len() as u64);
        self.coverage.set(Event::Rejected, expected.rejected.len() as u64);
        self.given_up.extend(given_up::files(&self.state));
        let mut given_up = given_up::counts(&self.given_up, &self.operator.given_up, &self.stores);
        for (number, store) in self.stores.iter().enumerate() {
            for (statistic, _) in STATISTICS {
                let what = format!("seed {}: {statistic} in store {number}", self.seed);
                let given_up = given_up.remove(&(number, statistic.to_owned())).unwrap_or_default();
                expected.compare(&what, store, statistic, given_up, &lines);
            }
        }
        for (number, guest) in self.operator.guests.iter().enumerate() {
            for (statistic, _) in STATISTICS {
                expected.compare_part(
                    &format!("seed {}: {statistic} in guest {number}", self.seed),
                    guest,
                    statistic,
                );
            }
        }
        let mut reported = rejected(&self.state);
        reported.extend(self.former.iter().flat_map(rejected));
        reported.extend(self.rejected_before.iter().flatten().cloned());
        reported.sort_unstable();
        // Where the stores stand is where the last batch ends. Rejected lines behind it were read before, too.
        let is_exact = self.rejected_before.is_none();
        expected.compare_rejected(&format!("seed {}", self.seed), &reported, is_exact);
    }
}
