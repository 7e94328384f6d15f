use std::sync::Arc;

use async_trait::async_trait;
use evs_core::{
    Fault, Sink,
    conformance::{self, Fixture, Limits, Store},
};
use evs_sql::{Faulty, SqlStore};

use super::File;
use crate::{SqliteSink, connection::SqliteConnector};

struct Files;

#[async_trait]
impl Fixture for Files {
    type Store = File;

    async fn fresh(&self) -> File {
        File::new()
    }

    fn limits(&self) -> Limits {
        let integers = i64::MIN.into()..=i64::MAX.into();
        Limits { counts: integers.clone(), extremes: integers, ..Limits::default() }
    }
}

#[async_trait]
impl Store for File {
    async fn open(&self) -> Arc<dyn Sink> {
        Arc::new(SqliteSink::open(self.path()).await.unwrap())
    }

    async fn open_failing(&self, fault: Fault) -> Option<Arc<dyn Sink>> {
        Some(Arc::new(SqlStore::new(Faulty::new(SqliteConnector::new(self.path()), fault)).into_sink()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite() {
    conformance::run(&Files).await;
}
