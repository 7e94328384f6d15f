//! Tests that `docs/errors.md` has an entry for each error, with its message, and that the tests which it names exist.
//!
//! A new variant does not compile here until it is named, and fails until it has a message and an entry. If a message
//! changes, the failure shows the line that the page needs.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::Error;
use crate::{
    batch::Epoch,
    binlog::{BinlogError, Contradiction, Damage},
    describe::describe,
    format::FormatError,
    sink::SinkError,
    tail::TailError,
    writer::Writer,
};

/// Makes a function that names the variant of an error, and the list of all these names.
macro_rules! variants {
    ($name:ident, $all:ident, $error:ident { $($variant:ident)* }) => {
        fn $name(error: &$error) -> &'static str {
            match error {
                $($error::$variant { .. } => concat!(stringify!($error), "::", stringify!($variant)),)*
            }
        }

        const $all: &[&str] = &[$(concat!(stringify!($error), "::", stringify!($variant))),*];
    };
}

variants! { error_name, ERRORS, Error {
    Setting Format Log LogSync Binlog StateDir StateDirRights StateDirMoved Locked Redefined SinkRefuses UndeliveredSink
    ForeignState Adopt SinkStopped Sink Overflow Thread Panicked AlreadyRunning NoRuntime
    UnknownSink NotRefused NotRunning
} }
variants! { tail_name, TAIL_ERRORS, TailError {
    Io NotRegular Damaged Gone Changed Ambiguous Olddir TooMany Unclear Unmatched TooManyLogs Forgotten Shrunk
} }
variants! { binlog_name, BINLOG_ERRORS, BinlogError {
    Io DiskFull Poisoned Damaged NewerVersion Misnamed MissingSegment ForeignSource ForeignEpoch Gone Refused TooLarge
} }
variants! { sink_name, SINK_ERRORS, SinkError {
    Unavailable Refused Gap Ahead Foreign TooOld AheadOfBinlog Emptied Forgetful TakenOver Unclaimed
} }

const STATISTIC: &str = "requests";
const NOW: i64 = 1_795_860_000;

/// An error of the operating system, in its words on Linux.
fn os(text: &str) -> io::Error {
    io::Error::other(text)
}

const EIO: &str = "Input/output error (os error 5)";
const EAGAIN: &str = "Resource temporarily unavailable (os error 11)";
const EACCES: &str = "Permission denied (os error 13)";
const ENOSPC: &str = "No space left on device (os error 28)";
const ECONNREFUSED: &str = "Connection refused (os error 111)";

fn log(name: &str) -> PathBuf {
    Path::new("/var/log/nginx").join(name)
}

fn state(name: &str) -> PathBuf {
    PathBuf::from(format!("/var/lib/evs/web1{name}"))
}

fn segment() -> PathBuf {
    state("/binlog-0000000000000007.evs")
}

fn epoch(byte: u8) -> Epoch {
    Epoch::from_bytes([byte; 16])
}

fn writer() -> Writer {
    Writer {
        source: "web1".to_owned(),
        fence: 4,
        token: 7,
        epoch: epoch(0xe2),
        host: "web2".to_owned(),
        process: 4711,
        since: NOW,
    }
}

