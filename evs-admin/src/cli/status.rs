//! `evs status`: where a source stands, from its state directory.

use std::{io::Write, path::PathBuf};

use clap::Args;
use evs_core::{
    FileMark, Frontier,
    inspect::{Contents, Counters, Part, SinkProgress, State, StateDir},
};
use serde::Serialize;

use super::{
    Exit, Failure,
    output::{self, Columns, time_or_none},
    state::{self, position},
};

/// Shows where a source stands: its statistics, sinks, files and counters
///
/// It is the state after the last commit: a running pipeline is ahead of it by the lines since then.
#[derive(Clone, Debug, Args)]
pub struct Status {
    /// The state directory
    #[arg(value_name = "DIR")]
    pub state: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The status, in JSON.
#[derive(Serialize)]
struct Report<'s> {
    source: &'s str,
    epoch: String,
    predecessors: Vec<String>,
    /// The version of the newest segment.
    version: u32,
    state_dir: String,
    holder: Option<String>,
    binlog: BinlogPart,
    committed: Option<String>,
    counters: Counters,
    position: &'s Frontier,
    known_files: usize,
    statistics: Vec<StatisticPart<'s>>,
    sinks: Vec<SinkPart<'s>>,
    discarded_files: Vec<String>,
}

#[derive(Serialize)]
struct BinlogPart {
    segments: usize,
    bytes: u64,
    tail_bytes: u64,
    problems: u64,
}

#[derive(Serialize)]
struct StatisticPart<'s> {
    name: &'s str,
    sequence: u64,
    /// The oldest batch that the binlog has.
    first_sequence: Option<u64>,
    position: &'s Frontier,
    older_files: usize,
}

#[derive(Serialize)]
struct SinkPart<'s> {
    name: &'s str,
    statistic: &'s str,
    began_after: u64,
    acknowledged: u64,
    waiting_batches: u64,
    waiting_rows: u64,
    waiting_bytes: u64,
    /// The time of the oldest commit that waits.
    waiting_since: Option<String>,
    discarded_batches: u64,
    discarded_rows: u64,
}

impl Status {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let directory = state::open(&self.state)?;
        let contents = state::read_quietly(&directory, Part::All)?;
        let Some(state) = &contents.state else {
            return Err(Failure::Look(format!(
                "the state is not known, since the newest segment is damaged: see `evs verify {}`",
                self.state.display()
            )));
        };
        let report = report(&directory, &contents, state)?;
        if self.json {
            output::json(out, &report)?;
        } else {
            report.print(out)?;
        }
        Ok(Exit::of(contents.problems > 0))
    }
}

fn report<'s>(directory: &StateDir, contents: &'s Contents, state: &'s State) -> Result<Report<'s>, Failure> {
    let statistics = state.statistics.iter().map(|(name, known)| StatisticPart {
        name,
        sequence: known.sequence,
        first_sequence: contents.first_sequence(name),
        position: &known.to,
        older_files: known.older.len(),
    });
    let sinks = state.sinks.iter().flat_map(|(name, progress)| {
        progress
            .iter()
            .map(|(statistic, progress)| SinkPart::new(contents, state, (name, statistic), progress))
    });
    let discarded = directory.discarded().map_err(Failure::look)?;
    Ok(Report {
        source: &state.source,
        epoch: state.epoch.to_string(),
        predecessors: state.predecessors.iter().map(ToString::to_string).collect(),
        version: contents.segments.last().map_or(0, |segment| segment.version),
        state_dir: directory.path().display().to_string(),
        holder: directory.holder().map_err(Failure::look)?,
        binlog: BinlogPart {
            segments: contents.segments.len(),
            bytes: contents.segments.iter().map(|segment| segment.bytes).sum(),
            tail_bytes: contents.tail.as_ref().map_or(0, |tail| tail.bytes),
            problems: contents.problems,
        },
        committed: state.ledger.time.map(output::time),
        counters: state.ledger.totals,
        position: &state.ledger.frontier,
        known_files: state.files.as_ref().map_or(0, evs_core::inspect::Inventory::len),
        statistics: statistics.collect(),
        sinks: sinks.collect(),
        discarded_files: discarded.iter().map(|file| file.path.display().to_string()).collect(),
    })
}

