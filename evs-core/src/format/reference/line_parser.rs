//! Reads single lines of any format into records.
//!
//! A line goes through three steps. The reader of its format captures the values that are needed into slots, as ranges
//! of the line. The time is read from one of them. Then the field map makes the fields: most are a captured value
//! itself, others are cut out of one and decoded.

use super::{
    fields::{self, Captures, FieldMap},
    header::HeaderReader,
    json::Scanner,
    keys::Keys,
    ltsv,
};
use crate::{
    format::{
        compile::{Escape, Header, Steps},
        container::{Added, Unwrapper},
        damage,
        decode::time::{LastTime, Shape},
        rejection::{Reason, Rejection},
    },
    record::Record,
};

/// Reads lines into [`Record`]s. [`LogFormat::parser`](crate::LogFormat::parser) makes it, for the fields that are
/// wanted.
///
/// A parser remembers the last time that it read, and the order of keys in JSON, to be faster on the next line. So it
/// is `&mut`, and each thread has its own clone. The result for a line never depends on the lines before it,
/// except on the `#Fields:` line of [`LogFormat::w3c`](crate::LogFormat::w3c), and on the pieces of a line in a container.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{LogFormat, Record};
///
/// let log = b"time:1795246822\tstatus:200\ntime:1795246823\tstatus:404\nnonsense\n";
/// let mut parser = LogFormat::ltsv().parser(&["status"])?;
/// let (mut record, mut errors, mut rejected) = (Record::new(), 0, Vec::new());
/// for line in log.trim_ascii_end().split(|byte| *byte == b'\n') {
///     match parser.parse(line, &mut record) {
///         Ok(()) if record.field(0, line).starts_with(b"4") => errors += 1,
///         Ok(()) => {}
///         Err(rejection) => rejected.push(rejection.to_string()),
///     }
/// }
/// assert_eq!(errors, 1);
/// assert_eq!(rejected, ["column 1: a field without a label"]);
/// # Ok::<(), evs::FormatError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LineParser {
    pub(in crate::format) reader: LineReader,
    /// The number of slots of a line.
    slots: usize,
    /// The rules by which the slots become fields.
    pub(in crate::format) fields: FieldMap,
    /// The captured values of the line that is being read.
    captures: Captures,
    /// The last time that was read, with its text.
    pub(in crate::format) last_time: LastTime,
    /// The shape of the time in a format of keys, if the user has named it.
    shape: Option<Shape>,
    /// Takes lines out of their container, if the format has one.
    container: Option<Box<Unwrapper>>,
}

/// The reader of one kind of format. It captures the values of a line into numbered slots.
///
/// `times` are the slots that may hold the time, the best one first.
#[derive(Clone, Debug)]
pub(in crate::format) enum LineReader {
    /// An nginx format. `slots` has the slot of each step, if its value is asked for.
    Nginx { steps: Steps, slots: Vec<Option<usize>> },
    /// Lines whose fields a `#Fields:` line names, which has been read. The fast path takes the `template` for the form of
    /// line that it expects; the reference reads lines of any form.
    Delimited { header: Box<Header>, slots: Vec<Option<usize>>, template: Box<Steps> },
    /// Lines whose fields a `#Fields:` line before them names.
    Header(Box<HeaderReader>),
    /// JSON lines. `access` tells those of requests from others, if a server writes both to one place.
    Json { scanner: Scanner, times: Vec<usize>, access: Option<AccessKeys> },
    /// Labelled tab-separated values.
    Ltsv { keys: Keys, times: Vec<usize>, is_crlf: bool },
}

/// The slots of the keys by which a line of Caddy's access log is known.
#[derive(Clone, Debug)]
pub(in crate::format) struct AccessKeys {
    /// The logger's name.
    pub(in crate::format) logger: usize,
    /// Keys of which a line without a logger must have one.
    pub(in crate::format) request: Vec<usize>,
}

impl AccessKeys {
    /// Rejects a line of another log.
    fn check(&self, line: &[u8], captures: &Captures) -> Result<(), Rejection> {
        match captures.get(self.logger).map(|logger| logger.range()) {
            Some(logger) if line[logger.clone()].starts_with(b"http.log.access") => Ok(()),
            Some(logger) => Err(Rejection::at(logger.start, Reason::OtherLog)),
            None if self.request.iter().any(|slot| captures.get(*slot).is_some()) => Ok(()),
            None => Err(Rejection::at(0, Reason::OtherLog)),
        }
    }
}

impl LineParser {
    /// A parser of lines that `reader` reads, with the given number of slots.
    pub(in crate::format) fn new(reader: LineReader, slots: usize, fields: FieldMap) -> Self {
        let (captures, last_time) = (Captures::default(), LastTime::default());
        Self { reader, slots, fields, captures, last_time, shape: None, container: None }
    }

    /// With times of `shape`, if it is a format of keys, and times without a zone that are those of `zone`.
    pub(in crate::format) fn timed(self, shape: Option<Shape>, zone: i64) -> Self {
        Self { last_time: LastTime::in_zone(zone), shape, ..self }
    }

    /// With lines in a container.
    pub(in crate::format) fn contained(self, container: Unwrapper) -> Self {
        Self { container: Some(Box::new(container)), ..self }
    }

