//! Finds the files again that an earlier run had open.
//!
//! Each statistic has a frontier, and the frontiers differ: one statistic may have read more than another.
//! [`Wanted`] merges them to one entry per file. A file on disk is the wanted one if it has the same bytes before
//! the offset of *every* frontier.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use crate::{
    position::{FileMark, Fingerprint, Frontier},
    tail::{
        error::TailError,
        event::TailEvent,
        excerpt::{Excerpt, SURE_BYTES, changing, may_be_version},
        file::Opening,
        fs::FileId,
        handle::LogHandle,
        look::Look,
    },
};

/// A file that at least one statistic has not finished reading.
#[derive(Debug)]
pub(in crate::tail) struct Wanted {
    /// The number of the file within the source.
    pub(super) number: u64,
    /// The offset at which reading continues: the lowest one of all frontiers.
    pub(super) from: u64,
    /// The offset at which reading of the file once began.
    start: u64,
    /// The file's entries in the frontiers, by ascending offset, then size and time; never empty.
    marks: Vec<FileMark>,
}

/// A file that was found again.
#[derive(Debug)]
pub(super) struct Located {
    /// The open file.
    pub(super) handle: Arc<LogHandle>,
    /// The bytes by which it was recognized.
    pub(super) excerpt: Excerpt,
    /// The position at which reading continues.
    pub(super) opening: Opening,
}

impl Wanted {
    /// Merges `frontiers` into the list of files that must be found to continue, by number.
    ///
    /// # Errors
    ///
    /// Returns [`TailError::Forgotten`] if a frontier needs a file that no frontier describes.
    pub(in crate::tail) fn merge(frontiers: &[Frontier]) -> Result<Vec<Self>, TailError> {
        let mut listed: BTreeMap<u64, Vec<FileMark>> = BTreeMap::new();
        for mark in frontiers.iter().flat_map(|frontier| &frontier.files) {
            listed.entry(mark.number).or_default().push(mark.clone());
        }
        let last = listed.keys().next_back().copied().unwrap_or(0);
        let first =
            frontiers.iter().map(|frontier| frontier.files.first().map_or(1, |mark| mark.number)).min();
        let mut wanted = Vec::new();
        for number in first.unwrap_or(1)..=last {
            let needs = |frontier| needed_from(frontier, number);
            if frontiers.iter().all(|frontier| needs(frontier) == Need::Nothing) {
                continue;
            }
            let mut marks = listed.remove(&number).ok_or(TailError::Forgotten { number })?;
            marks.sort_by_key(|mark| (mark.offset, mark.size, mark.modified));
            let start = marks.iter().map(|mark| mark.start).min().unwrap_or(0);
            let from = frontiers.iter().filter_map(|frontier| match needs(frontier) {
                Need::Nothing => None,
                Need::All => Some(start),
                Need::From(offset) => Some(offset),
            });
            wanted.push(Self { number, from: from.min().unwrap_or(start), start, marks });
        }
        Ok(wanted)
    }

    /// Returns the entry with the highest offset.
    pub(in crate::tail) fn latest(&self) -> &FileMark {
        &self.marks[self.marks.len() - 1]
    }

    /// Returns the length that the file is known to have had.
    pub(super) fn size(&self) -> u64 {
        self.marks.iter().map(|mark| mark.size.max(mark.offset)).max().unwrap_or(0)
    }

    /// Returns how many known bytes of the file at least one statistic has not read.
    pub(super) fn unread(&self) -> u64 {
        self.size() - self.from
    }

    /// Returns the event that reports that nobody looks for the file.
    pub(in crate::tail) fn given_up(&self) -> TailEvent {
        let (number, offset, lost) = (self.number, self.from, self.unread());
        TailEvent::Gone { number, path: self.latest().path.clone().into(), offset, lost }
    }

    /// Returns the highest offset up to which any statistic has read the file.
    pub(super) fn read_to(&self) -> u64 {
        self.latest().offset
    }

    /// Returns the fingerprint of the bytes that were read, or `None` if the frontiers do not have it.
    pub(super) fn content(&self) -> Option<Fingerprint> {
        let FileMark { offset, head, tail, .. } = self.latest();
        let is_known = *offset > 0 && u64::from(head.len) == (*offset).min(FileMark::HEAD_BYTES_MAX as u64);
        is_known.then_some(Fingerprint { len: *offset, head: *head, tail: *tail })
    }

    /// Returns true if the file had bytes when it was last seen.
    pub(super) fn has_bytes(&self) -> bool {
        self.marks.iter().any(|mark| mark.head.len > 0)
    }

    /// Returns true if the file was rotated when it was last seen, and every statistic had read it to its end.
    pub(super) fn is_read_and_rotated(&self) -> bool {
        self.unread() == 0 && self.marks.iter().any(|mark| mark.is_rotated)
    }

    /// Returns true if the file was last known by the path `live`.
    pub(super) fn was_at(&self, live: Option<&Path>) -> bool {
        live.is_some_and(|live| live.to_string_lossy() == *self.latest().path)
    }

