//! The suite of all sinks, `evs_core::conformance`.

use std::{marker::PhantomData, ops::RangeInclusive, sync::Arc};

use async_trait::async_trait;
use evs_core::{
    Fault, Sink,
    conformance::{self, Fixture, Limits, Store},
};

use super::database::Database;
use crate::{Faulty, SqlStore};

/// The suite's fixture: databases with the given limits.
struct Databases<D>(Limits, PhantomData<D>);

/// A database as a store of the suite.
struct Stored<D>(D);

#[async_trait]
impl<D: Database> Fixture for Databases<D> {
    type Store = Stored<D>;

    async fn fresh(&self) -> Stored<D> {
        Stored(D::fresh().await.expect("there is a server"))
    }

    fn limits(&self) -> Limits {
        self.0.clone()
    }
}

#[async_trait]
impl<D: Database> Store for Stored<D> {
    async fn open(&self) -> Arc<dyn Sink> {
        Arc::from(self.0.sink().await)
    }

    async fn open_failing(&self, fault: Fault) -> Option<Arc<dyn Sink>> {
        Some(Arc::new(SqlStore::new(Faulty::new(self.0.connector(), fault)).into_sink()))
    }
}

/// The sink keeps the contract of all sinks, within its limits.
pub async fn passes_the_suite<D: Database>(limits: Limits) {
    if D::fresh().await.is_some() {
        conformance::run(&Databases::<D>(limits, PhantomData)).await;
    }
}

/// The limits of a store with 64-bit integers, decimals of 38 digits, and the given windows.
pub fn decimal_limits(windows: RangeInclusive<i64>) -> Limits {
    let decimals = 10_i128.pow(38) - 1;
    Limits {
        counts: i64::MIN.into()..=i64::MAX.into(),
        sums: -decimals..=decimals,
        extremes: -decimals..=decimals,
        windows,
        ..Limits::default()
    }
}
