//! The world around a tailer: a writer, a rotator and a clock. All of them act while the tailer works, and the
//! tailer itself can be killed.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by several tests")]

mod added;
mod names;
mod reader;
mod rotator;
mod step;
mod writer;

use std::{
    collections::{HashSet, VecDeque},
    env, fmt,
    io::{self, Read},
    path::Path,
    sync::LazyLock,
    time::Duration,
};

pub use names::Naming;
pub use reader::{Reader, STATISTICS};
pub use rotator::{Ending, LOG, Link, Program, Rotator, Stamp, Way};
pub use writer::{Fate, Writer};

use evs_core::Begin;

use crate::tail_support::{
    GRACE,
    sim::{Agent, Disk},
};

/// A program that copies a file writes at least this many bytes at once. No other file begins with the same bytes.
const PIECE_BYTES_MIN: usize = 4;

/// A program that copies or decompresses a rotated file writes at least this many bytes at once: `cp` writes 128
/// KiB, gunzip 32 KiB. A shorter piece than the head by which files are recognized would count as a file of its own.
const BLOCK_BYTES_MIN: usize = 2048;
/// The time by which the clock advances with each step.
const STEP_TIME: Duration = Duration::from_millis(7);
/// The longest time for which a writer continues to write to a rotated log. It is shorter than the grace time.
const LATE_TIME_MAX: Duration = Duration::from_secs(GRACE.as_secs() / 4 * 3);

/// Steps that happen between two calls of a tailer.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// The number of further calls after which they happen.
    pub after: u8,
    pub who: Who,
    pub steps: u8,
}

/// The one that acts.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    Rotator,
    Writer,
}

/// Everything that uses the disk besides the tailer.
#[derive(Debug)]
pub struct World {
    pub writer: Writer,
    pub rotator: Rotator,
    turns: VecDeque<Turn>,
    /// The number of calls after which the tailer is killed, so that all its further calls fail.
    kill_after: Option<u16>,
    is_killed: bool,
    /// The number of calls after which a single one fails.
    fail_after: Option<u16>,
    /// The time since something was last written to the rotated log.
    late_since: Duration,
}

impl World {
    pub fn new(writer: Writer, rotator: Rotator) -> Self {
        Self {
            writer,
            rotator,
            turns: VecDeque::new(),
            kill_after: None,
            is_killed: false,
            fail_after: None,
            late_since: Duration::ZERO,
        }
    }

    /// Sets the turns during the next calls. They replace those that were planned before.
    pub fn plan(&mut self, turns: &[Turn]) {
        self.turns = turns.iter().copied().collect();
    }

    pub fn kill_after(&mut self, calls: u16) {
        self.kill_after = Some(calls);
    }

    pub fn fail_after(&mut self, calls: u16) {
        self.fail_after = Some(calls);
    }

    /// Returns true if the tailer was killed since the last call of this function.
    pub fn take_killed(&mut self) -> bool {
        std::mem::take(&mut self.is_killed)
    }

    pub fn step(&mut self, disk: &mut Disk, who: Who, steps: u8) {
        for step in 0..steps {
            disk.set_clock(disk.clock() + STEP_TIME);
            match who {
                Who::Rotator => drop(self.rotator.step(disk, &mut self.writer)),
                Who::Writer => {
                    if self.writer.step(disk, 5 + 37 * usize::from(step)) {
                        self.late_since = Duration::ZERO;
                    }
                }
            }
        }
    }

    /// Finishes the work that the rotator has begun.
    pub fn finish_rotator(&mut self, disk: &mut Disk) {
        while !self.rotator.is_idle() {
            self.step(disk, Who::Rotator, 1);
        }
    }

    /// Writes everything that is queued.
    pub fn write(&mut self, disk: &mut Disk) {
        while self.writer.step(disk, usize::MAX) {
            self.late_since = Duration::ZERO;
        }
    }

    /// Records that a source begins. This decides which lines are older than the source.
    pub fn begin_source(&mut self, disk: &mut Disk, begin: Begin) {
        if begin != Begin::Oldest {
            self.finish_rotator(disk);
            self.writer.close_rotated(disk);
            let live = lines(disk, Path::new(LOG)).unwrap_or_default();
            self.writer.disown_all(begin == Begin::End, &live);
        }
    }

    /// Finishes everything that was begun. From now on nothing goes wrong.
    pub fn calm_down(&mut self, disk: &mut Disk) {
        (self.kill_after, self.fail_after) = (None, None);
        self.turns.clear();
        self.finish_rotator(disk);
        self.writer.finish(disk);
    }

    /// Lets time pass. If it is long, the writer stops writing to a rotated log, and a copy is finished.
    pub fn pass(&mut self, disk: &mut Disk, time: Duration) {
        self.late_since += time;
        disk.set_clock(disk.clock() + time);
        if self.late_since > LATE_TIME_MAX {
            while self.rotator.is_hurrying() {
                self.step(disk, Who::Rotator, 1);
            }
            self.writer.close_rotated(disk);
        }
    }

    /// Sets the clock forward by `seconds`, or back.
    pub fn set_clock(&mut self, disk: &mut Disk, seconds: i16) {
        disk.set_clock(shift(disk.clock(), i64::from(seconds)));
    }

    fn take_turns(&mut self, disk: &mut Disk) {
        while let Some(turn) = self.turns.front_mut() {
            if turn.after > 0 {
                turn.after -= 1;
                return;
            }
            let Turn { who, steps, .. } = *turn;
            self.turns.pop_front();
            self.step(disk, who, steps);
        }
    }
}

impl Agent for World {
    fn before_call(&mut self, disk: &mut Disk, call: fmt::Arguments<'_>) -> io::Result<()> {
        if !self.is_killed && counts_down(&mut self.kill_after) {
            self.is_killed = true;
        }
        if self.is_killed {
            return Err(io::Error::other("the tailer was killed"));
        }
        self.take_turns(disk);
        trace(call);
        if counts_down(&mut self.fail_after) {
            return Err(io::Error::other("the disk fails, for once"));
        }
        Ok(())
    }
}

/// Prints what happens, if the environment asks for it.
pub fn trace(what: fmt::Arguments<'_>) {
    static IS_ON: LazyLock<bool> = LazyLock::new(|| env::var_os("TAIL_MODEL_TRACE").is_some());
    if *IS_ON {
        eprintln!("{what}");
    }
}

/// Counts `calls` down. Returns true once, when it has run out, and sets it to `None`.
fn counts_down(calls: &mut Option<u16>) -> bool {
    match calls {
        Some(0) => {
            *calls = None;
            true
        }
        Some(calls) => {
            *calls -= 1;
            false
        }
        None => false,
    }
}

/// Returns `time`, shifted by the given number of seconds.
fn shift(time: Duration, seconds: i64) -> Duration {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { time.saturating_sub(by) } else { time + by }
}

/// Returns the uncompressed bytes of a file; `None` if it is incomplete.
pub fn plain_bytes(disk: &Disk, path: &Path) -> Option<Vec<u8>> {
    let bytes = disk.read(path).ok()?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).ok()?;
            Some(plain)
        }
        Some("zst") => zstd::decode_all(bytes).ok(),
        _ => Some(bytes.to_vec()),
    }
}

/// Returns the lines in a file; `None` if it is incomplete.
pub fn lines(disk: &Disk, path: &Path) -> Option<HashSet<String>> {
    let text = String::from_utf8(plain_bytes(disk, path)?).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}
