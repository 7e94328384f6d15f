//! The whole suite, in the order of its modules.

use super::{fixture::Fixture, keys, numbers, once, redefined, retention, scale, schemas, twins};

/// Runs the whole suite, with a new store for each test.
///
/// # Panics
///
/// Panics at the first promise that is broken. The message has the values that differ.
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
    once::a_batch_with_other_rows_keeps_its_place(fixture).await;
    once::a_batch_that_was_given_up_needs_no_table(fixture).await;
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
    redefined::a_new_measure_is_added_to_the_rows_that_are_there(fixture).await;
    redefined::an_older_batch_may_come_after_the_new_definition(fixture).await;
    redefined::another_order_of_measures_is_no_other_definition(fixture).await;
    redefined::each_kind_of_measure_can_be_added(fixture).await;
    redefined::sources_may_have_different_measures(fixture).await;
    redefined::a_preparation_that_is_cancelled_anywhere_is_completed(fixture).await;
    redefined::several_preparations_at_once_all_succeed(fixture).await;
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
