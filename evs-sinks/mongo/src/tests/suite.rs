//! The conformance suite, on the test server.

use std::sync::Arc;

use async_trait::async_trait;
use evs_core::{
    Fault, Sink,
    conformance::{self, Fixture, Limits, Overflow, Store},
};

use super::Scratch;
use crate::{MongoSink, decimal, rows::WINDOWS};

struct Databases {
    server: String,
}

#[async_trait]
impl Fixture for Databases {
    type Store = Scratch;

    async fn fresh(&self) -> Scratch {
        Scratch::at(&self.server).await
    }

    fn limits(&self) -> Limits {
        Limits {
            counts: i64::MIN.into()..=i64::MAX.into(),
            sums: -decimal::MAX..=decimal::MAX,
            extremes: -decimal::MAX..=decimal::MAX,
            overflow: Overflow::RefusedInPart,
            windows: WINDOWS,
            // These rows do not fit into one command. There are not more, because some servers take a millisecond for
            // each.
            batch_rows: 12_000,
            sweeps: false,
            ..Limits::default()
        }
    }
}

#[async_trait]
impl Store for Scratch {
    async fn open(&self) -> Arc<dyn Sink> {
        Arc::new(MongoSink::connect(&self.url).await.unwrap())
    }

    async fn open_failing(&self, fault: Fault) -> Option<Arc<dyn Sink>> {
        let sink = MongoSink::connect(&self.url).await.unwrap();
        *sink.0.store().checkpoints.fault.lock().unwrap() = Some(fault);
        Some(Arc::new(sink))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite() {
    let Some(server) = evs_testkit::server("mongo") else { return };
    conformance::run(&Databases { server }).await;
}
