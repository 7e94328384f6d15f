//! Finding the open files of an earlier run again.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use crate::tail::{
    FileMark, Fingerprint, Frontier, LogHandle, TailError,
    file::Entry,
    fs::FileId,
    survey::{Look, Survey, changing},
};

/// A file that at least one statistic has not finished reading.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) number: u64,
    /// Where reading goes on: the lowest offset that any of the frontiers has.
    pub(super) from: u64,
    /// Where reading began.
    start: u64,
    /// What the frontiers say of it, by ascending offset, then size and time; never empty.
    marks: Vec<FileMark>,
}

/// A file that was found again.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) handle: Arc<LogHandle>,
    pub(super) survey: Survey,
    pub(super) entry: Entry,
}

impl Wanted {
    /// What has to be found to go on from `frontiers`, by number.
    ///
    /// # Errors
    ///
    /// [`TailError::Forgotten`].
    pub(super) fn merge(frontiers: &[Frontier]) -> Result<Vec<Self>, TailError> {
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

    /// The mark that knows most.
    pub(super) fn latest(&self) -> &FileMark {
        &self.marks[self.marks.len() - 1]
    }

    /// How long the file is known to have been.
    pub(super) fn size(&self) -> u64 {
        self.marks.iter().map(|mark| mark.size.max(mark.offset)).max().unwrap_or(0)
    }

    /// How much of the file is known not to have been read by every statistic.
    pub(super) fn unread(&self) -> u64 {
        self.size() - self.from
    }

    /// Up to where some statistic has read it.
    pub(super) fn read_to(&self) -> u64 {
        self.latest().offset
    }

    /// What was read of the file, by its bytes; `None` if that is not known.
    pub(super) fn content(&self) -> Option<Fingerprint> {
        let FileMark { offset, head, tail, .. } = self.latest();
        let is_known = *offset > 0 && u64::from(head.len) == (*offset).min(FileMark::HEAD_BYTES_MAX as u64);
        is_known.then_some(Fingerprint { len: *offset, head: *head, tail: *tail })
    }

    /// Whether the file had bytes when it was last seen.
    pub(super) fn has_bytes(&self) -> bool {
        self.marks.iter().any(|mark| mark.head.len > 0)
    }

    /// Whether the file was rotated when it was last seen, and had been read to its end by then.
    pub(super) fn is_read_and_rotated(&self) -> bool {
        self.unread() == 0 && self.marks.iter().any(|mark| mark.is_rotated)
    }

    /// Whether the file was last known by the path `live`.
    pub(super) fn was_at(&self, live: Option<&Path>) -> bool {
        live.is_some_and(|live| live.to_string_lossy() == *self.latest().path)
    }

    /// Whether the device and inode are the ones that were noted.
    pub(super) fn is_hinted(&self, id: FileId) -> bool {
        (self.latest().device, self.latest().inode) == (id.device, id.inode)
    }

    /// Whether `head` is the beginning of this file.
    pub(super) fn matches_head(&self, head: &[u8]) -> bool {
        self.marks.iter().all(|mark| mark.head.begins(head))
    }

    /// Looks whether a file that begins like this one is this one.
    pub(super) fn examine(&self, look: &Look) -> Result<Option<Located>, TailError> {
        let (survey, entry) = self.survey(look)?;
        let is_same =
            |(mark, tail): (&FileMark, &Vec<u8>)| survey.size >= mark.offset && mark.tail.matches(tail);
        if !self.marks.iter().zip(&survey.tails).all(is_same) {
            return Ok(None);
        }
        // It was truncated meanwhile.
        if !self.matches_head(&survey.head) {
            return Err(changing(look.handle.path()));
        }
        Ok(Some(Located { handle: Arc::clone(&look.handle), survey, entry }))
    }

    /// Takes a file that is known to be a copy of the beginning of this one, if a statistic needs something of it.
    pub(super) fn take_beginning(&self, look: &Look) -> Result<Option<Located>, TailError> {
        let (survey, entry) = self.survey(look)?;
        let is_needed = survey.size > self.from;
        Ok(is_needed.then(|| Located { handle: Arc::clone(&look.handle), survey, entry }))
    }

    fn survey(&self, look: &Look) -> Result<(Survey, Entry), TailError> {
        let mut stops: Vec<u64> = self.marks.iter().map(|mark| mark.offset).collect();
        stops.push(self.from);
        let mut survey = Survey::of(&look.handle, &stops)?;
        let tail = survey.tails.pop().unwrap_or_default();
        Ok((survey, Entry { start: self.start, offset: self.from, tail, stops }))
    }

    /// Which of several files that all have the bytes that were read is the one: the one with the noted device and
    /// inode, or else, if they are copies of each other, the longest.
    ///
    /// # Errors
    ///
    /// [`TailError::Ambiguous`].
    pub(super) fn choose(&self, mut found: Vec<Located>) -> Result<Option<Located>, TailError> {
        // The last one is the live one, if that is among them.
        found.reverse();
        found.sort_by_key(|located| {
            (std::cmp::Reverse(located.survey.size), !located.handle.packing().is_plain())
        });
        if let Some(hinted) = found.iter().position(|located| self.is_hinted(located.handle.id())) {
            return Ok(Some(found.swap_remove(hinted)));
        }
        let Some(longest) = found.first() else { return Ok(None) };
        let mut other = None;
        for located in &found[1..] {
            let end = located.survey.size;
            let survey = Survey::of(&longest.handle, &[end])?;
            if survey.tails[0] != located.survey.end {
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

/// How much of a file a frontier still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    From(u64),
    All,
}

fn needed_from(frontier: &Frontier, number: u64) -> Need {
    match frontier.files.binary_search_by_key(&number, |mark| mark.number) {
        Ok(at) => Need::From(frontier.files[at].offset),
        Err(at) if at == frontier.files.len() => Need::All,
        Err(_) => Need::Nothing,
    }
}
