//! Tests of pipelines whose clock is set by hand.

use std::{
    fs,
    future::pending,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use super::{Pipeline, PipelineBuilder};
use crate::{LogFormat, MemorySink, Sink, Statistic, Summary, clock::Wall, count};

/// The time at which the tests begin: the start of a window. Unless a test says otherwise, windows are kept for a day.
const START: i64 = 1_800_000_000;
const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

struct Place {
    folder: tempfile::TempDir,
    sink: MemorySink,
    wall: Arc<AtomicI64>,
}

impl Place {
    fn new() -> Self {
        let wall = Arc::new(AtomicI64::new(START));
        Self { folder: tempfile::tempdir().unwrap(), sink: MemorySink::new(), wall }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    fn append(&self, seconds: i64) {
        use std::io::Write;
        let log = fs::OpenOptions::new().append(true).create(true).open(self.log());
        writeln!(log.unwrap(), "{seconds}.000 200").unwrap();
    }

    fn builder(&self) -> PipelineBuilder {
        self.retaining(1)
    }

    fn retaining(&self, days: i64) -> PipelineBuilder {
        let time = Duration::from_secs((days * DAY).unsigned_abs());
        let kept = Statistic::named("kept").measure(count()).retain(time);
        let wall = Arc::clone(&self.wall);
        Pipeline::builder("web1")
            .tail(self.log())
            .format(LogFormat::nginx("$msec $status").unwrap())
            .statistic(kept.flush_every(Duration::from_millis(10)))
            .sink("memory", self.sink.clone())
            .state_dir(self.folder.path().join("state"))
            .wall(Wall::new(move || (Instant::now(), wall.load(SeqCst))))
    }

    async fn count(&self, builder: PipelineBuilder) -> Summary {
        builder.build().unwrap().run_to_end(pending()).await.unwrap()
    }

    /// Returns the number of lines that the sink has.
    async fn lines(&self) -> i128 {
        let pipeline = Pipeline::builder("other")
            .tail(self.log())
            .format(LogFormat::nginx("$msec $status").unwrap())
            .statistic(Statistic::named("kept").measure(count()))
            .sink("none", MemorySink::new())
            .state_dir(self.folder.path().join("other"))
            .build()
            .unwrap();
        let rows = self.sink.totals(pipeline.schemas().next().unwrap(), 0..i64::MAX).await.unwrap();
        let (mut lines, mut cursor) = (0, rows.cursor());
        while let Some(row) = cursor.next_row() {
            lines += row.values[0].unwrap();
        }
        lines
    }
}

#[tokio::test]
async fn a_clock_that_is_ahead_at_a_start_removes_nothing_and_calls_no_line_too_late() {
    let place = Place::new();
    place.append(START);
    place.count(place.builder()).await;
    place.wall.store(START + 2 * YEAR, SeqCst);
    place.append(START + 60);
    let pipeline = place.builder().build().unwrap();
    let summary = pipeline.run_to_end(pending()).await.unwrap();
    let ahead = pipeline.status().clock_ahead.unwrap().as_secs();
    assert!(ahead.abs_diff((2 * YEAR).unsigned_abs()) < 600, "{ahead}");
    assert_eq!((summary.lines, summary.too_late, place.lines().await), (1, 0, 2));
    drop(pipeline);
    place.append(START + 120);
    let summary = place.count(place.builder().trust_clock(true)).await;
    assert_eq!((summary.lines, summary.too_late), (1, 1), "believed on somebody's word");
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_removes_nothing_and_calls_no_line_too_late() {
    let place = Place::new();
    place.append(START);
    let pipeline = place.builder().build().unwrap();
    let until = async |batches| {
        let started = Instant::now();
        while pipeline.status().sinks[0].batches < batches {
            assert!(started.elapsed() < Duration::from_secs(60), "{:#?}", pipeline.status());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let drive = async {
        until(1).await;
        place.wall.store(START + 2 * YEAR, SeqCst);
        place.append(START + 60);
        until(2).await;
        assert!(pipeline.status().clock_ahead.is_some());
        place.wall.store(START + 60, SeqCst);
        place.append(START + 61);
        until(3).await;
        assert!(pipeline.status().clock_ahead.is_none());
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.lines, summary.too_late, place.lines().await), (3, 0, 3));
}

#[tokio::test]
async fn no_clock_removes_windows_beyond_a_day_behind_the_last_line() {
    let place = Place::new();
    place.append(START);
    place.count(place.retaining(10)).await;
    place.wall.store(START + 12 * DAY, SeqCst);
    place.append(START + 7 * DAY);
    let summary = place.count(place.retaining(10).trust_clock(true)).await;
    assert_eq!((summary.too_late, place.lines().await), (0, 2));
    place.append(START + 12 * DAY);
    place.count(place.retaining(10)).await;
    assert_eq!(place.lines().await, 2, "the first window is past its retention, and so says the log");
}
