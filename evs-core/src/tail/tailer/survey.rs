//! The survey: it lists the directories and looks at every file of the log.
//!
//! A rotation renames several files, one after the other, so a survey can see a state that never existed as a
//! whole. It therefore lists the names twice. Only if both lists agree does it draw conclusions, such as that
//! a file is gone; otherwise the tailer is *unsettled* and soon looks again.
//!
//! An example of a state that never existed. logrotate renames `access.log.1` to `.2`, and then `access.log` to `.1`:
//!
//! ```text
//! names in the list        access.log   access.log.1
//! (first rename happens)   access.log                  access.log.2
//! looked at                A            missing!       not in the list
//! ```
//!
//! File 1 seems to be gone, and is not. The second list has `access.log.2`, so the two differ, and nothing is
//! concluded.

use std::{collections::HashSet, io::ErrorKind, sync::Arc, time::Duration};

use super::{Tailer, classify::Class};
use crate::{
    position::{Digest, KnownFile, Standing},
    tail::{
        backlog::{Pending, Queue, Waiting},
        error::TailError,
        event::TailEvent,
        excerpt::SURE_BYTES,
        file::LogFile,
        look::Look,
        names::Name,
        options::{OnGone, OnUnreadable},
    },
};

/// After a survey, the next one waits for this many times as long as the survey took.
const REST_FACTOR: u32 = 10;
/// The longest such wait if something has changed, however long the survey took.
const REST_MAX: Duration = Duration::from_secs(2);
/// A survey that takes less time than this needs no wait after it.
const SURVEY_SHORT: Duration = Duration::from_millis(5);
/// The time for which a file must be missing before it counts as gone: a rotation takes no longer.
const SETTLE_TIME: Duration = Duration::from_secs(3);
/// The most empty files that each poll looks at. They are the newest ones.
const EMPTY_MAX: usize = 16;
/// The most files that may be known: each takes a few hundred bytes of memory and of disk.
const KNOWN_MAX: usize = if cfg!(test) { 100 } else { 1_000_000 };

/// The findings of a survey.
///
/// Conclusions are drawn from it after all files were looked at, because the meaning of one file may depend on
/// another: a file is lost only if no other file is a copy of it.
#[derive(Default)]
struct Found {
    /// True if files changed their names meanwhile.
    is_disturbed: bool,
    /// Copies of truncated files: the index of the open file, the copy, and the length of the copy.
    continued: Vec<(usize, Look, u64)>,
    /// Copies of the beginning of truncated files: the index of the open file, and the copy.
    beginnings: Vec<(usize, Look)>,
    /// Files that seem to have grown since they were finished, with the id of the known file.
    grown: Vec<(Waiting, u64)>,
    /// The heads of unread files that were not known before.
    heads: Vec<Vec<u8>>,
}

impl Tailer {
    /// Looks at all files: finds the unread ones, and notes changes of the others.
    pub(super) fn survey(&mut self) -> Result<(), TailError> {
        let started = self.options.wall.instant();
        let result = self.look_around();
        let took = self.options.wall.instant().saturating_duration_since(started);
        let rest = (took * REST_FACTOR).min(REST_MAX);
        self.survey_rest = self.now + if took < SURVEY_SHORT { Duration::ZERO } else { rest };
        self.survey_due = self.now + self.options.survey_every.max(took * REST_FACTOR);
        match result {
            Err(error @ TailError::Io { .. }) => {
                if !error.may_pass() {
                    self.complain(&error);
                }
                self.is_unsettled = true;
                Ok(())
            }
            result => result,
        }
    }

