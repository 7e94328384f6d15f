//! The files of a state directory that only help people or save time: `lock`, `reserve`, the rejected lines, and any
//! other that somebody has put there. Whatever is in them, a log is counted to its end, each line once.
//!
//! The input is the log, and between NUL bytes in front of it the contents of these files. `binlog_reader` is for the
//! binlog itself.
#![no_main]

use std::{fs, path::PathBuf, sync::Arc, sync::LazyLock};

use evs_core::{
    LogFormat, MemorySink, Pipeline, Statistic, count,
    internals::{disk::SimDisk, pipeline::Environment},
};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

/// The files whose contents come from the input.
const FILES: [&str; 6] =
    ["lock", "reserve", "rejected-0.jsonl", "rejected-1.jsonl", "discarded-a-b-1-00000000.jsonl", "core"];

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));
static LOG: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("evs-fuzz-{}.log", std::process::id())));

fuzz_target!(|input: &[u8]| {
    let disk = SimDisk::new();
    let mut parts: Vec<&[u8]> = input.splitn(FILES.len() + 1, |byte| *byte == 0).collect();
    let log = parts.pop().unwrap_or_default();
    for (name, contents) in FILES.iter().zip(&parts) {
        disk.set_contents(name, contents.to_vec());
    }
    // The first line keeps the file from looking like a compressed one. A line that does not end may still grow.
    let log = [b"1795246822 200\n", log].concat();
    fs::write(&*LOG, &log).expect("a file for the time being");
    let lines = log.iter().filter(|byte| **byte == b'\n').count() as u64;
    let sink = MemorySink::new();
    // A second process finds nothing left to do.
    for left in [lines, 0] {
        let builder = Pipeline::builder("web1")
            .tail(&*LOG)
            .format(LogFormat::nginx("$msec $status").expect("a format"))
            .statistic(Statistic::named("requests").group_by(["status"]).measure(count()))
            .sink("memory", sink.clone())
            .state_dir("/sim")
            .workers(1);
        let environment = Environment { state: Some(Arc::new(disk.clone())), ..Environment::default() };
        let pipeline = environment.surround(builder).build().expect("these files are no obstacle");
        let summary = RUNTIME.block_on(pipeline.run_to_end(std::future::pending())).expect("it is counted");
        assert!(summary.is_complete);
        assert_eq!(summary.lines, left);
        let rejected = disk.contents("rejected-0.jsonl").unwrap_or_default();
        let is_whole = rejected.is_empty() || rejected.ends_with(b"\n") || summary.rejected == 0;
        assert!(is_whole, "{rejected:?}");
    }
});
