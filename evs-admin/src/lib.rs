//! The cockpit of evs: what an operator looks at, over HTTP and in a terminal.
//!
//! - [`Cockpit`] has the pipelines of a process, and their [`Health`].
//! - [`http`] is its status page, JSON, metrics and health checks: a router for the host's own server, or a server.
//! - [`systemd`] tells systemd when the pipelines read, how they are doing, and that their threads advance.
//! - [`cli`] is the command line, for the host's own program, and the program `evs`.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(feature = "http"), allow(dead_code, reason = "only HTTP asks for metrics and numbers"))]

#[cfg(feature = "cli")]
pub mod cli;
mod cockpit;
mod health;
#[cfg(feature = "http")]
pub mod http;
mod metrics;
#[cfg(feature = "systemd")]
pub mod systemd;

pub use cockpit::{Cockpit, SourceState, SourceStatus};
pub use health::Health;
