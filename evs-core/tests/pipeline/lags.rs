//! The lags in a status: of reading, of each sink, and of each statistic.

use std::time::SystemTime;

use super::*;

#[tokio::test]
async fn reading_is_not_behind_while_nothing_is_unread() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink.clone()).build().unwrap();
    let handle = pipeline.status_handle();
    assert_eq!((handle.status().behind, handle.status().started), (None, None));
    machine.append("");
    let before = SystemTime::now();
    let drive = async {
        until(&pipeline, "polled", |status| status.behind == Some(Duration::ZERO)).await;
        // The time in the line is years ago.
        machine.append(&line(200, 1).replace("2026", "2001"));
        until(&pipeline, "idle", |status| status.lines == 1 && status.behind == Some(Duration::ZERO)).await;
        handle.pause("a test");
        machine.append(&line(200, 1));
        until(&pipeline, "behind", |status| status.behind.is_some_and(|behind| !behind.is_zero())).await;
        let behind = handle.status().behind.unwrap();
        assert!(
            behind < Duration::from_secs(3600),
            "the line was written after nothing was unread: {behind:?}"
        );
    };
    pipeline.run(drive).await.unwrap();
    let started = handle.status().started.unwrap();
    assert!(started >= before);
    until(&pipeline, "late", |status| status.behind >= Some(Duration::from_secs(1))).await;
    pipeline.run_to_end(pending()).await.unwrap();
    assert!(handle.status().started.unwrap() > started);
}

#[tokio::test]
async fn what_waits_for_a_sink_is_shown_with_its_size_and_age() {
    let (machine, away, there) = (Machine::new(), TestSink::default(), TestSink::default());
    away.is_down.store(true, SeqCst);
    let build = || {
        let pipeline = machine.pipeline().statistic(by_status("other")).spool_bytes_max(64 << 20);
        pipeline.sink("away", away.clone()).sink("there", there.clone()).build().unwrap()
    };
    let sizes = |status: &evs_core::Status, sink: usize| {
        let sink = &status.sinks[sink];
        (sink.waiting, sink.waiting_rows, sink.waiting_bytes)
    };
    let pipeline = build();
    let drive = async {
        for written in 1..=3 {
            machine.append(&(line(200, 1) + &line(404, 1)));
            until(&pipeline, "delivered", |status| status.sinks[1].batches == 2 * written).await;
        }
        until(&pipeline, "waiting", |status| status.sinks[0].waiting == 6).await;
        until(&pipeline, "late", |status| status.sinks[0].lag >= Some(Duration::from_secs(1))).await;
        until(&pipeline, "noted", |status| status.sinks[1].waiting == 0).await;
    };
    pipeline.run(drive).await.unwrap();
    let status = pipeline.status();
    let (batches, rows, bytes) = sizes(&status, 0);
    assert_eq!((batches, rows), (6, 12));
    assert!(bytes > 0 && bytes < status.binlog_bytes && status.spool_bytes_max == 64 << 20, "{status:#?}");
    assert_eq!((sizes(&status, 1), status.sinks[1].lag), ((0, 0, 0), Some(Duration::ZERO)));
    drop(pipeline);

    // The next process knows the same from the binlog.
    let pipeline = build();
    let drive = async {
        until(&pipeline, "waiting", |status| status.sinks[0].waiting == 6).await;
        let status = pipeline.status();
        assert_eq!(sizes(&status, 0), (6, 12, bytes));
        assert!(status.sinks[0].lag >= Some(Duration::from_secs(1)), "{status:#?}");
        away.is_down.store(false, SeqCst);
        until(&pipeline, "delivered", |status| status.sinks[0].batches == 6).await;
        until(&pipeline, "noted", |status| sizes(status, 0) == (0, 0, 0)).await;
        assert_eq!(pipeline.status().sinks[0].lag, Some(Duration::ZERO));
    };
    assert!(pipeline.run(drive).await.unwrap().is_complete);
}

#[tokio::test]
async fn each_statistic_shows_its_rows_its_cuts_and_what_was_too_late() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let slow = by_status("slow").flush_every(Duration::from_secs(3600)).rows_max(77);
    let kept = by_status("kept").retain(Duration::from_secs(86_400 * 365));
    let pipeline = machine.pipeline().statistic(slow).statistic(kept).sink("memory", sink.clone());
    let pipeline = pipeline.build().unwrap();
    machine.append(&line(200, 1));
    let before = SystemTime::now();
    let drive = async {
        // Everything that is there at the start is cut early, and only that.
        until(&pipeline, "delivered", |status| status.sinks[0].batches == 3).await;
        let cuts: Vec<_> = pipeline.status().statistics.iter().map(|known| known.last_cut.unwrap()).collect();
        assert!(cuts.iter().all(|cut| *cut >= before), "{cuts:?}");
        machine.append(&(line(200, 1) + &line(404, 1) + &line(404, 1).replace("2026", "2001")));
        until(&pipeline, "delivered", |status| status.sinks[0].batches >= 5).await;
        until(&pipeline, "cut", |status| status.statistics[2].too_late == 1).await;
        let status = pipeline.status();
        let names: Vec<_> = status.statistics.iter().map(|known| &*known.name).collect();
        assert_eq!(names, ["requests", "slow", "kept"]);
        let late: Vec<_> = status.statistics.iter().map(|known| known.too_late).collect();
        assert_eq!((late, status.too_late), (vec![0, 0, 1], 1));
        let slow = &status.statistics[1];
        assert_eq!((slow.rows, slow.rows_max, slow.last_cut), (3, 77, Some(cuts[1])));
        assert!(status.statistics[0].last_cut > Some(cuts[0]));
        assert_eq!(status.rows, status.statistics.iter().map(|known| known.rows).sum::<u64>());
    };
    pipeline.run(drive).await.unwrap();
    assert_eq!(pipeline.status().rows, 0);
}
