//! A world, and the model that says what is right.

use std::{collections::BTreeMap, path::Path, sync::atomic::Ordering::SeqCst, time::Duration};

use evs_core::{MeasureColumn, MeasureKind, Schema, Sink, internals::disk::SimDisk};

use crate::{
    chance::Chance,
    life::{End, STATISTICS, STORES},
    site::Site,
    store::Store,
    tail_support::sim::{Disk, SimFs},
    time::{TIME, Time},
};

/// The most calls to the state directory, and to the log, before a life ends in one.
const DISK_CALLS_MAX: u64 = 250;
const LOG_CALLS_MAX: u64 = 900;

/// The number of calls to the log after which a world counts as stuck.
const CALLS_MAX: u64 = 2_000_000;

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

/// What has happened in some worlds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coverage {
    pub lives: u64,
    pub kills: u64,
    pub power_cuts: u64,
    pub rotations: u64,
    pub lost_answers: u64,
    pub failovers: u64,
    pub copies: u64,
    pub log_errors: u64,
    pub clock_steps: u64,
    pub lines: u64,
    pub rejected: u64,
    /// A checksum of all calls.
    pub trace: u64,
}

impl Coverage {
    pub fn add(&mut self, other: Self) {
        self.lives += other.lives;
        self.kills += other.kills;
        self.power_cuts += other.power_cuts;
        self.rotations += other.rotations;
        self.lost_answers += other.lost_answers;
        self.failovers += other.failovers;
        self.copies += other.copies;
        self.log_errors += other.log_errors;
        self.clock_steps += other.clock_steps;
        self.lines += other.lines;
        self.rejected += other.rejected;
        self.trace ^= other.trace;
    }

    /// Checks that everything has happened.
    pub fn assert_complete(&self) {
        let Self { lives, kills, power_cuts, rotations, lost_answers, failovers, .. } = *self;
        let Self { copies, log_errors, clock_steps, lines, rejected, .. } = *self;
        let happened = [lives, kills, power_cuts, rotations, lost_answers, failovers];
        let counts = happened.into_iter().chain([copies, log_errors, clock_steps, lines, rejected]);
        assert!({ counts }.all(|count| count > 10), "{self:?}");
    }
}

/// A web server with its log, a machine with a state directory, and stores.
pub struct World {
    pub seed: u64,
    size: Size,
    pub chance: Chance,
    pub log: SimFs<Site>,
    pub state: SimDisk,
    pub stores: Vec<Store>,
    pub time: Time,
    pub coverage: Coverage,
    pub manner: Manner,
}

/// What is the same in all lives of a world.
#[derive(Debug)]
pub struct Manner {
    pub workers: usize,
    pub spool_bytes_max: u64,
    /// True if stores go back to an older state. evs keeps what such a store needs, unless its disk is full.
    fails_over: bool,
}

impl Manner {
    fn new(chance: &mut Chance) -> Self {
        Self {
            workers: 1 + chance.below(3) as usize,
            spool_bytes_max: [1 << 30, 20_000][usize::from(chance.one_in(4))],
            fails_over: chance.one_in(3),
        }
    }
}

impl World {
    pub fn new(seed: u64, size: Size) -> Self {
        let mut chance = Chance::new(seed);
        let mut disk = Disk::new(Duration::from_secs(TIME), Duration::from_millis(1 + chance.below(500)));
        disk.create_directory(Path::new("/log"));
        let time = Time::new(CALLS_MAX);
        let site = Site::new(chance.fork(), time.clone(), size.lines, &mut disk);
        let mut manner = Manner::new(&mut chance);
        // On a full disk, and at the limit of the binlog, nothing is kept for a store that goes back.
        manner.fails_over &= manner.spool_bytes_max > 1 << 20;
        let read_bytes_max = [usize::MAX, 1 + chance.below(200) as usize][usize::from(chance.one_in(4))];
        Self {
            seed,
            size,
            log: SimFs::new(disk, site, read_bytes_max),
            state: SimDisk::new(),
            stores: STORES.map(|_| Store::new(chance.fork(), time.clone(), manner.fails_over)).into(),
            manner,
            time,
            coverage: Coverage::default(),
            chance,
        }
    }

