//! What only real servers show: the outages that evs survives (`tests/outages`), and how fast each store is fed
//! (`benches/sinks`).
//!
//! A crate of its own, so that nobody builds the drivers of all databases for an example of `evs`.
