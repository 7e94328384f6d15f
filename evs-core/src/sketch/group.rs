//! [`Group`]: rows that are put together, and what they say.

use super::{
    decimal::Decimal,
    definition::{bucket_alpha, rank_field, slot_field},
    distinct::{Distinct, RANK_MAX, REGISTERS},
    error::TotalsError,
    totals::Totals,
};
use crate::{
    batch::escape,
    statistic::{MeasureColumn, MeasureKind},
};

/// The decimal places of a quantile that count. More would be lost in any number of lines.
const QUANTILE_PLACES: usize = 18;

/// Rows with the same keys, the same window, or both. [`Totals::group_by`] makes it.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{MeasureColumn, MeasureKind, Rows, Schema, Totals};
///
/// let measures = vec![
///     MeasureColumn::new("hits", MeasureKind::Count, "", 0),
///     MeasureColumn::new("revenue", MeasureKind::Sum, "arg_v", 2),
/// ];
/// let schema = Schema::new("sales", 60, Vec::new(), measures);
/// let mut rows = Rows::new(0, 2);
/// rows.push(0, [], &[Some(3), Some(1_050)]);
/// rows.push(60, [], &[Some(1), None]);
///
/// let mut totals = Totals::new(&schema, 0..120);
/// totals.add(&rows)?;
/// let whole = totals.whole();
/// assert_eq!(whole.total("revenue")?.expect("there are sales").to_string(), "10.50");
/// assert_eq!(whole.average("revenue", "hits")?, Some(2.625));
/// assert_eq!(whole.rate("hits")?, 4.0 / 120.0);
/// # Ok::<(), evs::TotalsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Group<'t> {
    pub(super) totals: &'t Totals<'t>,
    pub(super) window: Option<i64>,
    /// The key columns by which it was grouped, and their values.
    pub(super) keys: Vec<(usize, &'t [u8])>,
    pub(super) rows: Vec<usize>,
}

/// A quantile of a histogram. [`Group::quantile`] returns it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Quantile {
    /// The number that stands for the bucket in which the quantile is.
    pub value: f64,
    /// The relative error of the column's buckets. For a quantile `x` from 10^-9 to 10^18, the value is at most `x` times this
    /// away from `x`: always, and not only mostly.
    pub relative_error: f64,
}

impl<'t> Group<'t> {
    /// The start of the window, in seconds since 1970. `None` if it was not grouped by [windows](Totals::each).
    pub fn window_start(&self) -> Option<i64> {
        self.window
    }

