//! The clock by which old windows are removed: the system's clock, except after it has jumped ahead.
//!
//! A jump ahead is dangerous: windows that should be kept would be past their retention at once, and removing them
//! cannot be undone. A clock that goes back removes nothing.
//!
//! A machine whose hardware clock is wrong until NTP corrects it jumps at every boot, and an administrator can mistype
//! a year. evs cannot tell which of two times is right. It can wait: the monotonic clock shows how much time has
//! really passed since the last look, and a difference that lasts an hour is taken for real.
//!
//! ```text
//! system's clock    12:00   12:01   2027    2027 + 59 min   2027 + 1 h
//! this clock        12:00   12:01   12:01   13:00           2027 + 1 h
//! ```

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The system's clock is still trusted if it is ahead of the expected time by no more than this. Corrections by NTP
/// are smaller; the jump of a machine that wakes up after hours is not.
const JUMP: Duration = Duration::from_secs(600);
/// A jump ahead is trusted after it has lasted this long: a clock that was set by mistake is corrected sooner.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The longest duration of a setting: a hundred years. A time that far away can still be computed.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Returns the duration of a setting, or a hundred years if it is longer, as is `Duration::MAX`.
pub(crate) fn bounded(setting: Duration) -> Duration {
    setting.min(LONGEST)
}

/// The source of the two system clocks: the monotonic one, and the seconds since 1970.
///
/// All threads of a pipeline read the time here, so that a test can let it jump. The deadlines of calls to sinks are
/// tokio's, which a test can pause.
#[derive(Clone)]
pub struct Wall {
    read: Arc<dyn Fn() -> (Instant, i64) + Send + Sync>,
}

impl Wall {
    /// Returns the clocks of the system.
    pub fn system() -> Self {
        Self::new(|| (Instant::now(), unix_now()))
    }

    /// Makes clocks that are read by `read`: the monotonic one, and the seconds since 1970.
    pub fn new(read: impl Fn() -> (Instant, i64) + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read) }
    }

    /// Reads the monotonic clock.
    pub fn instant(&self) -> Instant {
        (self.read)().0
    }

    /// Returns the time until these clocks show `until`.
    pub(crate) fn until(&self, until: Instant) -> Duration {
        until.saturating_duration_since(self.instant())
    }
}

impl Default for Wall {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wall")
    }
}

/// A clock that does not jump ahead.
///
/// Windows are removed and lines are too late by this clock. It follows the system's clock while that one advances
/// normally or goes back, since neither removes anything. It follows a jump ahead only after the jump has lasted.
/// Each commit makes the last time durable, so that a jump is noticed across a restart, too. A long time in which the
/// process was down looks the same as a jump.
///
/// For example, if the system's clock jumps ahead by a year, this clock continues from its own time for an hour. If
/// the jump is still there then, it follows.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The clocks of the system, or those of a test.
    wall: Wall,
    /// The time that is believed. Workers and deliveries ask for it at the same time.
    belief: Mutex<Belief>,
}

impl Clock {
    /// Makes a clock that continues from the last durable time, if there is one.
    pub(crate) fn new(wall: Wall, last: Option<i64>) -> Self {
        let (at, now) = (wall.read)();
        let belief = Belief { seconds: last.unwrap_or(now), at, doubt: None };
        Self { wall, belief: Mutex::new(belief) }
    }

    /// Returns the time, in seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        let (at, wall) = (self.wall.read)();
        // The value is consistent even if a thread panicked while it held the lock.
        self.belief.lock().unwrap_or_else(PoisonError::into_inner).update(at, wall)
    }

    /// Returns the jump of the system's clock, if the clock is not trusted.
    pub(crate) fn ahead(&self) -> Option<Duration> {
        let belief = self.belief.lock().unwrap_or_else(PoisonError::into_inner);
        belief.doubt.as_ref().map(|doubt| Duration::from_secs(doubt.ahead.unsigned_abs()))
    }
}

/// Returns the seconds since 1970 by the system's clock.
pub(crate) fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}

/// The time that is believed, and the instant at which it was believed.
#[derive(Debug)]
struct Belief {
    /// The time at the instant `at`, in seconds since 1970.
    seconds: i64,
    /// The instant at which the time was last believed.
    at: Instant,
    /// The jump that is waited out, if there is one.
    doubt: Option<Doubt>,
}

/// A jump ahead that is not trusted yet.
#[derive(Debug)]
struct Doubt {
    /// The instant at which the jump was noticed.
    since: Instant,
    /// The length of the jump, in seconds.
    ahead: i64,
}

