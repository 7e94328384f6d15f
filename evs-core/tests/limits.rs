//! The limits that a pipeline keeps while a sink is away, or the log has more keys than fit.

// What fails in a helper fails the test.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    future::pending,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use evs_core::{
    Applied, Batch, Limits, LogFormat, MemorySink, Pipeline, PipelineBuilder, Progress, Rows, Schema, Sink,
    SinkError, Statistic, Writer, count,
};

/// The chunks that a worker may be given before the reader notices that it has enough: one chunk in its hands, four in
/// its queue, and one that the reader has for it.
const CHUNKS_AHEAD: u64 = 6;
/// The lines of a chunk: the shortest has more than 60 bytes.
const CHUNK_LINES: u64 = (256 << 10) / 60;

/// A sink that can be away.
#[derive(Clone, Debug, Default)]
struct Gate {
    store: MemorySink,
    is_down: Arc<AtomicBool>,
    largest: Arc<AtomicU64>,
}

impl Gate {
    fn check(&self) -> Result<(), SinkError> {
        if self.is_down.load(SeqCst) { Err(SinkError::unavailable("connecting", "refused")) } else { Ok(()) }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Sink for Gate {
    fn limits(&self) -> Limits {
        self.store.limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        self.check()?;
        self.store.prepare(schema).await
    }
    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        self.check()?;
        self.store.progress(source).await
    }
    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        self.check()?;
        self.store.begin(progress).await
    }
    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        self.check()?;
        self.store.writer(source).await
    }
    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        self.check()?;
        self.store.claim(writer, last).await
    }
    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        self.check()?;
        self.largest.fetch_max(batch.rows.len() as u64, SeqCst);
        self.store.apply(batch).await
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.store.sweep(schema, before).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.store.close().await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.store.totals(schema, windows).await
    }
}

/// By address, the number of its lines in the log.
type Counts = BTreeMap<String, i128>;

struct Place(tempfile::TempDir);

impl Place {
    /// A log with one line for each of `keys` addresses, again and again.
    fn new(keys: u32, repeats: usize) -> (Self, Counts) {
        let place = Self(tempfile::tempdir().unwrap());
        let line = |address: &String| {
            format!("{address} - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" 200 1\n")
        };
        let addresses: Vec<_> =
            (0..keys).map(|key| format!("10.{}.{}.{}", key >> 16, key >> 8 & 0xff, key & 0xff)).collect();
        let block: String = addresses.iter().map(line).collect();
        fs::write(place.log(), block.repeat(repeats)).unwrap();
        (place, addresses.into_iter().map(|address| (address, repeats as i128)).collect())
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("access.log")
    }

    /// The bytes of the binlog on the disk, which the status need not have noticed yet.
    fn binlog_bytes(&self) -> u64 {
        let files = fs::read_dir(self.0.path().join("state")).unwrap().map(Result::unwrap);
        let binlogs = files.filter(|file| file.file_name().to_string_lossy().ends_with(".evs"));
        binlogs.map(|file| file.metadata().unwrap().len()).sum()
    }

    fn builder(&self, sink: &Gate) -> PipelineBuilder {
        let builder = Pipeline::builder("limits").tail(self.log()).format(LogFormat::common());
        builder.sink("gate", sink.clone()).state_dir(self.0.path().join("state"))
    }
}

fn by_address() -> Statistic {
    let statistic = Statistic::named("addresses").group_by(["remote_addr"]).measure(count());
    // Cut whenever all addresses are there, so that there are many batches however fast the log is read.
    statistic.flush_every(Duration::from_millis(20)).rows_max(4000)
}

async fn counted(pipeline: &Pipeline, sink: &Gate) -> Counts {
    let rows = sink.totals(pipeline.schemas().next().unwrap(), i64::MIN..i64::MAX).await.unwrap();
    let mut counts = Counts::new();
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        counts.insert(String::from_utf8(row.keys[0].to_vec()).unwrap(), row.values[0].unwrap());
    }
    counts
}

