//! Positions in a line, told by its separators.
//!
//! In `combined`, for example, the status begins one byte after separator 6 and ends at separator 7, however long the
//! values before it are. A template knows each value by two such positions. To look one up in a line takes a load and
//! an addition.

/// A position in a line: a number of bytes after the separator of that number.
///
/// Separator 0 is the newline before the line, so that every position has a separator to count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format::fast) struct Position {
    /// The number of the separator.
    pub(super) separator: u32,
    /// The number of bytes from there. It wraps around: a position before its separator has an offset just below 2^32.
    pub(super) offset: u32,
}

impl Position {
    /// The offset of this position in the block, in a line with these separators.
    #[inline(always)]
    pub(in crate::format::fast) fn of(self, separators: &[u32]) -> u32 {
        separators[self.separator as usize].wrapping_add(self.offset)
    }

    /// The position `bytes` bytes further on.
    pub(super) fn plus(self, bytes: usize) -> Self {
        Self { offset: self.offset.wrapping_add(bytes as u32), ..self }
    }
}

/// The positions between which a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format::fast) struct Extent {
    /// The first byte of the value.
    pub(in crate::format::fast) start: Position,
    /// The end of the value, which is the start of the literal after it.
    pub(in crate::format::fast) end: Position,
}

impl Extent {
    /// The offsets of the value in the block, in a line with these separators.
    #[inline(always)]
    pub(in crate::format::fast) fn of(self, separators: &[u32]) -> (usize, usize) {
        (self.start.of(separators) as usize, self.end.of(separators) as usize)
    }
}

/// Lines of a block that have as many separators and quotes as the format.
///
/// Their separators are one array, so the separators of line n are found by a multiplication, without a search.
#[derive(Clone, Copy, Debug)]
pub(in crate::format::fast) struct Candidates<'b> {
    /// The block.
    pub(in crate::format::fast) block: &'b [u8],
    /// The separators of all these lines, and the newline before each line.
    pub(in crate::format::fast) separators: &'b [u32],
    /// The distance in `separators` from one line to the next. Consecutive lines share a newline; lines that were
    /// picked from a block do not, so their stride is larger by one.
    pub(in crate::format::fast) stride: usize,
    /// The number of lines.
    pub(in crate::format::fast) len: usize,
}

impl<'b> Candidates<'b> {
    /// The newline before a line, the line's separators, and those of the lines after it.
    #[inline(always)]
    pub(in crate::format::fast) fn line(self, line: usize) -> &'b [u32] {
        &self.separators[line * self.stride..]
    }

    /// The offset of a position in a line.
    #[inline(always)]
    pub(in crate::format::fast) fn at(self, position: Position, line: usize) -> usize {
        self.separators[line * self.stride + position.separator as usize].wrapping_add(position.offset)
            as usize
    }

    /// The offsets in the block between which a value stands in a line.
    #[inline(always)]
    pub(in crate::format::fast) fn extent(self, extent: Extent, line: usize) -> (usize, usize) {
        (self.at(extent.start, line), self.at(extent.end, line))
    }
}
