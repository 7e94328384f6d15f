//! The masks of a request: one for each byte that ends a part of it.
//!
//! `M` is `u64` for the masks of 64 bytes, and `u128` for the longest request that is cut by masks, which has two
//! chunks.

/// The masks of the bytes at which a request is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) struct RequestMasks<M> {
    /// `&`: ends an argument.
    pub(in crate::format) ampersand: M,
    /// `?`: ends the path.
    pub(in crate::format) question: M,
    /// `#`: ends the path or the query. A target with one is not cut by masks.
    pub(in crate::format) fragment: M,
    /// `%` and `+`: a part with either must be decoded.
    pub(in crate::format) encoded: M,
    /// `/`: two of them, or one before a point, make a path that must be normalised.
    pub(in crate::format) slash: M,
    /// `.`
    pub(in crate::format) point: M,
}

impl RequestMasks<u64> {
    /// Makes the masks by `equal`, which gives the mask of one byte.
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

    /// The same masks with room for the next 64 bytes.
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
