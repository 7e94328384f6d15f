//! [`LogFormat`]: the formats that lines may have, and the way from a format to a parser of its lines.
//!
//! A format is compiled once, when it is made; a parser is made for the fields that are wanted, and only these are
//! taken out of a line. Both know their values by slots: a slot is the number of a captured value. An nginx format
//! gives a slot to each of its variables that some field needs. JSON and LTSV give one to each key that some field
//! needs, and one to each key that may hold the time.

use std::{fmt, str::FromStr};

mod aliases;
mod apache;
mod conf;
mod container;
mod explain;
mod named;
mod time;
mod w3c;

use self::{
    aliases::KeyNames,
    apache::{is_apache, mixed_in},
    named::{ALB, HAPROXY},
    time::TimeField,
};
use super::{
    compile::{Escape, Language, Steps, compile},
    container::{Container, Unwrapper},
    error::FormatError,
    reference::{FieldMap, HeaderReader, Keys, LineParser, LineReader, Naming, Scanner},
};

/// The common log format.
pub(super) const COMMON: &str =
    r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent"#;
/// nginx's built-in format `combined` (<https://nginx.org/en/docs/http/ngx_http_log_module.html>).
pub(super) const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

/// The format of a log: a format string of nginx or Apache, JSON lines or LTSV.
///
/// | the log is written by | format |
/// | --- | --- |
/// | nginx or Apache, with their `combined` | [`combined`](Self::combined) |
/// | nginx with a `log_format` | [`nginx`](Self::nginx), with that string |
/// | Apache with a `LogFormat` | [`apache`](Self::apache), with that string |
/// | nginx with `escape=json`, Caddy, Traefik, a CDN | [`json`](Self::json) |
/// | another server, proxy or load balancer | [`named`](Self::named), if it has a name there |
/// | anything that writes `label:value` and tabs | [`ltsv`](Self::ltsv) |
/// | IIS, CloudFront, anything that writes a `#Fields:` line | [`w3c`](Self::w3c) |
///
/// A format also parses from a text, for a service that reads it from its configuration: a name that
/// [`named`](Self::named) lists, or the format string of nginx or Apache.
///
/// # Examples
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{LogFormat, Record};
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
///
/// From a text:
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::LogFormat;
///
/// let format: LogFormat = "combined".parse()?;
/// assert!(format.to_string().starts_with("$remote_addr - $remote_user"));
/// assert!("combinde".parse::<LogFormat>().is_err());
/// # Ok::<(), evs::FormatError>(())
/// ```
///
/// # Lines of a `log_format` string
///
/// - The text between variables must stand in each line as it is. A line with missing or additional text is rejected,
///   and so is one with a number or a time that does not look like one. So the halves of two lines never make a third.
///   (If a line was cut before its time, the rest may be read as part of the next line's `$remote_user`, which may be
///   anything. That is one event, the next line's.)
/// - In nginx's default escaping a `"` always ends a value, and `\xHH` is undone in the fields that are asked for.
///   Apache's `\"` is therefore not understood, except in the named formats and in those of [`apache`](Self::apache).
/// - `$remote_user`, `$http_…` and other values that clients choose may have blanks and brackets in them. Such a value
///   ends where the rest of the line goes on as the format does.
/// - With `escape=none` a client can forge anything that the format contains, even line feeds: see
///   [`LogFormat::is_forgeable`].
///
/// # Lines of every format
///
/// A line is rejected if it has a NUL byte in it or begins with a byte order mark: see [`Reason`](crate::Reason).
///
/// Some fields are derived from the request if a line does not have them: see [`Field`](crate::Field).
#[derive(Clone, Debug)]
pub struct LogFormat {
    kind: FormatKind,
    time: TimeField,
    /// The names that fields have beside their keys.
    names: KeyNames,
    /// True if lines end with CR LF. A format string has the CR at its end.
    is_crlf: bool,
    /// The containers around each line, the outermost first. More than one cannot be read.
    containers: Vec<Container>,
}

/// The kind of a format, with what was compiled for it.
#[derive(Clone, Debug)]
enum FormatKind {
    Text { text: String, language: Language, steps: Steps },
    Json,
    Ltsv,
    W3c,
}

