//! What several fuzz targets check.

use evs_core::FormatError;

/// Checks the error of a refused format: an offset, if it has one, is that of a character of `text`, and it says something.
///
/// # Panics
///
/// Panics if that does not hold.
pub fn assert_refused(text: &str, error: &FormatError) {
    match error {
        FormatError::Escape { offset, .. }
        | FormatError::NoName { offset }
        | FormatError::Brace { offset }
        | FormatError::Directive { offset, .. }
        | FormatError::Backslash { offset }
        | FormatError::SideBySide { offset, .. }
        | FormatError::ListSeparator { offset, .. }
        | FormatError::LineFeed { offset } => {
            assert!(*offset < text.len() && text.is_char_boundary(*offset), "{offset} of {text:?}");
        }
        error => assert!(!error.to_string().is_empty()),
    }
}
