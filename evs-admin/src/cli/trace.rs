//! `evs trace`: from a byte of the log to the batches that count it, and to the sinks that have them.

mod batches;
mod file;
mod line;

use std::{io::Write, path::PathBuf};

use clap::Args;
use evs_core::inspect::{LogFile, Part, Rejected, State};
use serde::Serialize;

use self::{batches::Stretch, file::Standing, line::Read};
use super::{
    Exit, Failure, FormatArgs,
    output::{self, escape_controls},
    state,
};

/// Shows what became of a line of the log: its batches, and which sinks have them, or why it was rejected
///
/// The file is recognized by its bytes, under any name and compression. A batch has the lines of a stretch of the log; that
/// a line is in the stretch does not say that a statistic selected it. With --format the row of the line is looked up.
#[derive(Clone, Debug, Args)]
pub struct Trace {
    /// The state directory
    #[arg(value_name = "DIR")]
    pub state: PathBuf,
    /// The file, and the offset in it, uncompressed: /var/log/access.log:4096
    #[arg(value_name = "FILE:OFFSET", conflicts_with_all = ["file", "offset"], required_unless_present = "file")]
    pub place: Option<String>,
    /// The file
    #[arg(long, value_name = "FILE", requires = "offset")]
    pub file: Option<PathBuf>,
    /// The offset in it, uncompressed
    #[arg(long, value_name = "BYTE", requires = "file")]
    pub offset: Option<u64>,
    /// The format of the log, to show the keys of the line and to look up its rows
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// How to read the lines.
    #[command(flatten)]
    pub reading: FormatArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The fate of a line, in JSON.
#[derive(Serialize)]
struct Report {
    file: String,
    /// The number of the file within its source.
    number: Option<u64>,
    offset: u64,
    line_offset: u64,
    line: String,
    /// The knowledge of evs about the file.
    standing: Standing,
    rejected: Option<Rejected>,
    statistics: Vec<StatisticPart>,
}

/// The fate of a line in one statistic.
#[derive(Serialize)]
struct StatisticPart {
    statistic: String,
    /// `counted`, `passed`, `removed`, `open` or `unread`.
    fate: &'static str,
    explanation: String,
    stretch: Option<Stretch>,
    sinks: Vec<SinkPart>,
    /// How the line is read, and the row that counts it, if a format was given.
    read: Option<Read>,
}

/// The fate of a line in one sink.
#[derive(Serialize)]
struct SinkPart {
    sink: String,
    /// `acknowledged`, `waiting`, `partly`, `discarded`, `not_offered` or `not_routed`.
    fate: &'static str,
    acknowledged: u64,
}

impl Trace {
    /// Returns the file and the offset.
    fn place(&self) -> Result<(PathBuf, u64), Failure> {
        match (&self.place, &self.file, self.offset) {
            (None, Some(file), Some(offset)) => Ok((file.clone(), offset)),
            (Some(place), ..) => {
                let parts =
                    place.rsplit_once(':').and_then(|(file, offset)| Some((file, offset.parse().ok()?)));
                let (file, offset) = parts.ok_or_else(|| {
                    Failure::Usage(format!("{place:?} is not FILE:OFFSET, such as access.log:4096"))
                })?;
                Ok((file.into(), offset))
            }
            _ => Err(Failure::Usage("a file and an offset are needed".to_owned())),
        }
    }

    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let (path, offset) = self.place()?;
        let format = self.format.as_ref().map(|format| self.reading.format(format)).transpose()?;
        let directory = state::open(&self.state)?;
        let contents = state::read_quietly(&directory, Part::Newest)?;
        let Some(state) = &contents.state else {
            return Err(Failure::Look(
                "the state is not known, since the newest segment is damaged: see `evs verify`".to_owned(),
            ));
        };
        let file = LogFile::open(&path).map_err(Failure::look)?;
        let file = file.ok_or_else(|| Failure::Look(format!("{} does not exist", path.display())))?;
        let (line_offset, bytes) = file
            .line_at(offset)
            .map_err(Failure::look)?
            .ok_or_else(|| Failure::Look(format!("{} ends before byte {offset}", path.display())))?;
        let (number, standing) = file::find(&directory, state, &file, offset)?;
        let rejected = line::rejection(&directory, state, line_offset, &bytes)?;
        let mut statistics = Vec::new();
        if let Some(number) = number {
            let reads = state.statistics.iter().map(|(name, known)| {
                (name.clone(), format.as_ref().map(|format| Read::new(format, &known.schema, &bytes)))
            });
            let stretches = batches::find(&directory, (number, offset), reads.collect())?;
            let place = Place { state, number, offset, standing };
            statistics.extend(stretches.into_iter().map(|(name, found)| place.part(name, found)));
        }
        let report = Report {
            file: path.display().to_string(),
            number,
            offset,
            line_offset,
            line: evs_core::escape(&bytes).into_owned(),
            standing,
            rejected,
            statistics,
        };
        if self.json {
            output::json(out, &report)?;
        } else {
            report.print(out)?;
        }
        Ok(Exit::Fine)
    }
}