impl LogFormat {
    /// The format of an nginx `log_format`: its strings joined to one. An `escape=default`, `escape=json` or
    /// `escape=none` and a blank may stand in front of it.
    ///
    /// A whole directive may be pasted, too: `log_format main '…' '…';`, or its strings in single quotes. So may the
    /// configuration around it, if it has no other `log_format`.
    /// [`from_nginx_conf`](Self::from_nginx_conf) reads it from its file.
    ///
    /// Any other text is taken as it is. Where a string in `nginx.conf` has `\t`, for example, the format here has a tab.
    ///
    /// A string that describes the lines of a container with those of nginx in them is read as such: Docker's
    /// `{"log":"…\n","stream":"$stream","time":"$time"}`, of which only the fields in `…` can be asked for, as
    /// [`docker`](Self::docker), and `$time $stream F …` of Kubernetes as [`cri`](Self::cri).
    ///
    /// The header of syslog may stand before the line as three variables and more, such as `$month $day $clock $sender nginx: …`.
    /// Its day may then be padded with a blank: `Nov  3 00:02:37`. [`syslog`](Self::syslog) reads any such header.
    ///
    /// The time is read from `$msec`, else from `$time_iso8601`, else from `$time_local`, in any of the shapes that
    /// [`time`](Self::time) lists for them. `time` names another variable. Without any of these, `$date $time` is
    /// the time: `2026-11-21 07:40:22` in UTC. If a variable occurs twice, the first one
    /// counts.
    ///
    /// # Errors
    ///
    /// Fails if `format` is not a `log_format` string, or if its lines cannot be parsed without guessing. An Apache string
    /// is [`FormatError::Language`].
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
    ///
    /// let format = LogFormat::nginx(r#"escape=json {"time":"$msec","status":$status}"#)?;
    /// assert!(format.parser(&["status"]).is_ok());
    /// // A format needs a time, and a text between any two variables that tells where the first one ends.
    /// assert!(LogFormat::nginx("$remote_addr $status")?.parser(&["status"]).is_err());
    /// assert!(LogFormat::nginx("$msec $host$uri").is_err());
    /// # Ok::<(), evs::FormatError>(())
    /// ```
    pub fn nginx(format: &str) -> Result<Self, FormatError> {
        if let Some(pasted) = conf::pasted(format) {
            return pasted?.compile();
        }
        if let Some(format) = container::pasted(format) {
            return format;
        }
        if is_apache(format) {
            return Err(FormatError::Language { of: "Apache", constructor: "LogFormat::apache" });
        }
        if let Some((offset, directive)) = mixed_in(format) {
            return Err(FormatError::Mixed { offset, directive });
        }
        Self::text(format, Language::Nginx)
    }

    /// A format that a string describes.
    fn text(format: &str, language: Language) -> Result<Self, FormatError> {
        let steps = compile(format, language, None)?;
        let kind = FormatKind::Text { text: format.to_owned(), language, steps };
        Ok(Self::of(kind))
    }

    /// A format of that kind, with the time where it usually is.
    fn of(kind: FormatKind) -> Self {
        Self {
            kind,
            time: TimeField::default(),
            names: KeyNames::None,
            is_crlf: false,
            containers: Vec::new(),
        }
    }

