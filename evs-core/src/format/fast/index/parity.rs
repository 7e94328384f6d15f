//! Separators by the parity of quotes, 64 bytes at a time, whatever instructions find the bit masks.

/// Bit masks of 64 bytes: a bit is set where the byte is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Masks {
    pub(super) quote: u64,
    pub(super) delimiter: u64,
    pub(super) newline: u64,
    pub(super) backslash: u64,
}

/// The parity that is carried to the next 64 bytes: all ones if the byte before them is inside quotes, else 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carry(u64);

impl Carry {
    /// The separators among 64 bytes. Bit n of `parity` is the parity of the quotes up to byte n.
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

/// Pads the last bytes of a block, fewer than 64, with letters, which no mask looks for.
pub(super) fn padded(rest: &[u8]) -> [u8; 64] {
    let mut chunk = [b'x'; 64];
    chunk[..rest.len()].copy_from_slice(rest);
    chunk
}
