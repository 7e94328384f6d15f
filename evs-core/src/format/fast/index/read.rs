//! Reads a block into an index, by the fastest instructions of the machine.
//!
//! The scan itself only finds separators. Damaged lines are searched afterwards, and only in a block that has a NUL or
//! a byte of 0xEF or more at all: the scan keeps the lowest and the highest byte, which costs two instructions per
//! vector.

#[cfg(target_arch = "x86_64")]
use super::x86;
use super::{
    portable,
    structure::{BYTE_ORDER_MARK_HEAD, Delimiters, Index, Newline, Suspects},
};
use crate::format::damage;

impl Index {
    /// Indexes `block`, which begins at the start of a line and is shorter than 2^31 bytes. A last line without a
    /// newline is indexed as if it had one.
    pub(in crate::format::fast) fn read(&mut self, block: &[u8], delimiters: Delimiters) {
        self.read_by(scan, block, delimiters);
    }

    /// As [`read`](Self::read), by the given way to scan a block.
    pub(super) fn read_by(
        &mut self,
        scan: impl FnOnce(&[u8], Delimiters, &mut Self),
        block: &[u8],
        delimiters: Delimiters,
    ) {
        self.separators.clear();
        self.newlines.clear();
        self.escapes.clear();
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

    /// Finds the damaged lines of a block that has suspects.
    ///
    /// A high byte is nearly always part of a character of UTF-8, so the starts of lines are compared. A NUL is nearly
    /// always damage: after one is found, the search goes on at the next line, since a hole after `copytruncate` may
    /// have millions of them.
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
}

/// Scans a block by the fastest instructions of the processor.
fn scan(block: &[u8], delimiters: Delimiters, index: &mut Index) {
    #[cfg(target_arch = "x86_64")]
    if x86::scan(block, delimiters, index) {
        return;
    }
    portable::scan(block, delimiters, index);
}
