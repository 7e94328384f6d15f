//! Errors of the log's files. Each way out is tried on a copy of the machine.

use std::io::Write;

use evs_core::{OnChanged, OnGone, OnUnreadable, TailError};

use super::*;

/// A machine that stops, and its store.
struct Stopped {
    machine: Machine,
    store: MemorySink,
}

/// The runs for which a setting is made.
enum Runs {
    /// The first one. After it the setting is removed, as it would apply to later cases, too.
    First,
    /// All of them.
    All,
}

impl Stopped {
    /// Checks that the machine stops, and stops again.
    async fn new(machine: Machine, sink: &TestSink, is_it: impl Fn(&TailError) -> bool) -> Self {
        for _ in 0..2 {
            let error = machine.error(sink).await;
            assert!(matches!(&error, Error::Log { source, .. } if is_it(source)), "{error}");
        }
        Self { machine, store: sink.store() }
    }

    /// Does some steps on a copy of the machine, and counts. Returns the bytes that were lost, and the lines by status.
    async fn after(&self, steps: impl FnOnce(&Machine)) -> (u64, BTreeMap<String, i128>) {
        self.after_with(steps, Runs::First, |builder| builder).await
    }

    /// Makes a setting on a copy of the machine, and counts.
    async fn with(
        &self,
        runs: Runs,
        setting: impl Fn(PipelineBuilder) -> PipelineBuilder,
    ) -> (u64, BTreeMap<String, i128>) {
        self.after_with(|_| (), runs, setting).await
    }

    async fn after_with(
        &self,
        steps: impl FnOnce(&Machine),
        runs: Runs,
        setting: impl Fn(PipelineBuilder) -> PipelineBuilder,
    ) -> (u64, BTreeMap<String, i128>) {
        let (machine, sink) = (self.machine.copy(), TestSink::default());
        sink.replace(self.store.backup());
        steps(&machine);
        let build = || machine.pipeline().sink("stats", sink.clone());
        let summary = run_to_end(setting(build())).await.unwrap();
        assert!(summary.is_complete, "{summary:?}");
        // It goes on.
        machine.log_requests(503, 1);
        let builder = match runs {
            Runs::First => build(),
            Runs::All => setting(build()),
        };
        assert_eq!(run_to_end(builder).await.unwrap().lines, 1);
        let mut totals = totals(&sink, "requests").await;
        assert_eq!(totals.remove("503"), Some(1));
        (summary.lost_bytes, totals)
    }
}

/// A machine that has counted some lines with status 200.
async fn counted(lines: usize) -> (Machine, TestSink) {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.log_requests(200, lines);
    machine.count(&sink).await;
    (machine, sink)
}

fn rename(machine: &Machine, from: &str, to: &str) {
    fs::rename(machine.path(from), machine.path(to)).unwrap();
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_file_takes_the_place_of_a_directory() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    fs::create_dir(machine.log()).unwrap();
    let Error::Log { source: TailError::NotRegular { .. }, .. } = machine.error(&sink).await else {
        panic!("another error")
    };
    fs::remove_dir(machine.log()).unwrap();
    machine.log_requests(200, 1);
    machine.count(&sink).await;
    assert_eq!(totals(&sink, "requests").await, of([("200", 1)]));
}

#[tokio::test]
async fn a_compressed_file_is_repaired_replaced_or_left_out() {
    let (machine, sink) = counted(1).await;
    machine.log_requests(404, 20);
    let plain = fs::read(machine.log()).unwrap();
    let packed = pack(&plain);
    fs::remove_file(machine.log()).unwrap();
    fs::write(machine.path("access.log.1.gz"), &packed[..packed.len() / 2]).unwrap();
    machine.log_requests(500, 1);
    let stopped = Stopped::new(machine, &sink, |error| matches!(error, TailError::Damaged { .. })).await;

    let all = of([("200", 1), ("404", 20), ("500", 1)]);
    let repair = |machine: &Machine| fs::write(machine.path("access.log.1.gz"), &packed).unwrap();
    assert_eq!(stopped.after(repair).await.1, all);
    let decompress = |machine: &Machine| fs::write(machine.path("access.log.1"), &plain).unwrap();
    assert_eq!(stopped.after(decompress).await.1, all);
    let skip = |builder: PipelineBuilder| builder.on_unreadable(OnUnreadable::Skip).on_gone(OnGone::Continue);
    let (lost, totals) = stopped.with(Runs::First, skip).await;
    assert!(lost > 0);
    assert_eq!(totals, of([("200", 1), ("500", 1)]));
}

