//! The values of a statement, and the types of the columns that hold them.
//!
//! A column is named by its purpose, and the dialect gives it a type: `Count` is BIGINT in PostgreSQL and INTEGER in
//! SQLite. That keeps the knowledge of types in one place for each store, for creating tables and for checking them.

/// The purpose of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnType {
    /// Integers of 64 bits.
    Integer,
    /// A point in time in UTC, to the second.
    Time,
    /// The value of a count.
    Count,
    /// The exact numbers of a minimum or maximum, with the given number of decimal places.
    Decimal(u8),
    /// The exact totals of a sum, with the given number of decimal places.
    Sum(u8),
    /// Text that is part of a primary key and compares byte by byte.
    Key,
    /// The hash of a row's keys, in the primary key.
    KeyHash,
    /// A key's text, in a table whose primary key has the hash. It compares byte by byte, too.
    KeyText,
    /// Any other text, of any length.
    Text,
}

/// A bound parameter, or a column of a row that a query returned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A point in time, in seconds since 1970.
    Time(i64),
    /// A text. Exact decimals that are wider than an integer are also written and read as text.
    Text(String),
    /// The hash of a row's keys.
    Hash([u8; 16]),
    /// The values of a column of the given type, for many rows. It is only bound where [`Dialect::rows_of_lists`](crate::Dialect::rows_of_lists)
    /// asks for it.
    List(ColumnType, Vec<Value>),
}

impl Value {
    /// The integer, if it is one.
    pub(crate) fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// An upper bound for the bytes that the value takes in a statement.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) | Self::Time(_) | Self::Hash(_) => 32,
            Self::Text(text) => text.len() + 16,
            Self::List(_, values) => 32 + values.iter().map(Self::bytes).sum::<usize>(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
