//! The extended log file format of the W3C.

use super::{FormatKind, LogFormat};
use crate::format::{Preamble, compile::FIELDS};

impl LogFormat {
    /// The extended log file format of the W3C (<https://www.w3.org/TR/WD-logfile.html>), in which a `#Fields:` line
    /// names the fields of the lines after it. IIS and CloudFront write it.
    ///
    /// The last `#Fields:` line before a line holds, also after a restart in the middle of a file, and in a compressed
    /// file. A line before the first one of its file is rejected as [`NoFields`](crate::Reason::NoFields). Lines that
    /// begin with `#` are neither counted nor rejected.
    ///
    /// Values are delimited by tabs or by blanks, as the first delimiter of each line tells. A value may be in quotes, which are
    /// not part of it, and in which a quote is doubled. Only in a line with more delimiters than the fields have, those
    /// inside of quotes belong to values. So where the server writes neither quotes nor delimiters into values, as IIS does
    /// not, a client that sends quotes moves no value: it can only lose the quotes around its own.
    ///
    /// The time is that of `date` with `time` directly after it, with or without a fraction of a second, or else of `timestamp` (seconds since 1970). It is in UTC
    /// unless [`utc_offset_minutes`](Self::utc_offset_minutes) says another. A line without either is rejected as
    /// [`NoTime`](crate::Reason::NoTime).
    ///
    /// Fields have the names of the log, or those that nginx has for the same values:
    ///
    /// | field | nginx's name |
    /// | --- | --- |
    /// | `c-ip`, `c-port`, `s-ip`, `s-port` | `remote_addr`, `remote_port`, `server_addr`, `server_port` |
    /// | `cs-method`, `cs-uri-stem`, `cs-uri-query`, `cs-uri` | `request_method`, `uri`, `args`, `request_uri` |
    /// | `cs-version`, `cs-protocol-version`, `cs-protocol` | `server_protocol`, `server_protocol`, `scheme` |
    /// | `sc-status`, `sc-bytes`, `cs-bytes` | `status`, `bytes_sent`, `request_length` |
    /// | `cs-username`, `cs-host` | `remote_user`, `host` |
    /// | `cs(User-Agent)`, `sc(Content-Type)` | `http_user_agent`, `sent_http_content_type` |
    /// | others, such as `time-taken` or `x-edge-location` | `time_taken`, `x_edge_location` |
    ///
    /// `time-taken` is in milliseconds in IIS, and in seconds in CloudFront. A field that the `#Fields:` line does not name
    /// is absent, as a missing key of JSON is. Values are as they stand in the log, with one exception: CloudFront, which is
    /// known by its field `x-edge-location`, percent-encodes what clients send, and this is undone in `http_…`.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{LogFormat, Reason, Record};
    ///
    /// let mut parser = LogFormat::w3c().parser(&["uri", "sc-status"])?;
    /// let mut record = Record::new();
    /// let fields = b"#Fields: date time c-ip cs-method cs-uri-stem sc-status";
    /// assert_eq!(parser.parse(fields, &mut record).unwrap_err().reason, Reason::Directive);
    /// let line = b"2026-11-21 07:40:22 192.0.2.1 GET /a 200";
    /// parser.parse(line, &mut record)?;
    /// assert_eq!((record.field(0, line), record.field(1, line)), (&b"/a"[..], &b"200"[..]));
    /// assert_eq!(record.seconds(), 1_795_246_822);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn w3c() -> Self {
        Self::of(FormatKind::W3c)
    }

    /// The lines before a range of the log without which it cannot be read, if the format has such lines.
    pub(crate) fn preamble(&self) -> Option<Preamble> {
        match (&self.kind, self.containers.first()) {
            (_, Some(container)) if container.has_pieces() => Some(Preamble::Pieces(*container)),
            (FormatKind::W3c, None) => Some(Preamble::Directive(FIELDS)),
            _ => None,
        }
    }
}
