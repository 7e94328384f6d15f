//! `evs rejected`: the lines that were not counted.

use std::{collections::BTreeMap, io::Write, path::PathBuf};

use clap::Args;
use evs_core::inspect::{Part, Rejected as Line};
use serde_json::json;

use super::{
    Exit, Failure,
    output::{self, Columns},
    state,
};

/// Lists the rejected lines that the state directory still has, or counts them by reason
///
/// It keeps the last two files of them. That there are rejected lines is no finding; the exit code is 1 if a file of them
/// is damaged.
#[derive(Clone, Debug, Args)]
pub struct Rejected {
    /// The state directory
    #[arg(value_name = "DIR")]
    pub state: PathBuf,
    /// Only lines whose reason has this text
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Count the lines by reason
    #[arg(long)]
    pub count: bool,
    /// At most this many lines, the oldest first
    #[arg(long, value_name = "N", conflicts_with = "count")]
    pub limit: Option<usize>,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
}

/// The most characters of a line that a table shows.
const LINE_CHARS_MAX: usize = 160;

impl Rejected {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let directory = state::open(&self.state)?;
        let contents = state::read_quietly(&directory, Part::Newest)?;
        let lines = directory.rejected(contents.state.as_ref()).map_err(Failure::look)?;
        let wanted = lines.filter(|line| match (line, &self.reason) {
            (Ok(line), Some(text)) => line.reason.contains(text),
            _ => true,
        });
        let damaged = if self.count { self.counts(out, wanted)? } else { self.list(out, wanted)? };
        for error in &damaged {
            let text = evs_core::describe(error);
            if self.json {
                output::json(out, &json!({ "problem": text }))?;
            } else {
                writeln!(out, "PROBLEM: {}", output::escape_controls(&text))?;
            }
        }
        match &contents.state {
            Some(state) if !self.json => {
                let totals = state.ledger.totals;
                writeln!(
                    out,
                    "{} of {} lines were rejected since the beginning",
                    totals.rejected, totals.lines
                )?;
            }
            _ => {}
        }
        Ok(Exit::of(!damaged.is_empty()))
    }

    /// Lists lines. Returns the errors of those that cannot be read.
    fn list(
        &self,
        out: &mut dyn Write,
        lines: impl Iterator<Item = Result<Line, evs_core::Error>>,
    ) -> Result<Vec<evs_core::Error>, Failure> {
        let mut damaged = Vec::new();
        let mut table = Columns::new(&["file", "offset", "column", "reason", "line"]);
        for line in lines.take(self.limit.unwrap_or(usize::MAX)) {
            let line = match line {
                Ok(line) => line,
                Err(error) => {
                    damaged.push(error);
                    continue;
                }
            };
            if self.json {
                output::json(out, &line)?;
                continue;
            }
            let (offset, column) = (line.offset.to_string(), line.column.to_string());
            let file = line.file.as_deref().unwrap_or("-");
            table.row(out, &[file, &offset, &column, &line.reason, &short(&line.line)])?;
        }
        if !self.json {
            table.end(out)?;
        }
        Ok(damaged)
    }

    /// Counts lines by reason. Returns the errors of those that cannot be read.
    fn counts(
        &self,
        out: &mut dyn Write,
        lines: impl Iterator<Item = Result<Line, evs_core::Error>>,
    ) -> Result<Vec<evs_core::Error>, Failure> {
        let mut damaged = Vec::new();
        let mut counts: BTreeMap<String, (u64, Line)> = BTreeMap::new();
        for line in lines {
            match line {
                Ok(line) => counts.entry(line.reason.clone()).or_insert_with(|| (0, line)).0 += 1,
                Err(error) => damaged.push(error),
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, (lines, _))| std::cmp::Reverse(*lines));
        let mut table = Columns::new(&["reason", "lines", "first line"]);
        for (reason, (lines, first)) in &counts {
            if self.json {
                output::json(out, &json!({ "reason": reason, "lines": lines, "first": first }))?;
            } else {
                table.row(out, &[reason, &lines.to_string(), &short(&first.line)])?;
            }
        }
        if !self.json {
            table.end(out)?;
        }
        Ok(damaged)
    }
}

/// The beginning of a long line.
fn short(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
