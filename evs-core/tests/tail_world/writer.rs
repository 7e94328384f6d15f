//! The writer of the log.

use std::collections::HashSet;

use crate::tail_support::sim::{Disk, Inode};

/// The number of bytes at the beginning of a line that are unique. They are written at once.
const ID_BYTES: usize = 4;

/// The number of bytes that are left of a line that is too long.
const LONG_LINE_BYTES: usize = 12;

/// One line that was written.
#[derive(Debug)]
pub struct Line {
    pub text: String,
    pub fate: Fate,
}

/// The expected fate of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Each statistic counts it exactly once.
    Counted,
    /// It is older than the source, so no statistic counts it.
    Foreign,
    /// Its file was deleted or truncated, perhaps before it was read. Each statistic counts it at most once.
    Deleted,
}

/// A web server that writes lines, all of them different.
///
/// It has the log open and, for some time after a rotation, the rotated log as well.
#[derive(Debug, Default)]
pub struct Writer {
    pub lines: Vec<Line>,
    /// Lines that every statistic has committed, or that none may count.
    done: HashSet<String>,
    /// The limit of the line length. A statistic sees only the first bytes of a line of this length or more.
    line_bytes_max: usize,
    /// The index of the line that is being written.
    current: usize,
    /// The part of it that is not yet written.
    rest: String,
    /// The number of bytes that the writer writes in its next turns.
    bytes_due: usize,
    /// The number of lines that the writer still writes to the rotated log.
    late_lines_due: usize,
    /// The number of bytes by which the next line is longer than usual.
    filler: usize,
    log: Option<Inode>,
    rotated: Option<Inode>,
    is_paused: bool,
}

impl Writer {
    pub fn new(line_bytes_max: usize) -> Self {
        Self { line_bytes_max, ..Self::default() }
    }

    /// Returns a line as a statistic sees it.
    pub fn shorten(&self, line: &str) -> String {
        if line.len() >= self.line_bytes_max { line[..LONG_LINE_BYTES].to_owned() } else { line.to_owned() }
    }

    /// Records that the statistics are done with these lines, which are given as they see them.
    pub fn note_done(&mut self, lines: impl IntoIterator<Item = String>) {
        self.done.extend(lines);
    }

    /// Declares that no statistic counts the lines of the rotated logs or, if the source begins at the end of
    /// the live log, those of the live log. The current line is counted if it has not ended.
    pub fn disown_all(&mut self, begins_at_end: bool, live: &HashSet<String>) {
        let current = (!self.rest.is_empty()).then_some(self.current);
        for (number, line) in self.lines.iter_mut().enumerate() {
            if Some(number) != current && (begins_at_end || !live.contains(&line.text)) {
                line.fate = Fate::Foreign;
            }
        }
        // If the live log were deleted, nobody could tell what was written to it meanwhile.
        let foreign = self.lines.iter().filter(|line| line.fate == Fate::Foreign);
        let rotated = foreign.filter(|line| !live.contains(&line.text));
        self.done = rotated.map(|line| self.shorten(&line.text)).collect();
    }

    /// Returns true if all statistics are done with these lines.
    pub fn are_done(&self, lines: &HashSet<String>) -> bool {
        lines.iter().all(|line| self.done.contains(&self.shorten(line)))
    }

    /// Queues bytes of the current line and of further ones. They may end anywhere.
    pub fn queue(&mut self, bytes: usize) {
        self.bytes_due += bytes;
    }

    /// Queues one long line.
    pub fn queue_long(&mut self, filler: usize) {
        self.filler = filler;
        self.bytes_due += self.rest.len() + filler;
    }

    /// Queues one line for the rotated log.
    pub fn queue_late(&mut self) {
        self.late_lines_due += 1;
    }

    /// Opens the log. From now on, the old one gets only late lines.
    ///
    /// The current line is ended in the old log first, or never ends.
    pub fn reopen(&mut self, disk: &mut Disk, log: Inode, ends_line: bool) {
        if ends_line {
            self.end_line(disk);
        } else {
            self.cut_line();
        }
        self.close_rotated(disk);
        disk.open(log);
        let rotated = self.log.replace(log);
        // Nothing may follow a line that has no end.
        if ends_line {
            self.rotated = rotated;
        } else if let Some(rotated) = rotated {
            disk.close(rotated);
        }
    }

