//! The tests that every sink must pass, for authors of sinks. This module is not covered by semantic versioning.
//!
//! The test of a sink is a [`Fixture`] and one call of [`run`]. For each promise of [`Sink`] there is also a function
//! with the promise as its name, which can be called alone in the search for a fault.
//!
//! ```
//! # use std::sync::Arc;
//! # use async_trait::async_trait;
//! # use evs_core::{MemorySink, Sink, conformance::{self, Fixture, Store}};
//! struct Memory(MemorySink);
//!
//! #[async_trait]
//! impl Store for Memory {
//!     async fn open(&self) -> Arc<dyn Sink> {
//!         Arc::new(self.0.clone())
//!     }
//! }
//!
//! struct Memories;
//!
//! #[async_trait]
//! impl Fixture for Memories {
//!     type Store = Memory;
//!
//!     async fn fresh(&self) -> Memory {
//!         Memory(MemorySink::new())
//!     }
//! }
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! conformance::once::the_same_batch_again_changes_nothing(&Memories).await;
//! # });
//! ```
//!
//! The functions panic when a promise is broken. They need a tokio runtime with its timer.

use std::{ops::RangeInclusive, sync::Arc};

use async_trait::async_trait;

use crate::sink::{Fault, Sink};

pub mod keys;
pub mod numbers;
pub mod once;
pub mod retention;
pub mod scale;
pub mod schemas;
mod support;
pub mod twins;

pub use support::chained;

/// The source of the stores that the suite tests.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The type of a store.
    type Store: Store;

    /// Makes a new store that was never used.
    async fn fresh(&self) -> Self::Store;

    /// Returns the limits of the stores.
    fn limits(&self) -> Limits {
        Limits::default()
    }
}

/// A store that can be opened several times, as by a service that restarts.
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
    /// The range of window starts.
    pub windows: RangeInclusive<i64>,
    /// The maximum length of one key.
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
    /// Returns the ranges of the suite's measures, in their order.
    fn of_measures(&self) -> [RangeInclusive<i128>; 4] {
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

/// Runs the whole suite, with a new store for each test.
pub async fn run(fixture: &impl Fixture) {
    once::an_unused_store_has_no_progress(fixture).await;
    once::the_first_batch_is_applied(fixture).await;
    once::the_same_batch_again_changes_nothing(fixture).await;
    once::an_older_batch_again_changes_nothing(fixture).await;
    once::a_batch_that_fails_midway_is_applied_once(fixture).await;
    once::a_batch_that_is_cancelled_anywhere_is_applied_once(fixture).await;
    once::a_gap_is_refused(fixture).await;
    once::other_contents_under_the_same_sequence_are_foreign(fixture).await;
    once::a_stream_goes_on_behind_its_beginning(fixture).await;
    once::a_known_stream_is_not_begun_again(fixture).await;
    once::progress_is_what_was_applied(fixture).await;
    once::streams_side_by_side_add_to_the_same_rows(fixture).await;
    once::a_batch_without_rows_moves_the_progress(fixture).await;
    twins::a_successor_of_another_history_is_foreign(fixture).await;
    twins::a_copy_that_is_behind_changes_nothing(fixture).await;
    twins::a_copy_that_is_ahead_changes_nothing(fixture).await;
    twins::a_stream_begun_in_another_history_is_foreign(fixture).await;
    twins::a_stream_of_which_only_the_number_is_known_goes_on(fixture).await;
    twins::a_claim_is_remembered(fixture).await;
    twins::a_claim_names_the_one_before_it(fixture).await;
    twins::one_of_several_claims_at_once_wins(fixture).await;
    twins::a_writer_that_was_taken_over_adds_nothing(fixture).await;
    twins::writers_of_two_epochs_are_told_apart(fixture).await;
    twins::a_restart_takes_over_and_goes_on(fixture).await;
    twins::a_store_that_was_restored_is_claimed_again(fixture).await;
    twins::a_source_that_nobody_claimed_is_claimed_first(fixture).await;
    schemas::limits_are_those_of_the_store(fixture).await;
    schemas::preparing_twice_changes_nothing(fixture).await;
    schemas::another_definition_is_refused(fixture).await;
    schemas::statistics_are_kept_apart(fixture).await;
    schemas::a_statistic_without_keys_has_a_row_per_window(fixture).await;
    schemas::a_batch_of_another_definition_is_refused(fixture).await;
    keys::keys_that_differ_in_a_byte_stay_apart(fixture).await;
    keys::the_same_key_in_different_columns_stays_apart(fixture).await;
    keys::long_keys_are_kept_or_refused(fixture).await;
    numbers::rows_are_merged_by_the_kind_of_measure(fixture).await;
    numbers::absent_values_merge_with_present_ones(fixture).await;
    numbers::values_at_the_limits_are_exact(fixture).await;
    numbers::values_beyond_the_limits_are_refused(fixture).await;
    numbers::totals_beyond_the_limits_are_refused(fixture).await;
    numbers::windows_of_all_times_are_kept(fixture).await;
    numbers::late_windows_are_added_to_their_own_rows(fixture).await;
    numbers::totals_are_of_the_windows_asked_for(fixture).await;
    retention::old_windows_are_swept_away(fixture).await;
    retention::another_retention_is_no_other_definition(fixture).await;
    scale::many_rows_are_applied_as_one(fixture).await;
    scale::two_sources_at_once_lose_nothing(fixture).await;
}
