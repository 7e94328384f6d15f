//! The structural index of a block: the offsets of its *separators*, found 64 bytes at a time.
//!
//! A separator is a newline, or a delimiter outside quotes. A line whose quotes are where its format has them therefore
//! has one separator per field, however many delimiters are inside quotes. That keeps the index short. The index also
//! counts the quotes of each line: a line that has as many as its format, at the same positions, has none elsewhere.
//!
//! ```text
//! line          1.2.3.4 - - [21/Nov/2026:13:25:22 +0545] "GET / HTTP/1.1" 200 3
//! separators           ^ ^ ^                     ^      ^                ^   ^ ^ (the newline)
//! ```
//!
//! A byte is inside quotes if the number of quotes before it, since the last newline, is odd. For 64 bytes at once,
//! that parity is the running exclusive-or of a bit mask. A line with an odd number of quotes ends inside quotes: the
//! parity is then reset, so that the line does not disturb the lines after it.

use std::ops::Range;

use crate::format::{damage, work};

mod portable;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

#[cfg(test)]
mod tests;

/// The bytes that delimit the fields of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiters {
    /// The byte between fields. It is neither a letter nor a digit.
    pub(super) byte: u8,
    /// True if `"` encloses values.
    pub(super) are_quoted: bool,
}

/// The structural index of a block.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// The offsets of all separators in the block, in ascending order. The first element stands for a newline before
    /// the block, at offset -1 (it wraps around), so that every line has a newline before it.
    separators: Vec<u32>,
    /// The newlines among them.
    newlines: Vec<Newline>,
    /// The number of quotes in the block.
    quotes: u32,
    /// The backslashes: for each 64 bytes that have any, the offset of the first byte and a bit mask. In ascending
    /// order.
    backslashes: Vec<(u32, u64)>,
    suspects: Suspects,
    /// The numbers of the damaged lines, in ascending order.
    damaged: Vec<u32>,
}

/// The presence of bytes that may be damage. Only a block that has any is searched for damaged lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Suspects {
    has_nul: bool,
    /// True if some byte is at least `BYTE_ORDER_MARK_HEAD`, and so could begin a byte order mark.
    has_high: bool,
}

/// The first byte of a byte order mark. Few characters of UTF-8 begin with this byte or with a higher one.
const BYTE_ORDER_MARK_HEAD: u8 = 0xEF;

/// A newline in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Newline {
    /// The newline's index among the separators.
    pub(super) separator: u32,
    /// The number of quotes before it in the block.
    pub(super) quotes: u32,
}

impl Index {
    /// Indexes `block`, which begins at the start of a line and is shorter than 2^31 bytes. A last line without a
    /// newline is indexed as if it had one.
    pub(super) fn read(&mut self, block: &[u8], delimiters: Delimiters) {
        self.read_by(scan, block, delimiters);
    }

    fn read_by(
        &mut self,
        scan: impl FnOnce(&[u8], Delimiters, &mut Self),
        block: &[u8],
        delimiters: Delimiters,
    ) {
        self.separators.clear();
        self.newlines.clear();
        self.backslashes.clear();
        self.separators.push(u32::MAX);
        self.newlines.push(Newline::default());
        self.damaged.clear();
        self.quotes = 0;
        scan(block, delimiters, self);
        if block.last().is_some_and(|byte| *byte != b'\n') {
            self.newlines.push(Newline { separator: self.separators.len() as u32, quotes: self.quotes });
            self.separators.push(block.len() as u32);
        }
        if self.suspects != Suspects::default() {
            self.find_damaged(block);
        }
        debug_assert!(self.separators[1..].is_sorted_by(|one, next| one < next), "separators ascend");
        debug_assert!(
            self.newlines.is_sorted_by(|one, next| one.separator < next.separator),
            "newlines ascend"
        );
        debug_assert!(self.newlines.is_sorted_by_key(|newline| newline.quotes), "quotes only grow");
        debug_assert_eq!(
            self.newlines.last().map(|last| last.separator as usize + 1),
            Some(self.separators.len())
        );
        debug_assert!(self.damaged.last().is_none_or(|last| (*last as usize) < self.lines()));
    }

