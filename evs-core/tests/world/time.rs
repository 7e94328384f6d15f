//! The time of a world: it passes while everybody waits, with every call to the log, and between two lives.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use evs_core::internals::clock::Wall;

/// The time of the beginning, and of all lines, in seconds since 1970.
pub const TIME: u64 = 1_800_000_000;
/// The time that passes with each call.
const CALL_TIME: Duration = Duration::from_micros(50);

/// The clock of a world. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Time(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Any instant, which stands for the beginning of the world.
    origin: Instant,
    /// The time before the present life, since the beginning.
    before: Mutex<Duration>,
    /// The beginning of the present life on the clock of its runtime, which stands still until all tasks wait.
    life: Mutex<Option<tokio::time::Instant>>,
    /// The seconds by which the clock of the day is wrong.
    skew: AtomicI64,
    /// The number of calls so far.
    calls: AtomicU64,
    /// The number of calls that count as an endless loop.
    calls_max: AtomicU64,
}

impl Time {
    pub fn new() -> Self {
        let (before, life, skew, calls, calls_max) = Default::default();
        Self(Arc::new(Inner { origin: Instant::now(), before, life, skew, calls, calls_max }))
    }

    /// Returns the time since the beginning of the world.
    pub fn elapsed(&self) -> Duration {
        let lived = self.0.life.lock().unwrap().map_or(Duration::ZERO, |life| life.elapsed());
        let calls = u32::try_from(self.0.calls.load(SeqCst)).unwrap();
        *self.0.before.lock().unwrap() + lived + CALL_TIME * calls
    }

    /// Returns the time since 1970, as the clock of the day has it.
    pub fn since_1970(&self) -> Duration {
        let right = Duration::from_secs(TIME) + self.elapsed();
        match self.0.skew.load(SeqCst) {
            ahead @ 0.. => right + Duration::from_secs(ahead.unsigned_abs()),
            behind => right - Duration::from_secs(behind.unsigned_abs()),
        }
    }

    /// Sets the clock of the day wrong by that many seconds.
    pub fn step(&self, skew: i64) {
        self.0.skew.store(skew, SeqCst);
    }

    /// Sets the number of calls that count as an endless loop.
    pub fn set_calls_max(&self, calls_max: u64) {
        self.0.calls_max.store(calls_max, SeqCst);
    }

    /// Notes a call.
    pub fn call(&self) {
        let calls = self.0.calls.fetch_add(1, SeqCst);
        assert!(
            calls < self.0.calls_max.load(SeqCst),
            "the pipeline calls and calls, and nothing comes of it"
        );
    }

    /// Lets time pass while nobody lives.
    pub fn pass(&self, time: Duration) {
        *self.0.before.lock().unwrap() += time;
    }

    /// Begins a life, within its runtime.
    pub fn begin_life(&self) {
        *self.0.life.lock().unwrap() = Some(tokio::time::Instant::now());
    }

    /// Ends a life, within its runtime.
    pub fn end_life(&self) {
        let life = self.0.life.lock().unwrap().take().unwrap();
        self.pass(life.elapsed());
    }

    /// Returns the clocks as a pipeline reads them.
    pub fn wall(&self) -> Wall {
        let time = self.clone();
        Wall::new(move || {
            (time.0.origin + time.elapsed(), i64::try_from(time.since_1970().as_secs()).unwrap())
        })
    }
}
