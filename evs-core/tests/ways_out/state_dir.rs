//! Errors of the binlog. What happened to it is undone, or the state directory is removed and the sink's position
//! adopted.

use std::{fs::OpenOptions, io::Write, path::Path};

use evs_core::BinlogError;

use super::*;

impl Machine {
    fn segments(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> =
            fs::read_dir(self.state()).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "evs"));
        paths.sort();
        paths
    }
}

/// A machine that has delivered one line, and then cut lines into several segments while its sink was away.
async fn machine(lines_each: usize) -> (Machine, TestSink, i128) {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.log_requests(200, 1);
    machine.count(&sink).await;
    sink.is_down.store(true, SeqCst);
    let mut lines = 1;
    while machine.segments().len() < 4 {
        machine.log_requests(200, lines_each);
        lines += lines_each as i128;
        let builder = machine.pipeline().sink("stats", sink.clone()).drain_timeout(Duration::ZERO);
        let pipeline = builder.segment_bytes_max(4096).build().unwrap();
        let cut = async { until(&pipeline, "cut", |status| status.batches > 0).await };
        pipeline.run(cut).await.unwrap();
    }
    sink.is_down.store(false, SeqCst);
    (machine, sink, lines)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_binlog_is_put_right_or_removed_and_the_position_adopted() {
    let (original, sink, lines) = machine(1).await;
    let (other, ..) = machine(2).await;
    let foreign = fs::read(&other.segments()[1]).unwrap();
    /// Something that happens to the segments, by their paths.
    type Fault<'f> = &'f dyn Fn(&[PathBuf]);
    /// Whether an error is the one that the fault causes.
    type IsIt = fn(&BinlogError) -> bool;
    let cases: [(Fault<'_>, IsIt); 6] = [
        (&|at| flip(&at[0], 300), |error| matches!(error, BinlogError::Damaged { .. })),
        (&|at| flip(&at[3], 8), |error| matches!(error, BinlogError::NewerVersion { .. })),
        (&|at| fs::rename(&at[1], at[1].with_file_name("binlog-2.evs")).unwrap(), |error| {
            matches!(error, BinlogError::Misnamed { .. })
        }),
        (&|at| fs::remove_file(&at[1]).unwrap(), |error| matches!(error, BinlogError::MissingSegment { .. })),
        (&|at| fs::write(&at[1], &foreign).unwrap(), |error| {
            matches!(error, BinlogError::ForeignEpoch { .. })
        }),
        (&|at| fs::remove_file(&at[0]).unwrap(), |error| matches!(error, BinlogError::Gone { .. })),
    ];
    for (fault, is_it) in cases {
        for is_undone in [true, false] {
            let (machine, store) = (original.copy(), TestSink::default());
            store.replace(sink.store().backup());
            fault(&machine.segments());
            for _ in 0..2 {
                let error = machine.error(&store).await;
                assert!(matches!(&error, Error::Binlog(error) if is_it(error)), "{error}");
            }
            fs::remove_dir_all(machine.state()).unwrap();
            if is_undone {
                copy_all(&original.state(), &machine.state());
                machine.count(&store).await;
            } else {
                assert_is!(machine.error(&store).await, Error::ForeignState { .. });
                fs::remove_dir_all(machine.state()).unwrap();
                let adopting =
                    machine.pipeline().sink("stats", store.clone()).on_lost_state(LostState::Adopt);
                assert!(run_to_end(adopting).await.unwrap().is_complete);
            }
            machine.log_requests(404, 1);
            machine.count(&store).await;
            assert_eq!(totals(&store, "requests").await, of([("200", lines), ("404", 1)]));
        }
    }
}

#[tokio::test]
async fn each_source_gets_a_state_directory_of_its_own() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.log_requests(200, 1);
    machine.count(&sink).await;
    let second = || {
        let builder = Pipeline::builder("web2").tail(machine.log()).format(LogFormat::common());
        builder.statistic(by_status("requests")).sink("stats", sink.clone())
    };
    let error = second().state_dir(machine.state()).build().unwrap_err();
    assert_is!(error, Error::Binlog(BinlogError::ForeignSource { .. }));
    run_to_end(second().state_dir(machine.path("state2"))).await.unwrap();
    machine.count(&sink).await;
    assert_eq!(totals(&sink, "requests").await, of([("200", 2)]));
}

#[tokio::test]
async fn bytes_that_are_no_frame_at_the_end_are_cut_off_and_stop_nothing() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.log_requests(200, 1);
    machine.count(&sink).await;
    let mut segment = OpenOptions::new().append(true).open(&machine.segments()[0]).unwrap();
    segment.write_all(&[7; 100]).unwrap();
    machine.log_requests(200, 1);
    machine.count(&sink).await;
    assert_eq!(totals(&sink, "requests").await, of([("200", 2)]));
}
