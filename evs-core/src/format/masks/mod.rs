//! Bit masks of 64 bytes, at whose bits requests and queries are cut. The reference uses them as well as the fast path.
//!
//! In the mask of `&` for `a=1&b=2`, for example, bit 3 is set.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
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
