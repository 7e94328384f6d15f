//! A sink that keeps account of the calls of another sink, and of its answers.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use evs::{Applied, Rows, prelude::*};

/// Passes every call on to the sink, and enters batches into the account.
#[derive(Debug)]
pub(crate) struct Watched(Arc<dyn Sink>, Arc<Account>);

/// The calls of a sink, and its answers.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The batches that the sink has acknowledged, in that order.
    acknowledged: Mutex<Vec<(u64, Applied)>>,
    /// The lines counted in them: the sum of the first measure.
    lines: AtomicU64,
    /// The number of calls of `apply` that have neither returned nor been dropped.
    applying: AtomicU64,
}

impl Watched {
    /// Watches a sink. The account outlives it.
    pub(crate) fn new(inner: Arc<dyn Sink>) -> (Self, Arc<Account>) {
        let account = Arc::new(Account::default());
        (Self(inner, Arc::clone(&account)), account)
    }
}

impl Account {
    pub(crate) fn is_applying(&self) -> bool {
        self.applying.load(Ordering::SeqCst) > 0
    }

    /// The number of lines in the acknowledged batches.
    pub(crate) fn lines(&self) -> u64 {
        self.lines.load(Ordering::SeqCst)
    }

    /// The number of batches that the sink had already when it acknowledged them.
    pub(crate) fn before(&self) -> u64 {
        let acknowledged = self.acknowledged.lock().unwrap();
        acknowledged.iter().filter(|(_, applied)| *applied == Applied::Before).count() as u64
    }

    /// The batches came in order, each once: the first one first, and none was left out.
    pub(crate) fn assert_in_order(&self) {
        let acknowledged = self.acknowledged.lock().unwrap();
        let sequences: Vec<_> = acknowledged.iter().map(|(sequence, _)| *sequence).collect();
        let expected: Vec<_> = (1..=sequences.len() as u64).collect();
        assert_eq!(sequences, expected, "the batches are not in order");
    }
}

/// Counts a call for as long as it is not dropped.
struct Applying<'a>(&'a AtomicU64);

impl<'a> Applying<'a> {
    /// Counts a call that begins.
    fn begin(calls: &'a AtomicU64) -> Self {
        calls.fetch_add(1, Ordering::SeqCst);
        Self(calls)
    }
}

impl Drop for Applying<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

evs_store::forward_sink!(Watched, |watched, batch| {
    let account = &watched.1;
    let _applying = Applying::begin(&account.applying);
    let applied = watched.0.apply(batch).await?;
    account.acknowledged.lock().unwrap().push((batch.sequence, applied));
    account.lines.fetch_add(lines(&batch.rows), Ordering::SeqCst);
    Ok(applied)
});

/// The sum of the first measure, which is a count.
fn lines(rows: &Rows) -> u64 {
    let (mut lines, mut cursor) = (0, rows.cursor());
    while let Some(row) = cursor.next_row() {
        lines += u64::try_from(row.values[0].unwrap()).unwrap();
    }
    lines
}
