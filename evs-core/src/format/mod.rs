//! Log formats, compiled to parsers.
//!
//! A [`LogFormat`] says what a line looks like: an nginx `log_format` string, JSON lines or LTSV. A
//! [`LineParser`], made for the fields that are wanted, takes lines apart into a
//! [`Record`], without allocating.
//!
//! Rules for `log_format` strings:
//!
//! - Text between variables stands in each line as it is; what is missing, or left over, makes the line
//!   bad. So does a number or a time that does not look like one: halves of two lines never make a third. (Of a line
//!   that was cut before its time, what is left may be taken for a part of the next line's `$remote_user`, which may
//!   hold anything: that is one event, the next line's.)
//! - In the default escaping a `"` ends a value, always, and `\xHH` is undone in fields that are asked
//!   for. Apache's `\"` is therefore not understood.
//! - `$remote_user`, `$http_…` and other values that clients choose may hold blanks and brackets: they
//!   end where the rest of the line goes on as the format does.
//! - With `escape=none` a client can forge anything that the format contains, line feeds included: see
//!   [`LogFormat::is_forgeable`].
//!
//! In every format a line is bad if it has a NUL byte in it or begins with a byte order mark.
//!
//! Fields that a line does not have are derived from its request, as nginx makes them: `request_method`,
//! `request_uri`, `uri`, `args`, `query_string`, `server_protocol` and `arg_NAME`, of which the last are
//! percent-decoded.

mod compile;
mod damage;
mod decode;
mod error;
mod fast;
mod limits;
mod reference;
mod rejection;
mod work;

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use compile::compiler::{Escape, Steps};
use decode::time::Clock;
use reference::{
    fields::{self, Captures, Layout, Plan},
    json::Scanner,
    keys::Keys,
    ltsv,
};

#[cfg(any(test, feature = "bench"))]
pub(crate) use self::fast::agreement;
pub use self::{
    error::FormatError,
    rejection::{Reason, Rejection},
};
pub(crate) use self::{
    fast::{
        block::BlockParser,
        columns::{Columns, Number, NumberColumn, Span},
    },
    limits::LineLimits,
};
pub use crate::record::Record;

const COMMON: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent"#;
const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

/// The keys that may hold the time when none was named, the best one first.
const TIME_KEYS: [&str; 6] = ["time_iso8601", "time_local", "msec", "time", "@timestamp", "timestamp"];

/// What the lines of a log look like.
///
/// ```
/// use evs_core::format::{LogFormat, Record};
///
/// let format = LogFormat::nginx(r#"$remote_addr [$time_local] "$request" $status"#)?;
/// let mut parser = format.parser(&["status", "arg_c"])?;
/// let mut record = Record::new();
/// let line = br#"::1 [21/Nov/2026:13:25:22 +0545] "GET /ad?c=spring%20sale HTTP/1.1" 200"#;
/// parser.parse(line, &mut record)?;
/// assert_eq!(record.field(0, line), b"200");
/// assert_eq!(record.field(1, line), b"spring sale");
/// assert_eq!(record.seconds(), 1_795_246_822);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct LogFormat {
    kind: FormatKind,
    /// What [`LogFormat::time_key`] named.
    time_key: Option<String>,
}

#[derive(Clone, Debug)]
enum FormatKind {
    Nginx { text: String, steps: Steps },
    Json,
    Ltsv,
}

impl LogFormat {
    /// An nginx `log_format`: its strings joined, with or without `escape=default`, `escape=json` or
    /// `escape=none` and a blank in front.
    ///
    /// Text is taken as it is: where a string in `nginx.conf` has `\t`, the format here has a tab.
    ///
    /// The time is taken from `$msec`, else from `$time_iso8601`, else from `$time_local`. Of a variable
    /// that is there twice, the first one counts.
    ///
    /// # Errors
    ///
    /// A format that is not one, or whose lines cannot be taken apart without guessing.
    pub fn nginx(format: &str) -> Result<Self, FormatError> {
        let steps = compile::compiler::compile(format)?;
        Ok(Self { kind: FormatKind::Nginx { text: format.to_owned(), steps }, time_key: None })
    }

