//! Damage for which a line of any format is rejected.
//!
//! A power cut leaves NUL bytes at the end of a file. So does copytruncate under a writer that does not append: the
//! writer goes on at its old offset, after a hole. Editors and scripts write a byte order mark. Both stand directly
//! before a good line and would become part of its first field.

use memchr::memchr;

use super::rejection::{Reason, Rejection};

/// The byte order mark in UTF-8.
const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Searches a line for damage: for a byte order mark always, for NUL bytes only if `may_have_nul`.
///
/// # Errors
///
/// The first damage in the line.
#[inline]
pub(super) fn check(line: &[u8], may_have_nul: bool) -> Result<(), Rejection> {
    if has_byte_order_mark(line) {
        return Err(Rejection::at(0, Reason::ByteOrderMark));
    }
    if may_have_nul && let Some(at) = first_nul(line) {
        return Err(Rejection::at(at, Reason::Nul));
    }
    Ok(())
}

/// Replaces the rejection of a line by its damage, if it has any: that is the cause, the other only follows from it.
#[cold]
pub(super) fn or(line: &[u8], rejection: Rejection) -> Rejection {
    check(line, true).err().unwrap_or(rejection)
}

/// True if the line begins with a byte order mark.
#[inline]
pub(super) fn has_byte_order_mark(line: &[u8]) -> bool {
    line.starts_with(BYTE_ORDER_MARK)
}

/// The offset of the first NUL byte.
#[inline]
pub(super) fn first_nul(bytes: &[u8]) -> Option<usize> {
    memchr(0, bytes)
}
