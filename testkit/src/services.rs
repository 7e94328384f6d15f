//! The servers for tests, which `scripts/services` starts.
//!
//! A test that needs a server asks for its URL and leaves itself out if there is none, aloud: on standard error and in
//! a file. In CI the variable `EVS_REQUIRE` turns a missing server into a failure, so that a test cannot be left out
//! unnoticed.

use std::{env, fs::OpenOptions, io::Write};

/// The URL of the server with a name (`mysql`, `postgres`, `mongo`, `cassandra`), from the variable `EVS_NAME_URL`.
///
/// Returns `None` if the variable is not set: the caller leaves the test out. This has been reported by then, on
/// standard error and, if `EVS_SKIPPED` names a file, in that file.
///
/// ```no_run
/// # fn connect(url: &str) {}
/// fn a_batch_counts_once() {
///     let Some(url) = evs_testkit::server("mysql") else { return };
///     connect(&url);
/// }
/// ```
///
/// # Panics
///
/// If there is no such server, and the comma-separated list in `EVS_REQUIRE` has its name.
pub fn server(name: &str) -> Option<String> {
    let variable = format!("EVS_{}_URL", name.to_ascii_uppercase());
    match env::var(&variable) {
        Ok(url) if !url.is_empty() => Some(url),
        _ => {
            skip(name, &format!("{variable} is not set"));
            None
        }
    }
}

/// Reports that the running test is left out because `name` is missing.
///
/// # Panics
///
/// If `EVS_REQUIRE` has that name.
pub fn skip(name: &str, why: &str) {
    let required = env::var("EVS_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|required| required.trim() == name), "{name} is required, but {why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("SKIPPED {test}: no {name}: {why}");
    if let Ok(path) = env::var("EVS_SKIPPED") {
        let line = format!("{test}: no {name}: {why}\n");
        let file = OpenOptions::new().append(true).create(true).open(&path);
        if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
            panic!("EVS_SKIPPED={path}: {error}");
        }
    }
}
