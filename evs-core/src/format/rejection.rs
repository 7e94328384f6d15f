//! [`Rejection`]: the reason why a line is not counted, and the column of the line where it lies.
//!
//! Every rejection is made by the reference or after it, never by the fast path. So the reason and the column of a
//! line do not depend on the lines around it or on the processor.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{LazyLock, Mutex, PoisonError},
};

use crate::number::NumberError;

/// A line is not counted: the reason, and the column where the line stops matching its format.
///
/// [`LineParser::parse`](crate::LineParser::parse) returns it. A pipeline counts rejected lines in
/// [`Status::rejected`](crate::Status::rejected), and writes them to a file in its state directory.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{LogFormat, Reason, Record};
///
/// let mut parser = LogFormat::nginx("$remote_addr [$time_local] $status")?.parser(&["status"])?;
/// let line = b"::1 [21/Nov/2026:13:25:22 +0000] OK";
/// let rejection = parser.parse(line, &mut Record::new()).unwrap_err();
/// assert_eq!((rejection.reason, rejection.column), (Reason::NotANumber, 34));
/// assert_eq!(rejection.to_string(), "column 34: not a number");
/// # Ok::<(), evs::FormatError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The reason.
    pub reason: Reason,
    /// The column: a byte of the line, counted from 1.
    pub column: u32,
}

impl Rejection {
    /// A rejection at `offset`, a byte of the line counted from 0.
    pub(crate) fn at(offset: usize, reason: Reason) -> Self {
        Self { reason, column: u32::try_from(offset).unwrap_or(u32::MAX).saturating_add(1) }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.reason)
    }
}

impl std::error::Error for Rejection {}

/// The reason why a line is rejected.
///
/// [`code`](Self::code) is its name in metrics and in the file of rejected lines; `Display` says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The line is empty.
    Empty,
    /// The line is longer than [`line_bytes_max`](crate::PipelineBuilder::line_bytes_max).
    LineTooLong,
    /// The line has a NUL byte in it. A power cut leaves NULs at the end of a file, and so does `copytruncate` under a
    /// writer that does not append.
    Nul,
    /// The line begins with a byte order mark, which an editor or a script wrote at the start of a file.
    ByteOrderMark,
    /// The line has other text where the format has a literal. If most lines have this reason, the format is not that
    /// of the log.
    Literal,
    /// A field does not end: the line was cut, or its quotes do not match.
    Unterminated,
    /// A field that is never empty is empty. nginx writes `-` for a value that is not there.
    EmptyField,
    /// The elements of a list of upstream tries are not joined by `, ` and ` : `.
    List,
    /// The line goes on after the end of the format. The web server's format may have got another field.
    Leftover,
    /// The line is of another log of the server, which writes all of them to one place. Caddy does so by default.
    OtherLog,
    /// The line ends with CR LF, and the format does not say so: see [`LogFormat::crlf`](crate::LogFormat::crlf).
    CarriageReturn,
    /// The line has no key for the time: see [`LogFormat::time_key`](crate::LogFormat::time_key).
    NoTime,
    /// The time does not look like a time.
    Time,
    /// The time looks like a time, but the date, time of day or offset does not exist.
    Date,
    /// A configured store cannot hold the window of that time: see [`Limits::windows`](crate::Limits::windows).
    TimeOutOfRange,
    /// The time is more than a day ahead of the clock, and the pipeline rejects such lines: see
    /// [`reject_ahead`](crate::PipelineBuilder::reject_ahead).
    TimeAhead,
    /// A configured store cannot hold a key of that length: see
    /// [`Limits::key_bytes_max`](crate::Limits::key_bytes_max).
    KeyTooLong,
    /// A value that a measure needs is not a number, such as `0x10`. (In JSON, `1e3` is one.)
    NotANumber,
    /// A number does not fit 64 bits at the measure's scale.
    NumberTooLarge,
    /// A number is outside of the measure's range: see [`Measure::within`](crate::Measure::within).
    NumberOutOfRange,
    /// A number has more decimal places than the measure's scale: see [`Measure::scale`](crate::Measure::scale).
    TooManyDigits,
    /// The line is not a JSON object.
    Json,
    /// A JSON string has a bad escape, half a surrogate pair or a control character.
    JsonString,
    /// The JSON is nested more than 128 levels deep.
    JsonDepth,
    /// A field of an LTSV line has no label.
    Label,
    /// No `#Fields:` line stands before the line in its file, or the last one names no field: see
    /// [`LogFormat::w3c`](crate::LogFormat::w3c).
    NoFields,
    /// The line does not have the envelope that the format says: see [`LogFormat::docker`](crate::LogFormat::docker) and the
    /// constructors beside it.
    Container,
    /// The line is a piece of a longer one. [`LineParser::parse`](crate::LineParser::parse) has no other way to say so; a
    /// pipeline neither counts nor rejects it, but puts the line together.
    Piece,
    /// The line does not fulfil the check of that name: see
    /// [`PipelineBuilder::require`](crate::PipelineBuilder::require).
    Check(CheckName),
    /// The line begins with `#`, so it is about the log. [`LineParser::parse`](crate::LineParser::parse) has no other way
    /// to say so; a pipeline neither counts nor rejects such a line.
    Directive,
}

