//! Delivers the batches of evs to Apache Cassandra, exactly once.
