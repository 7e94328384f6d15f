//! Damage for which a line of any format is rejected, wherever its fields are.
//!
//! A power cut leaves NUL bytes at the end of a file. So does copytruncate under a writer that does not append: it goes on
//! at its old offset, after a hole. Editors and scripts write a byte order mark. Both stand directly before a good line
//! and would become part of its first field.

use memchr::memchr;

use super::rejection::{Reason, Rejection};

/// The byte order mark in UTF-8.
const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Looks for damage in a line, for NUL bytes only if there may be any.
///
/// # Errors
///
/// The damage that comes first in the line.
#[inline]
pub(super) fn check(line: &[u8], may_have_nul: bool) -> Result<(), Rejection> {
    if is_marked(line) {
        return Err(Rejection::at(0, Reason::ByteOrderMark));
    }
    if may_have_nul && let Some(at) = first_nul(line) {
        return Err(Rejection::at(at, Reason::Nul));
    }
    Ok(())
}

/// The damage in a rejected line if there is any: it tells more than what came of it.
#[cold]
pub(super) fn or(line: &[u8], rejection: Rejection) -> Rejection {
    check(line, true).err().unwrap_or(rejection)
}

/// Whether the line begins with a byte order mark.
#[inline]
pub(super) fn is_marked(line: &[u8]) -> bool {
    line.starts_with(BYTE_ORDER_MARK)
}

#[inline]
pub(super) fn first_nul(bytes: &[u8]) -> Option<usize> {
    memchr(0, bytes)
}
