//! The masks of a request.

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
