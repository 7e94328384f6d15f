//! A source of several logs: a pattern that they match, one position, one inventory.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test")]

mod model;
mod names;
mod reader;
mod site;
#[path = "../tail_support/mod.rs"]
mod tail_support;
