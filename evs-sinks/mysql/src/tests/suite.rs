use std::sync::Arc;

use async_trait::async_trait;
use evs_core::{
    Fault, Sink,
    conformance::{self, Fixture, Limits, Store},
};
use evs_sql::{Faulty, SqlStore, cases::Database as _};

use super::Database;

struct Databases;

#[async_trait]
impl Fixture for Databases {
    type Store = Database;

    async fn fresh(&self) -> Database {
        Database::fresh().await.expect("there is a server")
    }

    fn limits(&self) -> Limits {
        let decimals = 10_i128.pow(38) - 1;
        Limits {
            counts: i64::MIN.into()..=i64::MAX.into(),
            sums: -decimals..=decimals,
            extremes: -decimals..=decimals,
            windows: -30_610_224_000..=253_402_300_799,
            ..Limits::default()
        }
    }
}

#[async_trait]
impl Store for Database {
    async fn open(&self) -> Arc<dyn Sink> {
        Arc::from(self.sink().await)
    }

    async fn open_failing(&self, fault: Fault) -> Option<Arc<dyn Sink>> {
        Some(Arc::new(SqlStore::new(Faulty::new(self.connector(), fault)).into_sink()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite() {
    if evs_testkit::server("mysql").is_some() {
        conformance::run(&Databases).await;
    }
}
