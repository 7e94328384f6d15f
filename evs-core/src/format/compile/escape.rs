//! The escaping of a format.

/// What nginx does to bytes of a value that could be taken for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Escape {
    /// `\xHH`
    Default,
    /// As in a JSON string.
    Json,
    /// Nothing.
    None,
}
