//! The files of batches that were given up: what a sink will never have, so that somebody can still add it by hand.

use std::{io, path::PathBuf};

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    Error,
    batch::{Batch, escape},
    disk::Disk,
    statistic::{KeyColumn, MeasureColumn},
};

/// The length of the text, in bytes, after which it is written to the file.
const TEXT_BYTES: usize = 64 << 10;

/// Writes the rows of a batch that is given up for `sink`, durably, as JSON lines to a file of its own in the state
/// directory. Returns the path.
///
/// ```text
/// {"source":"web1","epoch":"…","sink":"pg","statistic":"ads","sequence":7,
///  "window_start":1795246800,"keys":{"campaign":"c1"},"measures":{"hits":"5","revenue":"-0.07"}}
/// ```
///
/// A value is text, since it may have more digits than readers of JSON keep; one that is absent is null. A key is text as
/// [`escape`](crate::escape) makes it. The file is written again, with the same bytes, if the same batch is given up again
/// after a crash.
pub(super) fn export(state_dir: &dyn Disk, sink: &str, batch: &Batch) -> Result<PathBuf, Error> {
    let epoch = batch.epoch.to_string();
    let name = format!("discarded-{sink}-{}-{}-{}.jsonl", batch.statistic(), batch.sequence, &epoch[..8]);
    let path = state_dir.path().join(&name);
    match write(state_dir, &name, sink, batch) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::StateDir { op: "writing", path, source }),
    }
}

fn write(state_dir: &dyn Disk, name: &str, sink: &str, batch: &Batch) -> io::Result<()> {
    let file = state_dir.open_or_create(name)?;
    file.truncate(0)?;
    let (mut text, mut written) = (Vec::new(), 0);
    let epoch = batch.epoch.to_string();
    for row in &batch.rows {
        let line = Line {
            source: &batch.source,
            epoch: &epoch,
            sink,
            statistic: batch.statistic(),
            sequence: batch.sequence,
            window_start: row.window_start,
            keys: Keys(&batch.schema.keys, &row.keys),
            measures: Measures(&batch.schema.measures, &row.values),
        };
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
        if text.len() >= TEXT_BYTES {
            file.write_all_at(&text, written)?;
            written += text.len() as u64;
            text.clear();
        }
    }
    file.write_all_at(&text, written)?;
    file.sync()?;
    state_dir.sync()
}

/// One row, as a line of the file.
#[derive(Serialize)]
struct Line<'l> {
    source: &'l str,
    epoch: &'l str,
    sink: &'l str,
    statistic: &'l str,
    sequence: u64,
    window_start: i64,
    keys: Keys<'l>,
    measures: Measures<'l>,
}

/// The keys of a row, by the names of their columns.
struct Keys<'l>(&'l [KeyColumn], &'l [&'l [u8]]);

impl Serialize for Keys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (column, key) in self.0.iter().zip(self.1) {
            map.serialize_entry(&column.name, &escape(key))?;
        }
        map.end()
    }
}

/// The values of a row, by the names of their columns.
struct Measures<'l>(&'l [MeasureColumn], &'l [Option<i128>]);

impl Serialize for Measures<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (column, value) in self.0.iter().zip(self.1) {
            map.serialize_entry(&column.name, &value.map(|value| decimal(value, column.scale)))?;
        }
        map.end()
    }
}

/// Writes an integer times 10^scale as a decimal number: 1234 with scale 2 is `12.34`.
fn decimal(value: i128, scale: u8) -> String {
    let (sign, digits) = (if value < 0 { "-" } else { "" }, value.unsigned_abs().to_string());
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        batch::{Epoch, Rows},
        disk::RealDisk,
        statistic::{MeasureKind, Schema},
    };

    #[test]
    fn a_file_has_each_row_to_the_last_digit() {
        let directory = tempfile::tempdir().unwrap();
        let state_dir = RealDisk::open(directory.path()).unwrap();
        let measures = vec![
            MeasureColumn::new("hits", MeasureKind::Count, "", 0),
            MeasureColumn::new("revenue", MeasureKind::Sum, "arg_v", 2),
            MeasureColumn::new("slowest", MeasureKind::Max, "arg_t", 3),
        ];
        let schema = Schema::new("ads", 60, vec![KeyColumn::new("campaign", "arg_c")], measures);
        let mut rows = Rows::new(1, 3);
        rows.push(60, [&b"a\xFF\"b"[..]], &[Some(5), Some(-7), None]);
        rows.push(120, [&b""[..]], &[Some(1), Some(i128::MAX), Some(12)]);
        let batch = Batch::new("web1", Epoch::from_bytes([7; 16]), schema, 9, rows);
        let head = "{\"source\":\"web1\",\"epoch\":\"07070707070707070707070707070707\",\"sink\":\"pg\",\
                    \"statistic\":\"ads\",\"sequence\":9,";
        let expected = format!(
            "{head}\"window_start\":60,\"keys\":{{\"campaign\":\"a\\\\xFF\\\"b\"}},\
             \"measures\":{{\"hits\":\"5\",\"revenue\":\"-0.07\",\"slowest\":null}}}}\n\
             {head}\"window_start\":120,\"keys\":{{\"campaign\":\"\"}},\
             \"measures\":{{\"hits\":\"1\",\"revenue\":\"1701411834604692317316873037158841057.27\",\"slowest\":\"0.012\"}}}}\n",
        );
        for _ in 0..2 {
            let path = export(&state_dir, "pg", &batch).unwrap();
            assert_eq!(path.file_name().unwrap(), "discarded-pg-ads-9-07070707.jsonl");
            assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
        }
    }
}