    /// The survey itself, without its timing.
    fn look_around(&mut self) -> Result<(), TailError> {
        let signature = self.signature();
        let names = self.list()?;
        self.is_unsettled = false;
        self.has_found_any |= !names.is_empty();
        self.catalog.begin_survey();
        self.queue = Queue::default();
        let pending: Vec<_> = self.pending.iter().map(|pending| pending.path.clone()).collect();
        let mut found = Found::default();
        let mut failed = Vec::new();
        for name in &names {
            match self.visit(name, &mut found) {
                Ok(()) => {}
                // The file is changing while it is looked at.
                Err(error @ TailError::Io { .. }) if error.may_pass() => found.is_disturbed = true,
                Err(error) => {
                    self.set_pending(&name.path, error);
                    failed.push(name.path.clone());
                }
            }
        }
        // The end of a file is read when it is opened. So one that could not be opened is not known to be readable yet.
        let queue = &self.queue;
        self.pending.retain(|Pending { path, .. }| {
            !pending.contains(path) || failed.contains(path) || queue.contains(path)
        });
        // A file was truncated just now. Its copy shows in a later survey.
        let is_settled = !found.is_disturbed
            && !self.is_unsettled
            && self.list().is_ok_and(|after| same_names(&names, &after));
        self.settle_truncated(&mut found, is_settled)?;
        self.is_unsettled |= !is_settled;
        self.note_current(&names);
        let empty = names.iter().rev().filter(|name| name.stat.size == 0).take(EMPTY_MAX);
        self.empty = empty.map(|name| name.path.clone()).collect();
        if is_settled {
            self.settle_grown(found.grown);
            self.settle_missing(&found.heads)?;
            self.catalog.forget_gone();
            self.signature = signature;
            self.is_nameless = names.is_empty();
            if self.catalog.len() > KNOWN_MAX {
                return Err(TailError::TooMany { path: self.options.path.clone(), most: KNOWN_MAX });
            }
            if self.names.live().is_some_and(|live| names.last().is_none_or(|last| last.path != live)) {
                self.wait();
            }
        }
        self.believe_pending()
    }

    /// Lists the files of the log, in the order of reading.
    pub(super) fn list(&self) -> Result<Vec<Name>, TailError> {
        self.names.list(&*self.options.fs).map_err(TailError::io("list", &self.options.path))
    }

    /// Classifies one file and files it in `found`, in the queue, or among the unread ones.
    fn visit(&mut self, name: &Name, found: &mut Found) -> Result<(), TailError> {
        // While a file is open, no other file can have its inode.
        let open = self.files.iter_mut().find(|file| file.id() == name.id() && !file.has_lost_its_bytes());
        if let Some(file) = open {
            file.set_path(&name.path);
            return Ok(());
        }
        if name.stat.size == 0 {
            return Ok(());
        }
        let Some(look) = Look::at(&*self.options.fs, &name.path)? else {
            found.is_disturbed = true;
            return Ok(());
        };
        if look.handle.id() != name.id() {
            found.is_disturbed = true;
        }
        let was_known = self.catalog.with_print(&look.raw).is_some();
        match self.classify(look)? {
            Class::Gone | Class::Empty | Class::Open | Class::Known | Class::Copy => {}
            Class::Longer { file, look } => self.go_on_in(file, &look)?,
            Class::Continued { file, look, len } => found.continued.push((file, look, len)),
            Class::Beginning { file, look } => found.beginnings.push((file, look)),
            Class::Grown { look, id, offset } => {
                found.grown.push((Waiting::new(&look, Some((id, offset))), id));
            }
            Class::Unread(look) => {
                if !was_known {
                    found.heads.push(look.head.clone());
                    let (head, path) = (Digest::of(&look.head), look.handle.path());
                    self.catalog.add(Standing::Unread, head, look.content(), look.packed(), path);
                    self.note_unsynced(&look.handle);
                }
                if let Some(known) = self.catalog.with_print(&look.raw).map(|known| known.id) {
                    self.catalog.see(known, look.handle.path());
                }
                self.queue.push(Waiting::new(&look, None));
            }
        }
        Ok(())
    }

    /// Continues reading in a longer version of an open file.
    fn go_on_in(&mut self, index: usize, look: &Look) -> Result<(), TailError> {
        let file = &mut self.files[index];
        if !file.is_rotated() || file.offset() < file.size() {
            return file.move_to(Arc::clone(&look.handle), self.now).map(drop);
        }
        // Some statistics may be done with a rotated file. For them, the rest needs a number of its own.
        if self.files.len() < self.options.files_max {
            self.open_from(look, self.files[index].offset())?;
            self.files[index].set_outgrown();
        }
        Ok(())
    }

