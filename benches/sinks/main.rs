//! Rows per second into each store: by evs's sink, and by the simplest bulk statement that somebody would write by
//! hand for the same rows, as durable and adding to what is there, but not exactly once.
//!
//!     EVS_MYSQL_URL=mysql://evs@localhost/bench cargo bench --features full --bench sinks -- mysql
//!
//! SQLite needs no server; the others are left out unless the variable of their URL is set. Both take turns, and half
//! of the batches find their rows there already. Rates are medians.

mod cassandra;
mod mysql;
mod sqlite;

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use evs::{
    Batch, Epoch, Frontier, MeasureKind, Rows, Schema, Sink, SinkError,
    prelude::*,
    statistic::{KeyColumn, MeasureColumn},
};

/// A row as it is inserted by hand.
#[derive(Clone, Debug)]
pub(crate) struct HandRow {
    /// In seconds since 1970.
    pub(crate) window_start: i64,
    pub(crate) campaign: String,
    pub(crate) kind: String,
    pub(crate) count: i64,
    /// Of scale 2.
    pub(crate) revenue: i128,
}

/// How many batches of how many rows each side gets.
const BATCHES: [(usize, usize); 2] = [(40, 1_000), (10, 100_000)];

/// Compares the sink of a store with its [`ByHand`](sqlite::ByHand).
macro_rules! compare {
    ($store:literal, $url:expr, $sink:ident, $by_hand:ty) => {
        if let Some(url) = $url {
            let sink = $sink::connect(&url).await?;
            let mut by_hand = <$by_hand>::open(&url).await;
            for (batches, rows) in BATCHES {
                by_hand.fresh().await;
                let mut stream = Stream::new(&sink).await?;
                let (mut with_evs, mut without) = (Vec::new(), Vec::new());
                for at in 0..batches {
                    let rows = data(at, rows);
                    let start = Instant::now();
                    by_hand.insert(&rows).await;
                    without.push(start.elapsed());
                    with_evs.push(stream.apply(&sink, &rows).await?);
                }
                stream.clear(&sink).await?;
                by_hand.fresh().await;
                report($store, rows, with_evs, without);
            }
        }
    };
}

#[tokio::main]
async fn main() -> Result<(), SinkError> {
    let directory = tempfile::tempdir().expect("a directory");
    let sqlite = format!("sqlite://{}", directory.path().join("bench.db").display());
    println!("{:<10} {:>8} {:>15} {:>15} {:>6}", "store", "rows", "by hand, rows/s", "evs, rows/s", "%");
    compare!("sqlite", asked_for("sqlite").then_some(sqlite), SqliteSink, sqlite::ByHand);
    compare!("mysql", server("mysql"), MySqlSink, mysql::ByHand);
    compare!("cassandra", server("cassandra"), CassandraSink, cassandra::ByHand);
    Ok(())
}

/// Whether the command line names the store, or none.
fn asked_for(store: &str) -> bool {
    // Cargo adds `--bench`.
    let mut names = env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    names.peek().is_none() || names.any(|name| name == store)
}

fn server(store: &str) -> Option<String> {
    asked_for(store).then(|| evs_testkit::server(store))?
}

/// The rows of a batch, in no order. Each two batches have the same.
fn data(batch: usize, rows: usize) -> Vec<HandRow> {
    let row = |n: usize| {
        // A permutation.
        let n = n * 48_271 % rows;
        HandRow {
            window_start: 1_767_225_600 + 60 * (batch as i64 / 2),
            campaign: format!("campaign-{}", n / 10),
            kind: ["view", "click", "sale", "lead", "close", "open", "share", "like", "skip", "end"][n % 10]
                .into(),
            count: 1 + n as i64 % 7,
            revenue: n as i128 * 25,
        }
    };
    (0..rows).map(row).collect()
}

/// A stream of batches into a table of its own.
struct Stream {
    epoch: Epoch,
    schema: Arc<Schema>,
    sequence: u64,
}

impl Stream {
    async fn new(sink: &dyn Sink) -> Result<Self, SinkError> {
        let key = |name: &str| KeyColumn { name: name.into(), field: name.into() };
        let measure = |name: &str, kind, scale| MeasureColumn {
            name: name.into(),
            kind,
            field: if kind == MeasureKind::Count { String::new() } else { name.into() },
            scale,
        };
        let schema = Schema {
            statistic: "bench_of_sinks".into(),
            window_seconds: 60,
            keys: vec![key("campaign"), key("kind")],
            measures: vec![measure("count", MeasureKind::Count, 0), measure("revenue", MeasureKind::Sum, 2)],
            retain_seconds: None,
        };
        sink.prepare(&schema).await?;
        let stream = Self { epoch: Epoch::random(), schema: schema.into(), sequence: 0 };
        // What a run before this one may have left.
        stream.clear(sink).await?;
        Ok(stream)
    }

    /// Applies the rows as a batch; says how long that took.
    async fn apply(&mut self, sink: &dyn Sink, rows: &[HandRow]) -> Result<Duration, SinkError> {
        self.sequence += 1;
        let mut encoded = Rows::new(2, 2);
        for row in rows {
            let keys = [row.campaign.as_bytes(), row.kind.as_bytes()];
            encoded.push(row.window_start, keys, &[Some(row.count.into()), Some(row.revenue)]);
        }
        let frontier = Arc::new(Frontier::default());
        let batch = Batch {
            source: "bench".into(),
            epoch: self.epoch,
            schema: Arc::clone(&self.schema),
            sequence: self.sequence,
            from: Arc::clone(&frontier),
            to: frontier,
            rows: encoded,
        };
        let start = Instant::now();
        sink.apply(&batch).await?;
        Ok(start.elapsed())
    }

    /// Removes all rows, in stores whose rows do not expire by themselves.
    async fn clear(&self, sink: &dyn Sink) -> Result<(), SinkError> {
        while sink.sweep(&self.schema, i64::MAX).await? {}
        Ok(())
    }
}

fn report(store: &str, rows: usize, mut with_evs: Vec<Duration>, mut without: Vec<Duration>) {
    let rate = |times: &mut Vec<Duration>| {
        times.sort();
        rows as f64 / times[times.len() / 2].as_secs_f64()
    };
    let (evs, by_hand) = (rate(&mut with_evs), rate(&mut without));
    println!("{store:<10} {rows:>8} {by_hand:>15.0} {evs:>15.0} {:>6.0}", 100.0 * evs / by_hand);
}
