//! Tests on a real server, with each driver that is compiled in.

mod connecting;
mod exactly_once;
mod reading;
#[cfg(feature = "scylla")]
mod sessions;
mod storage;
mod stub;
mod support;
mod tls;

/// Runs each case with each driver.
macro_rules! with_each_driver {
    ($($module:ident: $($case:ident),* $(,)?;)*) => {
        #[cfg(feature = "scylla")]
        mod scylla {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$module::$case(crate::Driver::Scylla).await;
            })*)*
        }

        #[cfg(feature = "cassandra-cpp")]
        mod cpp {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                // The driver would log something about each connection.
                cassandra_cpp::set_level(cassandra_cpp::LogLevel::DISABLED);
                super::$module::$case(crate::Driver::Cpp).await;
            })*)*
        }
    };
}

with_each_driver! {
    exactly_once:
        passes_the_suite,
        a_late_request_does_not_move_the_progress_back,
        a_batch_that_is_half_written_does_not_count,
        progress_that_was_deleted_by_hand_is_not_taken_for_written;
    reading:
        values_are_what_a_plain_query_reads,
        the_documented_queries_give_the_sums,
        long_keys_together_are_kept,
        buckets_are_those_that_the_table_was_made_with,
        rows_live_as_long_as_their_window;
    storage:
        tables_that_may_not_be_made_are_named,
        a_table_of_another_shape_is_refused_by_its_column,
        a_table_with_rows_of_others_is_not_used,
        two_that_make_the_same_table_agree,
        whoever_writes_to_the_catalogue_first_is_right,
        a_missing_keyspace_is_refused_with_how_to_make_it,
        a_keyspace_that_is_not_durable_is_refused;
    connecting:
        a_datacenter_that_is_none_is_refused,
        every_consistency_is_accepted_by_the_server,
        a_server_that_is_away_is_used_when_it_is_there,
        a_silent_server_ends_by_the_timeout,
        a_wrong_password_is_refused_and_not_shown;
    tls:
        nodes_with_tls_are_known_by_their_certificates,
        nodes_that_ask_for_a_certificate_get_it,
        nodes_without_tls_are_not_taken_for_less;
}