impl Reason {
    /// All reasons of evs's own.
    const ALL: [Self; 29] = [
        Self::Empty,
        Self::LineTooLong,
        Self::Nul,
        Self::ByteOrderMark,
        Self::Literal,
        Self::Unterminated,
        Self::EmptyField,
        Self::List,
        Self::Leftover,
        Self::OtherLog,
        Self::CarriageReturn,
        Self::NoTime,
        Self::Time,
        Self::Date,
        Self::TimeOutOfRange,
        Self::TimeAhead,
        Self::KeyTooLong,
        Self::NotANumber,
        Self::NumberTooLarge,
        Self::NumberOutOfRange,
        Self::TooManyDigits,
        Self::Json,
        Self::JsonString,
        Self::JsonDepth,
        Self::Label,
        Self::NoFields,
        Self::Container,
        Self::Piece,
        Self::Directive,
    ];

    /// True if a name is the [`code`](Self::code) of a reason of evs's own.
    pub(crate) fn is_code(name: &str) -> bool {
        Self::ALL.iter().any(|reason| reason.code() == name)
    }

    /// A short name for metrics, which never changes.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// assert_eq!(evs::Reason::TimeOutOfRange.code(), "time_out_of_range");
    /// ```
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::LineTooLong => "line_too_long",
            Self::Nul => "nul",
            Self::ByteOrderMark => "byte_order_mark",
            Self::Literal => "literal",
            Self::Unterminated => "unterminated",
            Self::EmptyField => "empty_field",
            Self::List => "list",
            Self::Leftover => "leftover",
            Self::OtherLog => "other_log",
            Self::CarriageReturn => "carriage_return",
            Self::NoTime => "no_time",
            Self::Time => "time",
            Self::Date => "date",
            Self::TimeOutOfRange => "time_out_of_range",
            Self::TimeAhead => "time_ahead",
            Self::KeyTooLong => "key_too_long",
            Self::NotANumber => "not_a_number",
            Self::NumberTooLarge => "number_too_large",
            Self::NumberOutOfRange => "number_out_of_range",
            Self::TooManyDigits => "too_many_digits",
            Self::Json => "json",
            Self::JsonString => "json_string",
            Self::JsonDepth => "json_depth",
            Self::Label => "label",
            Self::NoFields => "no_fields",
            Self::Container => "container",
            Self::Piece => "piece",
            Self::Check(name) => name.0,
            Self::Directive => "directive",
        }
    }
}

/// Adds numbers of rejected lines by reason. There are few reasons in one log.
pub(crate) fn add_reasons(to: &mut Vec<(Reason, u64)>, more: &[(Reason, u64)]) {
    for (reason, lines) in more {
        match to.iter_mut().find(|(known, _)| known == reason) {
            Some((_, known)) => *known += lines,
            None => to.push((*reason, *lines)),
        }
    }
}

/// The name of a check, which is the code of its [`Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CheckName(&'static str);

impl CheckName {
    /// The name, kept for as long as the process lives, once however often it is used: reasons are copied with each
    /// rejected line. A program has few of them.
    pub(crate) fn new(name: &str) -> Self {
        static NAMES: LazyLock<Mutex<BTreeSet<&'static str>>> = LazyLock::new(Mutex::default);
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Self(known);
        }
        let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
        names.insert(kept);
        Self(kept)
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Check(name) = self {
            return write!(f, "the check {} failed", name.0);
        }
        f.write_str(match self {
            Self::Empty => "the line is empty",
            Self::LineTooLong => "the line is longer than the limit",
            Self::Nul => "the line has a NUL byte in it",
            Self::ByteOrderMark => "the line begins with a byte order mark",
            Self::Literal => "the format has other text here",
            Self::Unterminated => "the field that begins here does not end",
            Self::EmptyField => "a field that is never empty is empty",
            Self::List => "not a list joined by `, ` and ` : `",
            Self::Leftover => "the line goes on after the end of the format",
            Self::OtherLog => "a line of another log of the server, not of a request",
            Self::CarriageReturn => "the line ends with CR LF, and the format is one without crlf",
            Self::NoTime => "the line has no key for the time",
            Self::Time => "not a time",
            Self::Date => "no such date, time of day or offset",
            Self::TimeOutOfRange => "a store cannot hold the window of that time",
            Self::TimeAhead => "the time is too far ahead of the clock",
            Self::KeyTooLong => "a store cannot hold a key of that length",
            Self::NotANumber => "not a number",
            Self::NumberTooLarge => "number too large",
            Self::NumberOutOfRange => "number outside of the measure's range",
            Self::TooManyDigits => "more decimal places than the measure's scale",
            Self::Json => "not a JSON object",
            Self::JsonString => "bad escape, half a surrogate pair or control character in a JSON string",
            Self::JsonDepth => "JSON nested too deeply",
            Self::Label => "a field without a label",
            Self::NoFields => "no #Fields line before it names its fields",
            Self::Container => "not a line of the container that the format names",
            Self::Piece => "a piece of a line that goes on",
            Self::Check(_) => "a check failed",
            Self::Directive => "a line about the log, not an event",
        })
    }
}

impl From<NumberError> for Reason {
    fn from(error: NumberError) -> Self {
        match error {
            NumberError::NotANumber => Self::NotANumber,
            NumberError::TooLarge => Self::NumberTooLarge,
            NumberError::TooManyDigits => Self::TooManyDigits,
        }
    }
}
