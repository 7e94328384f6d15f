//! The table `evs_windows`: an index of the windows that have rows. It is needed because Cassandra only finds
//! partitions by their complete key.
//!
//! Example: the partition key of a statistic's table is (window, bucket). To find the rows of a day, a reader must
//! know the windows of that day, and Cassandra cannot list them without reading the whole table. This index has a row
//! for each window, in partitions of 10,000 windows each: with windows of a minute, a partition is about a week.
//!
//! A window is written to the index before its rows. If a process dies in between, the index has a window without
//! rows, which is harmless; the other way round a reader would miss rows.

use std::{
    collections::{BTreeSet, HashSet},
    ops::{Range, RangeInclusive},
    sync::{Arc, Mutex, PoisonError},
};

use evs_core::Schema;

use crate::{
    concurrent::Tasks,
    driver::{Session, StoreError, Value, query},
    names::{WINDOW_START, qualified},
    retention::time_to_live,
    shape::WINDOWS,
};

/// The range of windows, in seconds, that fit into a timestamp in milliseconds.
pub(crate) const RANGE: RangeInclusive<i64> = i64::MIN / 1000..=i64::MAX / 1000;

/// The number of windows in a partition of the index.
const SPAN_WINDOWS: i64 = 10_000;

/// Up to this number of partitions are queried one by one. For more, a query first finds out which ones exist.
const SPANS_MAX: i64 = 100;

/// The extra time that a window stays in the index after its rows have expired, since clocks differ.
const MARGIN_SECONDS: u64 = 86_400;

/// The number of windows that are remembered as written. Any others are written again.
const REMEMBERED_MAX: usize = 100_000;

/// The index of one statistic.
#[derive(Debug)]
pub(crate) struct Index {
    statistic: Arc<str>,
    span_seconds: i64,
    retain: Option<u64>,
    insert: Arc<str>,
    select: Arc<str>,
    spans: Arc<str>,
    /// The windows that are in the index already, and will not expire before the rows that this sink writes.
    written: Mutex<HashSet<i64>>,
    /// The number of requests that are sent at the same time.
    pool: usize,
}

impl Index {
    /// The index of the statistic of `schema`.
    pub(crate) fn new(keyspace: &str, schema: &Schema, pool: usize) -> Self {
        let table = qualified(keyspace, WINDOWS);
        Self {
            statistic: schema.statistic.as_str().into(),
            span_seconds: i64::from(schema.window_seconds.max(1)) * SPAN_WINDOWS,
            retain: schema.retain_seconds.map(|retain| retain.saturating_add(MARGIN_SECONDS)),
            insert: format!(
                "INSERT INTO {table} (statistic, span, {WINDOW_START}) VALUES (?, ?, ?) USING TTL ?"
            )
            .into(),
            select: format!(
                "SELECT {WINDOW_START} FROM {table} WHERE statistic = ? AND span = ? \
                 AND {WINDOW_START} >= ? AND {WINDOW_START} <= ?"
            )
            .into(),
            spans: format!("SELECT DISTINCT statistic, span FROM {table}").into(),
            written: Mutex::default(),
            pool,
        }
    }

    /// Writes the windows that are not in the index yet. It must be called before their rows are written.
    ///
    /// A batch mostly has windows that the batch before had, too. `written` remembers them, so a batch writes to the
    /// index only for new windows.
    pub(crate) async fn add(
        &self,
        session: &Arc<dyn Session>,
        windows: &BTreeSet<i64>,
        now: i64,
    ) -> Result<(), StoreError> {
        let missing = windows.iter().copied().filter(|window| !self.written().contains(window));
        let missing = missing.collect::<Vec<_>>();
        let mut tasks = Tasks::new(self.pool);
        for &window in &missing {
            let Some(ttl) = time_to_live(window, self.retain, now) else { continue };
            let mut row = self.partition(window.div_euclid(self.span_seconds)).to_vec();
            row.extend([Value::Timestamp(window * 1000), Value::Int(ttl)]);
            let (session, insert) = (Arc::clone(session), Arc::clone(&self.insert));
            tasks.run(async move { session.write(&insert, &[row]).await }).await?;
        }
        tasks.finish().await?;
        let mut written = self.written();
        if written.len() + missing.len() > REMEMBERED_MAX {
            written.clear();
        }
        written.extend(missing);
        Ok(())
    }

    /// The windows that start within `range`.
    pub(crate) async fn find(
        &self,
        session: &Arc<dyn Session>,
        range: Range<i64>,
    ) -> Result<BTreeSet<i64>, StoreError> {
        let (first, last) = (range.start.max(*RANGE.start()), range.end.saturating_sub(1).min(*RANGE.end()));
        if range.is_empty() || first > last {
            return Ok(BTreeSet::new());
        }
        let mut tasks = Tasks::new(self.pool);
        for span in self.spans(session, first, last).await? {
            let mut values = self.partition(span).to_vec();
            values.extend([Value::Timestamp(first * 1000), Value::Timestamp(last * 1000)]);
            let (session, select) = (Arc::clone(session), Arc::clone(&self.select));
            tasks.run(async move { query(&*session, &select, &values).await }).await?;
        }
        let found = tasks.finish().await?.into_iter().flatten();
        Ok(found.filter_map(|row| row.first()?.timestamp()).map(|start| start.div_euclid(1000)).collect())
    }

    async fn spans(&self, session: &Arc<dyn Session>, first: i64, last: i64) -> Result<Vec<i64>, StoreError> {
        let spans = first.div_euclid(self.span_seconds)..=last.div_euclid(self.span_seconds);
        if spans.end() - spans.start() < SPANS_MAX {
            return Ok(spans.collect());
        }
        let found = query(&**session, &self.spans, &[]).await?.into_iter();
        let of_this = found.filter(|row| row[0].text() == Some(&*self.statistic));
        Ok(of_this.filter_map(|row| row[1].bigint()).filter(|span| spans.contains(span)).collect())
    }

    fn partition(&self, span: i64) -> [Value; 2] {
        [Value::Text(Arc::clone(&self.statistic)), Value::Bigint(span)]
    }

    fn written(&self) -> std::sync::MutexGuard<'_, HashSet<i64>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
