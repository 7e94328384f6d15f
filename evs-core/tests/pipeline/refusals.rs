//! Batches that a sink refuses for good: what stops, what goes on, and the ways out.

use evs_core::{Applied, EventKind, StatusHandle};

use super::{events::next_of, *};

/// A pipeline of two statistics into a sink that refuses the rows of one of them, and one that takes everything.
struct Refusing {
    machine: Machine,
    pg: TestSink,
    other: TestSink,
}

impl Refusing {
    fn new() -> Self {
        let this = Self { machine: Machine::new(), pg: TestSink::default(), other: TestSink::default() };
        this.refuse(Some("errors"));
        this
    }

    fn refuse(&self, statistic: Option<&'static str>) {
        *self.pg.refuses_rows_of.lock().unwrap() = statistic;
    }

    fn build(&self) -> Pipeline {
        let builder = self.machine.pipeline().statistic(by_status("errors"));
        builder.sink("pg", self.pg.clone()).sink("other", self.other.clone()).build().unwrap()
    }

    /// Appends a line, and waits until both statistics of it are in the other sink, which has `lines` lines then.
    async fn count_a_line(&self, pipeline: &Pipeline, lines: u64) {
        self.machine.append(&line(200, 1));
        until(pipeline, "delivered", |status| status.sinks[1].batches >= 2 * lines).await;
    }
}

async fn discard(handle: &StatusHandle, sequence: u64) -> Result<std::path::PathBuf, Error> {
    handle.discard("pg", "errors", sequence).await
}

