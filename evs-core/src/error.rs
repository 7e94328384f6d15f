//! The error of a pipeline.
//!
//! Every module has an error type of its own, with the facts as fields. This one joins them for the user: it adds the
//! name of the source, sink or statistic, and the way out where there is one.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::{
    batch::Epoch,
    binlog::BinlogError,
    describe::describe,
    format::FormatError,
    position::Frontier,
    sink::SinkError,
    tail::TailError,
    writer::{Utc, Writer},
};

/// A pipeline could not be built, or had to stop.
///
/// Both `{}` and `{:?}` print the error with all its causes on one line, so that a `main` which returns this error
/// prints something useful. Since the causes are part of the text, `source()` returns none; they are in the fields of
/// the variants.
///
/// After any of these errors the numbers in the sinks are exact up to the position that they have reached. Nothing
/// that was counted is lost: once the cause is removed, a new start goes on from there. `docs/errors.md` in the
/// repository has an entry for each error: what it means, what is safe, what to do, and the test that does it.
///
/// - Change the program or its configuration after [`Setting`](Self::Setting), [`Format`](Self::Format),
///   [`Redefined`](Self::Redefined), [`SinkRefuses`](Self::SinkRefuses), [`NoRuntime`](Self::NoRuntime) and
///   [`AlreadyRunning`](Self::AlreadyRunning), which `build` or the start of a run returns.
/// - Look at the state directory after [`StateDir`](Self::StateDir), [`StateDirRights`](Self::StateDirRights),
///   [`StateDirMoved`](Self::StateDirMoved), [`Locked`](Self::Locked) and [`Binlog`](Self::Binlog).
/// - Look at the log's files after [`Log`](Self::Log) and [`LogSync`](Self::LogSync).
/// - Look at the store, and at other processes that write to it, after [`ForeignState`](Self::ForeignState),
///   [`Adopt`](Self::Adopt), [`SinkStopped`](Self::SinkStopped) and [`Sink`](Self::Sink).
/// - Read the message of [`Overflow`](Self::Overflow), [`Thread`](Self::Thread) and [`Panicked`](Self::Panicked), which
///   are rare.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Error, LogFormat};
///
/// fn format() -> Result<LogFormat, Error> {
///     LogFormat::nginx("$status $")?;
///     unreachable!()
/// }
///
/// let error = format().unwrap_err();
/// assert_eq!(error.to_string(), "the log format: byte 8: `$` without a name: nginx has no way to print a `$`, name a variable");
/// assert_eq!(format!("{error:?}"), error.to_string());
/// ```
// A field is named `r#source` so that thiserror does not take it for the cause.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is missing or has an impossible value.
    ///
    /// The text names all three: `workers: 1000, expected 1 to 256`.
    #[error("{setting}: {value}, expected {expected}")]
    Setting {
        /// The setting, and the statistic or sink that it belongs to.
        setting: String,
        /// The value that was set.
        value: String,
        /// The values that are possible.
        expected: &'static str,
    },
    /// The log format does not have what a statistic needs.
    #[error("the log format: {}", describe(_0))]
    Format(FormatError),
    /// The log could not be followed.
    #[error("source {name}: {}", describe(r#source))]
    Log {
        /// The source's name.
        name: String,
        /// The failure of the tailer.
        r#source: TailError,
    },
    /// The log could not be made durable, so nothing can be counted from it permanently.
    ///
    /// A batch must not count lines that a power cut can still take back. So evs syncs the log before it makes a batch
    /// durable.
    #[error("syncing the log {}: {}", path.display(), r#source)]
    LogSync {
        /// The log file.
        path: PathBuf,
        /// The operating system's reason.
        r#source: std::io::Error,
    },
    /// The binlog could not be opened, read or appended to.
    #[error("the binlog: {}", describe(_0))]
    Binlog(BinlogError),
    /// The state directory, or the file of rejected lines in it, cannot be used.
    #[error("{op} {}: {}", path.display(), r#source)]
    StateDir {
        /// The operation that failed.
        op: &'static str,
        /// The path of the operation.
        path: PathBuf,
        /// The operating system's reason.
        r#source: std::io::Error,
    },
    /// The state directory belongs to another user, or others may write to it.
    #[error("state directory {} {}", path.display(), rights_fault(path, *mode, *owner, *user))]
    StateDirRights {
        /// The state directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The user that it belongs to.
        owner: u32,
        /// The user that the process runs as.
        user: u32,
    },
    /// The state directory was moved, removed or replaced while the pipeline had it locked.
    #[error(
        "state directory {} was moved, removed or replaced while it was in use, so that another process could take \
         its place; nothing more is committed: end the other process, put this directory back, and start again",
        path.display()
    )]
    StateDirMoved {
        /// The path at which it was.
        path: PathBuf,
    },
    /// Another process uses the state directory, or another pipeline of this process.
    #[error("state directory {} is in use by {holder}; each needs a pipeline, and each pipeline a directory, of its own", path.display())]
    Locked {
        /// The state directory.
        path: PathBuf,
        /// The process that holds the lock.
        holder: String,
    },
    /// The definition of a statistic is not the one that the state directory knows. Nothing was changed.
    ///
    /// [`Statistic::redefine`](crate::Statistic::redefine) accepts new measures. No table can have rows of two
    /// definitions that differ otherwise: give the statistic another name, or the definition it had.
    #[error("{}", redefined(statistic, difference, obstacle.as_deref()))]
    Redefined {
        /// The statistic.
        statistic: String,
        /// The change, from the old definition to the new one.
        difference: String,
        /// The part of the change that is impossible. `None` if `redefine(true)` accepts the change.
        obstacle: Option<String>,
    },
    /// A sink cannot take the batches of a statistic that is new to it, or of its new definition. Nothing was counted
    /// with that definition.
    ///
    /// Remove the cause in the store, give the statistic another name, or go back to the definition that it had.
    #[error(
        "sink {sink} cannot take statistic {statistic} as it is defined now: {}; nothing was counted with this \
         definition, so remove the cause in the store, or go back to what was configured before",
        describe(r#source)
    )]
    SinkRefuses {
        /// The sink's name.
        sink: String,
        /// The statistic.
        statistic: String,
        /// The sink's reason.
        r#source: SinkError,
    },
    /// Batches wait for a sink that is not configured. Nothing was changed.
    #[error("{}", undelivered(sink, renamed_to.as_deref(), *batches, *rows, *since))]
    UndeliveredSink {
        /// The sink's name.
        sink: String,
        /// The sink that has this name as its former one, if the state directory knows both.
        renamed_to: Option<String>,
        /// The number of batches that wait for it in the binlog.
        batches: u64,
        /// The number of their rows.
        rows: u64,
        /// The time of the oldest commit among those of the batches, in seconds since 1970, if it was noted.
        since: Option<i64>,
    },
    /// A sink knows the source under an epoch that is not this state directory's.
    ///
    /// Either another machine uses the same source name, or the state directory was lost and made again. evs cannot
    /// tell the two apart, so it stops before it counts anything twice: see [`LostState`](crate::LostState).
    #[error(
        "sink {sink} knows source {name} under epoch {found}{}, but the state directory is of epoch {epoch}. If \
         another machine uses this source name, give this one a name and an empty state directory of its own. If the \
         state directory was lost, bring it back. If it cannot be brought back, begin with an empty one: \
         `on_lost_state(LostState::Adopt)` goes on where the sink stands, `LostState::StartOver` counts again from \
         the start of the log",
        known(position.as_deref(), writer.as_deref())
    )]
    ForeignState {
        /// The source's name.
        name: String,
        /// The sink's name.
        sink: String,
        /// The epoch that the sink knows.
        found: Epoch,
        /// This state directory's epoch.
        epoch: Epoch,
        /// The position up to which the sink has counted. `None` if the source was claimed and nothing has been
        /// counted yet.
        position: Option<Box<Frontier>>,
        /// The process that was the last to claim the source, if the sink knows it.
        writer: Option<Box<Writer>>,
    },
    /// The position that the sinks remember could not be adopted.
    #[error("the position cannot be adopted: {reason}")]
    Adopt {
        /// The reason.
        reason: String,
    },
    /// A sink refused a batch permanently, and everything else was delivered.
    ///
    /// The batches of the refused statistics stay in the binlog. Remove the cause in the store, and start again, or give
    /// the batch up with [`StatusHandle::discard`](crate::StatusHandle::discard).
    #[error("sink {sink} stopped with {waiting} batches undelivered: {}", describe(r#source))]
    SinkStopped {
        /// The sink's name.
        sink: String,
        /// Batches that wait for it in the binlog.
        waiting: u64,
        /// The error for which it stopped.
        r#source: SinkError,
    },
    /// A sink could not be opened, or it did not answer a question that the program asked directly.
    #[error("{}", describe(_0))]
    Sink(SinkError),
    /// A sum did not fit into 128 bits.
    #[error("statistic {statistic}: a sum does not fit 128 bits")]
    Overflow {
        /// The statistic.
        statistic: String,
    },
    /// A thread of the pipeline could not be started: the process or the machine has reached its limit of threads.
    #[error("starting thread {thread}: {}", r#source)]
    Thread {
        /// The thread's name.
        thread: String,
        /// The operating system's reason.
        r#source: std::io::Error,
    },
    /// A thread or task of the pipeline panicked. This is a defect of evs or of a sink.
    #[error("thread {thread} panicked: {message}")]
    Panicked {
        /// The name of the thread: `evs-reader`, `evs-worker-N`, `evs-committer`, or `delivery to SINK`.
        thread: String,
        /// The message of the panic.
        message: String,
    },
    /// The pipeline has no sink of that name.
    #[error("the pipeline has no sink {sink}")]
    UnknownSink {
        /// The name that was given.
        sink: String,
    },
    /// A batch cannot be given up, since it is not one that the sink has refused. Nothing was changed.
    #[error("{}", not_refused(sink, statistic, *sequence, *refused))]
    NotRefused {
        /// The sink's name.
        sink: String,
        /// The name of the statistic.
        statistic: String,
        /// The sequence that was given.
        sequence: u64,
        /// The sequence of the batch that the sink has refused; `None` if it has refused none of this statistic.
        refused: Option<u64>,
    },
    /// The pipeline is not running, so its sinks cannot be asked for anything.
    #[error("the pipeline is not running; its sinks get batches while it runs")]
    NotRunning,
    /// The pipeline is running: it has one run at a time.
    #[error("the pipeline is running; wait for the end of that run, or stop it, before it is run again")]
    AlreadyRunning,
    /// The caller is not in a tokio runtime, and a pipeline runs on tokio.
    #[error(
        "there is no tokio runtime here; call this from async code that tokio runs, such as `#[tokio::main]`"
    )]
    NoRuntime,
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<FormatError> for Error {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<BinlogError> for Error {
    fn from(error: BinlogError) -> Self {
        Self::Binlog(error)
    }
}

impl From<SinkError> for Error {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

/// The bit in the mode of a directory in which several users keep files, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Describes the fault in the rights of a state directory, and the way out.
fn rights_fault(path: &Path, mode: u32, owner: u32, user: u32) -> String {
    let path = path.display();
    if mode & STICKY != 0 {
        return format!(
            "is shared by several users (mode {mode:04o}), and these could change the numbers: give evs a directory of \
             its own, such as {path}/evs"
        );
    }
    if owner == user {
        return format!(
            "has mode {mode:04o}, so that others can write to it and change the numbers: `chmod 700 {path}`"
        );
    }
    format!(
        "belongs to user {owner} (mode {mode:04o}), but this process runs as user {user}: run it as user {owner}, or \
         give the directory to user {user} with `chown -R {user} {path} && chmod 700 {path}`"
    )
}

/// Describes a change of a definition, and the ways out.
fn redefined(statistic: &str, difference: &str, obstacle: Option<&str>) -> String {
    let changed = format!("statistic {statistic} was defined otherwise at the last start: {difference}");
    match obstacle {
        None => format!(
            "{changed}; accept the change with `redefine(true)`, or give the statistic another name, or the \
             definition it had"
        ),
        Some(obstacle) => format!(
            "{changed}; no table can have rows of both ({obstacle}): give the statistic another name, or the \
             definition it had"
        ),
    }
}

/// Describes the batches that wait for a sink which is not configured, and the ways out.
fn undelivered(sink: &str, renamed_to: Option<&str>, batches: u64, rows: u64, since: Option<i64>) -> String {
    let since = since.map_or(String::new(), |since| format!(" since {}", Utc(since)));
    let waiting = format!("{batches} batches with {rows} rows wait for sink {sink}{since}");
    match renamed_to {
        None => format!(
            "{waiting}, which is not configured: if the sink has another name now, such as pg, add \
             `.sink(\"pg\", s).formerly(\"{sink}\")`; to give the batches up, add `.forget_sink(\"{sink}\")`"
        ),
        Some(to) => format!(
            "{waiting}, and sink {to} cannot take its place, since the state directory knows both: configure {sink} \
             beside {to} until its batches are delivered; to give them up, replace `formerly` with \
             `.forget_sink(\"{sink}\")`"
        ),
    }
}

/// Describes a batch that cannot be given up.
fn not_refused(sink: &str, statistic: &str, sequence: u64, refused: Option<u64>) -> String {
    let refused = match refused {
        Some(refused) => format!("the batch that waits there is {refused}"),
        None => "no batch of this statistic is stopped there".to_owned(),
    };
    format!("batch {sequence} of statistic {statistic} cannot be given up for sink {sink}: {refused}")
}

/// Describes a sink's knowledge of a source; the message adds it after the epoch.
fn known(position: Option<&Frontier>, writer: Option<&Writer>) -> String {
    let position = match position {
        Some(position) if position.is_within_cut() => ", counted up to a place within a cut".to_owned(),
        Some(position) => format!(", counted up to {position}"),
        None => String::new(),
    };
    let writer = writer.map_or(String::new(), |writer| format!(", claimed last by {writer}"));
    position + &writer
}

#[cfg(test)]
mod page;

#[cfg(test)]
mod tests {
    use std::{error::Error as _, io};

    use super::*;

    #[test]
    fn an_error_tells_its_whole_story_on_one_line() {
        let refused = || SinkError::refused_by("opening the table", io::Error::other("no such user"));
        let stopped = Error::SinkStopped { sink: "reports".to_owned(), waiting: 3, source: refused() };
        let path = || PathBuf::from("/var/log/access.log");
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let log = TailError::Io { op: "open", path: path(), source: gone() };
        for (error, story) in [
            (stopped, "sink reports stopped with 3 batches undelivered: opening the table: no such user"),
            (refused().into(), "opening the table: no such user"),
            (
                SinkError::unavailable("adding", io::Error::other("no\r\nroom\x1b[2J")).into(),
                "adding: no  room [2J",
            ),
            (
                Error::Log { name: "web1".to_owned(), source: log },
                "source web1: open failed on /var/log/access.log: entity not found",
            ),
            (
                Error::LogSync { path: path(), source: gone() },
                "syncing the log /var/log/access.log: entity not found",
            ),
        ] {
            assert_eq!(error.to_string(), story);
            assert_eq!(format!("{error:?}"), story);
            assert_eq!(describe(&error), story);
            assert!(error.source().is_none());
        }
    }
}
