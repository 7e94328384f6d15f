//! Tests and benches that need real servers: the outages that evs survives (`tests/outages`), and the rows per second
//! into each store (`benches/sinks`).
//!
//! A crate of its own, so that nobody builds the drivers of all databases for an example of `evs`.
