//! Compares an open file with another one, byte by byte where the bytes are still there and by digests otherwise.

use super::LogFile;
use crate::{
    position::FileMark,
    tail::{
        error::TailError,
        excerpt::{Excerpt, may_be_version, tail_before},
        look::Look,
    },
};

/// The relation of another file to an open one that begins in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tail) enum Relation {
    /// They differ after the beginning.
    Other,
    /// It has the same bytes, perhaps not yet all of them.
    Copy,
    /// It has all bytes of the open file, and more.
    Longer,
    /// The open file was truncated. The other one has the bytes that were read of it, and perhaps more.
    Continued,
    /// The open file was truncated. The other one has some of the bytes that were read of it, and no others.
    Beginning,
}

impl LogFile {
    /// Compares this file with `other`, which begins in the same way.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, or changes meanwhile.
    pub(in crate::tail) fn compare(
        &self,
        other: &Look,
        excerpt: Option<&Excerpt>,
    ) -> Result<Relation, TailError> {
        let (handle, len) = (&other.handle, excerpt.map_or(other.raw.len, |excerpt| excerpt.size));
        if !may_be_version(&self.head, self.read_to(), len) {
            return Ok(Relation::Other);
        }
        let before = |offset: u64| match excerpt {
            None => tail_before(handle, offset),
            Some(excerpt) if offset == excerpt.size => Ok(excerpt.end.clone()),
            Some(_) => Ok(Excerpt::of(handle, &[offset])?.tails.remove(0)),
        };
        let is_readable = self.packed.is_none() && !self.has_lost_its_bytes() && self.is_intact()?;
        if is_readable {
            let size = self.handle.stat()?.size;
            let end = len.min(size);
            let own = tail_before(&self.handle, end)?;
            let is_same = own == before(end)?;
            // The file is still intact, so the bytes that were read before were its own.
            if self.is_intact()? && own.len() as u64 == end.min(FileMark::TAIL_BYTES_MAX as u64) {
                return Ok(match (is_same, len <= size) {
                    (true, true) => Relation::Copy,
                    (true, false) => Relation::Longer,
                    (false, _) => Relation::Other,
                });
            }
        }
        let is_truncated = self.packed.is_none();
        if len >= self.offset {
            return Ok(match before(self.offset)? == self.tail {
                true if is_truncated => Relation::Continued,
                true if len <= self.size => Relation::Copy,
                true if self.offset == self.size => Relation::Longer,
                _ => Relation::Other,
            });
        }
        // The other file ends before the offset. It may be a copy that was made before more was read.
        let at = self.trail.partition_point(|(end, _)| *end <= len);
        let is_known = match at.checked_sub(1).map(|at| self.trail[at]) {
            Some((end, digest)) if end > 0 => digest.matches(&before(end)?),
            _ => true,
        };
        Ok(match is_known {
            true if is_truncated => Relation::Beginning,
            true => Relation::Copy,
            false => Relation::Other,
        })
    }
}
