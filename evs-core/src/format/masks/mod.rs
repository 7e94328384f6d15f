//! Bit masks of 64 bytes, at whose bits requests and queries are cut. The reference uses them as well as the fast
//! path.
//!
//! A mask has bit n set if byte n of the chunk is the byte that is sought, so the first occurrence is the number of
//! trailing zeros, and clearing the lowest bit leads to the next:
//!
//! ```text
//! bytes   G E T   / a ? c = 1 & v = 2          bit 0 is the leftmost byte
//! mask &  0 0 0 0 0 0 0 0 0 0 1 0 0 0   = 1 << 10
//! mask ?  0 0 0 0 0 0 1 0 0 0 0 0 0 0   = 1 << 6
//! ```
//!
//! Building all masks of a request takes one load and one comparison per byte value, where a search per byte value
//! (`memchr`) would start anew for each of the many short parts of a query.
//!
//! The instructions are chosen once, when a parser is made: AVX-512, AVX2, or eight bytes at a time in a word. A
//! property test compares them.

mod portable;
mod request;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

pub(super) use self::{portable::equal, request::RequestMasks};

/// The fastest function on this machine that finds the masks of 64 bytes of a request.
pub(in crate::format) fn request_masks() -> fn(&[u8; 64]) -> RequestMasks<u64> {
    #[cfg(target_arch = "x86_64")]
    return x86::request_masks();
    #[cfg(not(target_arch = "x86_64"))]
    portable::request_masks
}

/// The fastest function on this machine that finds the masks of `&` and `=` in 64 bytes of a query.
pub(in crate::format) fn pair_masks() -> fn(&[u8; 64]) -> [u64; 2] {
    #[cfg(target_arch = "x86_64")]
    return x86::pair_masks();
    #[cfg(not(target_arch = "x86_64"))]
    portable::pair_masks
}

/// The offset of the first quote, backslash or control character in 16 bytes of a JSON string. All processors of x86-64 have
/// the instructions for it.
#[inline(always)]
pub(in crate::format) fn first_special(chunk: &[u8; 16]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    return x86::first_special(chunk);
    #[cfg(not(target_arch = "x86_64"))]
    portable::first_special(chunk)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_special_byte_is_found(text in "[ab\\\\\"\x00\x1f\x20\x7f]{16}", high in 0_usize..16, byte: u8) {
            let mut chunk: [u8; 16] = text.as_bytes().try_into().unwrap();
            chunk[high] = byte;
            let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
            let expected = chunk.iter().position(is_special);
            prop_assert_eq!(first_special(&chunk), expected);
            prop_assert_eq!(portable::first_special(&chunk), expected);
        }

        #[test]
        fn every_way_finds_the_masks_of_the_portable_one(text in "[&?#%+/.a]{64}") {
            let chunk = text.as_bytes().first_chunk().unwrap();
            prop_assert_eq!(request_masks()(chunk), portable::request_masks(chunk));
            prop_assert_eq!(pair_masks()(chunk), portable::pair_masks(chunk));
            let amount = portable::request_masks(chunk).encoded.count_ones() as usize;
            prop_assert_eq!(amount, text.matches(['%', '+']).count());
        }
    }
}
