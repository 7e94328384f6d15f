//! The escaping of a format, as its `escape=` or its web server says.

use crate::format::decode::escape::{undo_apache, undo_default, undo_haproxy, undo_json};

/// The way in which the web server escapes bytes of a value that have a meaning in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format) enum Escape {
    /// `escape=default`: nginx writes `\xHH` for quotes, backslashes and bytes below 32 or above 126.
    Default,
    /// Apache writes `\"`, `\\`, `\n` and the like, and `\xHH` for other bytes. That includes all that nginx writes by
    /// default.
    Apache,
    /// HAProxy writes `#HH` for quotes, `#` and bytes below 32 or above 126.
    Haproxy,
    /// `escape=json`: nginx escapes as in a JSON string.
    Json,
    /// `escape=none`: nginx escapes nothing.
    None,
    /// A log with a `#Fields:` line: no value has its delimiter in it, and a backslash is an ordinary byte.
    Delimited,
    /// As `Delimited`, and the values of headers are percent-encoded, as CloudFront writes them.
    Percent,
}

impl Escape {
    /// Undoes the escapes of a value and appends it to a buffer.
    pub(in crate::format) fn undo(self, text: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Default => undo_default(text, out),
            Self::Apache => undo_apache(text, out),
            Self::Haproxy => undo_haproxy(text, out),
            Self::Json => undo_json(text, out),
            Self::None | Self::Delimited | Self::Percent => out.extend_from_slice(text),
        }
    }

    /// The byte that begins an escape.
    pub(in crate::format) fn byte(self) -> u8 {
        if self == Self::Haproxy { b'#' } else { b'\\' }
    }

    /// True if there are no escapes: a backslash is an ordinary byte.
    pub(in crate::format) fn is_verbatim(self) -> bool {
        matches!(self, Self::None | Self::Delimited | Self::Percent)
    }

    /// True for a log with a `#Fields:` line.
    pub(in crate::format) fn is_of_header(self) -> bool {
        matches!(self, Self::Delimited | Self::Percent)
    }

    /// True if a value may end with a backslash before its quote, which then does not end it.
    pub(in crate::format) fn has_escaped_quotes(self) -> bool {
        matches!(self, Self::Apache | Self::Json)
    }

    /// True if the web server writes `-` for a value that is not there.
    pub(in crate::format) fn has_dashes(self) -> bool {
        matches!(self, Self::Default | Self::Apache | Self::Haproxy | Self::Delimited | Self::Percent)
    }
}
