//! Where the fields of the lines in a block are delimited: an index of its *marks*, made 64 bytes at a time.
//!
//! A mark is a newline, or a delimiter outside quotes. A quote is none as long as it stands where quotes are
//! expected: an opening one behind a delimiter or at the start of a line, a closing one before a delimiter or
//! the end of the line. An opening quote anywhere else is a mark, and so is what follows a closing one
//! anywhere else. So a line in which a quote is out of place has more marks than its format, or marks in other
//! places; and one in which all quotes are in place has one mark per field, which keeps the index short.
//!
//! Whether a byte is inside quotes is the parity of the quotes before it, since the last newline. For 64 bytes
//! at once that is the running exclusive-or of a bit mask. A line with an odd number of quotes ends inside
//! quotes: parity then begins anew, so that it does not disturb the lines behind it.

mod portable;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

#[cfg(test)]
mod tests;

/// Which bytes delimit the fields of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiters {
    /// The byte between fields.
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
    /// The entries of `marks` that are newlines.
    newlines: Vec<u32>,
    /// The offsets of all backslashes.
    backslashes: Vec<u32>,
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
        self.newlines.push(0);
        scan(block, delimiters, self);
        if block.last().is_some_and(|byte| *byte != b'\n') {
            self.newlines.push(self.marks.len() as u32);
            self.marks.push(block.len() as u32);
        }
    }

    pub(super) fn lines(&self) -> usize {
        self.newlines.len() - 1
    }

    pub(super) fn marks(&self) -> &[u32] {
        &self.marks
    }

    /// By line the entry of the newline before it, and at the end that of the last newline.
    pub(super) fn newlines(&self) -> &[u32] {
        &self.newlines
    }

    pub(super) fn backslashes(&self) -> &[u32] {
        &self.backslashes
    }

    /// Where a line begins and ends, without its newline.
    #[inline]
    pub(super) fn line(&self, line: usize) -> (usize, usize) {
        let at = |line: usize| self.marks[self.newlines[line] as usize];
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

/// What is known of the byte before the next 64.
#[derive(Clone, Copy, Debug)]
struct Carry {
    /// All ones if it is inside quotes.
    inside: u64,
    /// 1 if it is a delimiter or a newline.
    delimiter: u64,
    /// 1 if it is a closing quote.
    closing: u64,
}

impl Carry {
    const AT_LINE_START: Self = Self { inside: 0, delimiter: 1, closing: 0 };

    /// The marks among 64 bytes. `parity` has for each byte the parity of the quotes up to it.
    #[inline(always)]
    fn marks(&mut self, masks: Masks, parity: u64) -> u64 {
        let mut inside = parity ^ self.inside;
        if inside & masks.newline != 0 {
            inside = begin_anew(inside, masks.newline);
        }
        self.inside = ((inside as i64) >> 63) as u64;
        let (opening, closing) = (masks.quote & inside, masks.quote & !inside);
        let delimiter = masks.delimiter | masks.newline;
        let behind_delimiter = delimiter << 1 | self.delimiter;
        let behind_closing = closing << 1 | self.closing;
        self.delimiter = delimiter >> 63;
        self.closing = closing >> 63;
        masks.newline
            | (masks.delimiter & !inside)
            | (opening & !behind_delimiter)
            | (behind_closing & !delimiter)
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
    fn push_backslashes(&mut self, mut mask: u64, start: usize) {
        while mask != 0 {
            self.backslashes.push(start as u32 + mask.trailing_zeros());
            mask &= mask - 1;
        }
    }
}

/// The last bytes of a block, fewer than 64, with zeros behind them.
fn padded(rest: &[u8]) -> [u8; 64] {
    let mut chunk = [0; 64];
    chunk[..rest.len()].copy_from_slice(rest);
    chunk
}

/// Where in a request the bytes are that it is cut at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestMasks<M> {
    pub(super) ampersand: M,
    pub(super) question: M,
    /// `#`
    pub(super) fragment: M,
    /// `%` and `+`
    pub(super) encoded: M,
    pub(super) slash: M,
    pub(super) point: M,
}

impl RequestMasks<u64> {
    /// By the mask of each byte.
    #[inline(always)]
    fn new(equal: impl Fn(u8) -> u64) -> Self {
        Self {
            ampersand: equal(b'&'),
            question: equal(b'?'),
            fragment: equal(b'#'),
            encoded: equal(b'%') | equal(b'+'),
            slash: equal(b'/'),
            point: equal(b'.'),
        }
    }

    #[inline(always)]
    pub(super) fn widened(self) -> RequestMasks<u128> {
        RequestMasks {
            ampersand: self.ampersand.into(),
            question: self.question.into(),
            fragment: self.fragment.into(),
            encoded: self.encoded.into(),
            slash: self.slash.into(),
            point: self.point.into(),
        }
    }
}

impl RequestMasks<u128> {
    /// With the masks of the 64 bytes behind the first ones.
    pub(super) fn with_high(self, high: RequestMasks<u64>) -> Self {
        let join = |low, high| low | u128::from(high) << 64;
        Self {
            ampersand: join(self.ampersand, high.ampersand),
            question: join(self.question, high.question),
            fragment: join(self.fragment, high.fragment),
            encoded: join(self.encoded, high.encoded),
            slash: join(self.slash, high.slash),
            point: join(self.point, high.point),
        }
    }
}

/// The quickest way to the masks of 64 bytes of a request.
pub(super) fn request_masks() -> fn(&[u8; 64]) -> RequestMasks<u64> {
    #[cfg(target_arch = "x86_64")]
    return x86::request_masks();
    #[cfg(not(target_arch = "x86_64"))]
    portable::request_masks
}
