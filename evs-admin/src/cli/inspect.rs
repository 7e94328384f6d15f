//! `evs inspect`: the frames of a binlog.

use std::{collections::BTreeMap, io::Write, ops::ControlFlow, path::PathBuf};

use clap::Args;
use evs_core::inspect::{Facts, Found, Frame, Part, Problem, Segment, Tail};
use serde::Serialize;
use serde_json::json;

use super::{
    Exit, Failure, Sequences,
    export::RowLine,
    output::{self, Columns},
    state::{self, Finding, position},
};

/// Shows the frames of a binlog: offset, length, kind, and what each one says
///
/// Frames after the last complete commit are shown, too; the line at the end says where they begin. Reading goes on
/// after damage, which makes the exit code 1.
#[derive(Clone, Debug, Args)]
pub struct Inspect {
    /// The state directory
    #[arg(value_name = "DIR")]
    pub state: PathBuf,
    /// Only frames of this segment
    #[arg(long, value_name = "N")]
    pub segment: Option<u64>,
    /// Only frames about this statistic
    #[arg(long, value_name = "NAME")]
    pub statistic: Option<String>,
    /// Only frames about these batches: 7, 3..9, 3.. or ..9
    #[arg(long, value_name = "A..B")]
    pub sequence: Option<Sequences>,
    /// Only frames of this kind (batch, settle, acknowledge, ...); may be given several times
    #[arg(long, value_name = "KIND")]
    pub kind: Vec<String>,
    /// Show the rows of each batch
    #[arg(long, conflicts_with = "stats")]
    pub rows: bool,
    /// Show the number and the bytes of the frames of each kind, in the place of the frames
    #[arg(long)]
    pub stats: bool,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
}

/// A frame, in JSON.
#[derive(Serialize)]
struct FrameLine<'f> {
    found: &'static str,
    segment: u64,
    version: u32,
    offset: u64,
    bytes: u64,
    synced: u64,
    /// Not `checksum`, which is that of a batch.
    frame_checksum: &'static str,
    is_followed: bool,
    #[serde(flatten)]
    facts: &'f Facts,
}

impl Inspect {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let directory = state::open(&self.state)?;
        let mut shown = Shown { what: self, out, table: None, stats: BTreeMap::new() };
        let contents = state::read(&directory, Part::All, |found| {
            match found {
                Found::Segment(segment) => shown.segment(segment)?,
                Found::Frame(frame) => shown.frame(frame)?,
                Found::Problem(problem) => shown.problem(problem)?,
                _ => {}
            }
            Ok(ControlFlow::Continue(()))
        })?;
        shown.end(contents.tail.as_ref())?;
        Ok(Exit::of(contents.problems > 0))
    }

    fn wants(&self, frame: &Frame<'_>) -> bool {
        let kind = frame.facts.kind();
        self.segment.is_none_or(|segment| segment == frame.segment)
            && (self.kind.is_empty() || self.kind.iter().any(|wanted| wanted == kind))
            && self.statistic.as_deref().is_none_or(|name| frame.facts.statistic() == Some(name))
            && self.sequence.is_none_or(|some| frame.facts.sequence().is_some_and(|one| some.contains(one)))
    }
}

/// The output, while it is written.
struct Shown<'s> {
    what: &'s Inspect,
    out: &'s mut dyn Write,
    table: Option<Columns>,
    /// By kind, the number of frames and of their bytes.
    stats: BTreeMap<&'static str, (u64, u64)>,
}

const COLUMNS: [&str; 6] = ["offset", "bytes", "kind", "statistic", "sequence", "says"];

