//! Separators by the parity of quotes, 64 bytes at a time, whatever instructions find the bit masks.
//!
//! The parity of the quotes up to a byte tells if the byte is inside quotes. From one chunk to the next, a single bit
//! of state is carried. It is kept as a word of all ones or all zeros, which is combined with a mask without a branch.

/// Bit masks of 64 bytes: a bit is set where the byte is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Masks {
    /// `"`, or no bit at all if the format has no quotes.
    pub(super) quote: u64,
    /// The byte between fields.
    pub(super) delimiter: u64,
    /// The line feed.
    pub(super) newline: u64,
    /// The byte that begins an escape.
    pub(super) escape: u64,
}

/// The parity that is carried to the next 64 bytes: all ones if the byte before them is inside quotes, else 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carry(u64);

impl Carry {
    /// The separators among 64 bytes. Bit n of `parity` is the parity of the quotes up to byte n.
    ///
    /// A newline is a separator even inside quotes: it ends the line. Such a line has an odd number of quotes, which
    /// is rare, so the loop that resets the parity is out of the way.
    #[inline(always)]
    pub(super) fn separators(&mut self, masks: Masks, parity: u64) -> u64 {
        let mut inside = parity ^ self.0;
        if inside & masks.newline != 0 {
            inside = restart_parity(inside, masks.newline);
        }
        self.0 = ((inside as i64) >> 63) as u64;
        masks.newline | (masks.delimiter & !inside)
    }
}

/// Resets the parity after each newline that is inside quotes, by turning over all bits from the newline on.
///
/// ```text
/// bytes    a " b \n c " d " e      the first line has one quote
/// inside   0 1 1 1  1 0 0 1 1      before: the second line is the wrong way round
/// inside   0 1 1 0  0 1 1 0 0      after
/// ```
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

/// Pads the last bytes of a block, fewer than 64, with letters, which no mask looks for: a delimiter is neither a
/// letter nor a digit.
pub(super) fn padded(rest: &[u8]) -> [u8; 64] {
    let mut chunk = [b'x'; 64];
    chunk[..rest.len()].copy_from_slice(rest);
    chunk
}