#[tokio::test]
async fn a_file_that_is_gone_is_brought_back_named_or_given_up() {
    let (machine, sink) = counted(1).await;
    machine.log_requests(404, 2);
    fs::create_dir_all(machine.path("far/away")).unwrap();
    // It goes before evs has seen these lines.
    rename(&machine, "access.log", "far/away/access.log.1");
    machine.log_requests(500, 1);
    let stopped = Stopped::new(machine, &sink, |error| matches!(error, TailError::Gone { .. })).await;

    let all = of([("200", 1), ("404", 2), ("500", 1)]);
    let back = |machine: &Machine| rename(machine, "far/away/access.log.1", "access.log.1");
    assert_eq!(stopped.after(back).await.1, all);
    assert_eq!(stopped.with(Runs::All, |builder| builder.olddir("far/away")).await.1, all);
    let (lost, totals) = stopped.with(Runs::First, |builder| builder.on_gone(OnGone::Continue)).await;
    assert_eq!(lost, 0, "nobody knows what was in it");
    assert_eq!(totals, of([("200", 1), ("500", 1)]));
}

#[tokio::test]
async fn a_changed_file_is_brought_back_skipped_or_read_again() {
    let (machine, sink) = counted(100).await;
    fs::copy(machine.log(), machine.path("backup")).unwrap();
    // A power cut takes lines back that were counted, and the server writes others in their place.
    let line = requests(200, 1).len() as u64;
    File::options().write(true).open(machine.log()).unwrap().set_len(60 * line).unwrap();
    machine.log_requests(404, 1);
    let stopped = Stopped::new(machine, &sink, |error| matches!(error, TailError::Changed { .. })).await;

    let back = |machine: &Machine| {
        rename(machine, "backup", "access.log");
        machine.log_requests(500, 1);
    };
    assert_eq!(stopped.after(back).await.1, of([("200", 100), ("500", 1)]));
    let skip = |builder: PipelineBuilder| builder.on_changed(OnChanged::Skip);
    assert_eq!(stopped.with(Runs::First, skip).await.1, of([("200", 100)]));
    let again = |builder: PipelineBuilder| builder.on_changed(OnChanged::ReadAgain);
    assert_eq!(stopped.with(Runs::First, again).await.1, of([("200", 160), ("404", 1)]));
}

#[tokio::test]
async fn of_two_files_that_begin_alike_the_wrong_one_is_moved_away() {
    let (machine, sink) = counted(30).await;
    let read = requests(200, 30);
    // It stays somewhere, so that no copy gets its inode.
    fs::create_dir_all(machine.path("far/away")).unwrap();
    rename(&machine, "access.log", "far/away/log");
    fs::write(machine.path("access.log.1"), read.clone() + &requests(404, 1)).unwrap();
    fs::write(machine.path("access.log.2"), read + &requests(500, 1)).unwrap();
    machine.log_requests(301, 1);
    let stopped = Stopped::new(machine, &sink, |error| matches!(error, TailError::Ambiguous { .. })).await;

    let away = |machine: &Machine| rename(machine, "access.log.2", "far/away/copy");
    let expected = of([("200", 30), ("301", 1), ("404", 1)]);
    assert_eq!(stopped.after(away).await.1, expected);
}

#[tokio::test]
async fn the_directory_of_a_file_that_was_moved_is_named() {
    let (machine, sink) = counted(1).await;
    machine.log_requests(404, 1);
    fs::create_dir(machine.path("archive")).unwrap();
    rename(&machine, "access.log", "archive/access.log.2");
    fs::write(machine.path("archive/access.log.1"), requests(500, 1)).unwrap();
    machine.log_requests(301, 1);
    let stopped = Stopped::new(machine, &sink, |error| matches!(error, TailError::Olddir { .. })).await;

    let all = of([("200", 1), ("301", 1), ("404", 1), ("500", 1)]);
    assert_eq!(stopped.with(Runs::All, |builder| builder.olddir("archive")).await.1, all);
    let back = |machine: &Machine| {
        rename(machine, "archive/access.log.1", "access.log.1");
        rename(machine, "archive/access.log.2", "access.log.2");
    };
    assert_eq!(stopped.after(back).await.1, all);
}
