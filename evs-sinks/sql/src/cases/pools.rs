//! Sinks that are made of the driver's options, or of a pool.

use evs_core::{Sink, SinkError};

use super::database::{Database, Plain, batch, in_full, schema};

/// Sinks of options that differ from evs's own add to the same row, exactly. `window` is its window as others read it.
pub async fn sinks_of_another_mind_are_the_same<D: Database>(
    database: &D,
    sinks: [Box<dyn Sink>; 2],
    window: &str,
) {
    let key = "größe €".as_bytes();
    for (sequence, sink) in (1..).zip(sinks) {
        sink.prepare(&schema()).await.unwrap();
        sink.apply(&batch(sequence, &[(60, key, 5)])).await.unwrap();
        let totals = sink.totals(&schema(), 0..100).await.unwrap();
        assert_eq!(totals.cursor().next_row().unwrap().keys, [key]);
    }
    let rows = database.plain().await.texts("SELECT window_start, campaign, hits FROM ads").await;
    assert_eq!(rows, [[window, "größe €", "2"]]);
}

/// A sink of a pool uses the options that the pool gets later, and never shows their password. `set` gives the pool
/// wrong options, whose password is `hunter2` and which the server refuses with the words `said`, or the right ones
/// again.
pub async fn later_options_are_used(sink: &dyn Sink, set: impl Fn(bool), said: &str) {
    sink.prepare(&schema()).await.unwrap();
    set(false);
    sink.close().await.unwrap();
    let error = sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    let shown = format!("{error:?} {}", in_full(&error));
    assert!(shown.contains(said) && !shown.contains("hunter2"), "{shown}");
    set(true);
    sink.apply(&batch(1, &[(60, b"c1", 5)])).await.unwrap();
}

/// The answer of a builder whose options name no database. `builder` is its `Debug` output.
#[track_caller]
pub fn no_database_is_refused<S>(builder: &str, answer: Result<S, SinkError>) {
    assert!(!builder.contains("hunter2"), "{builder}");
    match answer {
        Err(error @ SinkError::Refused { .. }) => {
            assert!(error.to_string().contains("name no database"), "{error}");
        }
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("accepted"),
    }
}
