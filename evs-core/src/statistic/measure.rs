//! [`Measure`]: a number that a statistic keeps per row.
//!
//! All measures are numbers that can be merged: the total of two parts of the log follows from the totals of the
//! parts. That is the condition under which batches can be added up in any store, by several sources and after any
//! crash. An average or a median cannot be merged. A user gets the average from a sum and a count, and a distribution
//! from a statistic that is grouped by the value.

use std::ops::RangeInclusive;

use super::schema::MeasureKind;
use crate::{
    derive::Field,
    number::{Elements, Rounding},
    sink::Limits,
};

/// A number that a statistic keeps per row. [`count`], [`sum`], [`min`] and [`max`] make one.
///
/// Numbers are exact. A value is read as an integer times 10^[`scale`](Self::scale), lines carry 64 bits and totals
/// 128 bits. Nothing is ever wrapped, and nothing is rounded unless [`rounding`](Self::rounding) says so. A value that does not fit rejects
/// its line, unless the measure is [lenient](Self::lenient).
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Statistic, arg, count, max, min, sum};
///
/// let statistic = Statistic::named("purchases")
///     .group_by(["host"])
///     .measure(count())
///     .measure(sum(arg("price")).scale(2).named("revenue"))
///     .measure(min("request_time").scale(3))
///     .measure(max("request_time").scale(3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    pub(crate) kind: MeasureKind,
    /// The field; none for a count.
    pub(crate) field: Option<Field>,
    /// The number of decimal places.
    pub(crate) scale: u8,
    /// What becomes of further decimal places.
    pub(crate) rounding: Rounding,
    /// True if a value may be a list.
    pub(crate) is_list: bool,
    /// What becomes of the numbers of a list.
    pub(crate) elements: Elements,
    /// True if a value that is no number, or out of range, is absent.
    pub(crate) is_lenient: bool,
    /// The values that a line may have, in whole units.
    pub(crate) within: Option<RangeInclusive<i64>>,
    /// The user's name for the column.
    pub(crate) name: Option<String>,
}

/// The number of lines. Its column is `count`, unless [`named`](Measure::named) otherwise.
pub fn count() -> Measure {
    Measure {
        kind: MeasureKind::Count,
        field: None,
        scale: 0,
        rounding: Rounding::Exact,
        is_list: false,
        elements: Elements::Sum,
        is_lenient: false,
        within: None,
        name: None,
    }
}

/// The exact sum of `field`. Its column is `FIELD_sum`, unless [`named`](Measure::named) otherwise.
///
/// A line whose value is `-` or empty adds nothing. In a field that is a list of upstream servers, such as
/// `upstream_response_time`, the elements of a line are added up: `0.001, 0.002` counts as 0.003. See
/// [`elements`](Measure::elements) for other choices.
///
/// A total has up to 128 bits. The value of a line has up to 64 as it is written, and up to 94 times 10^scale, unless it is a
/// list, `min` or `max` reads it at the same scale in any statistic, [`within`](Measure::within) limits it, or a store cannot
/// hold thousands of such values. A line with a larger value is rejected.
pub fn sum(field: impl Into<Field>) -> Measure {
    Measure::of(MeasureKind::Sum, field.into())
}

/// The smallest value of `field`. Its column is `FIELD_min`, unless [`named`](Measure::named) otherwise. It is absent
/// (NULL) in a row whose lines all have `-` or nothing.
pub fn min(field: impl Into<Field>) -> Measure {
    Measure::of(MeasureKind::Min, field.into())
}

/// The largest value of `field`. Its column is `FIELD_max`, unless [`named`](Measure::named) otherwise. It is absent
/// (NULL) in a row whose lines all have `-` or nothing.
pub fn max(field: impl Into<Field>) -> Measure {
    Measure::of(MeasureKind::Max, field.into())
}

impl Measure {
    fn of(kind: MeasureKind, field: Field) -> Self {
        Self { kind, field: Some(field), ..count() }
    }

