use std::{collections::BTreeMap, sync::Arc};

use super::{
    FileMark, Frontier, LogHandle, TailError,
    file::Entry,
    handle::{FileId, Packing, unix_seconds},
    siblings::Sibling,
    survey::{Survey, head_of},
};

/// A file that some frontier lists, and that some frontier has not behind it.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) number: u64,
    /// Where reading goes on: the lowest offset that any of the frontiers has.
    pub(super) from: u64,
    /// What the frontiers say of it, by ascending offset, then size and time; never empty.
    marks: Vec<FileMark>,
}

/// A file that was found again.
pub(super) struct Located {
    pub(super) handle: Arc<LogHandle>,
    pub(super) survey: Survey,
    pub(super) entry: Entry,
}

impl Located {
    /// All of `file`.
    pub(super) fn whole(file: &Sibling) -> Result<Self, TailError> {
        let handle = Arc::new(LogHandle::open(&file.path)?);
        let survey = Survey::of(&handle, &[])?;
        Ok(Self { handle, survey, entry: Entry::default() })
    }
}

impl Wanted {
    /// What has to be found to go on from `frontiers`, in the order of reading.
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
            let Some(from) = frontiers.iter().filter_map(|frontier| needed_from(frontier, number)).min()
            else {
                continue;
            };
            let mut marks = listed.remove(&number).ok_or(TailError::Forgotten { number })?;
            marks.sort_by_key(|mark| (mark.offset, mark.size, mark.modified));
            wanted.push(Self { number, from, marks });
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

    /// How much of the file is known not to have been read.
    pub(super) fn unread(&self) -> u64 {
        self.size() - self.from
    }

    pub(super) fn id(&self) -> FileId {
        FileId { device: self.latest().device, inode: self.latest().inode }
    }

    /// Whether this file was empty when it was last seen, and `file` was written to later.
    pub(super) fn was_empty_before(&self, file: &Sibling) -> bool {
        self.size() == 0 && unix_seconds(file.stat.modified) > self.latest().modified
    }

    /// Whether `file` was written to as late as this one at least.
    fn may_have_become(&self, file: &Sibling) -> bool {
        self.marks.iter().any(|mark| unix_seconds(file.stat.modified) >= mark.modified)
    }

    /// Finds the file among `files`, by its bytes; where several have them, by its inode or time.
    pub(super) fn locate(&self, files: &[(usize, &Sibling)]) -> Result<Option<(usize, Located)>, TailError> {
        let (same, others): (Vec<_>, Vec<_>) = files.iter().partition(|(_, file)| self.is_hinted(file));
        let mut failure = None;
        let mut found: Vec<(usize, &Sibling, Located)> = Vec::new();
        for (at, file) in same.into_iter().chain(others) {
            match self.examine(file) {
                Ok(Some(located)) if self.is_hinted(file) => return Ok(Some((at, located))),
                Ok(Some(located)) => found.push((at, file, located)),
                Ok(None) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let is_later = |file: &Sibling| unix_seconds(file.stat.modified) >= self.latest().modified;
        let is_whole = |located: &Located| located.survey.size >= self.size();
        let best = found
            .iter()
            .position(|(_, file, located)| is_later(file) && is_whole(located))
            .or_else(|| found.iter().position(|(_, file, _)| is_later(file)))
            .or_else(|| found.len().checked_sub(1));
        match (best, failure) {
            (Some(best), _) => {
                let (at, _, located) = found.swap_remove(best);
                Ok(Some((at, located)))
            }
            // It may be the one that cannot be read.
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }

    /// If `file` begins like this one: how long it is.
    pub(super) fn size_with_same_head(&self, file: &Sibling) -> Result<Option<u64>, TailError> {
        let handle = Arc::new(LogHandle::open(&file.path)?);
        if self.latest().head.len == 0 || !self.matches_head(&head_of(&handle)?) {
            return Ok(None);
        }
        Survey::of(&handle, &[]).map(|survey| Some(survey.size))
    }

    /// Whether the device and inode are the ones that were noted. For an empty file there may be several:
    /// its number can have passed to an older one, the copy of what came into it.
    fn is_hinted(&self, file: &Sibling) -> bool {
        let is_noted = |mark: &FileMark| (mark.device, mark.inode) == (file.id().device, file.id().inode);
        if self.has_bytes() { is_noted(self.latest()) } else { self.marks.iter().any(is_noted) }
    }

    /// Whether the file had bytes when it was last seen.
    pub(super) fn has_bytes(&self) -> bool {
        self.marks.iter().any(|mark| mark.head.len > 0)
    }

    fn matches_head(&self, head: &[u8]) -> bool {
        self.marks
            .iter()
            .all(|mark| head.get(..mark.head.len as usize).is_some_and(|head| mark.head.matches(head)))
    }

    fn examine(&self, file: &Sibling) -> Result<Option<Located>, TailError> {
        if !self.has_bytes() && !self.is_hinted(file) {
            return Ok(None);
        }
        let handle = Arc::new(LogHandle::open(&file.path)?);
        // A compressed file has a new inode and the time of what it was made of: if nothing was written to that since
        // this one was empty, it is an older one, and has its inode from this one.
        if !self.has_bytes() && handle.packing() != Packing::Plain && !self.may_have_become(file) {
            return Ok(None);
        }
        // Cheap, where all of it would have to be decompressed.
        if !self.matches_head(&head_of(&handle)?) {
            return Ok(None);
        }
        let mut offsets: Vec<u64> = self.marks.iter().map(|mark| mark.offset).collect();
        offsets.push(self.from);
        let mut survey = Survey::of(&handle, &offsets)?;
        let from = survey.tails.pop().unwrap_or_default();
        let is_same =
            |(mark, tail): (&FileMark, &Vec<u8>)| survey.size >= mark.offset && mark.tail.matches(tail);
        if !self.marks.iter().zip(&survey.tails).all(is_same) {
            return Ok(None);
        }
        let entry = Entry { offset: self.from, tail: from, stops: offsets };
        Ok(Some(Located { handle, survey, entry }))
    }
}

/// Where `frontier` needs file `number` from; `None` if it has the file behind it.
fn needed_from(frontier: &Frontier, number: u64) -> Option<u64> {
    match frontier.files.binary_search_by_key(&number, |mark| mark.number) {
        Ok(at) => Some(frontier.files[at].offset),
        Err(at) => (at == frontier.files.len()).then_some(0),
    }
}