    /// nginx's built-in `combined`, which is Apache's too.
    // Cannot fail: a test compiles it.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn combined() -> Self {
        Self::nginx(COMBINED).unwrap()
    }

    /// `combined` up to `$body_bytes_sent`: the common log format.
    // Cannot fail: a test compiles it.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn common() -> Self {
        Self::nginx(COMMON).unwrap()
    }

    /// One JSON object a line. Fields are keys; `a.b` is the key `b` in the object `a`, or the key `a.b`.
    ///
    /// Strings are taken without their escapes, numbers as they are written, objects and arrays as their
    /// JSON text; `null` is as good as no key. Of equal keys the first one counts.
    pub fn json() -> Self {
        Self { kind: FormatKind::Json, time_key: None }
    }

    /// Labelled tab-separated values: fields are labels. Values are taken as they are; of equal labels
    /// the first one counts.
    pub fn ltsv() -> Self {
        Self { kind: FormatKind::Ltsv, time_key: None }
    }

    /// Names the key that holds the time in JSON or LTSV lines.
    ///
    /// Without it, the first of these that a line has: `time_iso8601`, `time_local`, `msec`, `time`,
    /// `@timestamp`, `timestamp`. The time may be ISO 8601 with an offset or `Z`, look like nginx's
    /// `$time_local`, or be seconds since 1970. Formats of nginx's kind name their time themselves, and
    /// stay as they are.
    #[must_use]
    pub fn time_key(mut self, key: &str) -> Self {
        self.time_key = Some(key.to_owned());
        self
    }

    /// Whether a client can put text into the log that cannot be told from the web server's own:
    /// nginx's `escape=none` writes quotes and line feeds as they come.
    pub fn is_forgeable(&self) -> bool {
        matches!(&self.kind, FormatKind::Nginx { steps, .. } if steps.escape == Escape::None)
    }

    /// A parser for `fields`, which its records then have in this order.
    ///
    /// # Errors
    ///
    /// [`FormatError::NoField`] for a field that is not in the format, and cannot be derived from what
    /// is. JSON and LTSV lines may have any field.
    pub fn parser<S: AsRef<str>>(&self, fields: &[S]) -> Result<LineParser, FormatError> {
        let mut slots_used = 0;
        let (source, plan) = match &self.kind {
            FormatKind::Nginx { steps, .. } => {
                let mut slots = vec![None; steps.steps.len()];
                let plan = Plan::new(fields, Layout::Fixed, steps.escape, |name| {
                    let step = steps.steps.iter().position(|step| *step.name == *name)?;
                    Some(*slots[step].get_or_insert_with(|| {
                        slots_used += 1;
                        slots_used - 1
                    }))
                });
                (Source::Nginx { steps: steps.clone(), slots }, plan)
            }
            FormatKind::Json => {
                let (keys, times, plan) = self.keyed(fields, Escape::Json);
                slots_used = keys.len();
                (Source::Json { scanner: Scanner::new(keys), times }, plan)
            }
            FormatKind::Ltsv => {
                let (keys, times, plan) = self.keyed(fields, Escape::None);
                slots_used = keys.len();
                (Source::Ltsv { keys, times }, plan)
            }
        };
        let plan = plan.map_err(|field| FormatError::NoField { field, known: self.variables() })?;
        Ok(LineParser {
            source,
            slots: slots_used,
            plan,
            captures: Captures::default(),
            clock: Clock::default(),
        })
    }

    fn keyed<S: AsRef<str>>(&self, fields: &[S], escape: Escape) -> (Keys, Vec<usize>, Result<Plan, String>) {
        let mut keys = Keys::default();
        let times = match &self.time_key {
            Some(key) => vec![keys.slot(key)],
            None => TIME_KEYS.iter().map(|key| keys.slot(key)).collect(),
        };
        let plan = Plan::new(fields, Layout::ByKey, escape, |name| Some(keys.slot(name)));
        (keys, times, plan)
    }

    fn variables(&self) -> Vec<String> {
        match &self.kind {
            FormatKind::Nginx { steps, .. } => steps.steps.iter().map(|step| step.name.to_string()).collect(),
            FormatKind::Json | FormatKind::Ltsv => Vec::new(),
        }
    }
}