    /// The number of decimal places of the values: 0 (the default) to 18.
    ///
    /// A duration with units, such as `12ms`, `35µs` or `2m3s`, is read as seconds, except in a field that a client writes
    /// (`arg_…`, `http_…`, `cookie_…`): there it is not a number.
    ///
    /// A line with a value of more decimal places is rejected, unless the surplus ones are zeros or
    /// [`rounding`](Self::rounding) says otherwise. In a sink without exact decimals the column holds the value times 10^scale.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::{max, sum};
    /// // nginx prints times with three decimal places.
    /// let slowest = max("request_time").scale(3);
    /// // Prices in cents: 1.5 is held as 150, and 1.505 rejects the line.
    /// let revenue = sum("arg_price").scale(2);
    /// ```
    #[must_use]
    pub fn scale(mut self, digits: u8) -> Self {
        self.scale = digits;
        self
    }

    /// What becomes of decimal places beyond the [`scale`](Self::scale). By default, they reject the line. The choice is
    /// part of the definition: a statistic cannot change it.
    ///
    /// The sum of a [list](Self::list), and that of the parts of a duration such as `1ms500us`, is rounded as a whole; only if it
    /// has more than 12 decimal places or is beyond millions, its numbers are rounded one by one.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::{Rounding, sum};
    /// let duration = sum("duration").scale(9).rounding(Rounding::HalfEven);
    /// ```
    #[must_use]
    pub fn rounding(mut self, rounding: Rounding) -> Self {
        self.rounding = rounding;
        self
    }

    /// The field is a list of numbers joined by `, ` and ` : `, as nginx writes one for each upstream server that it tried.
    /// They are added up, unless [`elements`](Self::elements) says otherwise, and `-` is no number among them.
    ///
    /// nginx's own lists, such as `$upstream_response_time`, need no such word. Others do: the same value under a key of
    /// JSON, for example. The choice is part of the definition: a statistic cannot change it.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::sum;
    /// // {"duration": "0.518 : 0.009"} is 0.527.
    /// let duration = sum("duration").scale(3).list();
    /// ```
    #[must_use]
    pub fn list(mut self) -> Self {
        self.is_list = true;
        self
    }

    /// The field is a list of numbers, as for [`list`](Self::list), and this becomes of them. The choice is part of the
    /// definition: a statistic cannot change it.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::{Elements, max};
    /// // Of `0.518 : 0.009`, the time of the server that answered is 0.009.
    /// let slowest = max("upstream_response_time").scale(3).elements(Elements::Last);
    /// ```
    #[must_use]
    pub fn elements(mut self, elements: Elements) -> Self {
        (self.is_list, self.elements) = (true, elements);
        self
    }

    /// A value that is no number, has too many decimal places or is out of range is absent in this measure, and its line counts
    /// everywhere else. By default it rejects the line, in all statistics.
    ///
    /// [`Status::bad_values`](crate::Status::bad_values) counts what was left out. The choice is part of the definition: a
    /// statistic cannot change it. A line that does not have the log's format is rejected in any case: nginx writes nothing but
    /// a number for a variable such as `$body_bytes_sent`.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::{arg, sum};
    /// // `?price=free` is a request, and adds nothing to the revenue.
    /// let revenue = sum(arg("price")).scale(2).within(0..=100_000).lenient();
    /// ```
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.is_lenient = true;
        self
    }

    /// The values that a line may have, in whole units (seconds, for a time with three decimal places). A line with
    /// any other value is rejected, in all statistics, unless the measure is [lenient](Self::lenient).
    ///
    /// By default, a value may be any number of 64 bits, since all of evs's own sinks can hold the totals. The
    /// exception is a sink whose [`limits`](crate::Sink::limits) have narrow totals. A line may then add at most an
    /// eight thousandth of the largest total, so that eight thousand lines with that value fit into a row.
    ///
    /// Set a range for every value that clients choose: otherwise one request with `price=9223372036854775807` makes
    /// the sum useless.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # use evs::{arg, sum};
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

    /// Names the column of the measure. By default, the column is `count` or `FIELD_sum`, `FIELD_min`, `FIELD_max`,
    /// where `FIELD` is the field's column name.
    ///
    /// Two measures of the same kind and field need names, since the columns of a statistic must differ.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name of the column: the user's, or the default for the kind and field.
    pub(crate) fn column_name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let field = self.field.as_ref().map(Field::name).unwrap_or_default();
        match self.kind {
            MeasureKind::Count => "count".to_owned(),
            MeasureKind::Sum => format!("{field}_sum"),
            MeasureKind::Min => format!("{field}_min"),
            MeasureKind::Max => format!("{field}_max"),
        }
    }
}
