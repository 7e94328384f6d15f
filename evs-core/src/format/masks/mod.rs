//! Bit masks of 64 bytes, at whose bits requests and queries are cut. The reference uses them as well as the fast path.
//!
//! In the mask of `&` for `a=1&b=2`, for example, bit 3 is set.

mod portable;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

pub(super) use self::portable::equal;

/// The masks of the bytes at which a request is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) struct RequestMasks<M> {
    pub(in crate::format) ampersand: M,
    pub(in crate::format) question: M,
    /// `#`
    pub(in crate::format) fragment: M,
    /// `%` and `+`
    pub(in crate::format) encoded: M,
    pub(in crate::format) slash: M,
    pub(in crate::format) point: M,
}

impl RequestMasks<u64> {
    /// `equal` gives the mask of one byte.
    #[inline(always)]
    pub(super) fn new(equal: impl Fn(u8) -> u64) -> Self {
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
    pub(in crate::format) fn widened(self) -> RequestMasks<u128> {
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
    /// Joins the masks of the next 64 bytes to these.
    pub(in crate::format) fn with_high(self, high: RequestMasks<u64>) -> Self {
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
