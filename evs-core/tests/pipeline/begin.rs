//! Statistics that are added to a source and begin at the oldest file.

use evs_core::{Begin, EventKind};

use super::*;

/// Writes the rotated and the live log: three lines of 200 in two older files, one of them compressed, and one line in
/// the live file.
fn write_log(machine: &Machine) {
    let gz = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    fs::write(machine.0.path().join("access.log.2.gz"), gz(&(line(200, 1) + &line(201, 1)))).unwrap();
    fs::write(machine.0.path().join("access.log.1"), line(200, 10)).unwrap();
    machine.append(&line(200, 100));
}

fn from_oldest(name: &str) -> Statistic {
    by_status(name).begin(Begin::Oldest)
}

#[tokio::test]
async fn a_new_statistic_reads_the_older_files_and_the_others_do_not() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    write_log(&machine);
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 100)]));
    machine.append(&line(200, 1000));

    let pipeline =
        machine.pipeline().statistic(from_oldest("all")).sink("memory", sink.clone()).build().unwrap();
    let summary = pipeline.run_to_end(pending()).await.unwrap();
    assert_eq!((summary.lines, summary.lost_bytes), (1, 0));
    let status = pipeline.status();
    assert_eq!(status.statistics[1].older_files, 0);
    let all = of([("200", 4, 1111), ("201", 1, 1)]);
    assert_eq!(totals(&sink, "all").await, all);
    assert_eq!(totals(&sink, "requests").await, of([("200", 2, 1100)]));

    // The setting may stay: nothing is read again.
    run_to_end(machine.pipeline().statistic(from_oldest("all")).sink("memory", sink.clone())).await.unwrap();
    assert_eq!(totals(&sink, "all").await, all);
}

#[tokio::test]
async fn a_new_source_may_have_statistics_with_different_beginnings() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    write_log(&machine);
    let builder = machine.pipeline().begin(Begin::End).statistic(from_oldest("all"));
    let builder = builder.statistic(by_status("live").begin(Begin::Start)).sink("memory", sink.clone());
    let pipeline = builder.build().unwrap();
    let drive = async {
        until(&pipeline, "read", |status| {
            // One batch of each statistic that reads older files.
            status.batches >= 2 && status.statistics.iter().all(|statistic| statistic.older_files == 0)
        })
        .await;
        machine.append(&line(200, 1000));
        until(&pipeline, "read", |status| status.lines == 1).await;
    };
    pipeline.run(drive).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1000)]));
    assert_eq!(totals(&sink, "live").await, of([("200", 2, 1100)]));
    assert_eq!(totals(&sink, "all").await, of([("200", 4, 1111), ("201", 1, 1)]));
}

/// The log has no live file yet, so the position in it is empty while older files are read.
#[tokio::test]
async fn older_files_are_read_before_the_log_exists() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    fs::write(machine.0.path().join("access.log.1"), line(200, 10)).unwrap();
    let builder = || machine.pipeline().statistic(from_oldest("all")).sink("memory", sink.clone());
    for batches in [1, 0] {
        let pipeline = builder().build().unwrap();
        let read = async {
            until(&pipeline, "read", |status| {
                let sink = &status.sinks[0];
                sink.state == SinkState::Up && sink.batches == batches
            })
            .await;
        };
        pipeline.run(read).await.unwrap();
        assert_eq!(pipeline.status().statistics[1].older_files, 0);
        assert_eq!(totals(&sink, "all").await, of([("200", 1, 10)]));
    }
    machine.append(&line(200, 1000));
    run_to_end(builder()).await.unwrap();
    assert_eq!(totals(&sink, "all").await, of([("200", 2, 1010)]));
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1000)]));
}

