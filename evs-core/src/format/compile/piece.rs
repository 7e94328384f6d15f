//! The pieces of a format string: texts and variables, whatever the syntax of the string.

use super::class::Class;

/// A piece of a format string, with its offset in that string.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// A text that stands in each line as it is.
    Text(usize, String),
    /// A variable, by its name. Its class is told where the name does not tell it.
    Variable(usize, String, Option<Class>),
}

impl Piece {
    /// The offset of the piece in the format string.
    pub(super) fn offset(&self) -> usize {
        match self {
            Self::Text(offset, _) | Self::Variable(offset, ..) => *offset,
        }
    }
}
