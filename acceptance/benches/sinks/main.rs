//! Rows per second into each store: evs's sink, and the same rows by the simplest bulk statement written by hand.
//!
//!     eval "$(scripts/services env)"
//!     cargo bench -p evs-acceptance
//!
//! Without a server's URL (`EVS_MYSQL_URL` and so on) its store is left out. `EVS_SINKS=mysql,mongo` picks stores.
//! Both ways are durable and merge with the rows that are there; only evs makes it exactly once. They take turns, and
//! the median counts. Tables named `bench_…` and `by_hand` stay in the stores.
//!
//! The ratio is the price of exactly once, progress and checks. It is above 1 where evs's statements are better than
//! the obvious ones.

mod cassandra;
mod mongo;
mod mysql;
mod postgres;
mod sql;
mod sqlite;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use evs::{
    Applied, Batch, CassandraSink, Epoch, KeyColumn, MeasureColumn, MeasureKind, MongoSink, MySqlSink,
    PostgresSink, Rows, Schema, Sink, SqliteSink, Writer,
};

/// The number of times that each way is measured, if it does not take long.
const TURNS: usize = 5;
/// No further turn begins after this time.
const LONG: Duration = Duration::from_secs(60);
/// The rows of a batch, and the number of batches that are measured together.
const SIZES: [(usize, usize); 2] = [(1_000, 30), (100_000, 1)];

/// A row as a program without evs would have it.
struct HandRow {
    /// Seconds since 1970.
    window_start: i64,
    campaign: String,
    kind: String,
    count: i64,
    /// Times 100: it has two decimal places.
    revenue: i128,
}

impl HandRow {
    /// The revenue, as databases read decimals.
    fn decimal(&self) -> String {
        format!("{}.{:02}", self.revenue / 100, self.revenue % 100)
    }
}

/// The rows of one batch: 100 campaigns and 10 types in each minute, from `minute` on.
fn rows(minute: i64, rows: usize) -> Vec<HandRow> {
    let row = |at: usize| HandRow {
        window_start: (29_000_000 + minute + at as i64 / 1000) * 60,
        campaign: format!("campaign-{}", at / 10 % 100),
        kind: format!("type-{}", at % 10),
        count: at as i64,
        revenue: at as i128 * 101,
    };
    (0..rows).map(row).collect()
}

/// A new definition of those rows, so that each run has a table of its own.
fn schema() -> Schema {
    let key = |name: &str| KeyColumn::new(name, name);
    let measure = |name: &str, kind, scale| {
        let field = if kind == MeasureKind::Count { "" } else { name };
        MeasureColumn::new(name, kind, field, scale)
    };
    let random = Epoch::random().to_string();
    Schema::new(
        format!("bench_{}", &random[..12]),
        60,
        vec![key("campaign"), key("kind")],
        vec![measure("count", MeasureKind::Count, 0), measure("revenue", MeasureKind::Sum, 2)],
    )
}

/// Batches of a stream of its own, into a table of its own.
struct Stream {
    epoch: Epoch,
    schema: Arc<Schema>,
    sequence: u64,
    /// The checksum of the last batch, which the next one names as its predecessor.
    checksum: u64,
    writer: Arc<Writer>,
}

impl Stream {
    /// Claims the source of the bench and prepares a new table.
    async fn new(sink: &dyn Sink) -> Self {
        let (epoch, last) = (Epoch::random(), sink.writer("bench").await.expect("the writer"));
        let fence = last.as_ref().map_or(1, |last| last.fence + 1);
        let writer = Writer { fence, ..Writer::this_process("bench", epoch) };
        assert!(sink.claim(&writer, last.as_ref()).await.expect("claimed"), "one bench at a time");
        let (schema, writer) = (Arc::new(schema()), Arc::new(writer));
        sink.prepare(&schema).await.expect("the store can be made ready");
        Self { epoch, schema, sequence: 0, checksum: 0, writer }
    }

