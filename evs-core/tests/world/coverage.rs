//! What has happened in some worlds.

use std::fmt;

/// Something that happens in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Life,
    Kill,
    PowerCut,
    /// A call to the log failed.
    LogError,
    /// The clock of the day was set.
    ClockStep,
    Rotation,
    /// A rotation that copied the log and truncated it.
    Copy,
    /// A rotated file was compressed.
    Packed,
    /// A line was written to a rotated file.
    LateLine,
    /// The lines of the log are described in it.
    Described,
    /// The server names the live file by the time.
    Pattern,
    /// A power cut undid changes of the log's names.
    NamesUndone,
    /// A line that is too long, or nearly so.
    LongLine,
    /// Somebody truncated the log.
    Truncated,
    /// A compressed file lost its end.
    Damaged,
    /// A store committed, and its answer was lost.
    LostAnswer,
    /// A store went back to an older state.
    Failover,
    /// The operator changed the configuration.
    Change,
    /// The operator added a sink, which is taken out later.
    Guest,
    /// The operator had a refused batch tried again, while the pipeline ran.
    Retry,
    /// The operator gave up a batch.
    GivenUp,
    /// The state directory was replaced by an older one, which was refused.
    Restored,
    /// The state directory was lost, and the pipeline went on where the stores stood.
    LostState,
    /// The source got another name, and a new state directory that began where the old one stood.
    Renamed,
    /// A store was emptied, replaced or restored, forgot claims or was claimed by another process, and put right again.
    Mishap,
    /// A line that counts.
    Line,
    Rejected,
}

impl Event {
    const ALL: [Self; 27] = [
        Self::Life,
        Self::Kill,
        Self::PowerCut,
        Self::LogError,
        Self::ClockStep,
        Self::Rotation,
        Self::Copy,
        Self::Packed,
        Self::LateLine,
        Self::Described,
        Self::Pattern,
        Self::NamesUndone,
        Self::LongLine,
        Self::Truncated,
        Self::Damaged,
        Self::LostAnswer,
        Self::Failover,
        Self::Change,
        Self::Guest,
        Self::Retry,
        Self::GivenUp,
        Self::Restored,
        Self::LostState,
        Self::Renamed,
        Self::Mishap,
        Self::Line,
        Self::Rejected,
    ];
}

/// How often everything has happened.
#[derive(Clone, Copy, Default)]
pub struct Coverage {
    counts: [u64; Event::ALL.len()],
    /// A checksum of all calls.
    pub trace: u64,
}

impl Coverage {
    pub fn note(&mut self, event: Event, times: u64) {
        self.counts[event as usize] += times;
    }

    pub fn get(&self, event: Event) -> u64 {
        self.counts[event as usize]
    }

    /// Notes how often something has happened by now.
    pub fn set(&mut self, event: Event, times: u64) {
        self.counts[event as usize] = times;
    }

    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, other)| *count += other);
        self.trace ^= other.trace;
    }

    /// Checks that everything has happened.
    pub fn assert_complete(&self) {
        assert!(self.counts.iter().all(|count| *count > 3), "{self:?}");
    }
}

impl fmt::Debug for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(Event::ALL.iter().zip(self.counts)).finish()
    }
}