    /// nginx's built-in format `combined`: `$remote_addr - $remote_user [$time_local] "$request" $status
    /// $body_bytes_sent "$http_referer" "$http_user_agent"`.
    ///
    /// Apache's `combined` is read as well, with its own escapes, if its second value is `-`. That value comes from the
    /// client's `identd`; [`apache_combined`](Self::apache_combined) reads any.
    // Cannot fail: a test compiles it.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn combined() -> Self {
        Self::text(COMBINED, Language::NginxOrApache).unwrap()
    }

    /// The common log format, which is `combined` up to `$body_bytes_sent`. The same escapes are read.
    // Cannot fail: a test compiles it.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn common() -> Self {
        Self::text(COMMON, Language::NginxOrApache).unwrap()
    }

    /// JSON lines: one object a line. Fields are keys. `a.b` is the key `b` in the object `a`, or the key `a.b`.
    ///
    /// The value of a string has its escapes undone. A number, object or array is taken as its JSON text. A measure
    /// reads the exponent of a number. A string that holds a number is read as one, too. `null` means the same as no key. If a
    /// key occurs twice, the first one counts, unless it is `null`.
    ///
    /// [`time_key`](Self::time_key) says which keys hold the time.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
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
        Self::of(FormatKind::Json)
    }

    /// Labelled tab-separated values (<http://ltsv.org>). Fields are labels. Values are taken as they are. If a label
    /// occurs twice, the first one counts.
    ///
    /// [`time_key`](Self::time_key) says which labels hold the time.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
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
        Self::of(FormatKind::Ltsv)
    }

    /// Says that lines end with CR LF, as nginx writes them on Windows. Without this, such a line is rejected as
    /// [`CarriageReturn`](crate::Reason::CarriageReturn), since the CR may be a part of its last value. Lines of JSON and
    /// [`w3c`](Self::w3c) may end so in any case.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
    ///
    /// let format = LogFormat::nginx("$msec $status")?.crlf();
    /// let mut record = Default::default();
    /// format.parser(&["status"])?.parse(b"1795246822.000 200\r", &mut record)?;
    /// assert_eq!(record.field(0, b"1795246822.000 200\r"), b"200");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn crlf(mut self) -> Self {
        if let FormatKind::Text { text, language, steps } = &mut self.kind
            && !self.is_crlf
        {
            let time = self.time.key.clone().zip(self.time.shape.clone());
            text.push('\r');
            // A text that compiles does so with another byte at its end.
            if let Ok(with_cr) = compile(text, *language, time.as_ref()) {
                *steps = with_cr;
            }
        }
        self.is_crlf = true;
        self
    }

    /// True if a client can write text into the log that looks like the web server's own.
    ///
    /// That is so with `escape=none`: nginx then writes quotes and line feeds as they come. It is also so if a value that
    /// clients choose has no quotes around it, and before the next value stands a text that they can write, too: in
    /// `$http_x|$status|$http_y` a header may have `|200|` in it.
    ///
    /// evs reads such lines from the safe side: values before the first such one are certain, those after the last one are
    /// counted from the end of the line if their delimiter is a `|`, `;` or tab, or a blank between numbers and the like, and
    /// `$request` ends after its protocol. [`build`](crate::PipelineBuilder::build) warns. A service that bills by its
    /// numbers should refuse such a format; quotes around the value mend it.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
    ///
    /// assert!(!LogFormat::combined().is_forgeable());
    /// assert!(LogFormat::nginx("escape=none $msec $request $status")?.is_forgeable());
    /// assert!(LogFormat::nginx("$msec|$http_x|$status|$http_y|$host")?.is_forgeable());
    /// assert!(!LogFormat::nginx(r#"$msec|"$http_x"|$status|"$http_y"|$host"#)?.is_forgeable());
    /// # Ok::<(), evs::FormatError>(())
    /// ```
    pub fn is_forgeable(&self) -> bool {
        self.forgery().is_some()
    }

    /// The way in which a client can forge lines, in words.
    pub(crate) fn forgery(&self) -> Option<String> {
        let FormatKind::Text { steps, .. } = &self.kind else { return None };
        if steps.escape == Escape::None {
            return Some("with escape=none, clients can forge lines and fields of this log".to_owned());
        }
        let (name, list) = steps.forgeable()?;
        let why = match list {
            Some(list) => format!("${name} may go on with the list of ${list} before it"),
            None => format!("${name} may have the text after it"),
        };
        Some(format!("clients can forge fields of this log, since {why}: put quotes around ${name}"))
    }

    /// A parser for `fields`. Its records have the fields in this order.
    ///
    /// A pipeline makes its own parsers. Make one to try out a format on lines of a log before a pipeline counts them.
    ///
    /// # Errors
    ///
    /// Returns [`FormatError::NoField`] for a field that the format does not have and that cannot be derived from the
    /// fields that it has. JSON and LTSV lines may have any field. Returns [`FormatError::NoTime`] if the format has no
    /// time, and [`time`](Self::time) names none, and [`FormatError::NoTimeShape`] if [`time_key`](Self::time_key) names a field
    /// whose shape is not known.
    pub fn parser<S: AsRef<str>>(&self, fields: &[S]) -> Result<LineParser, FormatError> {
        let unwrapper = self.unwrapper()?;
        let mut slots_used = 0;
        let (reader, fields) = match &self.kind {
            FormatKind::Text { steps, .. } => {
                let steps = Steps { time: Some(self.time.step(steps)?), ..steps.clone() };
                let mut slots = vec![None; steps.steps.len()];
                let fields = FieldMap::new(fields, Naming::Position, steps.escape, |name| {
                    let step = steps.position(name)?;
                    Some(*slots[step].get_or_insert_with(|| {
                        slots_used += 1;
                        slots_used - 1
                    }))
                });
                (LineReader::Nginx { steps, slots }, fields)
            }
            FormatKind::Json => {
                let (mut keys, times, fields) = self.keyed(fields, Escape::Json);
                let access = self.names.access(&mut keys);
                slots_used = keys.len();
                (LineReader::Json { scanner: Scanner::new(keys), times, access }, fields)
            }
            FormatKind::W3c => {
                let reader = HeaderReader::new(fields, self.time.of_header()?, self.time.zone);
                let reader = LineReader::Header(Box::new(reader));
                (reader, FieldMap::new::<&str>(&[], Naming::Header, Escape::Delimited, |_| None))
            }
            FormatKind::Ltsv => {
                let (keys, times, fields) = self.keyed(fields, Escape::None);
                slots_used = keys.len();
                (LineReader::Ltsv { keys, times, is_crlf: self.is_crlf }, fields)
            }
        };
        let fields = fields.map_err(|field| FormatError::NoField { field, known: self.variables() })?;
        let shape = self.time.shape.clone();
        let parser = LineParser::new(reader, slots_used, fields).timed(shape, self.time.zone);
        Ok(match unwrapper {
            Some(unwrapper) => parser.contained(unwrapper),
            None => parser,
        })
    }

    /// The keys, the slots that may hold the time, and the fields, of a format that names its values by keys.
    fn keyed<S: AsRef<str>>(
        &self,
        fields: &[S],
        escape: Escape,
    ) -> (Keys, Vec<usize>, Result<FieldMap, String>) {
        let mut keys = Keys::default();
        let times = self.time.keys().into_iter().map(|key| keys.slot(key)).collect();
        let fields =
            FieldMap::new(fields, Naming::Key, escape, |name| Some(keys.slot(self.names.key_of(name))));
        (keys, times, fields)
    }

    /// The variables of an nginx format.
    fn variables(&self) -> Vec<String> {
        match &self.kind {
            FormatKind::Text { steps, .. } => steps.names().map(str::to_owned).collect(),
            FormatKind::Json | FormatKind::Ltsv | FormatKind::W3c => Vec::new(),
        }
    }
}

impl FromStr for LogFormat {
    type Err = FormatError;

    /// Reads a name that [`LogFormat::named`] knows, a `log_format` string of nginx's, or a `LogFormat` string of
    /// Apache's: one that has directives such as `%h` and no variables.
    ///
    /// # Errors
    ///
    /// A text that is none of these is [`FormatError::Unknown`]. For the strings, see [`LogFormat::nginx`] and
    /// [`LogFormat::apache`].
    fn from_str(text: &str) -> Result<Self, FormatError> {
        if let Some(format) = container::prefixed(text) {
            return format;
        }
        match text {
            _ if is_apache(text) => Self::apache(text),
            _ if text.contains('$') => Self::nginx(text),
            _ => Self::named(text),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for container in self.containers.iter().filter(|container| container::has_prefix(**container)) {
            write!(f, "{}:", container.name())?;
        }
        f.write_str(match &self.kind {
            FormatKind::Text { language: Language::Haproxy, .. } => HAPROXY,
            FormatKind::Text { language: Language::Alb, .. } => ALB,
            FormatKind::Text { text, .. } => text,
            FormatKind::Json => "json",
            FormatKind::Ltsv => "ltsv",
            FormatKind::W3c => "w3c",
        })
    }
}
