//! A log whose `#Fields:` lines change is counted by the line that holds at each place: by several workers, after a
//! restart in the middle of a file, and in a compressed file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fmt::Write as _,
    fs,
    future::pending,
    io::Write as _,
    path::{Path, PathBuf},
};

use evs_core::{Begin, LogFormat, MemorySink, Pipeline, Sink, Statistic, Summary, sum};

const ONE: &str = "#Fields: date time sc-status sc-bytes";
const OTHER: &str = "#Fields: sc-bytes date time cs(User-Agent) sc-status";

/// Lines after `fields`, each of which has 7 bytes sent.
fn lines(fields: &str, count: usize) -> String {
    let mut text = format!("{fields}\r\n");
    for at in 0..count {
        let time = format!("2026-11-28 10:{:02}:{:02}", at / 60 % 60, at % 60);
        let line = if fields == ONE { format!("{time} 200 7") } else { format!("7 {time} agent/{at} 200") };
        writeln!(text, "{line}\r").unwrap();
    }
    text
}

fn append(path: &Path, text: &str) {
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

struct Place {
    folder: tempfile::TempDir,
    sink: MemorySink,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), sink: MemorySink::new() }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("u_ex.log")
    }

    fn pipeline(&self) -> Pipeline {
        Pipeline::builder("web1")
            .tail(self.log())
            .begin(Begin::Oldest)
            .format(LogFormat::w3c())
            .statistic(Statistic::named("sent").measure(sum("sc-bytes").named("bytes")))
            .sink("memory", self.sink.clone())
            .state_dir(self.folder.path().join("state"))
            .workers(3)
            .build()
            .unwrap()
    }

    async fn run(&self) -> Summary {
        self.pipeline().run_to_end(pending()).await.unwrap()
    }

    async fn bytes(&self) -> i128 {
        let pipeline = self.pipeline();
        let rows = self.sink.totals(pipeline.schemas().next().unwrap(), 0..i64::MAX).await.unwrap();
        let (mut bytes, mut cursor) = (0, rows.cursor());
        while let Some(row) = cursor.next_row() {
            bytes += row.values[0].unwrap();
        }
        bytes
    }
}

#[tokio::test]
async fn each_chunk_of_several_workers_knows_its_fields() {
    let place = Place::new();
    append(&place.log(), "2026-11-28 10:00:00 200 7\n");
    for _ in 0..4 {
        append(&place.log(), &lines(ONE, 20_000));
        append(&place.log(), &lines(OTHER, 20_000));
    }
    let summary = place.run().await;
    assert_eq!((summary.lines, summary.rejected), (160_001, 1), "the first line has no fields before it");
    assert_eq!(place.bytes().await, 7 * 160_000);
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_file_finds_the_fields_that_hold_there() {
    let place = Place::new();
    append(&place.log(), &lines(ONE, 1000));
    append(&place.log(), &lines(OTHER, 1000));
    place.run().await;
    for start in 1..4 {
        let more = lines(OTHER, 500);
        append(&place.log(), more.split_once('\n').unwrap().1);
        let summary = place.run().await;
        assert_eq!((summary.lines, summary.rejected), (500, 0));
        assert_eq!(place.bytes().await, 7 * (2000 + 500 * start));
    }
}

#[tokio::test]
async fn a_file_that_is_compressed_while_nobody_reads_goes_on_with_its_fields() {
    let place = Place::new();
    append(&place.log(), &lines(ONE, 1000));
    append(&place.log(), &lines(OTHER, 1000));
    place.run().await;
    let more = lines(OTHER, 5000);
    append(&place.log(), more.split_once('\n').unwrap().1);
    let packed = fs::File::create(place.folder.path().join("u_ex.log.1.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    packed.write_all(&fs::read(place.log()).unwrap()).unwrap();
    packed.finish().unwrap();
    fs::remove_file(place.log()).unwrap();
    append(&place.log(), "#Date: 2026-11-29 00:00:00\r\n");
    append(&place.log(), &lines(ONE, 100));
    let summary = place.run().await;
    assert_eq!((summary.lines, summary.rejected), (5100, 0));
    assert_eq!(place.bytes().await, 7 * 7100);
}