    /// Closes the rotated log, if it is this one.
    pub fn close_if_rotated(&mut self, disk: &mut Disk, inode: Inode) {
        if self.rotated == Some(inode) {
            self.close_rotated(disk);
        }
    }

    /// Closes the rotated log.
    pub fn close_rotated(&mut self, disk: &mut Disk) {
        self.late_lines_due = 0;
        if let Some(rotated) = self.rotated.take() {
            disk.close(rotated);
        }
    }

    /// Stops writing until [`Self::resume`].
    pub fn pause(&mut self, disk: &mut Disk, ends_line: bool) {
        if ends_line {
            self.end_line(disk);
        } else {
            self.cut_line();
        }
        self.is_paused = true;
    }

    pub fn resume(&mut self) {
        self.is_paused = false;
    }

    /// Writes a piece of the queued bytes. Returns `false` if nothing is queued.
    pub fn step(&mut self, disk: &mut Disk, bytes_max: usize) -> bool {
        if self.is_paused {
            return false;
        }
        if self.late_lines_due > 0 {
            self.late_lines_due -= 1;
            if let Some(rotated) = self.rotated {
                let line = self.add_line("late");
                disk.append(rotated, line.as_bytes());
                return true;
            }
        }
        if self.bytes_due == 0 {
            return false;
        }
        let mut piece = String::new();
        while piece.len() < bytes_max.min(self.bytes_due) || self.has_just_begun() {
            if self.rest.is_empty() {
                self.begin_line();
            }
            piece.push(self.rest.remove(0));
        }
        self.bytes_due = self.bytes_due.saturating_sub(piece.len());
        self.append(disk, &piece);
        true
    }

    /// Writes all queued bytes, and ends the line.
    pub fn finish(&mut self, disk: &mut Disk) {
        while self.step(disk, usize::MAX) {}
        self.end_line(disk);
    }

    /// Writes whole lines that nobody may have time to read, even during a pause.
    pub fn write_doomed(&mut self, disk: &mut Disk, lines: u8) {
        for _ in 0..lines {
            let line = self.add_line("doomed");
            if let Some(line) = self.lines.last_mut() {
                line.fate = Fate::Deleted;
            }
            self.append(disk, &line);
        }
    }

    /// Changes the fate of lines that are still to be counted.
    pub fn give_fate(&mut self, texts: &HashSet<String>, fate: Fate) {
        for line in &mut self.lines {
            if line.fate == Fate::Counted && texts.contains(&line.text) {
                line.fate = fate;
            }
        }
    }

    fn has_just_begun(&self) -> bool {
        let written = || self.lines[self.current].text.len() + 1 - self.rest.len();
        !self.rest.is_empty() && written() < ID_BYTES
    }

    fn begin_line(&mut self) {
        let filler = std::mem::take(&mut self.filler);
        let filler = "x".repeat(self.lines.len() % 7 + filler);
        self.rest = self.add_line(&filler);
        self.current = self.lines.len() - 1;
    }

    fn end_line(&mut self, disk: &mut Disk) {
        let rest = std::mem::take(&mut self.rest);
        self.append(disk, &rest);
    }

    /// Ends the current line where it is, without its rest.
    fn cut_line(&mut self) {
        if !self.rest.is_empty() {
            let line = &mut self.lines[self.current].text;
            line.truncate(line.len() + 1 - self.rest.len());
            self.rest.clear();
        }
    }

    fn add_line(&mut self, filler: &str) -> String {
        let number = self.lines.len();
        let text = format!("{} {number} {filler}", id(number));
        self.lines.push(Line { text: text.clone(), fate: Fate::Counted });
        text + "\n"
    }

    fn append(&self, disk: &mut Disk, text: &str) {
        if let (Some(log), false) = (self.log, text.is_empty()) {
            disk.append(log, text.as_bytes());
        }
    }
}

/// Returns four letters that are unique for each number. The first letters of neighbours already differ.
fn id(number: usize) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b1) & 0xff_ffff;
    (0..ID_BYTES).rev().map(|at| char::from(b'0' + (mixed >> (6 * at) & 63) as u8)).collect()
}
