//! `evs export`: the rows of the batches that the binlog has.

use std::{
    io::{self, Write},
    ops::ControlFlow,
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use evs_core::{
    Batch, Decimal, Row, Schema, escape,
    inspect::{Facts, Found, Part},
};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    Exit, Failure, Sequences, output,
    state::{self, Finding},
};

/// Prints the rows of the batches that the binlog still has, as CSV or JSON lines
///
/// The binlog keeps a batch until every sink has acknowledged it, and for some minutes more. Batches of a commit that is
/// not complete are left out: the next start cuts them off.
#[derive(Clone, Debug, Args)]
pub struct Export {
    /// The state directory
    #[arg(value_name = "DIR")]
    pub state: PathBuf,
    /// Only batches of this statistic; CSV needs it if there are several, since each has its own columns
    #[arg(long, value_name = "NAME")]
    pub statistic: Option<String>,
    /// Only these batches: 7, 3..9, 3.. or ..9
    #[arg(long, value_name = "A..B")]
    pub sequence: Option<Sequences>,
    /// The form of the rows
    #[arg(long, value_name = "FORM", value_enum, default_value = "csv")]
    pub format: Form,
    /// The same as --format jsonl
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// The form of exported rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Comma-separated values, with a header
    Csv,
    /// A JSON object per row
    Jsonl,
}

impl Export {
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, Failure> {
        let directory = state::open(&self.state)?;
        let form = if self.json { Form::Jsonl } else { self.format };
        let mut writer = match form {
            Form::Csv => RowWriter::Csv { csv: Box::new(csv::Writer::from_writer(out)), columns: None },
            Form::Jsonl => RowWriter::Jsonl(out),
        };
        let some = self.sequence.unwrap_or(Sequences::ALL);
        // The batches of a commit count when its end is there.
        let mut open: Vec<Batch> = Vec::new();
        let mut findings: Vec<String> = Vec::new();
        let mut exported: Option<(u64, u64)> = None;
        let contents = state::read(&directory, Part::All, |found| {
            let frame = match found {
                Found::Frame(frame) => frame,
                Found::Problem(problem) => {
                    open.clear();
                    findings.push(Finding::of(problem).finding);
                    return Ok(ControlFlow::Continue(()));
                }
                _ => return Ok(ControlFlow::Continue(())),
            };
            match &frame.facts {
                Facts::Batch { statistic, sequence, .. }
                    if some.contains(*sequence)
                        && self.statistic.as_ref().is_none_or(|wanted| wanted == statistic) =>
                {
                    match frame.batch() {
                        Some(Ok(batch)) => open.push(batch),
                        Some(Err(damage)) => {
                            findings.push(format!("{statistic} {sequence}: {}", evs_core::describe(&damage)));
                        }
                        None => findings.push(format!(
                            "{statistic} {sequence}: its columns are not known, since a frame before it is damaged"
                        )),
                    }
                }
                Facts::Settle { .. } => {
                    for batch in open.drain(..) {
                        writer.batch(&batch)?;
                        let (first, _) = exported.unwrap_or((batch.sequence, 0));
                        exported = Some((first, batch.sequence));
                    }
                }
                _ => {}
            }
            Ok(ControlFlow::Continue(()))
        })?;
        writer.flush()?;
        if let (Some(state), Some(name)) = (&contents.state, &self.statistic)
            && !state.statistics.contains_key(name)
        {
            return Err(Failure::Usage(format!("--statistic: the state directory has no statistic {name}")));
        }
        if let (Some(asked), Some(_)) = (self.sequence, &self.statistic) {
            findings.extend(missing(asked, exported));
        }
        for finding in &findings {
            // The exit code says it as well.
            let _ = writeln!(err, "not exported: {}", output::escape_controls(finding));
        }
        Ok(Exit::of(!findings.is_empty()))
    }
}

/// Says which of the batches that were asked for are not there.
fn missing(asked: Sequences, exported: Option<(u64, u64)>) -> Option<String> {
    let last = if asked.last == u64::MAX { String::new() } else { asked.last.to_string() };
    match exported {
        None => {
            Some(format!("batches {}..{last}: the binlog does not have them (any more, or yet)", asked.first))
        }
        Some((first, _)) if first > asked.first => Some(format!(
            "batches {}..{}: every sink has acknowledged them, and the binlog has removed them",
            asked.first,
            first - 1
        )),
        Some((_, to)) if asked.last != u64::MAX && to < asked.last => {
            Some(format!("batches {}..{last}: they are not cut yet", to + 1))
        }
        Some(_) => None,
    }
}

/// Writes rows in one of the forms.
enum RowWriter<'w> {
    Csv {
        csv: Box<csv::Writer<&'w mut dyn Write>>,
        /// The statistic and the columns of the header that was written.
        columns: Option<(String, Vec<String>)>,
    },
    Jsonl(&'w mut dyn Write),
}

