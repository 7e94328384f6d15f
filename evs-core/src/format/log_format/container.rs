//! Formats in containers: the constructors, and how a text names them.

use super::{Container, FormatError, LogFormat, Unwrapper};

impl LogFormat {
    /// Lines of `inner` in Docker's `json-file` logs: `{"log":"…\\n","stream":"stdout","time":"…"}`.
    ///
    /// A text names it as `docker:combined`, for example, and the other containers in the same way.
    ///
    /// # Pieces
    ///
    /// Docker writes a long line in pieces of 16 KiB: only the last one has a line feed at its end. evs puts the pieces of each
    /// stream together, also after a restart between them, and the line is counted once. If it is rejected, it has the
    /// offset of its last piece, and the column in the whole line. A line of more than 1 MiB is rejected as
    /// [`LineTooLong`](crate::Reason::LineTooLong).
    ///
    /// Pieces are put together within a file. If the log is rotated between two pieces of a line, the rest of that line is
    /// read as a line of its own, which nearly every format rejects.
    ///
    /// A line that is not in such a container is rejected as [`Container`](crate::Reason::Container). Lines of
    /// [`w3c`](Self::w3c), and of a format that is in a container already, cannot be in one:
    /// [`parser`](Self::parser) fails.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{LogFormat, Record};
    ///
    /// let mut parser = LogFormat::docker(LogFormat::nginx(r#"$msec "$request" $status"#)?).parser(&["status"])?;
    /// let mut record = Record::new();
    /// let line = br#"{"log":"1795246822.707 \"GET / HTTP/1.1\" 200\n","stream":"stdout","time":"2026-11-21T07:40:22Z"}"#;
    /// parser.parse(line, &mut record)?;
    /// assert_eq!(record.field(0, line), b"200");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn docker(inner: Self) -> Self {
        inner.within(Container::Docker)
    }

    /// Lines of `inner` in the logs of Kubernetes' container runtimes, containerd and CRI-O.
    ///
    /// A long line comes in [pieces](Self::docker), which are marked by a `P`; its last piece has an `F`.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{LogFormat, Reason, Record};
    ///
    /// let mut parser = LogFormat::cri(LogFormat::nginx(r#"$msec "$request" $status"#)?).parser(&["status"])?;
    /// let mut record = Record::new();
    /// let piece = br#"2026-11-21T07:40:22.707000001Z stdout P 1795246822.707 "GET /a"#;
    /// assert_eq!(parser.parse(piece, &mut record).unwrap_err().reason, Reason::Piece);
    /// let line = br#"2026-11-21T07:40:22.707000002Z stdout F aaaa HTTP/1.1" 200"#;
    /// parser.parse(line, &mut record)?;
    /// assert_eq!(record.field(0, line), b"200");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cri(inner: Self) -> Self {
        inner.within(Container::Cri { keeps_header: false })
    }

    /// Lines of `inner` after a header of syslog, as RFC 3164 or RFC 5424 has it, with or without the priority.
    ///
    /// The time of the header may also be one of ISO 8601, as rsyslog writes it, and the host may be missing. The tag ends with
    /// a colon. The header's time is not read: `inner` has its own.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{LogFormat, Record};
    ///
    /// let mut parser = LogFormat::syslog(LogFormat::nginx("$msec $status")?).parser(&["status"])?;
    /// for line in [
    ///     &b"Nov  3 00:02:37 web1 nginx: 1793664157.000 200"[..],
    ///     b"<190>1 2026-11-03T00:02:37Z web1 nginx 7 - [a@1 b=\"c\"] 1793664157.000 200",
    /// ] {
    ///     let mut record = Record::new();
    ///     parser.parse(line, &mut record)?;
    ///     assert_eq!(record.field(0, line), b"200");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn syslog(inner: Self) -> Self {
        inner.within(Container::Syslog { is_optional: false })
    }

    /// Lines of `inner` in the export of systemd's journal: `journalctl -o json`.
    ///
    /// The line is the `MESSAGE`, a text or an array of bytes. Lines that the journal has broken because they were too long
    /// are put together as [pieces](Self::docker) are. `journalctl` leaves out messages of more than 4 KiB without
    /// `--all`; their entries are rejected.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{LogFormat, Record};
    ///
    /// let mut parser = LogFormat::journald(LogFormat::nginx("$msec $status")?).parser(&["status"])?;
    /// let line = br#"{"_COMM":"nginx","MESSAGE":"1793664157.000 200","__REALTIME_TIMESTAMP":"1793664157000000"}"#;
    /// let mut record = Record::new();
    /// parser.parse(line, &mut record)?;
    /// assert_eq!(record.field(0, line), b"200");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn journald(inner: Self) -> Self {
        inner.within(Container::Journald)
    }

    pub(super) fn within(mut self, container: Container) -> Self {
        self.containers.insert(0, container);
        self
    }

    /// The container of the lines.
    #[cfg(test)]
    pub(in crate::format) fn container_of(&self) -> Container {
        self.containers[0]
    }

    /// The way to take lines out of their container, if the format has one.
    pub(super) fn unwrapper(&self) -> Result<Option<Unwrapper>, FormatError> {
        let may_have_header = self.containers.len() > 1;
        Ok(self.container()?.map(|container| Unwrapper::new(container).headed(may_have_header)))
    }

    /// The container of each line, if the format has one.
    fn container(&self) -> Result<Option<Container>, FormatError> {
        let Some((container, inner)) = self.containers.split_first() else { return Ok(None) };
        if !matches!(inner, [] | [OPTIONAL]) || matches!(self.kind, super::FormatKind::W3c) {
            let inner = Self { containers: inner.to_vec(), ..self.clone() }.to_string();
            return Err(FormatError::Container { container: container.name(), inner });
        }
        Ok(Some(*container))
    }
}

