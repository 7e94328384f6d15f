//! [`LogFormat`]: the formats that lines may have.

use std::{fmt, str::FromStr};

use super::{
    compile::{Escape, Steps, compile},
    error::FormatError,
    reference::{FieldMap, Keys, LineParser, LineReader, Naming, Scanner},
};

pub(super) const COMMON: &str =
    r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent"#;
pub(super) const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

/// The keys that may hold the time if the user names none, the best one first.
const TIME_KEYS: [&str; 6] = ["time_iso8601", "time_local", "msec", "time", "@timestamp", "timestamp"];

/// The format of a log: an nginx `log_format` string, JSON lines or LTSV.
///
/// ```
/// use evs_core::{LogFormat, Record};
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
    /// The key that [`LogFormat::time_key`] named.
    time_key: Option<String>,
}

#[derive(Clone, Debug)]
enum FormatKind {
    Nginx { text: String, steps: Steps },
    Json,
    Ltsv,
}

impl LogFormat {
    /// The format of an nginx `log_format`: its strings joined to one. An `escape=default`, `escape=json` or
    /// `escape=none` and a blank may stand in front of it.
    ///
    /// Text is taken as it is. Where a string in `nginx.conf` has `\t`, for example, the format here has a tab.
    ///
    /// The time is read from `$msec`, else from `$time_iso8601`, else from `$time_local`. If a variable occurs twice,
    /// the first one counts.
    ///
    /// # Errors
    ///
    /// Fails if `format` is not a `log_format` string, or if its lines cannot be parsed without guessing.
    ///
    /// ```
    /// use evs_core::LogFormat;
    ///
    /// let format = LogFormat::nginx(r#"escape=json {"time":"$msec","status":$status}"#)?;
    /// assert!(format.parser(&["status"]).is_ok());
    /// // A format needs a time, and a text between any two variables.
    /// assert!(LogFormat::nginx("$remote_addr $status").is_err());
    /// assert!(LogFormat::nginx("$msec $host$uri").is_err());
    /// # Ok::<(), evs_core::FormatError>(())
    /// ```
    pub fn nginx(format: &str) -> Result<Self, FormatError> {
        let steps = compile(format)?;
        Ok(Self { kind: FormatKind::Nginx { text: format.to_owned(), steps }, time_key: None })
    }

    /// nginx's built-in format `combined`, which Apache has, too.
    // Cannot fail: a test compiles it.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn combined() -> Self {
        Self::nginx(COMBINED).unwrap()
    }

    /// The common log format: `combined` up to `$body_bytes_sent`.
    // Cannot fail: a test compiles it.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn common() -> Self {
        Self::nginx(COMMON).unwrap()
    }

    /// JSON lines: one object a line. Fields are keys. `a.b` is the key `b` in the object `a`, or the key `a.b`.
    ///
    /// The value of a string has its escapes undone. A number is taken as it is written, an object or array as its JSON
    /// text. `null` means the same as no key. If a key occurs twice, the first one counts.
    ///
    /// ```
    /// use evs_core::LogFormat;
    ///
    /// let mut parser = LogFormat::json().parser(&["request.method", "status"])?;
    /// let mut record = Default::default();
    /// let line = br#"{"time": 1795246822, "status": 200, "request": {"method": "GET"}}"#;
    /// parser.parse(line, &mut record)?;
    /// assert_eq!(record.field(0, line), b"GET");
    /// assert_eq!(record.field(1, line), b"200");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn json() -> Self {
        Self { kind: FormatKind::Json, time_key: None }
    }

    /// Labelled tab-separated values. Fields are labels. Values are taken as they are. If a label occurs twice, the
    /// first one counts.
    ///
    /// ```
    /// use evs_core::LogFormat;
    ///
    /// let mut parser = LogFormat::ltsv().parser(&["status", "host"])?;
    /// let mut record = Default::default();
    /// let line = b"time:1795246822\tstatus:200";
    /// parser.parse(line, &mut record)?;
    /// assert_eq!(record.field(0, line), b"200");
    /// assert_eq!(record.field(1, line), b"-", "the line has no such label");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ltsv() -> Self {
        Self { kind: FormatKind::Ltsv, time_key: None }
    }

    /// Names the key that holds the time in JSON or LTSV lines.
    ///
    /// Without it, the time is the first of these keys that a line has: `time_iso8601`, `time_local`, `msec`, `time`,
    /// `@timestamp`, `timestamp`. The time may be ISO 8601 with an offset or `Z`, look like nginx's `$time_local`, or
    /// be seconds since 1970. An nginx format names its time itself, and is not changed by this.
    #[must_use]
    pub fn time_key(mut self, key: &str) -> Self {
        self.time_key = Some(key.to_owned());
        self
    }

    /// True if a client can write text into the log that looks like the web server's own. That is so with
    /// `escape=none`: nginx then writes quotes and line feeds as they come.
    pub fn is_forgeable(&self) -> bool {
        matches!(&self.kind, FormatKind::Nginx { steps, .. } if steps.escape == Escape::None)
    }

    /// A parser for `fields`. Its records have the fields in this order.
    ///
    /// # Errors
    ///
    /// Returns [`FormatError::NoField`] for a field that the format does not have and that cannot be derived from the
    /// fields that it has. JSON and LTSV lines may have any field.
    pub fn parser<S: AsRef<str>>(&self, fields: &[S]) -> Result<LineParser, FormatError> {
        let mut slots_used = 0;
        let (reader, fields) = match &self.kind {
            FormatKind::Nginx { steps, .. } => {
                let mut slots = vec![None; steps.steps.len()];
                let fields = FieldMap::new(fields, Naming::ByPosition, steps.escape, |name| {
                    let step = steps.steps.iter().position(|step| *step.name == *name)?;
                    Some(*slots[step].get_or_insert_with(|| {
                        slots_used += 1;
                        slots_used - 1
                    }))
                });
                (LineReader::Nginx { steps: steps.clone(), slots }, fields)
            }
            FormatKind::Json => {
                let (keys, times, fields) = self.keyed(fields, Escape::Json);
                slots_used = keys.len();
                (LineReader::Json { scanner: Scanner::new(keys), times }, fields)
            }
            FormatKind::Ltsv => {
                let (keys, times, fields) = self.keyed(fields, Escape::None);
                slots_used = keys.len();
                (LineReader::Ltsv { keys, times }, fields)
            }
        };
        let fields = fields.map_err(|field| FormatError::NoField { field, known: self.variables() })?;
        Ok(LineParser::new(reader, slots_used, fields))
    }

    /// The keys, the slots that may hold the time, and the fields, of a format that names its values by keys.
    fn keyed<S: AsRef<str>>(
        &self,
        fields: &[S],
        escape: Escape,
    ) -> (Keys, Vec<usize>, Result<FieldMap, String>) {
        let mut keys = Keys::default();
        let times = match &self.time_key {
            Some(key) => vec![keys.slot(key)],
            None => TIME_KEYS.iter().map(|key| keys.slot(key)).collect(),
        };
        let fields = FieldMap::new(fields, Naming::ByKey, escape, |name| Some(keys.slot(name)));
        (keys, times, fields)
    }

    /// The variables of an nginx format.
    fn variables(&self) -> Vec<String> {
        match &self.kind {
            FormatKind::Nginx { steps, .. } => steps.steps.iter().map(|step| step.name.to_string()).collect(),
            FormatKind::Json | FormatKind::Ltsv => Vec::new(),
        }
    }
}

impl FromStr for LogFormat {
    type Err = FormatError;

    /// Reads `combined`, `common`, `json`, `ltsv`, or a `log_format` string.
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
