//! Where the fields of the lines in a block are delimited: an index of its *marks*, made 64 bytes at a time.
//!
//! A mark is a newline, or a delimiter outside quotes. So a line whose quotes are where its format has them has one
//! mark per field, however many delimiters are inside quotes, which keeps the index short. How many quotes each line
//! has is counted, too: one that has as many as its format, at the same places, has none anywhere else.
//!
//! Whether a byte is inside quotes is the parity of the quotes before it, since the last newline. For 64 bytes
//! at once that is the running exclusive-or of a bit mask. A line with an odd number of quotes ends inside
//! quotes: parity then begins anew, so that it does not disturb the lines behind it.

use std::ops::Range;

use crate::format::{damage, work};

mod portable;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

#[cfg(test)]
mod tests;

/// Which bytes delimit the fields of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiters {
    /// The byte between fields, no letter and no digit.
    pub(super) byte: u8,
    /// Whether `"` has a meaning.
    pub(super) are_quoted: bool,
}

/// The marks of a block.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// The offsets of all marks in the block, in order. The first entry is the offset of the newline before the
    /// block, in wrapping arithmetic: so every line has a newline before it.
    marks: Vec<u32>,
    /// The newlines among them.
    newlines: Vec<Newline>,
    /// How many quotes there are in the block.
    quotes: u32,
    /// Where all backslashes are, by the offset of the first of 64 bytes that have any.
    backslashes: Vec<(u32, u64)>,
    suspects: Suspects,
    /// The numbers of the lines that are damaged, in order.
    damaged: Vec<u32>,
}

/// Bytes in a block for which its lines must be searched for damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Suspects {
    has_nul: bool,
    /// Whether some byte could begin a byte order mark.
    has_high: bool,
}

/// The first byte of a byte order mark. Few characters of UTF-8 begin with it or with a higher byte.
const MARK_HEAD: u8 = 0xEF;

/// A newline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Newline {
    /// Which of the marks it is.
    pub(super) mark: u32,
    /// How many quotes there are in the block before it.
    pub(super) quotes: u32,
}

impl Index {
    /// Indexes `block`, which begins at the start of a line and is shorter than 2^31 bytes. A last line without
    /// a newline is taken as if it had one.
    pub(super) fn read(&mut self, block: &[u8], delimiters: Delimiters) {
        self.read_by(scan, block, delimiters);
    }

    fn read_by(
        &mut self,
        scan: impl FnOnce(&[u8], Delimiters, &mut Self),
        block: &[u8],
        delimiters: Delimiters,
    ) {
        self.marks.clear();
        self.newlines.clear();
        self.backslashes.clear();
        self.marks.push(u32::MAX);
        self.newlines.push(Newline::default());
        self.damaged.clear();
        self.quotes = 0;
        scan(block, delimiters, self);
        if block.last().is_some_and(|byte| *byte != b'\n') {
            self.newlines.push(Newline { mark: self.marks.len() as u32, quotes: self.quotes });
            self.marks.push(block.len() as u32);
        }
        if self.suspects != Suspects::default() {
            self.find_damaged(block);
        }
    }

    #[cold]
    fn find_damaged(&mut self, block: &[u8]) {
        if self.suspects.has_high {
            for (number, newline) in (0..).zip(&self.newlines[..self.newlines.len() - 1]) {
                let start = self.marks[newline.mark as usize].wrapping_add(1) as usize;
                if block.get(start) == Some(&MARK_HEAD) && damage::is_marked(&block[start..]) {
                    self.damaged.push(number);
                }
            }
        }
        if self.suspects.has_nul {
            let mut from = 0;
            while let Some(at) = block.get(from..).and_then(damage::first_nul) {
                let ends_before =
                    |newline: &Newline| (self.marks[newline.mark as usize] as usize) < from + at;
                let number = self.newlines[1..].partition_point(ends_before);
                self.damaged.push(number as u32);
                from = self.line(number).1;
            }
            self.damaged.sort_unstable();
            self.damaged.dedup();
        }
    }

    pub(super) fn lines(&self) -> usize {
        self.newlines.len() - 1
    }

    pub(super) fn marks(&self) -> &[u32] {
        &self.marks
    }

    /// By line the newline before it, and at the end the last newline.
    pub(super) fn newlines(&self) -> &[Newline] {
        &self.newlines
    }

    /// The first backslash at `from` or behind; `hint` is the place in the index where the last search from before there
    /// ended.
    #[inline]
    pub(super) fn next_backslash(&self, from: u32, hint: &mut usize) -> Option<u32> {
        let left = self.backslashes.get(*hint..)?;
        // Most often it is the first one that is looked at, or there is none.
        if left.first().is_some_and(|(start, _)| start + 64 <= from) {
            work::examine(left.len().ilog2() as usize);
            *hint += left.partition_point(|(start, _)| start + 64 <= from);
        }
        let mut left = self.backslashes[*hint..].iter();
        let (start, mask) = left.next()?;
        let behind = mask & (u64::MAX << from.saturating_sub(*start));
        let (start, mask) = if behind == 0 { *left.next()? } else { (*start, behind) };
        Some(start + mask.trailing_zeros())
    }

    /// Which of these lines have a NUL byte in them or begin with a byte order mark, in order.
    pub(super) fn damaged(&self, lines: Range<usize>) -> &[u32] {
        let before = |end: usize| self.damaged.partition_point(|line| (*line as usize) < end);
        &self.damaged[before(lines.start)..before(lines.end)]
    }

    /// Where a line begins and ends, without its newline.
    #[inline]
    pub(super) fn line(&self, line: usize) -> (usize, usize) {
        let at = |line: usize| self.marks[self.newlines[line].mark as usize];
        (at(line).wrapping_add(1) as usize, at(line + 1) as usize)
    }
}

fn scan(block: &[u8], delimiters: Delimiters, index: &mut Index) {
    #[cfg(target_arch = "x86_64")]
    if x86::scan(block, delimiters, index) {
        return;
    }
    portable::scan(block, delimiters, index);
}

/// Where in 64 bytes each of the bytes is that matter.
#[derive(Clone, Copy, Debug)]
struct Masks {
    quote: u64,
    delimiter: u64,
    newline: u64,
    backslash: u64,
}

/// Whether the byte before the next 64 is inside quotes: all ones if it is.
#[derive(Clone, Copy, Debug, Default)]
struct Carry(u64);

impl Carry {
    /// The marks among 64 bytes. `parity` has for each byte the parity of the quotes up to it.
    #[inline(always)]
    fn marks(&mut self, masks: Masks, parity: u64) -> u64 {
        let mut inside = parity ^ self.0;
        if inside & masks.newline != 0 {
            inside = begin_anew(inside, masks.newline);
        }
        self.0 = ((inside as i64) >> 63) as u64;
        masks.newline | (masks.delimiter & !inside)
    }
}

/// Turns parity over from each newline on that is inside quotes.
#[cold]
fn begin_anew(mut inside: u64, newlines: u64) -> u64 {
    loop {
        let open = inside & newlines;
        if open == 0 {
            return inside;
        }
        inside ^= u64::MAX << open.trailing_zeros();
    }
}

impl Index {
    #[cold]
    fn push_backslashes(&mut self, mask: u64, start: usize) {
        self.backslashes.push((start as u32, mask));
    }
}

/// The last bytes of a block, fewer than 64, with letters behind them, which are nothing that is looked for.
fn padded(rest: &[u8]) -> [u8; 64] {
    let mut chunk = [b'x'; 64];
    chunk[..rest.len()].copy_from_slice(rest);
    chunk
}