impl Shown<'_> {
    fn segment(&mut self, segment: &Segment) -> Result<(), Failure> {
        if self.what.stats || self.what.segment.is_some_and(|wanted| wanted != segment.number) {
            return Ok(());
        }
        let Segment { number, bytes, version, epoch, source, path, .. } = segment;
        if self.what.json {
            let line = json!({
                "found": "segment", "segment": number, "file": path.display().to_string(), "bytes": bytes,
                "version": version, "epoch": epoch.to_string(), "source": source,
            });
            return Ok(output::json(self.out, &line)?);
        }
        self.end_table()?;
        let line =
            format!("segment {number}: {bytes} bytes, version {version}, epoch {epoch}, source {source}");
        writeln!(self.out, "{}", output::escape_controls(&line))?;
        Ok(())
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Failure> {
        if !self.what.wants(frame) {
            return Ok(());
        }
        let Frame { segment, version, offset, bytes, synced, is_followed, ref facts, .. } = *frame;
        if self.what.stats {
            let stats = self.stats.entry(facts.kind()).or_default();
            *stats = (stats.0 + 1, stats.1 + bytes);
            return Ok(());
        }
        if self.what.json {
            let (found, frame_checksum) = ("frame", "valid");
            let line = FrameLine {
                found,
                segment,
                version,
                offset,
                bytes,
                synced,
                frame_checksum,
                is_followed,
                facts,
            };
            output::json(self.out, &line)?;
        } else {
            let sequence = facts.sequence().map(|sequence| sequence.to_string()).unwrap_or_default();
            let statistic = facts.statistic().unwrap_or_default();
            let cells =
                [&*offset.to_string(), &bytes.to_string(), facts.kind(), statistic, &sequence, &says(facts)];
            let table = self.table.get_or_insert_with(|| Columns::new(&COLUMNS));
            table.row(self.out, &cells)?;
        }
        if self.what.rows { self.rows(frame) } else { Ok(()) }
    }

    /// Shows the rows of a batch below its frame.
    fn rows(&mut self, frame: &Frame<'_>) -> Result<(), Failure> {
        let Some(batch) = frame.batch() else { return Ok(()) };
        self.end_table()?;
        let batch = match batch {
            Ok(batch) => batch,
            Err(damage) if self.what.json => {
                let line = json!({
                    "found": "problem", "segment": frame.segment, "offset": frame.offset, "bytes": frame.bytes,
                    "finding": evs_core::describe(&damage),
                });
                return Ok(output::json(self.out, &line)?);
            }
            Err(damage) => {
                writeln!(self.out, "  the rows cannot be read: {}", evs_core::describe(&damage))?;
                return Ok(());
            }
        };
        let mut table = (!self.what.json).then(|| Columns::new(&RowLine::columns(&batch.schema)));
        let mut cursor = batch.rows.cursor();
        while let Some(row) = cursor.next_row() {
            let line = RowLine::new(&batch, row);
            match &mut table {
                Some(table) => table.row(self.out, &line.cells())?,
                None => output::json(self.out, &line.as_found())?,
            }
        }
        if let Some(table) = table {
            table.end(self.out)?;
        }
        Ok(())
    }

    fn problem(&mut self, problem: &Problem) -> Result<(), Failure> {
        let finding = Finding::of(problem);
        if self.what.json {
            let line = json!({
                "found": "problem", "segment": problem.segment, "offset": problem.offset, "bytes": problem.bytes,
                "finding": finding.finding,
            });
            return Ok(output::json(self.out, &line)?);
        }
        self.end_table()?;
        let gone = if problem.bytes > 0 { format!(" ({} bytes)", problem.bytes) } else { String::new() };
        writeln!(self.out, "PROBLEM: {}{gone}", output::escape_controls(&finding.finding))?;
        Ok(())
    }

    fn end(mut self, tail: Option<&Tail>) -> Result<(), Failure> {
        self.end_table()?;
        if self.what.stats {
            self.stats()?;
        }
        let Some(Tail { segment, offset, bytes, .. }) = tail else { return Ok(()) };
        if self.what.json {
            let line = json!({ "found": "tail", "segment": segment, "offset": offset, "bytes": bytes });
            return Ok(output::json(self.out, &line)?);
        }
        writeln!(
            self.out,
            "tail: the last {bytes} bytes of segment {segment}, from byte {offset} on, are no complete commit: a running \
             pipeline is writing it, or a crash has cut it short"
        )?;
        Ok(())
    }

    fn stats(&mut self) -> Result<(), Failure> {
        let mut table = Columns::new(&["kind", "frames", "bytes"]);
        for (kind, (frames, bytes)) in &self.stats {
            if self.what.json {
                let line = json!({ "found": "stats", "kind": kind, "frames": frames, "bytes": bytes });
                output::json(self.out, &line)?;
            } else {
                table.row(self.out, &[*kind, &frames.to_string(), &bytes.to_string()])?;
            }
        }
        if !self.what.json {
            table.end(self.out)?;
        }
        Ok(())
    }

    fn end_table(&mut self) -> Result<(), Failure> {
        if let Some(table) = self.table.take() {
            table.end(self.out)?;
        }
        Ok(())
    }
}

/// Describes a frame in words.
fn says(facts: &Facts) -> String {
    match facts {
        Facts::Snapshot { statistics, sinks, lines, .. } => {
            format!("{statistics} statistics, {sinks} sinks, {lines} lines")
        }
        Facts::Define { from, older_files: 0, .. } => format!("from {}", position(from)),
        Facts::Define { from, older_files, .. } => {
            format!("from {}, and {older_files} older files", position(from))
        }
        Facts::Batch { rows, to, .. } if to.files.is_empty() && !to.is_number() => {
            format!("{rows} rows; the cut goes on in the next batch")
        }
        Facts::Batch { rows, to, .. } => format!("{rows} rows, up to {}", position(to)),
        Facts::Advance { to, .. } => format!("up to {}", position(to)),
        Facts::Settle { totals, rejected_lines, time, .. } => {
            let at = time.map(|time| format!(" at {}", output::time(time))).unwrap_or_default();
            format!("{} lines in all, {rejected_lines} rejected in this commit{at}", totals.lines)
        }
        Facts::Acknowledge { sink, .. } => format!("by {sink}"),
        Facts::Register { sink, sequence, .. } => format!("{sink} begins after batch {sequence}"),
        Facts::Forget { sink, .. } => format!("{sink} is removed"),
        Facts::Files { removed, added, .. } => format!("{} files known, {removed} no longer", added.len()),
        Facts::Rename { sink, to, .. } => format!("{sink} is now {to}"),
        Facts::Discard { sink, rows, .. } => format!("{rows} rows are given up for {sink}"),
        Facts::Move { position, base, removed, files, .. } => {
            let base =
                base.map(|base| format!("position {base}")).unwrap_or_else(|| "the beginning".to_owned());
            format!("position {position}: {base} with {files} files, without {removed}")
        }
        _ => String::new(),
    }
}
