//! Why a line is bad.

use std::fmt;

use crate::number::NumberError;

/// A line that is not counted: why, and from where on it does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What is wrong.
    pub reason: Reason,
    /// Where, as a byte of the line counted from 1.
    pub column: u32,
}

impl Rejection {
    /// At `offset`, counted from 0.
    pub(crate) fn at(offset: usize, reason: Reason) -> Self {
        Self { reason, column: u32::try_from(offset).unwrap_or(u32::MAX).saturating_add(1) }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.reason)
    }
}

impl std::error::Error for Rejection {}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// There is nothing in the line.
    Empty,
    /// The line is longer than the limit.
    LineTooLong,
    /// The line has a NUL byte in it.
    Nul,
    /// The line begins with a byte order mark.
    ByteOrderMark,
    /// The text that the format has here is not here.
    Literal,
    /// A field does not end.
    Unterminated,
    /// A field that is never empty is empty.
    EmptyField,
    /// A list of tries is not joined by `, ` and ` : `.
    List,
    /// Something follows the end of the format.
    Leftover,
    /// No key holds the time.
    NoTime,
    /// The time does not look like one.
    Time,
    /// The time looks like one, but there is no such date, time of day or offset.
    Date,
    /// A configured store cannot hold the window of that time.
    TimeOutOfRange,
    /// The time is later than the pipeline accepts lines.
    TimeAhead,
    /// A configured store cannot hold a key of that length.
    KeyTooLong,
    /// Not a number.
    NotANumber,
    /// A number that does not fit.
    NumberTooLarge,
    /// A number outside of the measure's range.
    NumberOutOfRange,
    /// A number with more digits behind the point than the measure's scale.
    TooManyDigits,
    /// Not a JSON object.
    Json,
    /// A JSON string with a bad escape, half a surrogate pair or a control character.
    JsonString,
    /// JSON that is nested too deeply.
    JsonDepth,
    /// A field of an LTSV line without a label.
    Label,
}

impl Reason {
    /// A short name that does not change, for metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::LineTooLong => "line_too_long",
            Self::Nul => "nul",
            Self::ByteOrderMark => "byte_order_mark",
            Self::Literal => "literal",
            Self::Unterminated => "unterminated",
            Self::EmptyField => "empty_field",
            Self::List => "list",
            Self::Leftover => "leftover",
            Self::NoTime => "no_time",
            Self::Time => "time",
            Self::Date => "date",
            Self::TimeOutOfRange => "time_out_of_range",
            Self::TimeAhead => "time_ahead",
            Self::KeyTooLong => "key_too_long",
            Self::NotANumber => "not_a_number",
            Self::NumberTooLarge => "number_too_large",
            Self::NumberOutOfRange => "number_out_of_range",
            Self::TooManyDigits => "too_many_digits",
            Self::Json => "json",
            Self::JsonString => "json_string",
            Self::JsonDepth => "json_depth",
            Self::Label => "label",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the line is empty",
            Self::LineTooLong => "the line is longer than the limit",
            Self::Nul => "the line holds a NUL byte",
            Self::ByteOrderMark => "the line begins with a byte order mark",
            Self::Literal => "the format has another text here",
            Self::Unterminated => "the field that begins here does not end",
            Self::EmptyField => "a field that is never empty is empty",
            Self::List => "not a list joined by `, ` and ` : `",
            Self::Leftover => "the format ends here, the line does not",
            Self::NoTime => "no key holds the time",
            Self::Time => "not a time",
            Self::Date => "no such date, time of day or offset",
            Self::TimeOutOfRange => "a store cannot hold the window of that time",
            Self::TimeAhead => "the time is too far ahead of the clock",
            Self::KeyTooLong => "a store cannot hold a key of that length",
            Self::NotANumber => "not a number",
            Self::NumberTooLarge => "number too large",
            Self::NumberOutOfRange => "number outside of the measure's range",
            Self::TooManyDigits => "more digits behind the point than the measure's scale",
            Self::Json => "not a JSON object",
            Self::JsonString => "bad escape, half a surrogate pair or control character in a JSON string",
            Self::JsonDepth => "JSON nested too deeply",
            Self::Label => "a field without a label",
        })
    }
}

impl From<NumberError> for Reason {
    fn from(error: NumberError) -> Self {
        match error {
            NumberError::NotANumber => Self::NotANumber,
            NumberError::TooLarge => Self::NumberTooLarge,
            NumberError::TooManyDigits => Self::TooManyDigits,
        }
    }
}