#[tokio::test]
async fn a_refusal_stops_one_statistic_of_one_sink_and_a_retry_delivers_what_waits() {
    let refusing = Refusing::new();
    let pipeline = refusing.build();
    let handle = pipeline.status_handle();
    let drive = async {
        for lines in 1..=3 {
            refusing.count_a_line(&pipeline, lines).await;
            until(&pipeline, "applied", |status| status.sinks[0].batches == lines).await;
        }
        let status = handle.status();
        let pg = &status.sinks[0];
        assert_eq!((pg.state, pg.waiting), (SinkState::Up, 3), "{pg:#?}");
        let stopped: Vec<_> =
            pg.stopped.iter().map(|one| (&*one.statistic, one.sequence, &*one.error)).collect();
        assert_eq!(stopped, [("errors", 1, "no rows of errors")]);
        assert!(status.sinks[1].stopped.is_empty());
        // The cause is still there.
        assert!(handle.retry("pg", "errors").unwrap());
        until(&pipeline, "stopped again", |status| {
            status.sinks[0].stopped.first().is_some_and(|again| again.since > pg.stopped[0].since)
        })
        .await;
        refusing.refuse(None);
        assert!(!handle.retry("pg", "requests").unwrap(), "nothing of it is stopped");
        assert!(!handle.retry_sink("other").unwrap());
        assert!(handle.retry("pg", "errors").unwrap());
        until(&pipeline, "delivered", |status| status.sinks[0].waiting == 0).await;
        assert!(handle.status().sinks[0].stopped.is_empty());
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert_eq!((summary.lines, summary.is_complete), (3, true));
    for sink in [&refusing.pg, &refusing.other] {
        assert_eq!(totals(sink, "errors").await, of([("200", 3, 3)]));
        assert_eq!(totals(sink, "requests").await, of([("200", 3, 3)]));
    }
}

#[tokio::test]
async fn a_run_to_the_end_names_what_was_refused_and_a_restart_tries_again() {
    let refusing = Refusing::new();
    refusing.machine.append(&line(200, 1));
    let error = refusing.build().run_to_end(pending()).await.unwrap_err();
    let Error::SinkStopped { sink, waiting: 1, source } = &error else { panic!("{error}") };
    assert_eq!((&**sink, source.to_string()), ("pg", "no rows of errors".to_owned()));
    assert_eq!(totals(&refusing.pg, "requests").await, of([("200", 1, 1)]));
    refusing.refuse(None);
    assert!(refusing.build().run_to_end(pending()).await.unwrap().is_complete);
    assert_eq!(totals(&refusing.pg, "errors").await, of([("200", 1, 1)]));
}

#[tokio::test]
async fn a_discarded_batch_is_exported_and_counted_for_ever_and_the_next_ones_follow() {
    let refusing = Refusing::new();
    let pipeline = refusing.build();
    let handle = pipeline.status_handle();
    let drive = async {
        refusing.count_a_line(&pipeline, 1).await;
        refusing.count_a_line(&pipeline, 2).await;
        until(&pipeline, "stopped", |status| !status.sinks[0].stopped.is_empty()).await;
        for (sequence, story) in
            [(2, "the batch that waits there is 1"), (0, "the batch that waits there is 1")]
        {
            let error = discard(&handle, sequence).await.unwrap_err();
            assert!(matches!(error, Error::NotRefused { refused: Some(1), .. }), "{error}");
            assert!(error.to_string().ends_with(story), "{error}");
        }
        let error = handle.discard("other", "errors", 1).await.unwrap_err();
        assert!(matches!(error, Error::NotRefused { refused: None, .. }), "{error}");
        let error = handle.discard("mysql", "errors", 1).await.unwrap_err();
        assert_eq!(error.to_string(), "the pipeline has no sink mysql");

        let mut events = handle.events();
        let path = discard(&handle, 1).await.unwrap();
        let (sink, statistic) = ("pg".to_owned(), "errors".to_owned());
        let path_text = path.display().to_string();
        let told = EventKind::BatchDiscarded { sink, statistic, sequence: 1, rows: 1, path: path_text };
        next_of(&mut events, "given up", |event| *event == told).await;
        assert_eq!(path.parent(), Some(refusing.machine.state().as_path()));
        let exported = fs::read_to_string(path).unwrap();
        assert!(exported.contains("\"statistic\":\"errors\",\"sequence\":1,"), "{exported}");
        assert!(
            exported.contains("\"keys\":{\"status\":\"200\"},\"measures\":{\"count\":\"1\","),
            "{exported}"
        );
        // The next batch has rows again, and is refused again.
        let stopped =
            |status: &evs_core::Status| status.sinks[0].stopped.first().is_some_and(|s| s.sequence == 2);
        until(&pipeline, "stopped at the next batch", stopped).await;
        assert!(discard(&handle, 1).await.is_err(), "it is given up already");
        refusing.refuse(None);
        assert!(handle.retry("pg", "errors").unwrap());
        until(&pipeline, "delivered", |status| status.sinks[0].waiting == 0).await;
    };
    let summary = pipeline.run(drive).await.unwrap();
    assert!(summary.is_complete);
    drop(pipeline);
    assert!(matches!(discard(&handle, 3).await, Err(Error::NotRunning)));
    assert!(matches!(handle.retry_sink("pg"), Err(Error::NotRunning)));
    assert_eq!(totals(&refusing.pg, "errors").await, of([("200", 1, 1)]));
    assert_eq!(totals(&refusing.other, "errors").await, of([("200", 2, 2)]));

    let pipeline = refusing.build();
    let drive = async {
        refusing.count_a_line(&pipeline, 1).await;
        let status = pipeline.status();
        assert_eq!((status.sinks[0].discarded, status.sinks[0].discarded_rows), (1, 1), "{status:#?}");
        assert_eq!(status.sinks[1].discarded, 0);
    };
    assert!(pipeline.run(drive).await.unwrap().is_complete);
    assert_eq!(totals(&refusing.pg, "errors").await, of([("200", 2, 2)]));
}

#[tokio::test]
async fn a_batch_stays_given_up_if_the_process_dies_before_the_sink_knows() {
    let refusing = Refusing::new();
    let pipeline = refusing.build();
    let handle = pipeline.status_handle();
    let die = async {
        refusing.count_a_line(&pipeline, 1).await;
        until(&pipeline, "stopped", |status| !status.sinks[0].stopped.is_empty()).await;
        *refusing.pg.takes.lock().unwrap() = Duration::from_secs(3600);
        discard(&handle, 1).await.unwrap();
    };
    // The run is dropped while the sink is offered the batch without its rows.
    tokio::select! {
        ended = pipeline.run(pending()) => panic!("{ended:?}"),
        () = die => {}
    }
    *refusing.pg.takes.lock().unwrap() = Duration::ZERO;
    refusing.refuse(None);
    refusing.machine.append(&line(200, 1));
    let summary = pipeline.run_to_end(pending()).await.unwrap();
    assert!(summary.is_complete, "{summary:?}");
    assert_eq!(totals(&refusing.pg, "errors").await, of([("200", 1, 1)]));
    assert_eq!(totals(&refusing.pg, "requests").await, of([("200", 2, 2)]));
    assert_eq!(totals(&refusing.other, "errors").await, of([("200", 2, 2)]));
}

/// Its answer was lost, and then the sink refused it. Whoever added the exported rows by hand would count them twice.
#[tokio::test]
async fn a_batch_that_the_sink_has_after_all_is_not_given_up() {
    let refusing = Refusing::new();
    let pipeline = refusing.build();
    let handle = pipeline.status_handle();
    let drive = async {
        refusing.count_a_line(&pipeline, 1).await;
        until(&pipeline, "stopped", |status| !status.sinks[0].stopped.is_empty()).await;
        let applied = refusing.other.applied.lock().unwrap().clone();
        let mut batch = applied.into_iter().find(|batch| batch.statistic() == "errors").unwrap();
        batch.writer = None;
        assert_eq!(refusing.pg.store().apply(&batch).await.unwrap(), Applied::Now);
        let error = discard(&handle, 1).await.unwrap_err();
        assert!(matches!(error, Error::NotRefused { refused: None, .. }), "{error}");
        let status = handle.status();
        assert!(status.sinks[0].stopped.is_empty() && status.sinks[0].discarded == 0, "{status:#?}");
        refusing.refuse(None);
        refusing.count_a_line(&pipeline, 2).await;
    };
    assert!(pipeline.run(drive).await.unwrap().is_complete);
    assert_eq!(totals(&refusing.pg, "errors").await, of([("200", 2, 2)]));
}

#[tokio::test]
async fn a_sink_that_refuses_everything_is_restarted_alone() {
    let (machine, sink, other) = (Machine::new(), TestSink::default(), TestSink::default());
    let build = || machine.pipeline().sink("pg", sink.clone()).sink("other", other.clone());
    machine.append(&line(200, 1));
    run_to_end(build()).await.unwrap();
    sink.refuses.store(true, SeqCst);
    let pipeline = build().build().unwrap();
    let handle = pipeline.status_handle();
    let drive = async {
        machine.append(&line(200, 1));
        until(&pipeline, "stopped", |status| status.sinks[0].state == SinkState::Stopped).await;
        until(&pipeline, "delivered", |status| status.sinks[1].batches == 1).await;
        let error = handle.discard("pg", "requests", 2).await.unwrap_err();
        assert!(matches!(error, Error::NotRefused { .. }), "{error}");
        sink.refuses.store(false, SeqCst);
        assert!(handle.retry_sink("pg").unwrap());
        until(&pipeline, "delivered", |status| status.sinks[0].batches == 1).await;
        assert_eq!(handle.status().sinks[0].state, SinkState::Up);
    };
    assert!(pipeline.run(drive).await.unwrap().is_complete);
    for sink in [&sink, &other] {
        assert_eq!(totals(sink, "requests").await, of([("200", 2, 2)]));
    }
}

#[tokio::test]
async fn a_sink_of_one_statistic_that_is_refused_is_stopped_as_a_whole() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    *sink.refuses_rows_of.lock().unwrap() = Some("requests");
    machine.append(&line(200, 1));
    let pipeline = machine.pipeline().sink("pg", sink.clone()).build().unwrap();
    let drive = async {
        until(&pipeline, "stopped", |status| status.sinks[0].state == SinkState::Stopped).await;
        let stopped = &pipeline.status().sinks[0].stopped;
        assert_eq!(stopped.len(), 1, "{stopped:?}");
    };
    assert_eq!(pipeline.run(drive).await.unwrap().undelivered, 1);
}
