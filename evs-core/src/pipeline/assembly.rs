//! Makes a pipeline from its settings: opens the state directory, its lock and the binlog, so that an error of these is
//! found before a run begins.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use super::{
    builder::PipelineBuilder,
    host::{Pipeline, runtime},
    lock::Lock,
    session::{Opened, Session, blocking, check_definitions},
    settings::Settings,
    signals,
};
use crate::{
    Error,
    aggregate::Plan,
    binlog::Binlog,
    clock::Clock,
    deliver::Claims,
    disk::{self, Disk, RealDisk},
    format::CheckName,
    sink::Limits,
    statistic::Statistic,
    status::{self, Board},
    writer::Writer,
};

impl PipelineBuilder {
    /// Checks the settings, locks the state directory and opens the binlog in it.
    ///
    /// This call blocks: it reads the binlog (up to `spool_bytes_max`) and syncs files. Async code uses
    /// [`build_async`](Self::build_async) where that matters.
    ///
    /// The first call in a process also installs a handler for SIGXFSZ, in addition to any that exist. The handler
    /// does nothing, but it keeps the signal from ending the process without a message. Where the size of files is
    /// limited (`ulimit -f`), a write over the limit then fails like a write to a full disk, and reading pauses.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a setting is missing or impossible, and [`Error::Format`] if the format does not have a
    /// field. [`Error::StateDirRights`], [`Error::StateDir`], [`Error::Locked`], [`Error::Redefined`],
    /// [`Error::UndeliveredSink`] and [`Error::Binlog`] are about the state directory.
    pub fn build(self) -> Result<Pipeline, Error> {
        let mut settings = self.settings;
        settings.tail.fs = settings.environment.log.clone().unwrap_or(settings.tail.fs);
        settings.tail.wall = settings.environment.wall.clone();
        let (format, state_dir) = settings.check()?;
        let schemas: Vec<_> = settings.statistics.iter().map(Statistic::schema).collect();
        let plan = plan(&settings);
        let parser = plan.parser(format)?;
        let source = &settings.source;
        if let Some(forgery) = format.forgery() {
            tracing::warn!(source, "{forgery}");
        }

        signals::catch_file_size_limit();
        let state_dir = match &settings.environment.state {
            Some(disk) => Arc::clone(disk),
            None => open_state_dir(state_dir)?,
        };
        let lock = Lock::acquire(&state_dir)?;
        if let Some(cloned) = &settings.cloned {
            cloned.begin(&*state_dir, &settings)?;
        }
        let (binlog, recovery) = Binlog::open(Arc::clone(&state_dir), source, settings.binlog)?;
        if let Some(torn) = &recovery.torn {
            tracing::warn!(source, ?torn, "cut off what a crash left unfinished in the binlog");
        }
        check_definitions(&settings.statistics, &schemas, &binlog)?;
        settings.check_sinks(&binlog)?;

        let last_time = binlog.state().ledger.time.filter(|_| !settings.trusts_clock);
        let clock = Clock::new(settings.environment.wall.clone(), last_time);
        let names = settings.sinks.iter().map(|(name, _)| name.to_string());
        let board = Board::new(
            source.clone(),
            binlog.state().epoch,
            clock,
            settings.workers,
            names,
            limits(&settings),
        );
        let writer = Writer::this_process(source, binlog.state().epoch);
        Ok(Pipeline {
            settings: Arc::new(settings),
            schemas,
            plan,
            parser,
            state_dir,
            claims: Arc::new(Claims::new(writer)),
            board: Arc::new(board),
            session: Mutex::new(Session::Built(Box::new(Opened { binlog, lock: Arc::new(lock) }))),
        })
    }

    /// Calls [`build`](Self::build) on a thread where it may block. This is for async code.
    ///
    /// # Errors
    ///
    /// The errors of `build`, and [`Error::NoRuntime`] if the caller is not in a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the call may still create the state directory and hold its lock for a moment.
    pub async fn build_async(self) -> Result<Pipeline, Error> {
        runtime()?;
        let turns = self.settings.environment.turns.clone();
        blocking(&turns, || self.build()).await
    }
}

/// Makes the plan of the statistics. It is narrowed to the values that the measures and all sinks accept; a line with
/// another value is rejected.
fn plan(settings: &Settings) -> Plan {
    let checks = settings.checks.iter();
    let checks: Vec<_> = checks.map(|(name, condition)| (CheckName::new(name), condition.clone())).collect();
    let mut plan = Plan::new(&settings.statistics, &checks);
    let limits =
        settings.sinks.iter().fold(Limits::default(), |limits, (_, sink)| limits.and(&sink.limits()));
    plan.limit(&limits);
    plan.rejects_ahead = settings.rejects_ahead;
    for (at, statistic) in settings.statistics.iter().enumerate() {
        for (measure, known) in statistic.measures.iter().enumerate() {
            if let Some(range) = known.range(&limits) {
                plan.narrow((at, measure), &range);
            }
        }
    }
    plan
}

/// Returns the limits that a status shows.
fn limits(settings: &Settings) -> status::Limits {
    let statistics = settings.statistics.iter();
    status::Limits {
        statistics: statistics.map(|known| (known.name.clone(), known.rows_max as u64)).collect(),
        spool_bytes_max: settings.spool_bytes_max,
        poll_every: settings.poll_every,
    }
}

/// Opens the state directory. It must belong to this user alone: anybody else who can write to it could change the
/// numbers.
fn open_state_dir(path: &Path) -> Result<Arc<dyn Disk>, Error> {
    let opened = RealDisk::open(path).and_then(|disk| Ok((disk.rights()?, disk)));
    let (rights, disk) =
        opened.map_err(|source| Error::StateDir { op: "opening", path: path.to_owned(), source })?;
    let user = disk::user();
    if !rights.are_exclusive_to(user) {
        return Err(Error::StateDirRights {
            path: disk.path(),
            mode: rights.mode,
            owner: rights.owner,
            user,
        });
    }
    Ok(Arc::new(disk))
}