impl RowWriter<'_> {
    fn batch(&mut self, batch: &Batch) -> Result<(), Failure> {
        if let Self::Csv { csv, columns } = self {
            header(csv, columns, batch)?;
        }
        let mut cursor = batch.rows.cursor();
        while let Some(row) = cursor.next_row() {
            let line = RowLine::new(batch, row);
            match self {
                Self::Csv { csv, .. } => {
                    let place = [batch.statistic().to_owned(), batch.sequence.to_string()];
                    csv.write_record(place.iter().chain(&line.cells())).map_err(csv_error)?;
                }
                Self::Jsonl(out) => output::json(*out, &line)?,
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv { csv, .. } => csv.flush(),
            Self::Jsonl(out) => out.flush(),
        }
    }
}

/// Writes the header of a CSV file, or checks that it is still the right one.
fn header(
    csv: &mut csv::Writer<&mut dyn Write>,
    columns: &mut Option<(String, Vec<String>)>,
    batch: &Batch,
) -> Result<(), Failure> {
    let (name, sequence) = (batch.statistic(), batch.sequence);
    let own: Vec<String> = RowLine::columns(&batch.schema).into_iter().map(str::to_owned).collect();
    match columns {
        None => {
            let header = ["statistic", "sequence"].into_iter().chain(own.iter().map(String::as_str));
            csv.write_record(header).map_err(csv_error)?;
            *columns = Some((name.to_owned(), own));
            Ok(())
        }
        Some((statistic, _)) if statistic != name => Err(Failure::Usage(format!(
            "CSV has the columns of one statistic, and there are {statistic} and {name}: choose one with --statistic, or use \
             --json"
        ))),
        Some((_, known)) if *known != own => Err(Failure::Usage(format!(
            "from batch {sequence} on, {name} has other columns: export the parts with --sequence ..{} and --sequence \
             {sequence}.., or use --json",
            sequence - 1
        ))),
        Some(_) => Ok(()),
    }
}

fn csv_error(error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Failure::Write(error),
        other => Failure::Look(format!("{other:?}")),
    }
}

/// A row, as the file of a discarded batch has it. A value is text, since it may have more digits than readers of JSON keep.
#[derive(Serialize)]
pub(super) struct RowLine<'r> {
    source: &'r str,
    epoch: String,
    statistic: &'r str,
    sequence: u64,
    window_start: i64,
    #[serde(serialize_with = "as_map")]
    keys: Vec<(&'r str, String)>,
    #[serde(serialize_with = "as_map")]
    measures: Vec<(&'r str, Option<String>)>,
}

/// A row among other things that were found.
#[derive(Serialize)]
pub(super) struct FoundRow<'f, 'r> {
    found: &'static str,
    #[serde(flatten)]
    row: &'f RowLine<'r>,
}

fn as_map<V: Serialize, S: Serializer>(columns: &[(&str, V)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(columns.len()))?;
    for (name, value) in columns {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

impl<'r> RowLine<'r> {
    pub(super) fn new(batch: &'r Batch, row: Row<'_>) -> Self {
        let schema = &batch.schema;
        let keys = schema.keys.iter().zip(row.keys);
        let measures = schema.measures.iter().zip(row.values);
        Self {
            source: &batch.source,
            epoch: batch.epoch.to_string(),
            statistic: batch.statistic(),
            sequence: batch.sequence,
            window_start: row.window_start,
            keys: keys.map(|(column, key)| (&*column.name, escape(key).into_owned())).collect(),
            measures: measures
                .map(|(column, value)| {
                    let decimal = |value| Decimal { value, scale: column.scale }.to_string();
                    (&*column.name, value.map(decimal))
                })
                .collect(),
        }
    }

    /// The names of the columns of [`cells`](Self::cells).
    pub(super) fn columns(schema: &Schema) -> Vec<&str> {
        let keys = schema.keys.iter().map(|key| &*key.name);
        let measures = schema.measures.iter().map(|measure| &*measure.name);
        std::iter::once("window_start").chain(keys).chain(measures).collect()
    }

    /// The window, the keys and the values; one that is absent is empty.
    pub(super) fn cells(&self) -> Vec<String> {
        let keys = self.keys.iter().map(|(_, key)| key.clone());
        let values = self.measures.iter().map(|(_, value)| value.clone().unwrap_or_default());
        std::iter::once(output::time(self.window_start)).chain(keys).chain(values).collect()
    }

    /// The row for a list of several kinds of things.
    pub(super) fn as_found(&self) -> FoundRow<'_, 'r> {
        FoundRow { found: "row", row: self }
    }
}