/// Every line is counted once although the process is killed again and again while it reads older files, and the log is
/// rotated and compressed meanwhile.
#[tokio::test]
async fn kills_and_rotations_while_older_files_are_read() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let many = |bytes| line(200, bytes).repeat(20_000);
    for (number, bytes) in [(3, 1), (2, 10), (1, 100)] {
        fs::write(machine.0.path().join(format!("access.log.{number}")), many(bytes)).unwrap();
    }
    machine.append(&many(1000));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    let builder = || {
        let builder = machine.pipeline().statistic(from_oldest("all")).lines_per_second_max(100_000);
        builder.sink("memory", sink.clone())
    };
    for round in 0..8 {
        // The run is dropped in the middle, as by a kill: nothing is cut at its end.
        let pipeline = builder().build().unwrap();
        let after = Duration::from_millis(60 + 10 * round);
        let killed = tokio::time::timeout(after, pipeline.run(pending())).await;
        assert!(killed.is_err(), "{killed:?}");
        drop(pipeline);
        while let Err(Error::Locked { .. }) = builder().build() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if round % 3 == 1 {
            let name = |number: u64| machine.0.path().join(format!("access.log.{number}"));
            for number in (1..4 + round / 3).rev() {
                fs::rename(name(number), name(number + 1)).unwrap();
            }
            fs::rename(machine.log(), name(1)).unwrap();
            machine.append(&line(200, 7 + round));
        }
    }
    run_to_end(builder()).await.unwrap();
    let (live, bytes) = (3, 3 * 7 + 1 + 4 + 7);
    assert_eq!(totals(&sink, "requests").await, of([("200", 20_000 + live, 20_000_000 + bytes)]));
    assert_eq!(totals(&sink, "all").await, of([("200", 80_000 + live, 20_000 * 1111 + bytes)]));
}

#[tokio::test]
async fn an_older_file_that_is_removed_is_counted_as_lost() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    write_log(&machine);
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    let builder = || machine.pipeline().statistic(from_oldest("all")).sink("memory", sink.clone());
    let pipeline = builder().build().unwrap();
    // Reading is paused, so nothing of the older files is read.
    let handle = pipeline.status_handle();
    handle.pause("a test");
    let listed = async {
        until(&pipeline, "listed", |status| status.statistics[1].older_files == 3).await;
    };
    pipeline.run(listed).await.unwrap();
    drop(pipeline);
    fs::remove_file(machine.0.path().join("access.log.1")).unwrap();
    let summary = run_to_end(builder()).await.unwrap();
    assert_eq!(summary.lost_bytes, line(200, 10).len() as u64);
    assert_eq!(totals(&sink, "all").await, of([("200", 2, 101), ("201", 1, 1)]));
}

/// Only the state directory knows which older files are left.
#[tokio::test]
async fn a_position_in_older_files_is_not_adopted() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    fs::write(machine.0.path().join("access.log.1"), line(200, 1).repeat(60_000)).unwrap();
    machine.append(&line(200, 7));
    run_to_end(machine.pipeline().sink("memory", sink.clone())).await.unwrap();
    let builder = || {
        let builder = machine.pipeline().statistic(from_oldest("all")).sink("memory", sink.clone());
        builder.on_lost_state(LostState::Adopt)
    };
    let pipeline = builder().lines_per_second_max(20_000).build().unwrap();
    let some = async {
        until(&pipeline, "a part was delivered", |status| {
            status.sinks[0].batches > 0 && status.statistics[1].older_files > 0
        })
        .await;
    };
    pipeline.run(some).await.unwrap();
    drop(pipeline);
    fs::remove_dir_all(machine.state()).unwrap();
    let error = run_to_end(builder()).await.unwrap_err();
    assert!(error.to_string().contains("statistic all was reading older files"), "{error}");
    // The way out: take it out, adopt the others, and add it under another name.
    let others = machine.pipeline().sink("memory", sink.clone()).on_lost_state(LostState::Adopt);
    run_to_end(others).await.unwrap();
    let named = machine.pipeline().statistic(from_oldest("every")).sink("memory", sink.clone());
    run_to_end(named).await.unwrap();
    assert_eq!(totals(&sink, "every").await, of([("200", 60_001, 60_007)]));
}

#[tokio::test]
async fn statistics_that_begin_at_the_oldest_file_together_read_it_once() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    write_log(&machine);
    let builder = machine.pipeline().statistic(from_oldest("all")).statistic(from_oldest("every"));
    let pipeline = builder.sink("memory", sink.clone()).build().unwrap();
    let mut events = pipeline.status_handle().events();
    pipeline.run_to_end(pending()).await.unwrap();
    drop(pipeline);
    let older = machine.0.path().join("access.log.1").display().to_string();
    let mut opened = 0;
    while let Some(event) = events.next().await {
        opened += u32::from(matches!(&event.kind, EventKind::FileOpened { path, .. } if *path == older));
    }
    assert_eq!(opened, 1);
    let all = of([("200", 3, 111), ("201", 1, 1)]);
    assert_eq!((totals(&sink, "all").await, totals(&sink, "every").await), (all.clone(), all));
}