    /// The next batch of the stream, with those rows.
    fn batch(&mut self, rows: &[HandRow]) -> Batch {
        let mut encoded = Rows::new(2, 2);
        for row in rows {
            let keys = [row.campaign.as_bytes(), row.kind.as_bytes()];
            encoded.push(row.window_start, keys, &[Some(row.count.into()), Some(row.revenue)]);
        }
        self.sequence += 1;
        let mut batch = Batch::new("bench", self.epoch, Arc::clone(&self.schema), self.sequence, encoded);
        batch.predecessor = self.checksum;
        batch.writer = Some(Arc::clone(&self.writer));
        self.checksum = batch.checksum();
        batch
    }
}

/// The way in which a program without evs adds rows to a store.
trait ByHand {
    /// Empties the table.
    async fn fresh(&mut self);
    /// Adds rows, durably.
    async fn insert(&mut self, rows: &[HandRow]);
}

/// Measures both ways in turns, and prints a line of the table for each size.
async fn compare(name: &str, sink: &dyn Sink, mut by_hand: impl ByHand) {
    for (size, batches) in SIZES {
        let all = (0..batches).map(|at| rows((at * size) as i64 / 1000, size)).collect::<Vec<_>>();
        // The first batch does what is done once, such as preparing statements. Windows are new in all batches.
        let before = rows(-10_000, size);
        let (mut of_sink, mut of_hand) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        while of_hand.len() < TURNS && (of_hand.is_empty() || begun.elapsed() < LONG) {
            let mut stream = Stream::new(sink).await;
            let first = stream.batch(&before);
            sink.apply(&first).await.expect("applied");
            let encoded = all.iter().map(|rows| stream.batch(rows)).collect::<Vec<_>>();
            let since = Instant::now();
            for batch in &encoded {
                assert_eq!(sink.apply(batch).await.expect("applied"), Applied::Now);
            }
            of_sink.push(since.elapsed().as_secs_f64());

            by_hand.fresh().await;
            by_hand.insert(&before).await;
            let since = Instant::now();
            for rows in &all {
                by_hand.insert(rows).await;
            }
            of_hand.push(since.elapsed().as_secs_f64());
        }
        let rate = |mut seconds: Vec<f64>| {
            seconds.sort_by(f64::total_cmp);
            (size * batches) as f64 / seconds[seconds.len() / 2]
        };
        let (sink, hand) = (rate(of_sink), rate(of_hand));
        println!("{name:10} {size:>7} {sink:>9.0} {hand:>9.0} {:>6.2}", sink / hand);
    }
}

#[tokio::main]
async fn main() {
    let chosen = std::env::var("EVS_SINKS").unwrap_or_default();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.split(',').any(|chosen| chosen.trim() == name);
    let url = |name: &str| is_chosen(name).then(|| evs_testkit::server(name)).flatten();
    println!("{:10} {:>7} {:>9} {:>9} {:>6}", "store", "batch", "rows/s", "by hand", "ratio");
    if is_chosen("sqlite") {
        let directory = tempfile::tempdir().expect("a directory");
        let sink = SqliteSink::open(directory.path().join("evs.db")).await.expect("a database");
        compare("sqlite", &sink, sqlite::ByHand::open(&directory.path().join("by-hand.db")).await).await;
    }
    if let Some(url) = url("mysql") {
        let sink = MySqlSink::connect(&url).await.expect("a right URL");
        compare("mysql", &sink, mysql::ByHand::open(&url).await).await;
    }
    if let Some(url) = url("postgres") {
        let sink = PostgresSink::connect(&url).await.expect("a right URL");
        compare("postgres", &sink, postgres::ByHand::open(&url).await).await;
    }
    if let Some(url) = url("mongo") {
        let sink = MongoSink::connect(&url).await.expect("a right URL");
        compare("mongo", &sink, mongo::ByHand::open(&url).await).await;
    }
    if let Some(url) = url("cassandra") {
        let sink = CassandraSink::connect(&url).await.expect("a right URL");
        compare("cassandra", &sink, cassandra::ByHand::open(&url).await).await;
    }
}