    /// Returns true if the device and the inode are the recorded ones. That is only a hint: inodes are reused.
    pub(super) fn is_hinted(&self, id: FileId) -> bool {
        (self.latest().device, self.latest().inode) == (id.device, id.inode)
    }

    /// Returns true if `head` begins like this file.
    pub(super) fn matches_head(&self, head: &[u8]) -> bool {
        self.marks.iter().all(|mark| mark.head.begins(head))
    }

    /// Checks whether a file that begins like the wanted one is the wanted one, and returns it if so.
    pub(super) fn examine(&self, look: &Look) -> Result<Option<Located>, TailError> {
        let (excerpt, opening) = self.excerpt(look)?;
        let is_same =
            |(mark, tail): (&FileMark, &Vec<u8>)| excerpt.size >= mark.offset && mark.tail.matches(tail);
        if !self.marks.iter().zip(&excerpt.tails).all(is_same) {
            return Ok(None);
        }
        // The file was truncated while it was read.
        if !self.matches_head(&excerpt.head) {
            return Err(changing(look.handle.path()));
        }
        if !may_be_version(&excerpt.head, self.read_to(), excerpt.size) {
            return Ok(None);
        }
        Ok(Some(Located { handle: Arc::clone(&look.handle), excerpt, opening }))
    }

    /// Accepts a file that is known to be a copy of the beginning of the wanted one, if a statistic needs
    /// something of it.
    pub(super) fn take_beginning(&self, look: &Look) -> Result<Option<Located>, TailError> {
        let (excerpt, opening) = self.excerpt(look)?;
        let is_needed = excerpt.size > self.from;
        Ok(is_needed.then(|| Located { handle: Arc::clone(&look.handle), excerpt, opening }))
    }

    /// Reads the bytes before the offset of each entry, and before the offset at which reading continues.
    fn excerpt(&self, look: &Look) -> Result<(Excerpt, Opening), TailError> {
        let mut stops: Vec<u64> = self.marks.iter().map(|mark| mark.offset).collect();
        stops.push(self.from);
        let mut excerpt = Excerpt::of(&look.handle, &stops)?;
        let tail = excerpt.tails.pop().unwrap_or_default();
        Ok((excerpt, Opening { start: self.start, offset: self.from, tail, stops }))
    }

    /// Chooses the wanted file among several that all have the bytes that were read.
    ///
    /// The file with the recorded device and inode is the one. If there is none, and the files are copies of each
    /// other, it is the longest.
    ///
    /// If they share only a header or a few lines, the one with nothing else is taken, or else the longest. The others are files
    /// of their own: with an inventory these are read from their beginning unless they are known, so that the same lines are
    /// counted whichever is taken. Without one, older files are taken for counted, and a wrong choice would count some again.
    ///
    /// # Errors
    ///
    /// Returns [`TailError::Ambiguous`] if the files share more than a few lines, and differ after the bytes that were read.
    pub(super) fn choose(
        &self,
        mut found: Vec<Located>,
        has_inventory: bool,
    ) -> Result<Option<Located>, TailError> {
        // The live file, if it is among them, is listed last. Reversed, it wins among files of the same length.
        found.reverse();
        found.sort_by_key(|located| {
            (std::cmp::Reverse(located.excerpt.size), !located.handle.packing().is_plain())
        });
        if let Some(hinted) = found.iter().position(|located| self.is_hinted(located.handle.id())) {
            return Ok(Some(found.swap_remove(hinted)));
        }
        let Some(longest) = found.first() else { return Ok(None) };
        if self.read_to() < SURE_BYTES {
            let exact = found.iter().position(|located| located.excerpt.size == self.size());
            if exact.is_some() || has_inventory {
                return Ok(Some(found.swap_remove(exact.unwrap_or(0))));
            }
        }
        let mut other = None;
        for located in &found[1..] {
            let end = located.excerpt.size;
            let excerpt = Excerpt::of(&longest.handle, &[end])?;
            if excerpt.tails[0] != located.excerpt.end {
                other = Some(located);
            }
        }
        if let Some(other) = other {
            return Err(TailError::Ambiguous {
                path: self.latest().path.clone(),
                one: longest.handle.path().to_owned(),
                other: other.handle.path().to_owned(),
            });
        }
        Ok(Some(found.swap_remove(0)))
    }
}

/// The part of a file that a frontier still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    From(u64),
    All,
}

/// Returns the part of file `number` that `frontier` needs: a file without an entry is unread if its number is
/// higher than all entries, and finished otherwise.
fn needed_from(frontier: &Frontier, number: u64) -> Need {
    match frontier.files.binary_search_by_key(&number, |mark| mark.number) {
        Ok(at) => Need::From(frontier.files[at].offset),
        Err(at) if at == frontier.files.len() => Need::All,
        Err(_) => Need::Nothing,
    }
}