/// The container of lines that may have a header of syslog, also in another container.
const OPTIONAL: Container = Container::Syslog { is_optional: true };

/// True if the container stands before the format in its text: `cri:combined`.
pub(super) fn has_prefix(container: Container) -> bool {
    !matches!(container, Container::Cri { keeps_header: true } | OPTIONAL)
}

/// Reads a format with the name of a container before it: `cri:combined`. `None` if `text` has no such name.
pub(super) fn prefixed(text: &str) -> Option<Result<LogFormat, FormatError>> {
    let (name, inner) = text.split_once(':')?;
    let container = Container::named(name)?;
    Some(inner.trim_start().parse::<LogFormat>().map(|inner| inner.within(container)))
}

/// Reads a format string of nginx that describes the lines of a container with those of nginx in them. `None` if `text` is not
/// such a string.
///
/// ```text
/// $time $stream F $remote_addr [$time_local] …
/// {"log":"$remote_addr [$time_local] \"$request\" …\n","stream":"$stream","time":"$time"}
/// ```
///
/// Read as strings of nginx, they would miss the pieces of long lines, and Docker's escapes.
pub(super) fn pasted(text: &str) -> Option<Result<LogFormat, FormatError>> {
    if text.starts_with("{\"log\"") {
        let entry: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
        let inner = entry.get("log")?.as_str()?.strip_suffix('\n')?;
        entry.get("stream").and(entry.get("time"))?;
        return Some(LogFormat::nginx(inner).map(LogFormat::docker));
    }
    let mut words = text.splitn(4, ' ');
    let (time, stream) = (words.next()?, words.next()?);
    let is_cri = time.starts_with('$') && (stream.starts_with('$') || stream == "stdout");
    if !is_cri || words.next() != Some("F") || words.next().is_none() {
        return None;
    }
    let format = LogFormat::text(text, super::Language::Nginx);
    Some(format.map(|format| format.within(Container::Cri { keeps_header: true })))
}
