//! The time of a world: it passes while everybody waits, with every call to the log, and between two lives.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
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
    /// The number of calls so far.
    calls: AtomicU64,
    /// The number of calls of one life that count as an endless loop.
    calls_max: u64,
}

impl Time {
    pub fn new(calls_max: u64) -> Self {
        let (before, life) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { origin: Instant::now(), before, life, calls: AtomicU64::new(0), calls_max }))
    }

    /// Returns the time since the beginning of the world.
    pub fn elapsed(&self) -> Duration {
        let lived = self.0.life.lock().unwrap().map_or(Duration::ZERO, |life| life.elapsed());
        let calls = u32::try_from(self.0.calls.load(SeqCst)).unwrap();
        *self.0.before.lock().unwrap() + lived + CALL_TIME * calls
    }

    /// Returns the time since 1970.
    pub fn since_1970(&self) -> Duration {
        Duration::from_secs(TIME) + self.elapsed()
    }

    /// Notes a call.
    pub fn call(&self) {
        let calls = self.0.calls.fetch_add(1, SeqCst);
        assert!(calls < self.0.calls_max, "the pipeline calls and calls, and nothing comes of it");
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
            let elapsed = time.elapsed();
            let seconds = Duration::from_secs(TIME) + elapsed;
            (time.0.origin + elapsed, i64::try_from(seconds.as_secs()).unwrap())
        })
    }
}