/// One of each, but for the errors that hold one of another kind, which `holders` has.
fn errors() -> Vec<Error> {
    let statistic = || STATISTIC.to_owned();
    vec![
        Error::Setting { setting: "workers".to_owned(), value: "1000".to_owned(), expected: "1 to 256" },
        Error::Format(FormatError::NoField {
            field: "country".to_owned(),
            known: vec!["remote_addr".to_owned(), "time_local".to_owned(), "status".to_owned()],
        }),
        Error::Log { name: "web1".to_owned(), source: TailError::NotRegular { path: log("access.log") } },
        Error::LogSync { path: log("access.log"), source: os(EIO) },
        Error::Binlog(BinlogError::MissingSegment { path: segment() }),
        Error::StateDir { op: "opening", path: state(""), source: os(EACCES) },
        Error::StateDirRights { path: state(""), mode: 0o775, owner: 33, user: 33 },
        Error::StateDirMoved { path: state("") },
        Error::Locked { path: state(""), holder: "process 4711 on host web1".to_owned() },
        Error::Redefined {
            statistic: statistic(),
            difference: "window 60s -> 3600s".to_owned(),
            obstacle: Some("window 60s -> 3600s".to_owned()),
        },
        Error::SinkRefuses {
            sink: "pg".to_owned(),
            statistic: statistic(),
            source: SinkError::refused_by(
                "the table requests cannot get columns",
                io::Error::other("permission denied"),
            ),
        },
        Error::UndeliveredSink {
            sink: "reports".to_owned(),
            renamed_to: None,
            batches: 3,
            rows: 1000,
            since: Some(NOW),
        },
        Error::ForeignState {
            name: "web1".to_owned(),
            sink: "pg".to_owned(),
            found: epoch(0xe2),
            epoch: epoch(0xe1),
            position: None,
            writer: Some(Box::new(writer())),
        },
        Error::Adopt {
            reason: "statistic requests is at nowhere in pg: restore the sinks to the same position"
                .to_owned(),
        },
        Error::SinkStopped {
            sink: "pg".to_owned(),
            waiting: 3,
            source: SinkError::refused("the table requests has no column bytes"),
        },
        Error::Sink(SinkError::refused_by("opening stats.db", os(EACCES))),
        Error::Overflow { statistic: statistic() },
        Error::Thread { thread: "evs-worker-3".to_owned(), source: os(EAGAIN) },
        Error::Panicked { thread: "delivery to pg".to_owned(), message: "index out of bounds".to_owned() },
        Error::AlreadyRunning,
        Error::NoRuntime,
        Error::UnknownSink { sink: "mysql".to_owned() },
        Error::NotRefused { sink: "pg".to_owned(), statistic: statistic(), sequence: 18, refused: Some(17) },
        Error::NotRunning,
    ]
}

fn tail_errors() -> Vec<TailError> {
    let last = || "/var/log/nginx/access.log".to_owned();
    let packed = || log("access.log.2.gz");
    vec![
        TailError::Io { op: "open", path: log("access.log.1"), source: os(EACCES) },
        TailError::NotRegular { path: log("access.log") },
        TailError::Damaged { path: packed(), source: io::Error::from(io::ErrorKind::UnexpectedEof) },
        TailError::Gone { number: 12, path: last(), offset: 4_096, size: 9_000 },
        TailError::Changed { path: log("access.log"), number: 12, offset: 9_000, size: 5_000 },
        TailError::Ambiguous { path: last(), one: log("access.log.1"), other: log("access.log.2") },
        TailError::Olddir {
            directory: log("old"),
            found: log("old/access.log.2"),
            other: log("old/access.log.1"),
        },
        TailError::TooMany { path: log("access.log"), most: 1_000_000 },
        TailError::Unclear { path: log("10.0.0.1.log"), log: "/var/log/nginx/10.0.0.log".to_owned() },
        TailError::Unmatched { log: "/var/log/nginx/shop.access.log".to_owned(), path: log("*.error.log") },
        TailError::TooManyLogs { path: log("*.access.log"), logs: 1_000, most: 384 },
        TailError::Forgotten { number: 12 },
        TailError::Shrunk { path: log("access.log"), start: 4_096, end: 9_000 },
    ]
}