impl Belief {
    /// Returns the time when the system's clock says `wall` at the instant `at`.
    ///
    /// The time is `wall`, unless that is more than [`JUMP`] ahead of the last believed time plus the time that has
    /// passed. A jump by another distance is a new doubt, and the hour starts over.
    fn update(&mut self, at: Instant, wall: i64) -> i64 {
        let elapsed = at.saturating_duration_since(self.at);
        let expected = self.seconds.saturating_add_unsigned(elapsed.as_secs());
        let ahead = wall.saturating_sub(expected);
        let jump = JUMP.as_secs().cast_signed();
        if ahead > jump {
            let is_same = |doubt: &&Doubt| ahead.abs_diff(doubt.ahead) <= JUMP.as_secs();
            let Some(doubt) = self.doubt.as_ref().filter(is_same) else {
                tracing::warn!(
                    seconds = ahead,
                    "the system's clock is ahead of where it was: until that has lasted an hour, no windows are \
                     removed by it and no lines are too late"
                );
                self.doubt = Some(Doubt { since: at, ahead });
                return expected;
            };
            if at.saturating_duration_since(doubt.since) < PATIENCE {
                return expected;
            }
            tracing::warn!(seconds = ahead, "the system's clock is believed again");
        }
        *self = Self { seconds: wall, at, doubt: None };
        wall
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    };

    use super::*;

    const START: i64 = 1_800_000_000;
    const YEAR: i64 = 365 * 86_400;

    /// A clock in which the test sets both the system's clock and the monotonic one.
    struct Hands {
        wall: AtomicI64,
        elapsed: AtomicU64,
    }

    impl Hands {
        fn clock(last: Option<i64>, wall: i64) -> (Arc<Self>, Clock) {
            let hands = Arc::new(Self { wall: AtomicI64::new(wall), elapsed: AtomicU64::new(0) });
            let (begin, read) = (Instant::now(), Arc::clone(&hands));
            let wall =
                move || (begin + Duration::from_secs(read.elapsed.load(SeqCst)), read.wall.load(SeqCst));
            (hands, Clock::new(Wall::new(wall), last))
        }

        /// Lets time pass on both clocks.
        fn pass(&self, seconds: u64) {
            self.wall.fetch_add(seconds.cast_signed(), SeqCst);
            self.elapsed.fetch_add(seconds, SeqCst);
        }

        fn jump(&self, seconds: i64) {
            self.wall.fetch_add(seconds, SeqCst);
        }
    }

    #[test]
    fn a_jump_ahead_is_not_followed_until_it_has_lasted() {
        let (hands, clock) = Hands::clock(None, START);
        assert_eq!(clock.now(), START);
        hands.pass(10);
        assert_eq!(clock.now(), START + 10);
        hands.jump(2 * YEAR);
        assert_eq!((clock.now(), clock.ahead()), (START + 10, Some(Duration::from_secs(2 * YEAR as u64))));
        hands.pass(3);
        assert_eq!(clock.now(), START + 13);
        hands.jump(-2 * YEAR);
        assert_eq!((clock.now(), clock.ahead()), (START + 13, None));
        hands.jump(2 * YEAR);
        clock.now();
        hands.pass(3599);
        assert_eq!(clock.now(), START + 13 + 3599);
        hands.pass(1);
        assert_eq!((clock.now(), clock.ahead()), (START + 13 + 3600 + 2 * YEAR, None));
    }

    #[test]
    fn a_clock_that_jumps_again_is_doubted_anew() {
        let (hands, clock) = Hands::clock(None, START);
        hands.jump(YEAR);
        clock.now();
        hands.pass(3000);
        clock.now();
        hands.jump(YEAR);
        clock.now();
        hands.pass(3000);
        assert_eq!(clock.now(), START + 6000);
    }

    #[test]
    fn a_clock_that_is_put_right_or_steps_back_is_followed() {
        let (hands, clock) = Hands::clock(None, START);
        for step in [1, -1, 500, -5000, -YEAR] {
            hands.jump(step);
            assert_eq!(clock.now(), hands.wall.load(SeqCst), "{step}");
        }
    }

    #[test]
    fn a_jump_over_a_restart_is_noticed() {
        let (hands, clock) = Hands::clock(Some(START), START + 2 * YEAR);
        assert_eq!(clock.now(), START);
        hands.pass(3600);
        assert_eq!(clock.now(), START + 3600 + 2 * YEAR);
        let (_, clock) = Hands::clock(Some(START), START + 599);
        assert_eq!(clock.now(), START + 599);
        let (_, clock) = Hands::clock(Some(START), START - YEAR);
        assert_eq!(clock.now(), START - YEAR);
    }
}
