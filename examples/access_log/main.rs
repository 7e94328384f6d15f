//! Counts any access log into a database. Without arguments, it counts sample lines and shows the result.
//!
//!     cargo run --release --example access_log
//!     cargo run --release --example access_log -- --log /var/log/nginx/access.log --sink sqlite://stats.db \
//!         --stat 'pages; window=60s; by=status,request_method; count; sum=body_bytes_sent'
//!
//! The exit code is 0 if everything was delivered, 3 if batches wait in the binlog for the next start (after
//! `--drain-timeout`), 4 if bytes of the log were lost, 5 if `--once` found nothing but lines that were rejected, and 1 for an
//! error.

mod arguments;
mod discard;
mod progress;
mod sinks;
mod statistic;
mod table;

use std::{
    error::Error,
    io::{self, BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use evs::{Pipeline, Summary, prelude::LogFormat};

use crate::{arguments::Arguments, sinks::Target};

/// The sample lines in the repository: 150 requests of `combined`.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/apache-combined.log");

/// Any error of the program, which is printed with all its causes.
type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        // Otherwise it panics, in whatever thread logs something, when nobody reads standard error any more.
        .log_internal_errors(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_ansi(io::stderr().is_terminal())
        .init();
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let outcome = runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(run(&arguments)));
    match outcome {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::Undelivered) => {
            say(
                "not everything was delivered; the rest waits in the binlog, and the next start goes on from here",
            );
            ExitCode::from(3)
        }
        Ok(Outcome::Lost { bytes }) => {
            say(&format!(
                "{bytes} bytes of the log were lost before they were read; everything else was counted"
            ));
            ExitCode::from(4)
        }
        Ok(Outcome::Rejected) => {
            say(
                "every line was rejected: is this the format of the log? --explain shows how its lines are read",
            );
            ExitCode::from(5)
        }
        Err(error) => {
            say(&format!("error: {}", evs::describe(&*error)));
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard error, if anybody still reads it; `eprintln!` would panic.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The end of a run, from which the exit code follows.
enum Outcome {
    Complete,
    /// Batches wait in the binlog.
    Undelivered,
    /// Bytes of the log vanished before they were read, and nobody has said that this may be.
    Lost {
        bytes: u64,
    },
    /// There were lines, and all of them were rejected.
    Rejected,
}

impl Outcome {
    /// The outcome of a run. A loss that `--on-gone continue` allows is no failure.
    fn of(summary: &Summary, arguments: &Arguments) -> Self {
        match (summary.is_complete, summary.lost_bytes) {
            (false, _) => Self::Undelivered,
            (true, bytes @ 1..) if arguments.on_gone == arguments::OnGone::Stop => Self::Lost { bytes },
            (true, _) if arguments.once && summary.lines > 0 && summary.rejected == summary.lines => {
                Self::Rejected
            }
            (true, _) => Self::Complete,
        }
    }
}

/// Counts the log that the arguments name, or the sample.
async fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let Some(log) = &arguments.log else {
        return run_sample(arguments).await;
    };
    if arguments.explain {
        explain(&format(arguments)?, log)?;
        return Ok(Outcome::Complete);
    }
    let sinks = sinks::targets(&arguments.sinks, "sqlite://access_log.db")?;
    let state = arguments.state.clone().unwrap_or_else(|| PathBuf::from(".evs").join(&arguments.source));
    let pipeline = build(arguments, log, &sinks, &state).await?;
    let summary = follow(&pipeline, arguments.once).await.map_err(|error| match &error {
        evs::Error::Setting { setting, .. } if setting == "tail" => Invalid("--log", error.into()).into(),
        _ => Failure::from(error),
    })?;
    print_summary(&summary)?;
    Ok(Outcome::of(&summary, arguments))
}

/// Counts the sample lines into a database of their own, and shows what is in it.
async fn run_sample(arguments: &Arguments) -> Result<Outcome, Failure> {
    let scratch = tempfile::tempdir()?;
    let sample = format!("sqlite://{}", scratch.path().join("sample.db").display());
    let sinks = sinks::targets(&arguments.sinks, &sample)?;
    let state = arguments.state.clone().unwrap_or_else(|| scratch.path().join("state"));
    let pipeline = build(arguments, Path::new(SAMPLE), &sinks, &state).await?;
    let summary = follow(&pipeline, true).await?;
    for schema in pipeline.schemas() {
        unless_unread(table::print(schema, &sinks[0].totals(schema).await?))?;
    }
    print_summary(&summary)?;
    Ok(Outcome::of(&summary, arguments))
}

/// Shows how the first lines of a log are read.
fn explain(format: &LogFormat, log: &Path) -> Result<(), Failure> {
    let file = std::fs::File::open(log).map_err(|error| Invalid("--log", error.into()))?;
    let lines: Vec<_> =
        io::BufReader::new(file).split(b'\n').take(EXPLAINED_LINES).collect::<io::Result<_>>()?;
    unless_unread(io::stdout().lock().write_all(format.explain(&lines.join(&b'\n')).as_bytes()))?;
    Ok(())
}

/// The number of lines that `--explain` shows.
const EXPLAINED_LINES: usize = 10;

/// The format of the log, with what the arguments say about its time.
fn format(arguments: &Arguments) -> Result<LogFormat, Failure> {
    let format: LogFormat = arguments.format.parse().map_err(|error| Invalid("--format", Box::new(error)))?;
    let format = format.utc_offset_minutes(arguments.utc_offset);
    let format = if arguments.crlf { format.crlf() } else { format };
    let format = match arguments.time.as_deref().map(|time| time.split_once('=').ok_or(time)) {
        Some(Ok((field, shape))) => {
            format.time(field, shape).map_err(|error| Invalid("--time", Box::new(error)))?
        }
        Some(Err(key)) => format.time_key(key),
        None => format,
    };
    // A format without a time is the fault of these arguments, too.
    let argument = if arguments.time.is_some() { "--time" } else { "--format" };
    format.parser::<&str>(&[]).map_err(|error| Invalid(argument, Box::new(error)))?;
    Ok(format)
}

/// Builds the pipeline that the arguments describe.
async fn build(
    arguments: &Arguments,
    log: &Path,
    sinks: &[Target],
    state: &Path,
) -> Result<Pipeline, Failure> {
    let format = format(arguments)?;
    let mut builder = Pipeline::builder(&arguments.source)
        .tail(log)
        .format(format)
        .state_dir(state)
        .workers(arguments.workers)
        .begin(arguments.from.into())
        .on_gone(arguments.on_gone.into())
        .on_changed(arguments.on_changed.into())
        .on_unreadable(arguments.on_unreadable.into())
        .reject_ahead(arguments.reject_ahead)
        .trust_clock(arguments.trust_clock)
        .on_lost_state(arguments.on_lost_state.into());
    if let Some(olddir) = &arguments.olddir {
        builder = builder.olddir(olddir);
    }
    if let (Some(copy), Some(undelivered)) = (&arguments.cloned_from, arguments.undelivered) {
        builder = builder.cloned_from(copy, undelivered.into());
    }
    if let Some(seconds) = arguments.drain_timeout {
        let timeout = Duration::from_secs(seconds);
        builder = builder.drain_timeout(timeout).end_timeout(timeout);
    }
    if let Some(lines) = arguments.lines_per_second {
        builder = builder.lines_per_second_max(lines);
    }
    let specs = if arguments.stats.is_empty() {
        vec!["requests; window=60s; by=status; count; sum=body_bytes_sent".to_owned()]
    } else {
        arguments.stats.clone()
    };
    for spec in &specs {
        let statistic = statistic::parse(spec).map_err(|error| Invalid("--stat", error.into()))?;
        builder = builder.statistic(statistic);
    }
    builder = sinks::add(builder, sinks, arguments).await?;
    sinks::build(builder, sinks)
}

/// Runs the pipeline until a signal, or to the end, with a progress bar on a terminal.
async fn follow(pipeline: &Pipeline, once: bool) -> Result<Summary, evs::Error> {
    let run = async {
        if once {
            pipeline.run_to_end(shutdown_signal()).await
        } else {
            pipeline.run(shutdown_signal()).await
        }
    };
    tokio::select! {
        summary = run => summary,
        never = progress::show(pipeline), if once && io::stderr().is_terminal() => match never {},
    }
}

/// Waits for SIGINT or SIGTERM.
async fn shutdown_signal() {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .expect("a handler for SIGTERM can be set");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Prints the last line of the output, a JSON object with the counts of the run.
fn print_summary(summary: &Summary) -> io::Result<()> {
    let seconds = summary.duration.as_secs_f64();
    let rate = if seconds > 0.0 { summary.lines as f64 / seconds } else { 0.0 };
    let line = serde_json::json!({
        "lines": summary.lines,
        "rejected": summary.rejected,
        "bytes": summary.bytes,
        "batches": summary.batches,
        "seconds": (seconds * 1e6).round() / 1e6,
        "lines_per_second": rate.round(),
    });
    let mut out = io::stdout().lock();
    unless_unread(writeln!(out, "{line}").and_then(|()| out.flush()))
}

/// The result of writing to standard output, without the error that nobody reads it: the lines are counted all the
/// same.
fn unless_unread(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// An argument that cannot be used: its name, and the reason.
#[derive(Debug)]
struct Invalid(&'static str, Failure);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Error for Invalid {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.1)
    }
}
