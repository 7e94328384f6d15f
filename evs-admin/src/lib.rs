//! The cockpit of evs: what an operator looks at, over HTTP and in a terminal.

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "http")]
pub mod http;
