//! [`Totals`]: rows that were read back from a store, and their groups.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use super::{error::TotalsError, group::Group};
use crate::{
    batch::Rows,
    statistic::{KeyColumn, MeasureColumn, Schema},
};

/// The rows of a statistic, read back with [`Sink::totals`](crate::Sink::totals), from which answers are computed.
///
/// [`group_by`](Self::group_by) puts rows together by any of the key columns, and [`each`](Self::each) by windows. A
/// [`Group`] then has exact totals, averages, rates, quantiles and distinct counts.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{KeyColumn, MeasureColumn, MeasureKind, Rows, Schema, Totals};
///
/// // As a pipeline defines it for requests by host, with the time of a request in buckets of 1 %.
/// let keys =
///     vec![KeyColumn::new("host", "host"), KeyColumn::new("seconds", "bucket(request_time, 0.01)")];
/// let measures = vec![MeasureColumn::new("count", MeasureKind::Count, "", 0)];
/// let schema = Schema::new("times", 60, keys, measures);
///
/// // As `sink.totals(&schema, 0..120).await?` returns them.
/// let mut rows = Rows::new(2, 1);
/// rows.push(0, [&b"a.org"[..], b"0.102"], &[Some(90)]);
/// rows.push(0, [&b"a.org"[..], b"2.515"], &[Some(10)]);
/// rows.push(60, [&b"b.org"[..], b"0.102"], &[Some(20)]);
///
/// let mut totals = Totals::new(&schema, 0..120);
/// totals.add(&rows)?;
/// assert_eq!(totals.whole().total("count")?.map(|count| count.value), Some(120));
/// for host in totals.group_by(&["host"])? {
///     let slow = host.quantile("seconds", 0.99)?.expect("all lines have a time");
///     assert_eq!(slow.value, if host.key("host")? == b"a.org" { 2.515 } else { 0.102 });
///     assert_eq!(slow.relative_error, 0.01);
/// }
/// # Ok::<(), evs::TotalsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Totals<'r> {
    pub(super) schema: &'r Schema,
    /// The windows that are looked at: the starts of the first and after the last.
    windows: Range<i64>,
    /// The length of the windows by which rows are grouped, in seconds. `None` puts all windows together.
    each: Option<i64>,
    /// The start of the window of each row.
    starts: Vec<i64>,
    /// The keys of all rows, one row after the other.
    keys: Vec<&'r [u8]>,
    /// The values of all rows, one row after the other.
    values: Vec<Option<i128>>,
}

impl<'r> Totals<'r> {
    /// Begins without rows. `windows` are those whose starts lie in that range, in seconds since 1970. It should be the range
    /// that was given to [`Sink::totals`](crate::Sink::totals), or a part of it.
    ///
    /// The range decides the time of a [rate](Group::rate): a window without rows is a window without lines.
    pub fn new(schema: &'r Schema, windows: Range<i64>) -> Self {
        Self { schema, windows, each: None, starts: Vec::new(), keys: Vec::new(), values: Vec::new() }
    }

    /// Adds rows, for example of several stores. Rows of other windows are left out.
    ///
    /// # Errors
    ///
    /// [`TotalsError::WrongRows`] if they do not have the columns of the schema.
    pub fn add(&mut self, rows: &'r Rows) -> Result<(), TotalsError> {
        let (keys, measures) = (self.schema.keys.len(), self.schema.measures.len());
        let (found_keys, found_measures) = (rows.key_columns(), rows.measure_columns());
        if (keys, measures) != (found_keys, found_measures) {
            return Err(TotalsError::WrongRows { keys, measures, found_keys, found_measures });
        }
        for row in rows {
            if self.windows.contains(&row.window_start) {
                self.starts.push(row.window_start);
                self.keys.extend_from_slice(&row.keys);
                self.values.extend_from_slice(&row.values);
            }
        }
        Ok(())
    }

