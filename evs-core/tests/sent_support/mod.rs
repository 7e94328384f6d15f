//! A log of which the bytes sent are added up: for tests that append to it, and run a pipeline to its end again and again.

use std::{fs, future::pending, io::Write as _, path::PathBuf};

use evs_core::{Begin, LogFormat, MemorySink, Pipeline, Sink, Statistic, Summary, sum};

/// A place with a log, a state directory and a store.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    sink: MemorySink,
    format: LogFormat,
    /// The field whose values are added up.
    bytes: &'static str,
}

impl Place {
    /// A place without a log yet. `bytes` is the field whose values are added up.
    pub(crate) fn new(format: LogFormat, bytes: &'static str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), sink: MemorySink::new(), format, bytes }
    }

    /// The path of the log.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    /// Appends to the log.
    pub(crate) fn append(&self, text: &str) {
        let file = fs::OpenOptions::new().append(true).create(true).open(self.log());
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn pipeline(&self) -> Pipeline {
        Pipeline::builder("web1")
            .tail(self.log())
            .begin(Begin::Oldest)
            .format(self.format.clone())
            .statistic(Statistic::named("sent").measure(sum(self.bytes).named("bytes")))
            .sink("memory", self.sink.clone())
            .state_dir(self.folder.path().join("state"))
            .workers(3)
            .build()
            .unwrap()
    }

    /// Reads the log to its end.
    pub(crate) async fn run(&self) -> Summary {
        self.pipeline().run_to_end(pending()).await.unwrap()
    }

    /// The bytes that all lines so far have sent.
    pub(crate) async fn bytes(&self) -> i128 {
        let pipeline = self.pipeline();
        let rows = self.sink.totals(pipeline.schemas().next().unwrap(), 0..i64::MAX).await.unwrap();
        let (mut bytes, mut cursor) = (0, rows.cursor());
        while let Some(row) = cursor.next_row() {
            bytes += row.values[0].unwrap();
        }
        bytes
    }
}