    #[cold]
    fn find_damaged(&mut self, block: &[u8]) {
        if self.suspects.has_high {
            for (number, newline) in (0..).zip(&self.newlines[..self.newlines.len() - 1]) {
                let start = self.separators[newline.separator as usize].wrapping_add(1) as usize;
                if block.get(start) == Some(&BYTE_ORDER_MARK_HEAD)
                    && damage::has_byte_order_mark(&block[start..])
                {
                    self.damaged.push(number);
                }
            }
        }
        if self.suspects.has_nul {
            let mut from = 0;
            while let Some(at) = block.get(from..).and_then(damage::first_nul) {
                let ends_before =
                    |newline: &Newline| (self.separators[newline.separator as usize] as usize) < from + at;
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

    pub(super) fn separators(&self) -> &[u32] {
        &self.separators
    }

    /// The newline before each line, and after these the last newline.
    pub(super) fn newlines(&self) -> &[Newline] {
        &self.newlines
    }

    /// The offset of the first backslash at or after `from`.
    ///
    /// `hint` is the index in `backslashes` at which the last search ended. A caller begins with 0 and searches in
    /// ascending order.
    #[inline]
    pub(super) fn next_backslash(&self, from: u32, hint: &mut usize) -> Option<u32> {
        let left = self.backslashes.get(*hint..)?;
        // In most cases the first one is at or after `from`, or there is none.
        if left.first().is_some_and(|(start, _)| start + 64 <= from) {
            work::examine(left.len().ilog2() as usize);
            *hint += left.partition_point(|(start, _)| start + 64 <= from);
        }
        let mut left = self.backslashes[*hint..].iter();
        let (start, mask) = left.next()?;
        let after = mask & (u64::MAX << from.saturating_sub(*start));
        let (start, mask) = if after == 0 { *left.next()? } else { (*start, after) };
        Some(start + mask.trailing_zeros())
    }

    /// The damaged ones of these lines: they have a NUL byte or begin with a byte order mark. In ascending order.
    pub(super) fn damaged(&self, lines: Range<usize>) -> &[u32] {
        let before = |end: usize| self.damaged.partition_point(|line| (*line as usize) < end);
        &self.damaged[before(lines.start)..before(lines.end)]
    }

    /// The offsets at which a line begins and ends, without its newline.
    #[inline]
    pub(super) fn line(&self, line: usize) -> (usize, usize) {
        let at = |line: usize| self.separators[self.newlines[line].separator as usize];
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

/// Bit masks of 64 bytes: a bit is set where the byte is.
#[derive(Clone, Copy, Debug)]
struct Masks {
    quote: u64,
    delimiter: u64,
    newline: u64,
    backslash: u64,
}

/// The parity that is carried to the next 64 bytes: all ones if the byte before them is inside quotes, else 0.
#[derive(Clone, Copy, Debug, Default)]
struct Carry(u64);

impl Carry {
    /// The separators among 64 bytes. Bit n of `parity` is the parity of the quotes up to byte n.
    #[inline(always)]
    fn separators(&mut self, masks: Masks, parity: u64) -> u64 {
        let mut inside = parity ^ self.0;
        if inside & masks.newline != 0 {
            inside = restart_parity(inside, masks.newline);
        }
        self.0 = ((inside as i64) >> 63) as u64;
        masks.newline | (masks.delimiter & !inside)
    }
}

/// Resets the parity after each newline that is inside quotes, by turning over all bits from the newline on.
#[cold]
fn restart_parity(mut inside: u64, newlines: u64) -> u64 {
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

/// Pads the last bytes of a block, fewer than 64, with letters, which no mask looks for.
fn padded(rest: &[u8]) -> [u8; 64] {
    let mut chunk = [b'x'; 64];
    chunk[..rest.len()].copy_from_slice(rest);
    chunk
}
