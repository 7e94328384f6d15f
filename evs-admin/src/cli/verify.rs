//! `evs verify`: whether a state directory and its log are what was written.

mod log;

use std::{io::Write, ops::ControlFlow, path::PathBuf};

use clap::{Args, ValueEnum};
use evs_core::inspect::{Contents, Found, Frame, Part, StateDir};
use serde::Serialize;

use super::{
    Exit, Failure,
    output::{self, escape_controls},
    state::{self, Finding},
};

/// Checks that a state directory and its log are what was written
///
/// frame: the checksums of all frames, and that each follows from those before it: sequences without gaps, each batch from
/// the one before it by checksum and position, acknowledgements only of batches that were cut, no batch missing that a sink
/// needs. batch: also the rows of each batch, by its checksum, and the files of rejected lines. log: also the bytes of the
/// log that are remembered at each position. Findings make the exit code 1.
#[derive(Clone, Debug, Args)]
pub struct Verify {
    /// The state directory
    #[arg(value_name = "DIR")]
    pub state: PathBuf,
    /// How much is checked; each level has those before it
    #[arg(long, value_enum, default_value = "log")]
    pub level: Level,
    /// The directory of the log's files, if they are not where they were
    #[arg(long, value_name = "DIR")]
    pub log: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The frames of the binlog
    Frame,
    /// The rows of each batch, too
    Batch,
    /// The files of the log, too
    Log,
}

/// The checks and their findings, in JSON.
#[derive(Serialize)]
struct Report {
    level: Level,
    segments: usize,
    frames: u64,
    bytes: u64,
    /// Batches whose rows were compared with their checksum.
    batches: u64,
    rows: u64,
    /// Positions in files of the log whose bytes were compared.
    positions: u64,
    findings: Vec<Finding>,
    /// Facts that are no findings.
    notes: Vec<String>,
}

impl Verify {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let directory = state::open(&self.state)?;
        let mut report = Report {
            level: self.level,
            segments: 0,
            frames: 0,
            bytes: 0,
            batches: 0,
            rows: 0,
            positions: 0,
            findings: Vec::new(),
            notes: Vec::new(),
        };
        let contents = report.binlog(&directory)?;
        if self.level >= Level::Batch {
            report.rejected(&directory, &contents)?;
        }
        if self.level >= Level::Log {
            match &contents.state {
                Some(state) => log::verify(state, self.log.as_deref(), &mut report),
                None => report.notes.push(
                    "the positions are not known, since the newest segment is damaged: the log was not compared".to_owned(),
                ),
            }
        }
        if self.json {
            output::json(out, &report)?;
        } else {
            report.print(out)?;
        }
        Ok(Exit::of(!report.findings.is_empty()))
    }
}

impl Report {
    /// Checks the binlog.
    fn binlog(&mut self, directory: &StateDir) -> Result<Contents, Failure> {
        let mut unfollowed = 0_u64;
        let contents = state::read(directory, Part::All, |found| {
            match found {
                Found::Frame(frame) => {
                    self.frames += 1;
                    self.bytes += frame.bytes;
                    unfollowed += u64::from(!frame.is_followed);
                    if self.level >= Level::Batch {
                        self.rows(directory, frame);
                    }
                }
                Found::Problem(problem) => self.findings.push(Finding::of(problem)),
                _ => {}
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.segments = contents.segments.len();
        if unfollowed > 0 {
            self.notes.push(format!(
                "{unfollowed} frames after damage are valid by themselves, but were not compared with those before them"
            ));
        }
        if let Some(tail) = &contents.tail {
            self.notes.push(format!(
                "the last {} bytes of segment {}, from byte {} on, are no complete commit. Beside a running pipeline this is \
                 normal. Otherwise a crash has cut the commit short, or the last thing that was written is damaged: the next \
                 start cuts it off and reads its lines again",
                tail.bytes, tail.segment, tail.offset
            ));
        }
        Ok(contents)
    }

    /// Compares the rows of a batch with its checksum.
    fn rows(&mut self, directory: &StateDir, frame: &Frame<'_>) {
        match frame.batch() {
            Some(Ok(batch)) => {
                self.batches += 1;
                self.rows += batch.rows.len() as u64;
            }
            Some(Err(damage)) => {
                let (Some(statistic), Some(sequence)) = (frame.facts.statistic(), frame.facts.sequence())
                else {
                    return;
                };
                self.findings.push(Finding {
                    level: "batch",
                    file: Some(segment_path(directory, frame.segment)),
                    offset: Some(frame.offset),
                    bytes: Some(frame.bytes),
                    finding: format!("batch {statistic} {sequence}: {}", evs_core::describe(&damage)),
                    advice: "its frame is intact, so it was written wrong: keep a copy of the directory and report it; sinks \
                             that lack the batch stop at it"
                        .to_owned(),
                });
            }
            // No batch, or one whose columns are not known since a frame before it is damaged; a note counts those.
            None => {}
        }
    }

    /// Checks that the files of rejected lines can be read, and have what the binlog says.
    fn rejected(&mut self, directory: &StateDir, contents: &Contents) -> Result<(), Failure> {
        for line in directory.rejected(contents.state.as_ref()).map_err(Failure::look)? {
            let Err(error) = line else { continue };
            self.findings.push(Finding {
                level: "batch",
                file: Some(directory.path().display().to_string()),
                offset: None,
                bytes: None,
                finding: format!("a rejected line cannot be read: {}", evs_core::describe(&error)),
                advice: "no number depends on this file; evs goes on without the line".to_owned(),
            });
        }
        Ok(())
    }

    fn print(&self, out: &mut dyn Write) -> Result<(), Failure> {
        for finding in &self.findings {
            let place = match (&finding.file, finding.offset) {
                (Some(file), Some(offset)) => format!("{file}, byte {offset}"),
                (Some(file), None) => file.clone(),
                _ => "the binlog".to_owned(),
            };
            writeln!(out, "FOUND {}", escape_controls(&place))?;
            writeln!(out, "    {}", escape_controls(&finding.finding))?;
            writeln!(out, "    what to do: {}", finding.advice)?;
        }
        for note in &self.notes {
            writeln!(out, "note: {}", escape_controls(note))?;
        }
        write!(out, "{} segments, {} frames, {} bytes", self.segments, self.frames, self.bytes)?;
        if self.level >= Level::Batch {
            write!(out, ", {} batches, {} rows", self.batches, self.rows)?;
        }
        if self.level >= Level::Log {
            write!(out, ", {} positions in the log", self.positions)?;
        }
        match self.findings.len() {
            0 => writeln!(out, ": all is as it was written")?,
            1 => writeln!(out, ": 1 finding")?,
            findings => writeln!(out, ": {findings} findings")?,
        }
        Ok(())
    }
}

/// Returns the path of a segment, for a message.
fn segment_path(directory: &StateDir, number: u64) -> String {
    directory.path().join(format!("binlog-{number:016x}.evs")).display().to_string()
}