    /// Groups by windows of this length, too: 3600 s for the hours of a statistic of minutes. Without it, a group has all
    /// windows.
    ///
    /// # Errors
    ///
    /// [`TotalsError::InvalidWindow`] if the length is not a multiple of the statistic's.
    pub fn each(mut self, length: Duration) -> Result<Self, TotalsError> {
        let window_seconds = self.schema.window_seconds;
        let seconds = i64::try_from(length.as_secs()).unwrap_or(0);
        if length.subsec_nanos() != 0 || seconds == 0 || seconds % i64::from(window_seconds.max(1)) != 0 {
            return Err(TotalsError::InvalidWindow { length, window_seconds });
        }
        self.each = Some(seconds);
        Ok(self)
    }

    /// Puts the rows with the same values in the given key columns together, in the order of windows and of these values.
    /// No column puts all of them together. Groups without rows are not there.
    ///
    /// A bucket or slot is a key column as any other. Leave it out, and a total is that over all buckets.
    ///
    /// # Errors
    ///
    /// [`TotalsError::UnknownColumn`] for a name that no key column has.
    pub fn group_by(&self, columns: &[&str]) -> Result<Vec<Group<'_>>, TotalsError> {
        let columns = columns.iter().map(|name| self.key_index(name)).collect::<Result<Vec<_>, _>>()?;
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for row in 0..self.starts.len() {
            let keys: Vec<_> = columns.iter().map(|column| self.keys(row)[*column]).collect();
            groups.entry((self.window_of(row), keys)).or_default().push(row);
        }
        let group = |((window, keys), rows)| {
            let keys = columns.iter().copied().zip(keys).collect();
            Group { totals: self, window, keys, rows }
        };
        Ok(groups.into_iter().map(group).collect())
    }

    /// All rows as one group, which may be empty. [`each`](Self::each) does not count here.
    pub fn whole(&self) -> Group<'_> {
        let rows = (0..self.starts.len()).collect();
        Group { totals: self, window: None, keys: Vec::new(), rows }
    }

    /// The time that the statistic's windows within a group's window have, in seconds.
    pub(super) fn seconds(&self, group_window: Option<i64>) -> f64 {
        let length = i128::from(self.schema.window_seconds.max(1));
        let (mut start, mut end) = (i128::from(self.windows.start), i128::from(self.windows.end));
        if let (Some(window), Some(each)) = (group_window, self.each) {
            start = start.max(window.into());
            end = end.min(i128::from(window) + i128::from(each));
        }
        // Windows start at multiples of their length.
        let windows_before = |time: i128| -((-time).div_euclid(length));
        ((windows_before(end) - windows_before(start)).max(0) * length) as f64
    }

    /// The start of the window in which a row is grouped.
    fn window_of(&self, row: usize) -> Option<i64> {
        let start = self.starts[row];
        Some(start.saturating_sub(start.rem_euclid(self.each?)))
    }

    /// The keys of a row.
    pub(super) fn keys(&self, row: usize) -> &[&'r [u8]] {
        let columns = self.schema.keys.len();
        &self.keys[row * columns..][..columns]
    }

    /// The values of a row.
    pub(super) fn values(&self, row: usize) -> &[Option<i128>] {
        let columns = self.schema.measures.len();
        &self.values[row * columns..][..columns]
    }

    /// The key column of that name.
    pub(super) fn key_index(&self, name: &str) -> Result<usize, TotalsError> {
        let is_it = |column: &KeyColumn| column.name == name;
        self.schema.keys.iter().position(is_it).ok_or_else(|| TotalsError::unknown(name))
    }

    /// The measure column of that name.
    pub(super) fn measure_index(&self, name: &str) -> Result<usize, TotalsError> {
        let is_it = |column: &MeasureColumn| column.name == name;
        self.schema.measures.iter().position(is_it).ok_or_else(|| TotalsError::unknown(name))
    }
}