/// Looks at the status again and again until it is as expected.
async fn until(pipeline: &Pipeline, what: &str, mut is_so: impl FnMut(&evs_core::Status) -> bool) {
    let look = async {
        while !is_so(&pipeline.status()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), look).await.is_ok();
    assert!(in_time, "never {what}: {:#?}", pipeline.status());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn reading_pauses_when_the_binlog_is_at_its_limit_and_goes_on_when_the_sink_is_back() {
    const LIMIT: u64 = 256 << 10;
    /// 4000 rows, each of them less than 8 bytes when compressed.
    const BATCH_BYTES: u64 = 32_000;
    let (place, expected) = Place::new(4000, 300);
    let sink = Gate::default();
    sink.is_down.store(true, SeqCst);
    let pipeline = place
        .builder(&sink)
        .statistic(by_address())
        .spool_bytes_max(LIMIT)
        .segment_bytes_max(64 << 10)
        .build()
        .unwrap();
    let drive = async {
        until(&pipeline, "paused", |status| status.paused.is_some()).await;
        // What was under way is still cut; from then on nothing moves.
        let mut last = (0, 0);
        until(&pipeline, "at rest", |status| {
            let now = (status.lines, status.batches);
            std::mem::replace(&mut last, now) == now && status.rows == 0
        })
        .await;
        let status = pipeline.status();
        let pause = status.paused.unwrap();
        assert!(pause.reason.contains("limit of 262144 bytes"), "{pause:?}");
        assert!(pause.since <= std::time::SystemTime::now());
        // Behind the limit come the batch that reached it, two that were under way, and what was read by then.
        let most = LIMIT + 4 * BATCH_BYTES;
        let bytes = place.binlog_bytes();
        assert!(bytes <= most, "{bytes} bytes, not {most} at the most");
        assert!(status.behind_bytes > 0 && status.lines < 1_200_000, "it has read everything");
        sink.is_down.store(false, SeqCst);
        until(&pipeline, "all counted", |status| {
            status.lines == 1_200_000 && status.rows == 0 && status.sinks[0].waiting == 0
        })
        .await;
        until(&pipeline, "reading again", |status| status.paused.is_none()).await;
        assert!(pipeline.status().binlog_bytes <= LIMIT);
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert!(summary.is_complete, "{summary:?}");
    assert_eq!(counted(&pipeline, &sink).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn rows_in_memory_stay_within_the_row_limit() {
    const ROWS_MAX: u64 = 2_000;
    for workers in [1, 3] {
        let (place, expected) = Place::new(200_000, 1);
        let sink = Gate::default();
        let pipeline = place
            .builder(&sink)
            .statistic(by_address().rows_max(ROWS_MAX as usize).flush_every(Duration::from_secs(3600)))
            .workers(workers)
            .build()
            .unwrap();
        // A worker may come to its share at the beginning of a chunk, and then goes on with what is given to it.
        let bound = ROWS_MAX + workers as u64 * CHUNKS_AHEAD * CHUNK_LINES;
        let watch = async {
            let mut most = 0;
            loop {
                most = most.max(pipeline.status().rows);
                assert!(most <= bound, "{workers} workers: {most} rows, not {bound} at the most");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let summary = tokio::select! {
            summary = pipeline.run_to_end(pending()) => summary.unwrap(),
            () = watch => unreachable!(),
        };
        assert!(summary.is_complete, "{summary:?}");
        // How many batches there are depends on how far reading runs ahead; how large one is, is bounded.
        assert!(sink.largest.load(SeqCst) <= bound, "a batch of {} rows", sink.largest.load(SeqCst));
        assert_eq!(counted(&pipeline, &sink).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn catching_up_keeps_to_the_lines_a_second_that_are_allowed() {
    const LINES: u64 = 400_000;
    const PER_SECOND: u64 = 200_000;
    const AHEAD: u64 = CHUNKS_AHEAD * CHUNK_LINES;
    let (place, expected) = Place::new(4000, LINES as usize / 4000);
    let sink = Gate::default();
    let pipeline =
        place.builder(&sink).statistic(by_address()).lines_per_second_max(PER_SECOND).build().unwrap();
    let begun = std::time::Instant::now();
    let summary = pipeline.run_to_end(pending()).await.unwrap();
    let least = Duration::from_millis((LINES - AHEAD) * 1000 / PER_SECOND);
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
    assert_eq!((summary.lines, summary.is_complete), (LINES, true));
    assert_eq!(counted(&pipeline, &sink).await, expected);
}
