//! Delivers the batches of evs to MongoDB, exactly once.