    /// The value of a key column by which it was grouped.
    ///
    /// # Errors
    ///
    /// [`TotalsError::UnknownColumn`] if it was not grouped by such a column.
    pub fn key(&self, column: &str) -> Result<&'t [u8], TotalsError> {
        let is_it = |(index, _): &&(usize, _)| self.totals.schema.keys[*index].name == column;
        let found = self.keys.iter().find(is_it);
        found.map(|(_, key)| *key).ok_or_else(|| TotalsError::unknown(column))
    }

    /// The total of a measure: the number of lines, the sum, the smallest or the largest value, as the measure is. `None` if
    /// no row has a value.
    ///
    /// # Errors
    ///
    /// [`TotalsError::UnknownColumn`] if there is no such measure, and [`TotalsError::Overflow`] if the total does not fit.
    pub fn total(&self, measure: &str) -> Result<Option<Decimal>, TotalsError> {
        let at = self.totals.measure_index(measure)?;
        let column = &self.totals.schema.measures[at];
        let merge = |total, row: &usize| column.kind.merge(total, self.totals.values(*row)[at]);
        let total = self.rows.iter().try_fold(None, merge).ok_or_else(|| TotalsError::overflow(measure))?;
        Ok(total.map(|value| Decimal { value, scale: column.scale }))
    }

    /// The total of the measure `sum` divided by that of the measure `count`. `None` if no line was counted, or none had a
    /// value.
    ///
    /// A line whose value is `-` adds nothing to the sum, but is counted. Exclude such lines with a condition of the
    /// statistic, if the average is to be that of the others.
    ///
    /// # Errors
    ///
    /// [`TotalsError::WrongColumn`] if the measures are not a sum and a count; otherwise as [`total`](Self::total).
    pub fn average(&self, sum: &str, count: &str) -> Result<Option<f64>, TotalsError> {
        self.check_kind(sum, &[MeasureKind::Sum], "a sum")?;
        self.check_kind(count, &[MeasureKind::Count], "a count")?;
        let (Some(sum), Some(count)) = (self.total(sum)?, self.total(count)?) else { return Ok(None) };
        Ok((count.value > 0).then(|| sum.to_f64() / count.to_f64()))
    }

    /// The total of a count or sum per second, over the time of all windows that are looked at: those of the group's
    /// [window](Self::window_start), or those of [`Totals::new`]. Windows without rows are part of that time.
    ///
    /// A window that has not ended yet counts as a whole one, so the range of windows should end before it. The result is not
    /// a number (NaN) if the range has no window.
    ///
    /// # Errors
    ///
    /// [`TotalsError::WrongColumn`] if the measure is neither; otherwise as [`total`](Self::total).
    pub fn rate(&self, measure: &str) -> Result<f64, TotalsError> {
        self.check_kind(measure, &[MeasureKind::Count, MeasureKind::Sum], "a count or a sum")?;
        let total = self.total(measure)?.map_or(0.0, Decimal::to_f64);
        Ok(total / self.totals.seconds(self.window))
    }

    /// The value below or at which the part `q` of all lines is, 0 to 1: 0.5 is the median, 0.99 the value that only one line
    /// of 100 exceeds. `None` if no line has a number.
    ///
    /// `bucket` is a key column whose field is `bucket(…)`. Lines are counted by the first measure that is a count. Lines
    /// without a number, whose bucket is `-`, are left out. The quantile is that of rank ⌈q n⌉ among n values, and of
    /// rank 1 for 0; `q` counts as the decimal number that it prints as.
    ///
    /// # Errors
    ///
    /// [`TotalsError::WrongColumn`] if the column has no buckets, [`TotalsError::NoCount`] if no measure is a count,
    /// [`TotalsError::InvalidQuantile`], [`TotalsError::InvalidValue`] if a row is damaged, [`TotalsError::UnknownColumn`]
    /// and [`TotalsError::Overflow`].
    pub fn quantile(&self, bucket: &str, q: f64) -> Result<Option<Quantile>, TotalsError> {
        let column = self.totals.key_index(bucket)?;
        let relative_error = bucket_alpha(&self.totals.schema.keys[column].field)
            .ok_or_else(|| TotalsError::wrong(bucket, "a bucket"))?;
        if !(0.0..=1.0).contains(&q) {
            return Err(TotalsError::InvalidQuantile { q });
        }
        let mut counts = self.histogram(column)?;
        counts.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        let sum = |sum: i128, (_, count): &(f64, i128)| sum.checked_add(*count);
        let lines = counts.iter().try_fold(0, sum);
        let rank = lines.and_then(|lines| rank(q, lines));
        let mut rank = rank.ok_or_else(|| TotalsError::overflow(bucket))?;
        for (value, count) in counts {
            rank -= count;
            if rank <= 0 {
                return Ok(Some(Quantile { value, relative_error }));
            }
        }
        Ok(None)
    }

    /// The number of distinct values of a field: an estimate, and its registers.
    ///
    /// `column` is a key column whose field is `distinct_slot(…)`, or the measure whose field is `distinct_rank(…)`. The
    /// registers are merged over all rows of the group: a value that several windows, keys or sources have seen counts once.
    ///
    /// # Errors
    ///
    /// [`TotalsError::WrongColumn`] if the schema does not have both columns, [`TotalsError::InvalidValue`] if a row is
    /// damaged, and [`TotalsError::UnknownColumn`].
    pub fn distinct(&self, column: &str) -> Result<Distinct, TotalsError> {
        let (slots, ranks) = self.registers(column)?;
        let mut distinct = Distinct::empty();
        for row in &self.rows {
            let (slot, rank) = (self.totals.keys(*row)[slots], self.totals.values(*row)[ranks]);
            let Some(rank) = rank else { continue };
            let is_register = |slot: &u16| usize::from(*slot) < REGISTERS;
            let Some(slot) = number(slot).filter(is_register) else {
                return Err(self.invalid_key(slots, slot));
            };
            let Some(rank) = u8::try_from(rank).ok().filter(|rank| *rank <= RANK_MAX) else {
                let column = self.totals.schema.measures[ranks].name.clone();
                return Err(TotalsError::InvalidValue { column, found: rank.to_string() });
            };
            distinct.raise(slot, rank);
        }
        Ok(distinct)
    }

    /// The value and the count of each row, in no order. A bucket may be there more than once.
    fn histogram(&self, column: usize) -> Result<Vec<(f64, i128)>, TotalsError> {
        let is_count = |measure: &MeasureColumn| measure.kind == MeasureKind::Count;
        let count = self.totals.schema.measures.iter().position(is_count).ok_or(TotalsError::NoCount)?;
        let mut counts = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let (key, count) = (self.totals.keys(*row)[column], self.totals.values(*row)[count]);
            if key == b"-" {
                continue;
            }
            let value: Option<f64> = number(key).filter(|value: &f64| value.is_finite());
            let Some(value) = value else { return Err(self.invalid_key(column, key)) };
            counts.push((value, count.unwrap_or(0)));
        }
        Ok(counts)
    }

    /// The key column of slots and the measure of ranks that belong together.
    fn registers(&self, column: &str) -> Result<(usize, usize), TotalsError> {
        const EXPECTED: &str = "a distinct count";
        let schema = self.totals.schema;
        let field = match (self.totals.key_index(column), self.totals.measure_index(column)) {
            (Ok(key), _) => slot_field(&schema.keys[key].field),
            (_, Ok(measure)) => rank_field(&schema.measures[measure].field),
            (Err(unknown), _) => return Err(unknown),
        };
        let field = field.ok_or_else(|| TotalsError::wrong(column, EXPECTED))?;
        let slots = schema.keys.iter().position(|key| slot_field(&key.field) == Some(field));
        let ranks = schema.measures.iter().position(|measure| {
            measure.kind == MeasureKind::Max && rank_field(&measure.field) == Some(field)
        });
        slots.zip(ranks).ok_or_else(|| TotalsError::wrong(column, EXPECTED))
    }

    fn check_kind(
        &self,
        measure: &str,
        kinds: &[MeasureKind],
        expected: &'static str,
    ) -> Result<(), TotalsError> {
        let column = &self.totals.schema.measures[self.totals.measure_index(measure)?];
        if kinds.contains(&column.kind) { Ok(()) } else { Err(TotalsError::wrong(measure, expected)) }
    }

    fn invalid_key(&self, column: usize, key: &[u8]) -> TotalsError {
        let column = self.totals.schema.keys[column].name.clone();
        TotalsError::InvalidValue { column, found: escape(key).into_owned() }
    }
}

/// ⌈`q` `lines`⌉, and at least 1. It is computed with the decimal number that `q` prints as: as doubles, 0.07 times 100 is
/// more than 7. `None` if the product does not fit 128 bits.
fn rank(q: f64, lines: i128) -> Option<i128> {
    let text = q.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = &fraction[..fraction.len().min(QUANTILE_PLACES)];
    let power = 10_i128.pow(fraction.len() as u32);
    let scaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    let product = scaled.checked_mul(lines)?;
    Some((product.checked_add(power - 1)? / power).max(1))
}

/// The number that a key is.
fn number<T: std::str::FromStr>(key: &[u8]) -> Option<T> {
    std::str::from_utf8(key).ok()?.parse().ok()
}
