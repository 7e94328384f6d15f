//! The numbers that a statistic keeps per row: counts, sums and extremes.

use std::ops::RangeInclusive;

use super::{field::Field, schema::MeasureKind};
use crate::sink::Limits;

/// A number that a statistic keeps per row. [`count`], [`sum`], [`min`] and [`max`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    pub(crate) kind: MeasureKind,
    pub(crate) field: Option<Field>,
    pub(crate) scale: u8,
    pub(crate) within: Option<RangeInclusive<i64>>,
    pub(crate) name: Option<String>,
}

/// The number of lines.
pub fn count() -> Measure {
    Measure { kind: MeasureKind::Count, field: None, scale: 0, within: None, name: None }
}

/// The exact sum of `field`.
pub fn sum(field: impl Into<Field>) -> Measure {
    Measure::of(MeasureKind::Sum, field.into())
}

/// The smallest value of `field`.
pub fn min(field: impl Into<Field>) -> Measure {
    Measure::of(MeasureKind::Min, field.into())
}

/// The largest value of `field`.
pub fn max(field: impl Into<Field>) -> Measure {
    Measure::of(MeasureKind::Max, field.into())
}

impl Measure {
    fn of(kind: MeasureKind, field: Field) -> Self {
        Self { kind, field: Some(field), scale: 0, within: None, name: None }
    }

    /// The number of decimal places of the values: 0 (the default) to 18.
    ///
    /// A line with a value of more decimal places is rejected. The value is never rounded. In a sink without exact decimals
    /// the column holds the value times 10^scale.
    #[must_use]
    pub fn scale(mut self, digits: u8) -> Self {
        self.scale = digits;
        self
    }

    /// The values that a line may have, in whole units (seconds, for a time with three decimal places). A line with any
    /// other value is rejected, in all statistics.
    ///
    /// By default, a value may be any number of 64 bits, since all of evs's own sinks can hold the totals. The exception is
    /// a sink whose [`limits`](crate::Sink::limits) have narrow totals. A line may then add at most an eight thousandth of
    /// the largest total, so that eight thousand lines with that value fit into a row.
    ///
    /// ```
    /// # use evs_core::{arg, sum};
    /// let price = sum(arg("price")).scale(2).within(0..=100_000);
    /// ```
    #[must_use]
    pub fn within(mut self, values: RangeInclusive<i64>) -> Self {
        self.within = Some(values);
        self
    }

    /// The range of its values times 10^scale. `None` if a line may have any value.
    pub(crate) fn range(&self, limits: &Limits) -> Option<RangeInclusive<i64>> {
        if let Some(within) = &self.within {
            let power = 10_i64.checked_pow(self.scale.into()).unwrap_or(i64::MAX);
            return Some(within.start().saturating_mul(power)..=within.end().saturating_mul(power));
        }
        (self.kind == MeasureKind::Sum).then(|| limits.summands())
    }

    /// Names the column of the measure. By default, the column is `count` or `FIELD_sum`, `FIELD_min`,
    /// `FIELD_max`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    pub(crate) fn column_name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let field = self.field.as_ref().map_or("", Field::name);
        match self.kind {
            MeasureKind::Count => "count".to_owned(),
            MeasureKind::Sum => format!("{field}_sum"),
            MeasureKind::Min => format!("{field}_min"),
            MeasureKind::Max => format!("{field}_max"),
        }
    }
}