fn binlog_errors() -> Vec<BinlogError> {
    let (sink, statistic) = (|| "pg".to_owned(), || STATISTIC.to_owned());
    vec![
        BinlogError::Io { op: "sync", path: segment(), source: os(EIO) },
        BinlogError::DiskFull { op: "write", path: segment(), source: os(ENOSPC) },
        BinlogError::Poisoned { path: state("") },
        BinlogError::Damaged { path: segment(), offset: 812, source: Damage::FrameHeader },
        BinlogError::NewerVersion { path: segment(), found: 3, supported: 2 },
        BinlogError::Misnamed { path: segment(), found: Some(3) },
        BinlogError::MissingSegment { path: segment() },
        BinlogError::ForeignSource { path: segment(), expected: "web1".to_owned(), found: "web2".to_owned() },
        BinlogError::ForeignEpoch { path: segment(), expected: epoch(0xe1), found: epoch(0xe2) },
        BinlogError::Gone { path: state(""), sink: sink(), statistic: statistic(), sequence: 17 },
        BinlogError::Refused { path: state(""), source: Contradiction::Twice { statistic: statistic() } },
        BinlogError::TooLarge { what: statistic(), bytes: 2 << 30, bytes_max: 1 << 30 },
    ]
}

fn sink_errors() -> Vec<SinkError> {
    let (source_name, statistic) = (|| "web1".to_owned(), || STATISTIC.to_owned());
    vec![
        SinkError::unavailable("connecting to 10.0.0.7:5432", os(ECONNREFUSED)),
        SinkError::refused("the table requests has no column bytes"),
        SinkError::Gap { statistic: statistic(), offered: 17, applied: 17 },
        SinkError::Ahead { statistic: statistic(), offered: 17, applied: 18, checksum: 7 },
        SinkError::Foreign { statistic: statistic(), sequence: 17, offered: 0xe1, found: 0xe2 },
        SinkError::TooOld { statistic: statistic(), applied: 17 },
        SinkError::AheadOfBinlog { statistic: statistic(), applied: 18, last: 17 },
        SinkError::Emptied { source_name: source_name(), statistic: statistic(), acknowledged: 17 },
        SinkError::Forgetful { source_name: source_name(), claims: 10 },
        SinkError::TakenOver { writer: Box::new(writer()) },
        SinkError::Unclaimed { source_name: source_name() },
    ]
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the entries of the page, by their headings.
fn entries(page: &str) -> BTreeMap<&str, &str> {
    let mut entries = BTreeMap::new();
    for section in page.split("\n### `").skip(1) {
        let (heading, entry) = section.split_once("`\n").expect("a heading ends with the name");
        let entry = entry.split("\n## ").next().unwrap_or_default();
        assert!(entries.insert(heading, entry).is_none(), "{heading} has two entries");
    }
    entries
}

#[test]
fn each_error_has_an_entry_with_its_message() {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let mut entries = entries(&page);
    let mut missing: Vec<_> = [ERRORS, TAIL_ERRORS, BINLOG_ERRORS, SINK_ERRORS].concat();
    let samples = (errors().iter().map(|error| (error_name(error), describe(error))))
        .chain(tail_errors().iter().map(|error| (tail_name(error), describe(error))))
        .chain(binlog_errors().iter().map(|error| (binlog_name(error), describe(error))))
        .chain(sink_errors().iter().map(|error| (sink_name(error), describe(error))))
        .collect::<Vec<_>>();
    for (name, message) in samples {
        let entry = entries.remove(name).unwrap_or_else(|| panic!("{name} has no entry: {message}"));
        assert!(entry.contains(&format!("\n    {message}\n")), "{name} lacks its message:\n    {message}\n");
        assert!(entry.contains("\n- **Safe.** ") && entry.contains("\n- **Means.** "), "{name}: {entry}");
        missing.retain(|other| *other != name);
    }
    assert!(missing.is_empty(), "without a sample here: {missing:?}");
    assert!(entries.is_empty(), "entries of no error: {:?}", entries.keys());
}

#[test]
fn each_entry_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    for (name, entry) in entries(&page) {
        let (_, tests) = entry.split_once("\n- **Test.**").unwrap_or_else(|| panic!("{name} names no test"));
        let named: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{name}: {tests}");
        for test in named {
            let (file, function) = test.split_once(':').unwrap_or_else(|| panic!("{name}: {test}"));
            let text =
                fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("fn {function}(")), "{name}: {function} is not in {file}");
        }
    }
}
