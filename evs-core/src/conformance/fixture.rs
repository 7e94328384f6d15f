//! The stores that the suite tests: how they are made, and their limits.

use std::{ops::RangeInclusive, sync::Arc};

use async_trait::async_trait;

use crate::sink::{Fault, Sink};

/// The source of the stores that the suite tests.
///
/// A store of the suite is not the server but a place in it that nobody else uses, such as a database or a keyspace.
/// The suite asks for about fifty of them, one after the other.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The type of a store.
    type Store: Store;

    /// Makes a new store that was never used.
    ///
    /// It panics if it cannot: a suite that skips its tests proves nothing.
    async fn fresh(&self) -> Self::Store;

    /// Returns the limits of the stores. By default there are none beyond those of the types.
    fn limits(&self) -> Limits {
        Limits::default()
    }
}

/// A store that can be opened several times, as by a service that restarts.
///
/// The suite drops a sink and opens the store again to prove that everything is durable, and opens several sinks at
/// once to prove that they do not disturb each other.
#[async_trait]
pub trait Store: Send + Sync {
    /// Opens a sink on this store, with connections of its own.
    async fn open(&self) -> Arc<dyn Sink>;

    /// Opens a sink on this store that fails once: the first [`Sink::apply`] that would change something fails at the
    /// point of `fault`, with [`SinkError::Unavailable`](crate::SinkError::Unavailable). Returns `None` if the
    /// fixture cannot arrange that; the tests that need it are then skipped.
    async fn open_failing(&self, fault: Fault) -> Option<Arc<dyn Sink>> {
        let _ = fault;
        None
    }
}

/// The limits of a store. The suite tries both sides of each limit: a value beyond it must be refused.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::conformance::{Limits, Overflow};
///
/// // A store with 64-bit integers and without transactions.
/// let limits = Limits {
///     counts: i64::MIN.into()..=i64::MAX.into(),
///     sums: i64::MIN.into()..=i64::MAX.into(),
///     extremes: i64::MIN.into()..=i64::MAX.into(),
///     overflow: Overflow::RefusedInPart,
///     key_bytes_max: 65_535,
///     ..Limits::default()
/// };
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// The range of values and totals of a count.
    pub counts: RangeInclusive<i128>,
    /// The range of values and totals of a sum.
    pub sums: RangeInclusive<i128>,
    /// The range of values of a minimum or maximum.
    pub extremes: RangeInclusive<i128>,
    /// The reaction to a batch that would bring a total beyond these ranges.
    pub overflow: Overflow,
    /// The range of window starts, in seconds since 1970.
    pub windows: RangeInclusive<i64>,
    /// The maximum length of one key, in bytes.
    pub key_bytes_max: usize,
    /// The number of rows in the largest batch of the suite. Use fewer than 100,000 for a server that would take
    /// minutes.
    pub batch_rows: u64,
    /// True if [`Sink::sweep`] removes rows; false if rows expire by themselves.
    pub sweeps: bool,
}

/// The default has only the limits of the types, and allows keys of at least 10 KiB.
impl Default for Limits {
    fn default() -> Self {
        Self {
            counts: i128::MIN..=i128::MAX,
            sums: i128::MIN..=i128::MAX,
            extremes: i128::MIN..=i128::MAX,
            overflow: Overflow::RefusedWhole,
            windows: i64::MIN..=i64::MAX,
            key_bytes_max: usize::MAX,
            batch_rows: 100_000,
            sweeps: true,
        }
    }
}

impl Limits {
    /// Returns the ranges of the suite's measures, in their order: count, sum, minimum and maximum.
    pub(super) fn of_measures(&self) -> [RangeInclusive<i128>; 4] {
        [self.counts.clone(), self.sums.clone(), self.extremes.clone(), self.extremes.clone()]
    }
}

/// The reaction of a store to a batch that would bring a total beyond its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The store refuses the batch and adds nothing of it. This is what [`Sink`] asks for.
    RefusedWhole,
    /// The store refuses the batch but may have added other rows of it. This happens in a store without transactions.
    RefusedInPart,
    /// The store applies the batch: it keeps the additions, and its readers compute the sums.
    FoundByReaders,
}
