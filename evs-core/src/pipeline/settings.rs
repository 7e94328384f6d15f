//! The settings of a pipeline and their defaults.
//!
//! There is one value of them: the builder fills it, [`Settings::check`] judges it, and the pipeline shares it with all
//! its threads. Nothing copies it, so a new setting is a field here, its default, its setter and its use.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{clone::Cloned, environment::Environment};
use crate::{
    binlog::BinlogOptions, derive::Condition, format::LogFormat, sink::Sink, statistic::Statistic,
    tail::TailOptions,
};

/// The choice when a sink has counts of the source that this state directory did not make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LostState {
    /// Stop with an error, since going on could count lines twice or leave lines out.
    #[default]
    Refuse,
    /// Continue in the log at the position that the sinks remember. This is for a state directory that was lost: the
    /// new one must be empty, and all sinks must stand at the same position.
    Adopt,
    /// Begin like a new source, and add to the counts that the sinks have. This is for sinks whose tables were
    /// emptied on purpose.
    StartOver,
}

/// The first batch of a sink that is added to a source which has been counted before.
///
/// This is for a store that knows nothing of the source. A store that has batches of this state directory, since its
/// sink was configured before, goes on after the last of them, provided that the binlog still has the next one. If it
/// does not, the sink stops with [`SinkError::TooOld`](crate::SinkError::TooOld).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkStart {
    /// The sink begins with the next batch that is cut.
    #[default]
    Now,
    /// The sink begins with the oldest batch that the binlog still has.
    Oldest,
}

/// The names that sinks had, and the names of sinks that are gone.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The present and a former name of a sink, by the order of calls of `formerly`. The present one is `None` if no
    /// sink was added before the call.
    pub(super) former: Vec<(Option<Arc<str>>, String)>,
    /// The sinks whose batches are given up.
    pub(super) forgotten: Vec<String>,
}

/// The settings of a pipeline. The setters of [`PipelineBuilder`](super::PipelineBuilder) document them.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) source: String,
    /// The log and the way it is read. The path is empty until it is set.
    pub(super) tail: TailOptions,
    pub(super) format: Option<LogFormat>,
    /// The conditions that lines must fulfil, by name.
    pub(super) checks: Vec<(String, Condition)>,
    pub(super) statistics: Vec<Statistic>,
    pub(super) sinks: Vec<(Arc<str>, Arc<dyn Sink>)>,
    /// The names of sinks that are not the present ones.
    pub(super) names: Names,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) binlog: BinlogOptions,
    pub(super) workers: usize,
    pub(super) lines_per_second_max: Option<u64>,
    pub(super) poll_every: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) end_timeout: Option<Duration>,
    pub(super) sink_timeout: Duration,
    pub(super) cut_bytes_max: u64,
    pub(super) spool_bytes_max: u64,
    pub(super) rejected_bytes_max: u64,
    pub(super) keep_samples: bool,
    pub(super) rejects_ahead: bool,
    pub(super) trusts_clock: bool,
    /// The files and the clocks of the system, unless a test replaces them.
    pub(super) environment: Environment,
    pub(super) lost_state: LostState,
    pub(super) new_sinks: SinkStart,
    pub(super) cloned: Option<Cloned>,
}

impl Settings {
    /// Returns the default of every setting. The log, the format, the state directory, the statistics and the sinks
    /// have none.
    pub(super) fn new(source: String) -> Self {
        Self {
            source,
            tail: TailOptions::new(PathBuf::new()),
            format: None,
            checks: Vec::new(),
            statistics: Vec::new(),
            sinks: Vec::new(),
            names: Names::default(),
            state_dir: None,
            binlog: BinlogOptions::default(),
            workers: 1,
            lines_per_second_max: None,
            poll_every: Duration::from_millis(250),
            drain_timeout: Duration::from_secs(10),
            end_timeout: None,
            sink_timeout: Duration::from_secs(300),
            cut_bytes_max: 4 << 30,
            spool_bytes_max: 1 << 30,
            rejected_bytes_max: 16 << 20,
            keep_samples: true,
            rejects_ahead: false,
            trusts_clock: false,
            environment: Environment::default(),
            lost_state: LostState::default(),
            new_sinks: SinkStart::default(),
            cloned: None,
        }
    }
}
