//! Delivers the batches of evs to PostgreSQL, exactly once.
