//! `evs explain`: how lines of a log are read.

use std::io::{BufRead, Write};

use clap::Args;
use evs_core::LogFormat;
use serde::Serialize;

use super::{Exit, Failure, FormatArgs, escape_controls, output};

/// Shows how lines of a log are read, field by field, or where they fail
///
/// It needs no state directory. A line that is rejected makes the exit code 1.
#[derive(Clone, Debug, Args)]
pub struct Explain {
    /// A name (combined, common, json, ltsv, w3c, caddy, ...), a log_format string or directive of nginx's, or a LogFormat
    /// string of Apache's, after docker:, cri:, syslog: or journald: if the lines are in such a container
    #[arg(long, value_name = "FORMAT", default_value = "combined")]
    pub format: String,
    /// How to read the lines.
    #[command(flatten)]
    pub reading: FormatArgs,
    /// A line; without any, the lines of standard input
    #[arg(value_name = "LINE", allow_hyphen_values = true)]
    pub lines: Vec<String>,
    /// Print a JSON object for each line
    #[arg(long)]
    pub json: bool,
}

/// One line, in JSON.
#[derive(Serialize)]
struct Line<'l> {
    line: &'l str,
    is_rejected: bool,
    explanation: &'l [&'l str],
}

impl Explain {
    pub(super) fn run(&self, input: &mut dyn BufRead, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut explainer = Explainer { format: self.reading.format(&self.format)?, context: Vec::new() };
        let mut has_rejected = false;
        let mut explain = |line: &[u8], out: &mut dyn Write| -> Result<(), Failure> {
            let text = explainer.explain(line);
            let mut lines = text.lines();
            let shown = lines.next().unwrap_or_default();
            let explanation: Vec<&str> = lines.collect();
            let is_rejected = explanation.iter().any(|line| line.starts_with("rejected"));
            has_rejected |= is_rejected;
            if self.json {
                return Ok(output::json(out, &Line { line: shown, is_rejected, explanation: &explanation })?);
            }
            for line in text.lines() {
                writeln!(out, "{}", escape_controls(line))?;
            }
            Ok(())
        };
        for line in &self.lines {
            explain(line.as_bytes(), out)?;
        }
        if self.lines.is_empty() {
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = input.read_until(b'\n', &mut line);
                if read.map_err(|error| Failure::Look(format!("reading the lines: {error}")))? == 0 {
                    break;
                }
                explain(line.strip_suffix(b"\n").unwrap_or(&line), out)?;
            }
        }
        Ok(Exit::of(has_rejected))
    }
}

/// The beginning of a line that names the fields of those after it.
const FIELDS: &[u8] = b"#Fields:";

/// Explains lines one after the other.
struct Explainer {
    format: LogFormat,
    /// The lines before that the next one depends on: those that name fields, and pieces of a line.
    context: Vec<u8>,
}

impl Explainer {
    fn explain(&mut self, line: &[u8]) -> String {
        let before = if self.context.is_empty() { String::new() } else { self.format.explain(&self.context) };
        let text = self.format.explain(&[&self.context[..], line].concat());
        // Lines are explained in order, so the explanation of the context comes first.
        let text = text.strip_prefix(&before).unwrap_or(&text).to_owned();
        let is_piece = text.lines().nth(1).is_some_and(|line| line.starts_with("a piece in"));
        let names_fields = line.starts_with(FIELDS);
        if names_fields || !(is_piece || self.context.starts_with(FIELDS)) {
            self.context.clear();
        }
        if names_fields || is_piece {
            self.context.extend_from_slice(line);
            self.context.push(b'\n');
        }
        text
    }
}
