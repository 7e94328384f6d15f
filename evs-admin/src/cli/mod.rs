//! The command line: looks at a state directory, beside a running pipeline or without one.
//!
//! All commands here only read: they take no lock and change no byte. `docs/cli.md` in the repository shows what each of
//! them prints, and names the fields of its JSON.
//!
//! The program `evs` has them. A service can have them in its own binary, beside its own commands:
//!
//! ```
//! use std::io;
//!
//! use clap::Parser;
//! use evs_admin::cli::{Command, Exit};
//!
//! #[derive(Parser)]
//! enum Service {
//!     /// Counts the log.
//!     Run,
//!     /// Looks at the state directory.
//!     #[command(subcommand)]
//!     Evs(Command),
//! }
//!
//! let Service::Evs(command) = Service::try_parse_from(["service", "evs", "status", "/var/lib/none"])? else {
//!     unreachable!("the arguments name a command of evs");
//! };
//! let (mut out, mut err) = (Vec::new(), Vec::new());
//! assert_eq!(command.run(&mut out, &mut err), Exit::CouldNotLook);
//! # Ok::<(), clap::Error>(())
//! ```

mod explain;
mod export;
mod format;
mod inspect;
mod output;
mod rejected;
mod state;
mod status;
mod trace;
mod verify;

use std::{
    ffi::OsString,
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use explain::Explain;
pub use export::Export;
pub use format::FormatArgs;
pub use inspect::Inspect;
pub use output::escape_controls;
pub use rejected::Rejected;
pub use state::Sequences;
pub use status::Status;
pub use trace::Trace;
pub use verify::{Level, Verify};

/// A command of `evs`. A host mounts it among its own commands with `#[command(subcommand)]`.
#[derive(Clone, Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "`--help` shows the docs of the types, and would show those of the variants instead"
)]
#[non_exhaustive]
pub enum Command {
    Status(Status),
    Inspect(Inspect),
    Verify(Verify),
    Rejected(Rejected),
    Export(Export),
    Trace(Trace),
    Explain(Explain),
}

impl Command {
    /// Runs the command. It prints its result to `out`, and to `err` why there is none.
    ///
    /// If nobody reads `out` any more, as in `evs inspect … | head`, the command ends quietly.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
        let done = match self {
            Self::Status(status) => status.run(out),
            Self::Inspect(inspect) => inspect.run(out),
            Self::Verify(verify) => verify.run(out),
            Self::Rejected(rejected) => rejected.run(out),
            Self::Export(export) => export.run(out, err),
            Self::Trace(trace) => trace.run(out),
            Self::Explain(explain) => explain.run(&mut io::stdin().lock(), out),
        };
        let done = done.and_then(|exit| {
            out.flush()?;
            Ok(exit)
        });
        let (exit, text) = match done {
            Ok(exit) => return exit,
            Err(Failure::Write(error)) if error.kind() == ErrorKind::BrokenPipe => return Exit::Fine,
            Err(Failure::Write(error)) => (Exit::CouldNotLook, format!("writing the result: {error}")),
            Err(Failure::Usage(text)) => (Exit::Usage, text),
            Err(Failure::Look(text)) => (Exit::CouldNotLook, text),
        };
        // The output so far is still worth printing. If nobody reads it, the exit code tells of the failure.
        let _ = out.flush();
        let _ = writeln!(err, "error: {}", escape_controls(&text));
        exit
    }
}

/// The result of a command, which is the exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything is fine, or there is nothing to judge.
    Fine,
    /// Something was found that somebody should look at.
    Findings,
    /// The arguments cannot be used.
    Usage,
    /// There was nothing to look at, or it could not be read.
    CouldNotLook,
}

impl Exit {
    /// Returns the exit code: 0, 1, 2 or 3.
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::CouldNotLook => 3,
        }
    }

    /// Returns [`Exit::Findings`] if there are some.
    fn of(has_findings: bool) -> Self {
        if has_findings { Self::Findings } else { Self::Fine }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// The reason for which a command has no result.
enum Failure {
    /// The result cannot be written.
    Write(io::Error),
    /// The arguments cannot be used.
    Usage(String),
    /// There is nothing to look at, or it cannot be read.
    Look(String),
}

impl Failure {
    /// The failure to read something, with all causes of the error.
    fn look(error: impl std::error::Error) -> Self {
        Self::Look(evs_core::describe(&error))
    }
}

/// Writing is what fails without saying so. Errors of reading are converted with [`Failure::look`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// The exit codes, for the end of `--help`.
const EXITS: &str = "Exit codes: 0 fine, 1 found something, 2 wrong arguments, 3 could not look.\nAll commands only read: they \
                     take no lock, and are safe beside a running pipeline.";

/// Looks at what evs has counted: state directories, binlogs and logs.
#[derive(Debug, Parser)]
#[command(name = "evs", after_help = EXITS)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Runs the program `evs` with these arguments, the first of which is the name of the program.
///
/// ```
/// use evs_admin::cli::{Exit, run};
///
/// let (mut out, mut err) = (Vec::new(), Vec::new());
/// let exit = run(["evs", "explain", "--format", "json", r#"{"ts":1}"#], &mut out, &mut err);
/// assert_eq!(exit, Exit::Fine);
/// assert!(String::from_utf8_lossy(&out).contains("accepted"));
/// assert_eq!(run(["evs", "unknown"], &mut out, &mut err), Exit::Usage);
/// ```
pub fn run(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let matches = Arguments::command().try_get_matches_from(arguments);
    match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments.command.run(out, err),
        Err(error) if error.use_stderr() => {
            let _ = write!(err, "{}", error.render());
            Exit::Usage
        }
        // `--help` is no error.
        Err(help) => {
            let _ = write!(out, "{}", help.render()).and_then(|()| out.flush());
            Exit::Fine
        }
    }
}
