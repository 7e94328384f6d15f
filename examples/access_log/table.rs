//! Prints rows as a table, right-aligned.

use std::io::{self, Write};

use evs::{Rows, Schema, escape};

/// The maximum number of rows that are shown.
const ROWS_MAX: usize = 20;

/// Prints a statistic's rows as a table.
pub(crate) fn print(schema: &Schema, rows: &Rows) -> io::Result<()> {
    let mut lines = vec![
        std::iter::once("window_start".to_owned())
            .chain(schema.keys.iter().map(|key| key.name.clone()))
            .chain(schema.measures.iter().map(|measure| measure.name.clone()))
            .collect::<Vec<_>>(),
    ];
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        if lines.len() > ROWS_MAX {
            break;
        }
        let value = |value: &Option<i128>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        lines.push(
            std::iter::once(row.window_start.to_string())
                .chain(row.keys.iter().map(|key| escape(key).into_owned()))
                .chain(row.values.iter().map(value))
                .collect(),
        );
    }
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..lines[0].len()).map(width).collect();
    let mut out = io::stdout().lock();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  "))?;
    }
    if rows.len() > ROWS_MAX {
        writeln!(out, "… {} rows in all", rows.len())?;
    }
    writeln!(out)
}