    /// Lets everything happen, and then compares the stores with the log.
    pub fn run(mut self) -> Coverage {
        let lives = (1 + self.chance.below(Size::MAX.lives)).min(self.size.lives);
        for _ in 0..lives {
            let steps = self.chance.below(80);
            let gap = self.gap();
            self.time.pass(gap);
            if self.chance.one_in(8) {
                self.coverage.clock_steps += 1;
                self.time
                    .step([0, 60, -60, 86_400, -86_400, 3 * 365 * 86_400][self.chance.below(6) as usize]);
            }
            self.log.with(|disk, site| site.work(disk, steps));
            let end = self.end();
            self.live(end);
            if self.chance.one_in(2) {
                self.power_cut();
            }
        }
        self.stores.iter().for_each(|store| store.is_calm.store(true, SeqCst));
        self.log.with(|disk, site| site.calm_down(disk));
        self.finish();
        self.check();
        // Everything that was counted is durable, in the log and in the state directory.
        self.power_cut();
        assert_eq!(self.finish(), 0, "seed {}: nothing is read again", self.seed);
        self.check();
        self.coverage.lives += lives;
        (self.coverage.rotations, self.coverage.trace) =
            self.log.with(|_, site| (site.rotations, site.trace));
        self.coverage.copies += self.log.with(|_, site| site.copies);
        self.coverage.failovers += self.stores.iter().map(|store| store.failovers.load(SeqCst)).sum::<u64>();
        self.coverage.lost_answers +=
            self.stores.iter().map(|store| store.lost_answers.load(SeqCst)).sum::<u64>();
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
        match chance.below(11) {
            0..=2 => End::KilledByDisk(call),
            3 | 4 => End::KilledByLog(chance.below(LOG_CALLS_MAX)),
            5 => End::Killed(chance.below(150)),
            6 => [End::Fails(call), End::Short(call)][chance.below(2) as usize],
            7 if !self.manner.fails_over => End::Full(chance.below(40_000)),
            8 => End::LogFails(chance.below(LOG_CALLS_MAX)),
            _ => End::Stopped(chance.below(150)),
        }
    }

    fn power_cut(&mut self) {
        self.coverage.power_cuts += 1;
        self.state.power_cut(self.chance.next());
        self.log.with(|disk, site| site.power_cut(disk));
    }

    /// Lets the pipeline read and deliver everything. Returns the number of lines.
    fn finish(&mut self) -> u64 {
        let summary = self.live(End::Done).unwrap().unwrap();
        assert!(summary.is_complete && summary.undelivered == 0, "seed {}: {summary:?}", self.seed);
        summary.lines
    }

    /// Compares the stores and the file of rejected lines with the log.
    fn check(&mut self) {
        let lines = self.log.with(|disk, site| site.lines(disk));
        let mut expected = BTreeMap::new();
        let mut rejected = Vec::new();
        for line in lines {
            match *line.split(' ').collect::<Vec<_>>() {
                // A power cut may leave the beginning of a line, and a truncation its end, as a line of its own. It counts
                // if it has come to the status and not lost its key.
                [key, _, "2" | "20" | "200"] if !key.is_empty() => {
                    *expected.entry(key.to_owned()).or_insert(0) += 1;
                }
                _ => rejected.push(line),
            }
        }
        rejected.sort_unstable();
        (self.coverage.lines, self.coverage.rejected) = (expected.len() as u64, rejected.len() as u64);
        for (store, name) in self.stores.iter().zip(STORES) {
            for statistic in STATISTICS {
                self.compare(
                    &expected,
                    store,
                    &format!("seed {}: {statistic} in {name}", self.seed),
                    statistic,
                );
            }
        }
        assert_eq!(self.rejected(), rejected, "seed {}: rejected lines", self.seed);
    }

    fn compare(&self, expected: &BTreeMap<String, i128>, store: &Store, what: &str, statistic: &str) {
        let keys = vec![evs_core::KeyColumn::new("request_id", "request_id")];
        let count = MeasureColumn::new("count", MeasureKind::Count, "", 0);
        let schema = Schema::new(statistic, 60, keys, vec![count]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let rows = runtime.block_on(store.memory().totals(&schema, i64::MIN..i64::MAX)).unwrap();
        let mut found = BTreeMap::new();
        let mut cursor = rows.cursor();
        while let Some(row) = cursor.next_row() {
            let key = String::from_utf8(row.keys[0].to_vec()).unwrap();
            *found.entry(key).or_insert(0) += row.values[0].unwrap();
        }
        let wrong = |key: &&String| expected.get(*key) != found.get(*key);
        let wrong: Vec<_> = expected.keys().chain(found.keys()).filter(wrong).take(10).collect();
        let pairs: Vec<_> = wrong.iter().map(|key| (key, expected.get(*key), found.get(*key))).collect();
        let lines = self.log.with(|disk, site| site.lines(disk));
        let of_wrong = |line: &&String| wrong.iter().any(|key| line.contains(&***key));
        let lines: Vec<_> = lines.iter().filter(of_wrong).collect();
        assert!(pairs.is_empty(), "{what}: line, lines in the log, lines counted: {pairs:?}, in {lines:?}");
    }

    /// Returns the lines in the file of rejected lines.
    fn rejected(&self) -> Vec<String> {
        let bytes = self.state.contents("rejected-0.jsonl").unwrap_or_default();
        let text = String::from_utf8(bytes).unwrap();
        let line = |entry: &str| {
            let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
            entry["line"].as_str().unwrap().to_owned()
        };
        let mut lines: Vec<_> = text.lines().map(line).collect();
        lines.sort_unstable();
        lines
    }
}
