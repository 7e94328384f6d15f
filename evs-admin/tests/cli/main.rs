//! The command line, on state directories that real pipelines have made.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod damage;
mod explain;
mod export;
mod inspect;
mod rejected;
mod running;
mod status;
mod support;
mod trace;
mod verify;