impl<'s> SinkPart<'s> {
    fn new(
        contents: &Contents,
        state: &State,
        (name, statistic): (&'s str, &'s str),
        progress: &SinkProgress,
    ) -> Self {
        let last = state.statistics.get(statistic).map_or(0, |known| known.sequence);
        let (waiting, waiting_bytes) = contents.waiting(statistic, progress.acknowledged);
        Self {
            name,
            statistic,
            began_after: progress.begin,
            acknowledged: progress.acknowledged,
            // The state counts, not the batches that could be read.
            waiting_batches: last.saturating_sub(progress.acknowledged),
            waiting_rows: waiting.rows,
            waiting_bytes,
            waiting_since: waiting.since.map(output::time),
            discarded_batches: progress.discarded.batches,
            discarded_rows: progress.discarded.rows,
        }
    }
}

impl Report<'_> {
    fn print(&self, out: &mut dyn Write) -> Result<(), Failure> {
        self.head(out)?;
        writeln!(out)?;
        let mut table = Columns::new(&["statistic", "last batch", "in binlog from", "up to"]);
        for part in &self.statistics {
            let first = part.first_sequence.map_or_else(|| "-".to_owned(), |first| first.to_string());
            let older = match part.older_files {
                0 => String::new(),
                files => format!(", and {files} older files to read"),
            };
            let to = format!("{}{older}", position(part.position));
            table.row(out, &[part.name, &part.sequence.to_string(), &first, &to])?;
        }
        table.end(out)?;
        writeln!(out)?;
        let names = ["sink", "statistic", "acknowledged", "waiting", "rows", "bytes", "since", "discarded"];
        let mut table = Columns::new(&names);
        for part in &self.sinks {
            let numbers = [part.acknowledged, part.waiting_batches, part.waiting_rows, part.waiting_bytes]
                .map(|n| n.to_string());
            let [acknowledged, batches, rows, bytes] = &numbers;
            let since = part.waiting_since.as_deref().unwrap_or("-");
            let discarded = part.discarded_batches.to_string();
            table.row(
                out,
                &[part.name, part.statistic, acknowledged, batches, rows, bytes, since, &discarded],
            )?;
        }
        table.end(out)?;
        writeln!(out)?;
        let mut table = Columns::new(&["file", "number", "read up to", "size", "last write", "rotated"]);
        for mark in &self.position.files {
            let FileMark { path, number, offset, size, modified, is_rotated, .. } = mark;
            let numbers = [*number, *offset, *size].map(|n| n.to_string());
            let [number, offset, size] = &numbers;
            let rotated = if *is_rotated { "yes" } else { "no" };
            let cells: [&str; 6] = [path, number, offset, size, &output::time(*modified), rotated];
            table.row(out, &cells)?;
        }
        table.end(out)?;
        Ok(())
    }

    /// Prints the facts about the source as a whole.
    fn head(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let Counters { lines, bytes, rejected, lost_bytes, too_late, ahead, bad_values } = self.counters;
        let binlog = &self.binlog;
        let mut lines_of = vec![
            ("source", self.source.to_owned()),
            ("epoch", self.epoch.clone()),
            ("version", self.version.to_string()),
            ("state directory", self.state_dir.clone()),
            ("last process", self.holder.clone().unwrap_or_else(|| "-".to_owned())),
            ("binlog", format!("{} segments, {} bytes", binlog.segments, binlog.bytes)),
            ("last commit", self.committed.clone().unwrap_or_else(|| time_or_none(None))),
            ("lines", format!("{lines} ({bytes} bytes), of which {rejected} were rejected")),
            ("files", format!("{} open, {} more known", self.position.files.len(), self.known_files)),
        ];
        if !self.predecessors.is_empty() {
            lines_of.push(("has taken over", self.predecessors.join(", ")));
        }
        for (name, count) in
            [("lost bytes", lost_bytes), ("too late", too_late), ("ahead", ahead), ("bad values", bad_values)]
        {
            if count > 0 {
                lines_of.push((name, count.to_string()));
            }
        }
        if binlog.tail_bytes > 0 {
            lines_of.push(("tail", format!("{} bytes that are no complete commit yet", binlog.tail_bytes)));
        }
        if binlog.problems > 0 {
            lines_of.push(("PROBLEMS", format!("{}: see `evs verify`", binlog.problems)));
        }
        for file in &self.discarded_files {
            lines_of.push(("discarded rows", file.clone()));
        }
        for (name, text) in lines_of {
            writeln!(out, "{name:<16} {}", output::escape_controls(&text))?;
        }
        Ok(())
    }
}