    /// Continues reading in the copies of truncated files, or reports that there are none.
    fn settle_truncated(&mut self, found: &mut Found, is_settled: bool) -> Result<(), TailError> {
        for index in 0..self.files.len() {
            if !self.files[index].is_truncated() {
                continue;
            }
            // A copy that cannot be read yet may be the right one.
            if !is_settled || !self.pending.is_empty() {
                self.is_unsettled = true;
                continue;
            }
            if !found.continued.iter().any(|(file, ..)| *file == index) {
                found.continued.extend(self.hidden_copies(index)?);
            }
            let copies = found.continued.iter().filter(|(file, ..)| *file == index);
            if let Some((_, look, _)) = copies.max_by_key(|(.., len)| *len) {
                match self.files[index].move_to(Arc::clone(&look.handle), self.now) {
                    Ok(lost) => self.tell_truncated(index, lost, true),
                    Err(TailError::Io { .. }) => self.is_unsettled = true,
                    Err(error) => return Err(error),
                }
                continue;
            }
            for (_, look) in found.beginnings.extract_if(.., |(file, _)| *file == index) {
                let content = self.unpack(&look)?.map_or(look.raw, |survey| survey.content());
                let (packed, path) = (look.packed(), look.handle.path());
                let id = self.catalog.add(Standing::Finished, content.head, Some(content), packed, path);
                self.catalog.set_beginning_of(id, self.files[index].number());
            }
            // The loss is reported here, even if nothing of the file was read.
            self.forget_unread(index);
            let file = &mut self.files[index];
            file.set_rotated();
            let lost = file.abandon();
            self.tell_truncated(index, lost, false);
        }
        Ok(())
    }

    /// Returns the compressed copies of a truncated file that a plain file of the same name hides, since somebody is
    /// decompressing them.
    fn hidden_copies(&mut self, index: usize) -> Result<Vec<(usize, Look, u64)>, TailError> {
        let names = self.list()?;
        let mut copies = Vec::new();
        for path in self.names.hidden(&names, &*self.options.fs) {
            // One that cannot be read is being written: the plain file is the one that is whole.
            let Ok(Some(look)) = Look::at(&*self.options.fs, &path) else { continue };
            if let Ok(Class::Continued { file, look, len }) = self.classify(look)
                && file == index
            {
                copies.push((file, look, len));
            }
        }
        Ok(copies)
    }

    /// Determines which file may grow for ever, and which ones were rotated.
    fn note_current(&mut self, names: &[Name]) {
        let newest = names.iter().rev().find(|name| name.stat.size > 0);
        let live = match self.names.live() {
            Some(live) => newest.filter(|name| name.path == live),
            None => newest,
        };
        let before = self.current;
        // As long as there is no new live file with lines, the web server may still write to the previous
        // one.
        let is_open = |file: &&LogFile| file.is_plain() && !file.is_done();
        let kept = self.files.iter().filter(is_open).find(|file| before == Some(file.id()));
        let kept = kept.or_else(|| self.files.iter().filter(is_open).rfind(|file| !file.is_rotated()));
        let last = live.map(Name::id).or(kept.map(LogFile::id)).or(newest.map(Name::id));
        self.current = last;
        let mut rotated = Vec::new();
        for file in &mut self.files {
            if live.is_some_and(|live| live.id() == file.id()) && !file.has_lost_its_bytes() {
                file.set_live();
            }
            if last.is_none() || last == Some(file.id()) || !file.set_rotated() {
                continue;
            }
            if before == Some(file.id()) {
                // The web server continues to write to it for a while, however quiet it was before.
                file.wait_until(self.now + self.options.grace);
                rotated.push(TailEvent::Rotated { number: file.number(), path: file.path().to_owned() });
            }
        }
        self.events.extend(rotated);
    }

    /// Handles the files that begin with all bytes of a known one: these have grown.
    fn settle_grown(&mut self, grown: Vec<(Waiting, u64)>) {
        for (waiting, id) in grown {
            let Some(known) = self.catalog.get(id).cloned() else { continue };
            if known.standing == Standing::Finished {
                self.queue.push(waiting);
                continue;
            }
            // The known file was found as well, at a place where nobody knew it: the next survey compares the two.
            if self.catalog.is_seen(id) && known.content.is_some_and(|print| print.len < SURE_BYTES) {
                self.is_unsettled = true;
                continue;
            }
            // The known file is older than the source, and so are the bytes that were added to it.
            if let Ok(Some(look)) = Look::at(&*self.options.fs, &waiting.path) {
                let (content, path) = (look.content(), look.handle.path());
                let id = self.catalog.add(Standing::Foreign, known.head, content, look.packed(), path);
                self.catalog.see(id, path);
            }
        }
    }

