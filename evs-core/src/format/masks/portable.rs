//! Finds masks on any machine, eight bytes at a time.
//!
//! This is the definition of the masks; the vector instructions must find the same.

use super::request::RequestMasks;

/// The masks of the bytes at which a request is cut.
pub(super) fn request_masks(chunk: &[u8; 64]) -> RequestMasks<u64> {
    RequestMasks::new(|byte| equal(chunk, byte))
}

/// The masks of `&` and of `=`.
pub(super) fn pair_masks(chunk: &[u8; 64]) -> [u64; 2] {
    [b'&', b'='].map(|byte| equal(chunk, byte))
}

/// The offset of the first quote, backslash or control character.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
pub(super) fn first_special(chunk: &[u8; 16]) -> Option<usize> {
    const LOWEST: u128 = u128::from_le_bytes([1; 16]);
    let word = u128::from_le_bytes(*chunk);
    // Sets the highest bit of each byte below `limit`. A borrow can set a wrong bit, but only above a right one, and only
    // the lowest set bit is used.
    let below = |word: u128, limit: u128| word.wrapping_sub(LOWEST * limit) & !word & (LOWEST << 7);
    let is = |byte: u8| below(word ^ (LOWEST * u128::from(byte)), 1);
    let found = is(b'"') | is(b'\\') | below(word, 0x20);
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

/// The mask of `byte` in 64 bytes.
///
/// An exclusive-or makes the sought byte zero. Adding 0x7F to the low seven bits of a byte carries into its highest
/// bit unless they are zero, so the complement has the highest bit exactly where the byte is zero. For `&` (0x26) in
/// `a&b`:
///
/// ```text
/// word         61 26 62
/// differences  47 00 44
/// zeros        00 80 00
/// mask          0  1  0
/// ```
pub(in crate::format) fn equal(chunk: &[u8; 64], byte: u8) -> u64 {
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let pattern = u64::from_le_bytes([byte; 8]);
    let (words, _) = chunk.as_chunks::<8>();
    words.iter().enumerate().fold(0, |mask, (at, word)| {
        let differences = u64::from_le_bytes(*word) ^ pattern;
        // Sets the high bit of each byte that is zero. No carry crosses from one byte to the next.
        let zeros = !(((differences & LOW) + LOW) | differences | LOW);
        // The multiplication gathers the eight bits in the highest byte.
        mask | ((zeros >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (at * 8)
    })
}
