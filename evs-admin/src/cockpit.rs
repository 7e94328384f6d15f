//! The pipelines that an operator looks at.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use evs_core::{Error, Phase, Pipeline, PipelineBuilder, Schema, Sink, Status, StatusHandle, describe};
use serde::Serialize;
use tokio::sync::Semaphore;

/// The time after which a thread without a step counts as stuck, unless [`Cockpit::stuck_after`] says otherwise.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// The most questions about numbers that are answered at a time. Others wait.
const QUESTIONS_MAX: usize = 2;

/// The pipelines of a process, for its status page, metrics and health checks. A clone shows the same ones.
///
/// A pipeline is shown from the first moment of its start if the cockpit [builds](Self::build) it: recovering a large state
/// directory takes a while.
///
/// ```
/// use evs_admin::Cockpit;
/// # use evs_core::{LogFormat, MemorySink, Pipeline, Statistic, count};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let builder = Pipeline::builder("web1")
/// #     .tail(directory.path().join("access.log"))
/// #     .format(LogFormat::combined())
/// #     .statistic(Statistic::named("requests").measure(count()))
/// #     .sink("memory", MemorySink::new())
/// #     .state_dir(directory.path().join("state"));
/// let cockpit = Cockpit::new();
/// let pipeline = cockpit.build("web1", builder).await?;
/// assert_eq!(cockpit.sources()[0].source, "web1");
/// # drop(pipeline);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cockpit {
    shown: Arc<RwLock<BTreeMap<String, Shown>>>,
    stuck_after: Duration,
    /// Places for those who ask for the numbers of a statistic.
    questions: Arc<Semaphore>,
}

/// A pipeline that is shown.
#[derive(Clone)]
pub(crate) enum Shown {
    Starting { since: SystemTime },
    Failed { since: SystemTime, error: String },
    Built(Arc<Built>),
}

/// A pipeline that was built.
pub(crate) struct Built {
    handle: StatusHandle,
    pub(crate) schemas: Vec<Arc<Schema>>,
    pub(crate) sinks: Vec<(String, Arc<dyn Sink>)>,
}

/// How one source is doing.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SourceStatus {
    /// The name of the source.
    pub source: String,
    /// What it does.
    pub state: SourceState,
    /// The start of the process's attempt to build the pipeline, or the time at which it failed, in seconds since 1970; `None`
    /// once it was built.
    pub since: Option<f64>,
    /// The error because of which the pipeline could not be built, or the last run ended.
    pub error: Option<String>,
    /// The status of the pipeline; `None` until it was built.
    pub status: Option<Status>,
}

/// What a source does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SourceState {
    /// Its state directory is opened and recovered.
    Starting,
    /// Its pipeline could not be built.
    Failed,
    /// It was built and has not been run yet.
    Built,
    /// It reads the log and delivers batches.
    Running,
    /// It has stopped reading and delivers the batches that are left.
    Draining,
    /// Its run has ended.
    Ended,
}

impl Default for Cockpit {
    fn default() -> Self {
        Self {
            shown: Arc::default(),
            stuck_after: STUCK_AFTER,
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
        }
    }
}

impl Cockpit {
    /// A cockpit without pipelines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time after which a thread without a step counts as stuck: 60 s by default. A thread may take that long for one
    /// step if the log has many large compressed files.
    #[must_use]
    pub fn stuck_after(mut self, time: Duration) -> Self {
        self.stuck_after = time;
        self
    }

    /// Builds a pipeline and shows it. Until it is built, its source is shown as starting, and if that fails, with the error.
    ///
    /// # Errors
    ///
    /// Those of [`PipelineBuilder::build`].
    pub async fn build(&self, source: &str, builder: PipelineBuilder) -> Result<Pipeline, Error> {
        self.show(source, Shown::Starting { since: SystemTime::now() });
        match builder.build_async().await {
            Ok(pipeline) => {
                self.add(&pipeline);
                Ok(pipeline)
            }
            Err(error) => {
                let failed = Shown::Failed { since: SystemTime::now(), error: describe(&error) };
                self.show(source, failed);
                Err(error)
            }
        }
    }

    /// Shows a pipeline, in the place of another one with the same source. Its sinks stay open as long as they are shown.
    pub fn add(&self, pipeline: &Pipeline) {
        let sinks = pipeline.sinks().map(|(name, sink)| (name.to_owned(), Arc::clone(sink)));
        let built = Built {
            handle: pipeline.status_handle(),
            schemas: pipeline.schemas().cloned().collect(),
            sinks: sinks.collect(),
        };
        self.show(&built.handle.status().source, Shown::Built(Arc::new(built)));
    }

    /// Shows a source no longer. Returns whether it was shown.
    pub fn remove(&self, source: &str) -> bool {
        self.shown.write().unwrap_or_else(PoisonError::into_inner).remove(source).is_some()
    }

    /// Returns how all sources are doing, in the order of their names.
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.all().into_iter().map(|(source, shown)| shown.status(source)).collect()
    }

    /// The time after which a thread without a step counts as stuck.
    pub(crate) fn limit(&self) -> Duration {
        self.stuck_after
    }

    /// The places for questions about numbers. Each takes as much memory and processor time as the rows that a store has for it,
    /// and the pipelines need theirs.
    pub(crate) fn questions(&self) -> &Semaphore {
        &self.questions
    }

    /// Returns the pipeline of a source, or the only one.
    pub(crate) fn built(&self, source: Option<&str>) -> Result<Arc<Built>, NotShown> {
        let all = self.all();
        let found = match source {
            Some(source) => all.get(source),
            None if all.len() > 1 => return Err(NotShown::Several),
            None => all.values().next(),
        };
        match found {
            Some(Shown::Built(built)) => Ok(Arc::clone(built)),
            Some(_) => Err(NotShown::NotBuilt),
            None => Err(NotShown::Unknown),
        }
    }

    fn show(&self, source: &str, shown: Shown) {
        self.shown.write().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), shown);
    }

    /// The lock is held for a moment only, so that nothing waits while a status is made.
    fn all(&self) -> BTreeMap<String, Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Why a source cannot be looked at.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum NotShown {
    #[error("no source has this name")]
    Unknown,
    #[error("there are several sources: say which one, with ?source=")]
    Several,
    #[error("the pipeline of this source is not built yet")]
    NotBuilt,
}

impl Built {
    /// Returns the handle of the pipeline.
    pub(crate) fn handle(&self) -> &StatusHandle {
        &self.handle
    }
}

impl Shown {
    fn status(&self, source: String) -> SourceStatus {
        let seconds = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
        };
        match self {
            Self::Starting { since } => SourceStatus {
                source,
                state: SourceState::Starting,
                since: Some(seconds(*since)),
                error: None,
                status: None,
            },
            Self::Failed { since, error } => SourceStatus {
                source,
                state: SourceState::Failed,
                since: Some(seconds(*since)),
                error: Some(error.clone()),
                status: None,
            },
            Self::Built(built) => {
                let status = built.handle.status();
                let state = match status.phase {
                    Phase::Built => SourceState::Built,
                    Phase::Running => SourceState::Running,
                    Phase::Draining => SourceState::Draining,
                    _ => SourceState::Ended,
                };
                SourceStatus { source, state, since: None, error: status.error.clone(), status: Some(status) }
            }
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting { .. } => "Starting",
            Self::Failed { .. } => "Failed",
            Self::Built(_) => "Built",
        })
    }
}