    /// Decides that unread files are gone, unless they have grown or were compressed.
    fn settle_missing(&mut self, heads: &[Vec<u8>]) -> Result<(), TailError> {
        let mut missing = Vec::new();
        for known in self.catalog.unseen(Standing::Unread) {
            let begins = |head: &[u8]| known.head.begins(head);
            // It is open, and nothing of it has been read yet.
            if self.files.iter().any(|file| file.number() == 0 && begins(file.head())) {
                continue;
            }
            let is_outgrown = heads.iter().any(|head| begins(head));
            if is_outgrown || self.files.iter().any(|file| begins(file.head())) {
                self.catalog.remove(known.id);
            } else {
                missing.push(known);
            }
        }
        if !missing.is_empty() {
            self.drop_outgrown(&mut missing)?;
        }
        if missing.is_empty() {
            self.missing_since = None;
            return Ok(());
        }
        let since = *self.missing_since.get_or_insert(self.now);
        // A file that cannot be read may be the missing one.
        if self.is_resuming || !self.pending.is_empty() || self.now < since + SETTLE_TIME {
            self.is_unsettled = true;
            return Ok(());
        }
        for known in missing {
            let size = known.content.or(known.packed).map_or(0, |print| print.len);
            if self.options.on_gone == OnGone::Stop {
                // If the caller polls again, the error is returned again.
                self.is_unsettled = true;
                return Err(TailError::Gone { number: 0, path: known.path.clone(), offset: 0, size });
            }
            self.events.push(TailEvent::Gone {
                number: 0,
                path: known.path.clone().into(),
                offset: 0,
                lost: size,
            });
            self.catalog.remove(known.id);
        }
        self.missing_since = None;
        Ok(())
    }

    /// Removes from `missing` the unread files that have grown or were compressed since.
    fn drop_outgrown(&mut self, missing: &mut Vec<Arc<KnownFile>>) -> Result<(), TailError> {
        for path in self.queue.paths() {
            let Some(mut look) = Look::at(&*self.options.fs, &path)? else { continue };
            look.unpack_head()?;
            for known in missing.extract_if(.., |known| known.head.begins(&look.head)) {
                self.catalog.remove(known.id);
            }
        }
        Ok(())
    }

    /// Returns an error for a file that cannot be read and has not changed for the grace time, or leaves it
    /// out if the options say so.
    fn believe_pending(&mut self) -> Result<(), TailError> {
        let is_believed = |pending: &Pending| {
            let is_lasting = match &pending.error {
                TailError::Damaged { .. } => true,
                // A live file that cannot be opened is not an error: the tailer waits for it.
                TailError::Io { source, .. } => {
                    source.kind() == ErrorKind::PermissionDenied
                        && self.names.live() != Some(&*pending.path)
                        && self.options.on_unreadable == OnUnreadable::Stop
                }
                _ => false,
            };
            is_lasting && self.now >= pending.since + self.options.grace
        };
        let Some(at) = self.pending.iter().position(is_believed) else { return Ok(()) };
        if self.options.on_unreadable == OnUnreadable::Stop {
            // The next survey finds the file again.
            return Err(self.pending.swap_remove(at).error);
        }
        let path = self.pending.swap_remove(at).path;
        if let Some(look) = Look::at(&*self.options.fs, &path)? {
            self.skip_unreadable(&look);
        }
        Ok(())
    }

    /// Leaves out a file that cannot be decompressed, and reports its bytes as lost.
    pub(super) fn skip_unreadable(&mut self, look: &Look) {
        let (path, head) = (look.handle.path(), Digest::default());
        self.catalog.add(Standing::Foreign, head, None, Some(look.raw), path);
        self.events.push(TailEvent::Skipped { path: path.to_owned(), lost: look.raw.len });
    }
}

/// Returns true if two lists have the same names for the same files. Their order may differ: a file that
/// grows changes its time and thereby, perhaps, its place.
pub(super) fn same_names(one: &[Name], other: &[Name]) -> bool {
    let one: Vec<_> = one.iter().map(Name::key).collect();
    let other: Vec<_> = other.iter().map(Name::key).collect();
    one == other || one.iter().collect::<HashSet<_>>() == other.iter().collect::<HashSet<_>>()
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Instant};

    use super::*;
    use crate::tail::TailOptions;

    #[test]
    fn too_many_files_stop_the_source_until_old_ones_are_moved_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("access.log"), "live\n").unwrap();
        for age in 1..=KNOWN_MAX + 1 {
            fs::write(path(&format!("access.log.{age}")), format!("{age}\n")).unwrap();
        }
        let start = || Tailer::start(TailOptions::new(path("access.log")), Instant::now());
        assert!(matches!(start(), Err(TailError::TooMany { most: KNOWN_MAX, .. })));
        fs::create_dir(path("archive")).unwrap();
        for age in KNOWN_MAX - 1..=KNOWN_MAX + 1 {
            fs::rename(path(&format!("access.log.{age}")), path(&format!("archive/{age}"))).unwrap();
        }
        let chunk = start().unwrap().next_chunk().unwrap().unwrap();
        assert_eq!(chunk.read(&mut Vec::new()).unwrap(), b"live\n");
    }
}
