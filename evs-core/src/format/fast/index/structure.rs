//! The index itself: separators, newlines, escapes and damaged lines of a block.

use std::ops::Range;

use crate::format::work;

/// The bytes that delimit the fields of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format::fast) struct Delimiters {
    /// The byte between fields. It is neither a letter nor a digit.
    pub(in crate::format::fast) byte: u8,
    /// True if `"` encloses values.
    pub(in crate::format::fast) are_quoted: bool,
    /// The byte that begins an escape in a value.
    pub(in crate::format::fast) escape: u8,
}

impl Delimiters {
    /// No byte delimits fields: the index has the newlines and escapes alone.
    pub(in crate::format::fast) fn none(escape: u8) -> Self {
        Self { byte: b'\n', are_quoted: false, escape }
    }

    /// True if no byte delimits fields.
    pub(in crate::format::fast) fn are_none(self) -> bool {
        self.byte == b'\n'
    }
}

/// The structural index of a block.
#[derive(Clone, Debug, Default)]
pub(in crate::format::fast) struct Index {
    /// The offsets of all separators in the block, in ascending order. The first element stands for a newline before
    /// the block, at offset -1 (it wraps around), so that every line has a newline before it.
    pub(super) separators: Vec<u32>,
    /// The newlines among them, the one before the block first. So line n lies between newlines n and n + 1.
    pub(super) newlines: Vec<Newline>,
    /// The number of quotes in the block.
    pub(super) quotes: u32,
    /// The bytes that begin escapes: for each 64 bytes that have any, the offset of the first byte and a bit mask. In
    /// ascending order.
    pub(super) escapes: Vec<(u32, u64)>,
    /// The bytes of the block that may be damage.
    pub(super) suspects: Suspects,
    /// The numbers of the damaged lines, in ascending order.
    pub(super) damaged: Vec<u32>,
}

/// The presence of bytes that may be damage. Only a block that has any is searched for damaged lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Suspects {
    /// True if some byte is NUL.
    pub(super) has_nul: bool,
    /// True if some byte is at least `BYTE_ORDER_MARK_HEAD`, and so could begin a byte order mark.
    pub(super) has_high: bool,
}

/// The first byte of a byte order mark. Few characters of UTF-8 begin with this byte or with a higher one.
pub(super) const BYTE_ORDER_MARK_HEAD: u8 = 0xEF;

/// A newline in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::format::fast) struct Newline {
    /// The newline's index among the separators.
    pub(in crate::format::fast) separator: u32,
    /// The number of quotes before it in the block.
    pub(in crate::format::fast) quotes: u32,
}

impl Index {
    /// The number of lines.
    pub(in crate::format::fast) fn lines(&self) -> usize {
        self.newlines.len() - 1
    }

    /// The offsets of all separators, with that of the newline before the block.
    pub(in crate::format::fast) fn separators(&self) -> &[u32] {
        &self.separators
    }

    /// The newline before each line, and after these the last newline.
    pub(in crate::format::fast) fn newlines(&self) -> &[Newline] {
        &self.newlines
    }

    /// The offset of the first escape at or after `from`.
    ///
    /// `hint` is the index in `escapes` at which the last search ended. A caller begins with 0 and searches in
    /// ascending order. Lines are short and most have no escape, so the hint is nearly always right; after a gap, a
    /// binary search finds the place, because a client can fill a line with escapes.
    #[inline]
    pub(in crate::format::fast) fn next_escape(&self, from: u32, hint: &mut usize) -> Option<u32> {
        let left = self.escapes.get(*hint..)?;
        // In most cases the first one is at or after `from`, or there is none.
        if left.first().is_some_and(|(start, _)| start + 64 <= from) {
            work::examine(left.len().ilog2() as usize);
            *hint += left.partition_point(|(start, _)| start + 64 <= from);
        }
        let mut left = self.escapes[*hint..].iter();
        let (start, mask) = left.next()?;
        let after = mask & (u64::MAX << from.saturating_sub(*start));
        let (start, mask) = if after == 0 { *left.next()? } else { (*start, after) };
        Some(start + mask.trailing_zeros())
    }

    /// The damaged ones of these lines: they have a NUL byte or begin with a byte order mark. In ascending order.
    pub(in crate::format::fast) fn damaged(&self, lines: Range<usize>) -> &[u32] {
        let before = |end: usize| self.damaged.partition_point(|line| (*line as usize) < end);
        &self.damaged[before(lines.start)..before(lines.end)]
    }

    /// The offsets at which a line begins and ends, without its newline.
    #[inline]
    pub(in crate::format::fast) fn line(&self, line: usize) -> (usize, usize) {
        let at = |line: usize| self.separators[self.newlines[line].separator as usize];
        (at(line).wrapping_add(1) as usize, at(line + 1) as usize)
    }

    /// Appends the escapes of 64 bytes that begin at `start`.
    #[cold]
    pub(super) fn push_escapes(&mut self, mask: u64, start: usize) {
        self.escapes.push((start as u32, mask));
    }
}
