//! Tables, JSON and times, and the text of strangers in them.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The number of rows after which a table is printed, so that a long one needs no more memory. The widths of columns are
/// chosen again for the next rows.
const ROWS_MAX: usize = 1000;

/// Returns a text in which nothing can change what a terminal shows: control characters, those that change the direction of
/// writing, and invisible ones are written as `\x1B` or `\u{202E}`. A client chooses parts of a log's lines.
///
/// ```
/// use evs_admin::cli::escape_controls;
///
/// assert_eq!(escape_controls("\u{1b}[2Jgröße"), r"\x1B[2Jgröße");
/// assert_eq!(escape_controls("a\u{202e}b\u{9b}"), r"a\u{202E}b\x9B");
/// ```
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_unsafe(c) => escaped.push(c),
            c if u32::from(c) < 0x100 => escaped.push_str(&format!("\\x{:02X}", u32::from(c))),
            c => escaped.push_str(&format!("\\u{{{:04X}}}", u32::from(c))),
        }
    }
    Cow::Owned(escaped)
}

/// Returns whether a character can change what a terminal shows besides itself.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Writes a value as one line of JSON.
///
/// JSON escapes control characters below 32 by itself. The others that a terminal may act on are escaped, too, which
/// changes nothing about the value.
pub(super) fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string(value)?;
    if !text.contains(is_unsafe) {
        return writeln!(out, "{text}");
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(c);
        }
    }
    writeln!(out, "{escaped}")
}

/// Returns a time in seconds since 1970 as RFC 3339 in UTC. A number that no calendar has stays a number.
pub(super) fn time(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
    time.unwrap_or_else(|| seconds.to_string())
}

/// The same, with `-` for a time that is not known.
pub(super) fn time_or_none(seconds: Option<i64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), time)
}

/// A table that is printed as its rows come. Its cells are escaped for terminals.
pub(super) struct Columns {
    header: Vec<String>,
    table: Table,
    is_begun: bool,
}

impl Columns {
    pub(super) fn new(header: &[&str]) -> Self {
        let header = header.iter().map(|name| escape_controls(name).into_owned()).collect();
        Self { header, table: empty(), is_begun: false }
    }

    pub(super) fn row<T: AsRef<str>>(&mut self, out: &mut dyn Write, cells: &[T]) -> io::Result<()> {
        self.begin();
        self.table.add_row(cells.iter().map(|cell| escape_controls(cell.as_ref()).into_owned()));
        if self.table.row_count() >= ROWS_MAX { self.flush(out) } else { Ok(()) }
    }

    /// Ends the table. Without rows it has its header only.
    pub(super) fn end(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.begin();
        self.flush(out)
    }

    fn begin(&mut self) {
        if !self.is_begun {
            self.is_begun = true;
            self.table.set_header(self.header.clone());
        }
    }

    pub(super) fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.table.row_count() == 0 && self.table.header().is_none() {
            return Ok(());
        }
        for line in self.table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        self.table = empty();
        Ok(())
    }
}

fn empty() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_the_same_value_and_has_no_characters_that_a_terminal_acts_on() {
        let text = "a\u{1b}[2J\u{9b}\u{202e}\u{7f}\u{e0041}ö\"";
        let mut out = Vec::new();
        json(&mut out, &text).unwrap();
        let written = String::from_utf8(out).unwrap();
        assert!(!written.trim_end().contains(is_unsafe), "{written:?}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(time(1_795_246_822), "2026-11-21T07:40:22Z");
        assert_eq!(time(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn a_long_table_is_printed_in_parts() {
        let mut out = Vec::new();
        let mut table = Columns::new(&["n", "text"]);
        for n in 0..2500 {
            table.row(&mut out, &[n.to_string(), "\u{1b}c".to_owned()]).unwrap();
        }
        assert!(!out.is_empty());
        table.end(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2501);
        assert!(!text.contains('\u{1b}') && text.contains(r"\x1Bc"));
    }
}
