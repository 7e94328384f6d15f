//! The text of an error with all its causes, on one line.

use std::any::Any;

/// Returns an error's message and those of all its causes, on one line.
///
/// Errors of the standard library and of drivers print only their own message, and leave the causes to the caller. A
/// store's message may have any characters: line feeds and other control characters become spaces, so that nobody can
/// forge lines of a log or send commands to a terminal.
///
/// ```
/// # extern crate evs_core as evs;
/// use std::io;
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("writing the row")]
/// struct WriteError(#[source] io::Error);
///
/// let error = WriteError(io::ErrorKind::StorageFull.into());
/// assert_eq!(error.to_string(), "writing the row");
/// assert_eq!(evs::describe(&error), "writing the row: no storage space");
/// ```
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    one_line(&text)
}

/// Replaces control characters with spaces.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Returns the message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.map_or_else(|| "no message".to_owned(), |text| one_line(&text))
}
