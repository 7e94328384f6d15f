//! The formats that lines may have.

use std::{fmt, str::FromStr};

use super::{
    compile::{Escape, Steps, compile},
    error::FormatError,
    reference::{Keys, Layout, LineParser, Plan, Scanner, Source},
};

pub(super) const COMMON: &str =
    r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent"#;
pub(super) const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

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
        let steps = compile(format)?;
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
        Ok(LineParser::new(source, slots_used, plan))
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
