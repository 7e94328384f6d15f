//! Tests of large batches and of several writers.
//!
//! A batch may have a hundred thousand rows, more than the parameters of a statement and more than some stores take in
//! a transaction. It still counts as one.

use std::sync::Arc;

use crate::{
    batch::{Batch, Rows},
    conformance::{
        fixture::{Fixture, Store},
        support::{Stream, apply_all, assert_holds, held, row, schema},
    },
    sink::{Applied, Sink, SinkError},
};

/// A batch of [`Limits::batch_rows`](super::Limits::batch_rows) rows in no order is applied as one: first with all
/// rows new, then with all rows present.
///
/// It finds limits of parameters, of statements and of transactions, and a sink that inserts row by row.
pub async fn many_rows_are_applied_as_one(fixture: &impl Fixture) {
    let rows_max = fixture.limits().batch_rows;
    let store = fixture.fresh().await;
    let stream = Stream::new("web1", schema("ad_events", &["campaign", "kind"]));
    let mut rows = Rows::new(2, 4);
    for n in 0..rows_max {
        // This is a permutation of the rows, so that stores do not get them sorted.
        let n = n * 48_271 % rows_max;
        let (campaign, kind) = (format!("campaign-{}", n / 10), [b'0' + (n % 10) as u8]);
        let value = Some(i128::from(n));
        rows.push(60, [campaign.as_bytes(), &kind], &[Some(1), value, value, value]);
    }
    let sink = store.open().await;
    let batches = [stream.batch_of(1, rows.clone()), stream.batch_of(2, rows)];
    apply_all(&*sink, &batches).await;
    let found = held(&*sink, &stream.schema).await;
    assert_eq!(found.len() as u64, rows_max);
    assert_holds(&found, &batches);
}

/// Two sources add to the same rows at the same time, through one sink and through two.
///
/// Both write rows of the same keys, so stores with row locks may run into deadlocks, which the sink must report as
/// [`SinkError::Unavailable`]. A sink that reads a total, adds to it and writes it back loses additions here.
pub async fn two_sources_at_once_lose_nothing(fixture: &impl Fixture) {
    for shared in [true, false] {
        let store = fixture.fresh().await;
        let schema = schema("ad_events", &["campaign"]);
        let first = store.open().await;
        first.prepare(&schema).await.expect("the schema is accepted");
        let second = if shared { Arc::clone(&first) } else { store.open().await };
        let batches = ["web1", "web2"].map(|source| {
            let stream = Stream::new(source, schema.clone());
            (1..=20)
                .map(|n| {
                    let keys = (0..50_u64).map(|key| format!("c{}", (key * (n + 3)) % 50));
                    let mut keys = keys.collect::<Vec<_>>();
                    keys.sort_unstable();
                    keys.dedup();
                    let rows = keys.iter().map(|key| row(60, &[key.as_bytes()], n.into()));
                    stream.batch(n, &rows.collect::<Vec<_>>())
                })
                .collect::<Vec<_>>()
        });
        let writers = [first, second].into_iter().zip(batches.clone());
        let writers = writers.map(|(sink, batches)| tokio::spawn(apply_in_turn(sink, batches)));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("no panic");
        }
        assert_holds(&held(&*store.open().await, &schema).await, batches.iter().flatten());
    }
}

/// Applies batches as a pipeline does: after `Unavailable` it offers the batch again. A store may give up a
/// transaction that is in another one's way.
async fn apply_in_turn(sink: Arc<dyn Sink>, batches: Vec<Batch>) {
    for batch in &batches {
        let mut attempts = 0;
        let applied = loop {
            match sink.apply(batch).await {
                Err(SinkError::Unavailable { .. }) if attempts < 100 => attempts += 1,
                answer => break answer.expect("the batch is applied"),
            }
            tokio::task::yield_now().await;
        };
        // A failed attempt may have applied the batch.
        assert!(applied == Applied::Now || attempts > 0);
    }
}
