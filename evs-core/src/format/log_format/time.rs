//! The time of a format: the field that holds it, its shape, and the zone of times without one.

use super::{FormatError, FormatKind, LogFormat, compile};
use crate::format::{
    compile::{Class, Steps, nginx_name},
    decode::time::Shape,
};

/// The keys that may hold the time if the user names none, the best one first: nginx's own names, then those of common
/// JSON loggers, of Caddy (`ts`) and of Traefik (`StartUTC`).
const TIME_KEYS: [&str; 8] =
    ["time_iso8601", "time_local", "msec", "time", "@timestamp", "timestamp", "ts", "StartUTC"];

/// The field that holds the time.
#[derive(Clone, Debug, Default)]
pub(super) struct TimeField {
    /// The key that the user has named.
    pub(super) key: Option<String>,
    /// Its shape, if the user has told it.
    pub(super) shape: Option<Shape>,
    /// The zone of times without one: the seconds by which it is ahead of UTC.
    pub(super) zone: i64,
}

impl TimeField {
    /// The keys that may hold the time, the best one first.
    pub(super) fn keys(&self) -> Vec<&str> {
        self.key.as_deref().map_or(TIME_KEYS.to_vec(), |key| vec![key])
    }

    /// The index of the step that is the time of a line.
    pub(super) fn step(&self, steps: &Steps) -> Result<usize, FormatError> {
        let Some(field) = self.key.as_deref().filter(|_| self.shape.is_none()) else {
            return steps.time.ok_or(FormatError::NoTime);
        };
        let known = || steps.names().map(str::to_owned).collect();
        let missing = || FormatError::NoField { field: field.to_owned(), known: known() };
        let index = steps.position(field).ok_or_else(missing)?;
        match steps.steps[index].class {
            Class::Time(_) => Ok(index),
            _ => Err(FormatError::NoTimeShape { field: field.to_owned() }),
        }
    }

    /// The field of a log with a `#Fields:` line that holds the time, if the user has named it.
    pub(super) fn of_header(&self) -> Result<Option<(String, Shape)>, FormatError> {
        match (&self.key, &self.shape) {
            (None, _) => Ok(None),
            (Some(field), Some(shape)) => Ok(Some((nginx_name(field), shape.clone()))),
            (Some(field), None) => Err(FormatError::NoTimeShape { field: field.clone() }),
        }
    }
}

impl LogFormat {
    /// Names the key that holds the time in JSON or LTSV lines.
    ///
    /// Without it, the time is the first of these keys that a line has: `time_iso8601`, `time_local`, `msec`, `time`,
    /// `@timestamp`, `timestamp`, `ts`, `StartUTC`. The time may have any shape that [`time`](Self::time) calls
    /// `iso8601`, `local` or `epoch`, and brackets around it.
    ///
    /// A format string names its time itself. If it has several, this chooses one, which must have a shape by its name or
    /// directive; [`time`](Self::time) tells the shape of another. [`parser`](Self::parser) fails otherwise, and so it does for
    /// [`w3c`](Self::w3c), whose time needs a shape.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
    ///
    /// let mut parser = LogFormat::json().time_key("at").parser(&["status"])?;
    /// let mut record = Default::default();
    /// parser.parse(br#"{"at": 1795246822.5, "status": 200}"#, &mut record)?;
    /// assert_eq!(record.seconds(), 1_795_246_822);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn time_key(mut self, key: &str) -> Self {
        self.time.key = Some(key.to_owned());
        self
    }

    /// Names the field that holds the time, and its shape.
    ///
    /// | shape | example |
    /// | --- | --- |
    /// | `local` | `21/Nov/2026:13:25:22 +0545`, with or without a fraction and the zone |
    /// | `iso8601` | `2026-11-21T13:25:22+05:45`, with or without a fraction and the zone, which may be `Z` |
    /// | `epoch` | `1795246822` or `1795246822.707`; 13, 16 and 19 digits are milli-, micro- and nanoseconds |
    /// | `seconds`, `milliseconds`, `microseconds`, `nanoseconds` | a number since 1970, with or without a fraction |
    /// | anything else | conversions of `strftime`: `%Y-%m-%d %H:%M:%S.%f %z` |
    ///
    /// The fields of the names `time_local`, `time_iso8601` and `msec` have the first three shapes without this. Of the
    /// conversions, `%a %b %c %d %D %e %f %F %H %I %j %k %l %m %M %p %r %R %s %S %t %T %y %Y %z %Z %%` are known. `%f`
    /// is the digits of a fraction, and `%Z` only `UTC`, `GMT` or `Z`, since other names do not tell their zone.
    ///
    /// A time without a zone is UTC unless [`utc_offset_minutes`](Self::utc_offset_minutes) says another. A time without a
    /// year, such as syslog's `%b %e %T`, is of the last year in which it is not after tomorrow. So a log with such times must
    /// be read within a year.
    ///
    /// # Errors
    ///
    /// Returns [`FormatError::TimeShape`] for a shape that does not tell the instant, and [`FormatError::NoField`] if an
    /// nginx format does not have the field.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
    ///
    /// let format = LogFormat::nginx("$began $status")?.time("began", "%Y-%m-%d %H:%M:%S")?;
    /// let mut record = Default::default();
    /// format.parser(&["status"])?.parse(b"2026-11-21 07:40:22 200", &mut record)?;
    /// assert_eq!(record.seconds(), 1_795_246_822);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn time(mut self, field: &str, shape: &str) -> Result<Self, FormatError> {
        let shape = Shape::named(shape)?;
        if let FormatKind::Text { text, language, steps } = &mut self.kind {
            if steps.position(field).is_none() {
                return Err(FormatError::NoField { field: field.to_owned(), known: self.variables() });
            }
            *steps = compile(text, *language, Some(&(field.to_owned(), shape.clone())))?;
        }
        self.time.key = Some(field.to_owned());
        self.time.shape = Some(shape);
        Ok(self)
    }

    /// Tells by how many minutes the web server's clock is ahead of UTC, for times without a zone: 120 for `+02:00`.
    /// Without this, such times are UTC.
    ///
    /// The offset is fixed. A log whose clock changes between winter and summer should have its zone in each time.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
    ///
    /// let format = LogFormat::nginx("[$time_local] $status")?.utc_offset_minutes(345);
    /// let mut record = Default::default();
    /// format.parser(&["status"])?.parse(b"[21/Nov/2026:13:25:22.601] 200", &mut record)?;
    /// assert_eq!(record.seconds(), 1_795_246_822);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn utc_offset_minutes(mut self, minutes: i16) -> Self {
        self.time.zone = i64::from(minutes) * 60;
        self
    }
}
