//! Drains: what they wait for, for how long, and what they say about it in the program's log.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use evs_core::Status;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use super::*;

/// The lines that the thread of the test logs.
#[derive(Clone, Debug, Default)]
struct Logged(Arc<Mutex<Vec<String>>>);

impl Logged {
    /// Returns the lines that have this text.
    fn with(&self, text: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| line.contains(text)).cloned().collect()
    }
}

impl Subscriber for Logged {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A logged line as text.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

/// Fails a test that never ends.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it ends")
}

#[tokio::test]
async fn a_run_to_the_end_waits_for_its_sinks_no_longer_than_it_may() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    sink.is_down.store(true, SeqCst);
    let builder = machine.pipeline().sink("away", sink.clone()).end_timeout(Duration::from_millis(100));
    let summary = in_time(run_to_end(builder)).await.unwrap();
    assert_eq!((summary.lines, summary.undelivered, summary.is_complete), (1, 1, false));
    sink.is_down.store(false, SeqCst);
    let summary = in_time(run_to_end(machine.pipeline().sink("away", sink.clone()))).await.unwrap();
    assert_eq!((summary.lines, summary.is_complete), (0, true));
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 1)]));
}

#[tokio::test]
async fn a_stop_shortens_the_drain_of_a_run_to_the_end() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.append(&line(200, 1));
    sink.is_down.store(true, SeqCst);
    let builder = machine.pipeline().sink("away", sink.clone()).end_timeout(Duration::MAX);
    let pipeline = builder.build().unwrap();
    let drains =
        async { until(&pipeline, "drains", |status| status.phase == evs_core::Phase::Draining).await };
    let summary = in_time(pipeline.run_to_end(drains)).await.unwrap();
    assert_eq!((summary.lines, summary.undelivered, summary.is_complete), (1, 1, false));
}

#[tokio::test]
async fn a_drain_says_what_it_waits_for_at_its_start_from_time_to_time_and_at_its_end() {
    let (machine, sink, logged) = (Machine::new(), TestSink::default(), Logged::default());
    let _guard = tracing::subscriber::set_default(logged.clone());
    machine.append(&line(200, 1));
    sink.is_down.store(true, SeqCst);
    let there = TestSink::default();
    let builder = machine.pipeline().sink("away", sink.clone()).sink("there", there.clone());
    let pipeline = builder.end_timeout(Duration::from_secs(120)).build().unwrap();
    let hurry = async {
        while logged.with("the run waits for its sinks").is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let is_left =
            |status: &Status| status.sinks[0].state == SinkState::Down && status.sinks[1].waiting == 0;
        until(&pipeline, "waiting for one sink", is_left).await;
        // From here on only that sink is waited for, and the clock goes on whenever nothing else does.
        tokio::time::pause();
        pending::<()>().await;
    };
    let summary = pipeline.run_to_end(hurry).await.unwrap();
    tokio::time::resume();
    assert_eq!(summary.undelivered, 1);
    let started = logged.with("the run waits for its sinks");
    assert!(started[0].starts_with("INFO") && started[0].contains("away"), "{started:#?}");
    let reminders = logged.with("the run still waits for its sinks");
    assert!(reminders.len() >= 9, "{reminders:#?}");
    let waiting = "away (down: connecting: refused): 1 batch, 1 row";
    let ended = logged.with("the rest waits in the binlog");
    for line in reminders.iter().chain(&ended) {
        assert!(line.starts_with("WARN") && line.contains(waiting) && !line.contains("there"), "{line}");
    }
    assert_eq!(ended.len(), 1, "{ended:#?}");
}

#[tokio::test]
async fn a_drain_that_delivers_everything_does_not_warn() {
    let (machine, sink, logged) = (Machine::new(), TestSink::default(), Logged::default());
    machine.append(&line(200, 1));
    let guard = tracing::subscriber::set_default(logged.clone());
    in_time(run_to_end(machine.pipeline().sink("memory", sink))).await.unwrap();
    drop(guard);
    assert_eq!(logged.with("WARN"), Vec::<String>::new());
}
