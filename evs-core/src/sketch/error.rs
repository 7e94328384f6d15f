//! [`TotalsError`]: the reasons why rows give no answer.

use std::time::Duration;

/// Rows cannot answer a question. [`Totals`](crate::Totals) and [`Group`](crate::Group) return it.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{MeasureColumn, MeasureKind, Schema, Totals, TotalsError};
///
/// let hits = MeasureColumn::new("hits", MeasureKind::Count, "", 0);
/// let schema = Schema::new("requests", 60, Vec::new(), vec![hits]);
/// let error = Totals::new(&schema, 0..60).whole().total("revenue").unwrap_err();
/// assert_eq!(error, TotalsError::UnknownColumn { column: "revenue".to_owned() });
/// assert_eq!(error.to_string(), "no column revenue");
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TotalsError {
    /// The rows do not have the number of columns that the schema has.
    #[error("rows of {found_keys} keys and {found_measures} measures, expected {keys} and {measures}")]
    WrongRows {
        /// The number of key columns of the schema.
        keys: usize,
        /// The number of measure columns of the schema.
        measures: usize,
        /// The number of key columns of the rows.
        found_keys: usize,
        /// The number of measure columns of the rows.
        found_measures: usize,
    },
    /// The schema has no column of that name, or not as a key, if a key is asked for.
    #[error("no column {column}")]
    UnknownColumn {
        /// The name.
        column: String,
    },
    /// The column holds something else.
    #[error("column {column} is not {expected}")]
    WrongColumn {
        /// The name of the column.
        column: String,
        /// What it would have to be, with its article: `a bucket`.
        expected: &'static str,
    },
    /// A quantile needs the number of lines of each bucket, and the schema has no [`count`](crate::count).
    #[error("no measure is a count")]
    NoCount,
    /// A quantile is not 0 to 1.
    #[error("a quantile of {q}: it must be 0 to 1")]
    InvalidQuantile {
        /// The quantile.
        q: f64,
    },
    /// Windows of that length do not consist of whole windows of the statistic.
    #[error("windows of {length:?} do not consist of windows of {window_seconds} s")]
    InvalidWindow {
        /// The length that was asked for.
        length: Duration,
        /// The length of the statistic's windows in seconds.
        window_seconds: u32,
    },
    /// A row has a key or value that its column cannot have. The store has been changed by something else, or is damaged.
    #[error("column {column} has {found:?}")]
    InvalidValue {
        /// The name of the column.
        column: String,
        /// The key or value, as [text](crate::escape).
        found: String,
    },
    /// A total does not fit 128 bits.
    #[error("the total of column {column} does not fit 128 bits")]
    Overflow {
        /// The name of the column.
        column: String,
    },
}

impl TotalsError {
    pub(super) fn unknown(column: &str) -> Self {
        Self::UnknownColumn { column: column.to_owned() }
    }

    pub(super) fn wrong(column: &str, expected: &'static str) -> Self {
        Self::WrongColumn { column: column.to_owned(), expected }
    }

    pub(super) fn overflow(column: &str) -> Self {
        Self::Overflow { column: column.to_owned() }
    }
}
