//! The real process with something wrong around it: full disks, failing system calls, signals, limits of memory,
//! arguments that make no sense. Whatever happens, the numbers in the database are exact in the end.
//!
//! A test that the machine does not permit is left out, and says so on standard error.

// A failure in a helper fails the test.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod backup;
mod calls;
mod disk;
mod drains;
mod embedded;
mod limits;
mod memory;
mod names;
mod rotations;
mod signals;
mod state_dir;

use std::{io::Write, path::Path};

use sqlx::{Connection, SqliteConnection};

/// Says that a test is left out, and why.
fn skip(test: &str, reason: &str) {
    // Not with `eprintln!`, which is only shown of tests that fail.
    let notice = format!("\n*** SKIPPED: {test}: {reason} ***\n\n");
    std::io::stderr().write_all(notice.as_bytes()).unwrap();
}

/// Keeps everybody else from writing to a database.
async fn lock(database: &Path) -> SqliteConnection {
    // The sink sets the database up, so that there is nothing left to do but write.
    evs::prelude::SqliteSink::open(database).await.unwrap();
    let url = format!("sqlite://{}", database.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    connection
}

/// Lets the others write again.
async fn unlock(mut connection: SqliteConnection) {
    sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