    /// True if the lines name their fields, so that a name may be mistaken.
    pub(crate) fn may_lack_fields(&self) -> bool {
        !matches!(self.reader, LineReader::Nginx { .. })
    }

    /// Takes the lines of blocks out of their container, if the format has one.
    pub(crate) fn unwrapper(&self) -> Option<Box<Unwrapper>> {
        self.container.clone()
    }

    /// Reads `line`, without its line feed, into `record`.
    ///
    /// # Errors
    ///
    /// Returns the reason why the line does not have the format, and the column where. The record then has no fields.
    pub fn parse(&mut self, line: &[u8], record: &mut Record) -> Result<(), Rejection> {
        match self.container.take() {
            None => self.parse_in_block(line, true, record),
            Some(mut container) => {
                let parsed = self.parse_contained(&mut container, line, record);
                self.container = Some(container);
                parsed
            }
        }
    }

    /// Reads a line in a container.
    fn parse_contained(
        &mut self,
        container: &mut Unwrapper,
        line: &[u8],
        record: &mut Record,
    ) -> Result<(), Rejection> {
        record.clear();
        let added = container.open(line)?;
        if added == Added::Piece {
            return Err(Rejection::at(0, Reason::Piece));
        }
        let offset = |offset: u32| added.offset(line, offset as usize);
        let parsed = self.parse_in_block(container.text(), true, record);
        parsed.map_err(|Rejection { reason, column }| {
            Rejection::at(offset(column.saturating_sub(1)), reason)
        })?;
        let moved = if let Added::Plain(start) = added { Some(start) } else { None };
        record.take_over(container.text(), moved, offset);
        Ok(())
    }

    /// As [`parse`](Self::parse), but searches for NUL bytes only if `may_have_nul`: a block is searched as a whole.
    pub(in crate::format) fn parse_in_block(
        &mut self,
        line: &[u8],
        may_have_nul: bool,
        record: &mut Record,
    ) -> Result<(), Rejection> {
        record.clear();
        if let LineReader::Header(reader) = &mut self.reader {
            return reader.parse(line, may_have_nul, record);
        }
        if line.is_empty() {
            return Err(Rejection::at(0, Reason::Empty));
        }
        // Offsets are kept in 32 bits.
        if u32::try_from(line.len()).is_err() {
            return Err(Rejection::at(0, Reason::LineTooLong));
        }
        self.captures.clear(self.slots);
        let (captures, last_time, shape) = (&mut self.captures, &mut self.last_time, self.shape.as_ref());
        let seconds = match &mut self.reader {
            LineReader::Nginx { steps, slots } => {
                damage::check(line, may_have_nul)?;
                if line.ends_with(b"\r") && !steps.may_end_with_cr() {
                    return Err(Rejection::at(line.len() - 1, Reason::CarriageReturn));
                }
                steps.read(line, slots, last_time, captures)?
            }
            LineReader::Delimited { header, slots, .. } => {
                damage::check(line, may_have_nul)?;
                let text = line.strip_suffix(b"\r").unwrap_or(line);
                let steps = header.steps_of(text);
                steps.time.ok_or(Rejection::at(0, Reason::NoTime))?;
                steps.read(text, slots, last_time, captures)?
            }
            LineReader::Header(_) => return Err(Rejection::at(0, Reason::NoFields)),
            LineReader::Json { scanner, times, access } => {
                // A damaged line is not JSON, so only rejected lines are searched for damage.
                scanner.read(line, captures).map_err(|rejection| damage::or(line, rejection))?;
                access.as_ref().map_or(Ok(()), |access| access.check(line, captures))?;
                keyed_time(line, times, Escape::Json, captures, (last_time, shape), record)?
            }
            LineReader::Ltsv { keys, times, is_crlf } => {
                damage::check(line, may_have_nul)?;
                let text = line.strip_suffix(b"\r");
                if text.is_some() && !*is_crlf {
                    return Err(Rejection::at(line.len() - 1, Reason::CarriageReturn));
                }
                ltsv::read(keys, text.unwrap_or(line), captures)?;
                keyed_time(line, times, Escape::None, captures, (last_time, shape), record)?
            }
        };
        record.set_seconds(seconds);
        self.fields.fill(line, captures, record);
        Ok(())
    }
}

/// Reads the time of a JSON or LTSV line from the first of its slots that has a value.
fn keyed_time(
    line: &[u8],
    slots: &[usize],
    escape: Escape,
    captures: &Captures,
    (last_time, shape): (&mut LastTime, Option<&Shape>),
    record: &mut Record,
) -> Result<i64, Rejection> {
    let time = slots.iter().find_map(|slot| captures.get(*slot));
    let Some(time) = time else { return Err(Rejection::at(0, Reason::NoTime)) };
    // Some writers escape the slashes of a `$time_local`, so escapes are undone first.
    let value = fields::unescaped(line, time, escape, record);
    let text = fields::text_of(line, value, &record.unescaped);
    let read = match shape {
        Some(shape) => last_time.read(shape, text),
        None => last_time.read_any(text),
    };
    read.map_err(|reason| Rejection::at(value.origin as usize, reason))
}