/// The place that is traced.
struct Place<'p> {
    state: &'p State,
    number: u64,
    offset: u64,
    standing: Standing,
}

impl Place<'_> {
    fn part(&self, statistic: String, found: batches::Found) -> StatisticPart {
        let batches::Found { stretch, read } = found;
        let (fate, explanation) = self.fate(&statistic, stretch.as_ref());
        let sinks = match (&stretch, fate) {
            (Some(stretch), "counted") => self.sinks(&statistic, stretch),
            _ => Vec::new(),
        };
        StatisticPart { statistic, fate, explanation, stretch, sinks, read }
    }

    fn fate(&self, statistic: &str, stretch: Option<&Stretch>) -> (&'static str, String) {
        let known = self.state.statistics.get(statistic);
        let covers = |frontier: &evs_core::Frontier| frontier.covers(self.number, self.offset + 1);
        match stretch {
            Some(stretch) if stretch.rows == 0 && stretch.first == 0 => {
                ("passed", "read, in a stretch of the log in which the statistic counted nothing".to_owned())
            }
            Some(stretch) if stretch.first == stretch.last => {
                ("counted", format!("its stretch of the log is batch {}", stretch.first))
            }
            Some(stretch) => (
                "counted",
                format!(
                    "its stretch of the log was cut into batches {} to {}; which of them has the row is not recorded",
                    stretch.first, stretch.last
                ),
            ),
            None if known.is_some_and(|known| covers(&known.to)) => (
                "removed",
                "not in the binlog any more: it was read before the oldest batch that the binlog has. Then its batch was \
                 delivered to all sinks and removed, or there were no rows, or the statistic began later"
                    .to_owned(),
            ),
            None if covers(&self.state.ledger.frontier) => {
                ("open", "read, and not cut into a batch of this statistic yet: after a crash it is read again".to_owned())
            }
            None if self.standing == Standing::Known => (
                "removed",
                "its file is closed, and no batch in the binlog has it".to_owned(),
            ),
            None => ("unread", "not read yet, or read since the last commit".to_owned()),
        }
    }

    fn sinks(&self, statistic: &str, stretch: &Stretch) -> Vec<SinkPart> {
        let to = self.state.statistics.get(statistic).and_then(|known| known.schema.to.as_ref());
        let sinks = self.state.sinks.iter().filter_map(|(name, all)| Some((name, all.get(statistic)?)));
        sinks
            .map(|(name, progress)| {
                let discarded = (stretch.first..=stretch.last).all(|n| progress.discarded.contains(n));
                let fate = match progress.acknowledged {
                    _ if to.is_some_and(|to| !to.contains(name)) => "not_routed",
                    _ if progress.begin >= stretch.last => "not_offered",
                    _ if discarded => "discarded",
                    acknowledged if acknowledged >= stretch.last => "acknowledged",
                    acknowledged if acknowledged >= stretch.first => "partly",
                    _ => "waiting",
                };
                SinkPart { sink: name.clone(), fate, acknowledged: progress.acknowledged }
            })
            .collect()
    }
}

impl SinkPart {
    fn words(&self) -> String {
        let Self { sink, acknowledged, .. } = self;
        match self.fate {
            "acknowledged" => format!("{sink} has acknowledged it"),
            "partly" => format!("{sink} has acknowledged a part of these batches, up to {acknowledged}"),
            "discarded" => format!("it was given up for {sink}"),
            "not_offered" => format!("{sink} began later, and never gets it"),
            "not_routed" => format!("the statistic does not go to {sink}"),
            _ => format!("it waits for {sink}, which is at batch {acknowledged}"),
        }
    }
}

impl Report {
    fn print(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let number = self.number.map(|number| format!(", file {number} of the source")).unwrap_or_default();
        writeln!(out, "{}, byte {}{number}", escape_controls(&self.file), self.offset)?;
        writeln!(out, "  the line begins at byte {}: {}", self.line_offset, escape_controls(&self.line))?;
        writeln!(out, "  the file: {}", self.standing.words())?;
        if let Some(Rejected { column, reason, .. }) = &self.rejected {
            writeln!(out, "  REJECTED at column {column}: {}", escape_controls(reason))?;
        }
        for part in &self.statistics {
            writeln!(out, "{}: {}", escape_controls(&part.statistic), part.explanation)?;
            if let Some(stretch) = part.stretch.as_ref().filter(|stretch| stretch.first > 0) {
                writeln!(out, "  from {}", escape_controls(&stretch.from))?;
                writeln!(out, "  to   {} ({} rows)", escape_controls(&stretch.to), stretch.rows)?;
            }
            for sink in &part.sinks {
                writeln!(out, "  {}", escape_controls(&sink.words()))?;
            }
            for text in part.read.iter().flat_map(Read::words) {
                writeln!(out, "  {}", escape_controls(&text))?;
            }
        }
        Ok(())
    }
}
