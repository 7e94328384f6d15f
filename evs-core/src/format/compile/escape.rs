//! The escaping of a format, as its `escape=` says.

/// The way in which nginx escapes bytes of a value that have a meaning in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Escape {
    /// `escape=default`: nginx writes `\xHH` for quotes, backslashes and bytes below 32 or above 126.
    Default,
    /// `escape=json`: nginx escapes as in a JSON string.
    Json,
    /// `escape=none`: nginx escapes nothing.
    None,
}