impl FromStr for LogFormat {
    type Err = FormatError;

    /// `combined`, `common`, `json`, `ltsv`, or a `log_format` string.
    fn from_str(text: &str) -> Result<Self, FormatError> {
        match text {
            "combined" => Ok(Self::combined()),
            "common" => Ok(Self::common()),
            "json" => Ok(Self::json()),
            "ltsv" => Ok(Self::ltsv()),
            _ if !text.contains('$') => Err(FormatError::Unknown { name: text.to_owned() }),
            _ => Self::nginx(text),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            FormatKind::Nginx { text, .. } => text,
            FormatKind::Json => "json",
            FormatKind::Ltsv => "ltsv",
        })
    }
}

/// Takes lines apart. Each worker has its own: it remembers the last time it read.
#[derive(Clone, Debug)]
pub struct LineParser {
    source: Source,
    slots: usize,
    plan: Plan,
    captures: Captures,
    clock: Clock,
}

/// Where logged values come from, and in which slots they are kept.
#[derive(Clone, Debug)]
enum Source {
    /// `slots` has the slot of each step that has one.
    Nginx {
        steps: Steps,
        slots: Vec<Option<usize>>,
    },
    /// `times` are the slots that may hold the time, the best first.
    Json {
        scanner: Scanner,
        times: Vec<usize>,
    },
    Ltsv {
        keys: Keys,
        times: Vec<usize>,
    },
}

impl LineParser {
    /// Reads `line`, which is without its line feed, into `record`.
    ///
    /// # Errors
    ///
    /// Why the line is not one of the format. The record then has no fields.
    pub fn parse(&mut self, line: &[u8], record: &mut Record) -> Result<(), Rejection> {
        self.parse_in_block(line, true, record)
    }

    /// Reads a line of a block, which is searched for NUL bytes only if it may have any.
    fn parse_in_block(
        &mut self,
        line: &[u8],
        may_have_nul: bool,
        record: &mut Record,
    ) -> Result<(), Rejection> {
        record.clear();
        if line.is_empty() {
            return Err(Rejection::at(0, Reason::Empty));
        }
        // Offsets are kept in 32 bits.
        if u32::try_from(line.len()).is_err() {
            return Err(Rejection::at(0, Reason::LineTooLong));
        }
        self.captures.clear(self.slots);
        let (captures, clock) = (&mut self.captures, &mut self.clock);
        let seconds = match &mut self.source {
            Source::Nginx { steps, slots } => {
                damage::check(line, may_have_nul)?;
                steps.read(line, slots, clock, captures)?
            }
            Source::Json { scanner, times } => {
                // Damaged lines are not JSON, so good lines need not be searched for damage.
                scanner.read(line, captures).map_err(|rejection| damage::or(line, rejection))?;
                keyed_time(line, times, Escape::Json, captures, clock, record)?
            }
            Source::Ltsv { keys, times } => {
                damage::check(line, may_have_nul)?;
                ltsv::read(keys, line, captures)?;
                keyed_time(line, times, Escape::None, captures, clock, record)?
            }
        };
        record.set_seconds(seconds);
        self.plan.fill(line, captures, record);
        Ok(())
    }
}

fn keyed_time(
    line: &[u8],
    slots: &[usize],
    escape: Escape,
    captures: &Captures,
    clock: &mut Clock,
    record: &mut Record,
) -> Result<i64, Rejection> {
    let time = slots.iter().find_map(|slot| captures.get(*slot));
    let Some(time) = time else { return Err(Rejection::at(0, Reason::NoTime)) };
    // Some writers escape the slashes of a $time_local.
    let value = fields::unescaped(line, time, escape, record);
    let text = fields::text_of(line, value, &record.unescaped);
    clock.read_any(text).map_err(|reason| Rejection::at(value.origin as usize, reason))
}
