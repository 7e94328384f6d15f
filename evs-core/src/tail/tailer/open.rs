//! Opens the unread files, in the order of the queue.
//!
//! A file is looked at a second time when its turn comes, since it may have been renamed, compressed or removed after
//! the survey that queued it. It is opened only if it still is what the survey took it for.
//!
//! At most [`TailOptions::files_max`](crate::tail::TailOptions) files are open. A source with a thousand unread files opens them one after the other, each
//! when the one before was read, so a backlog costs no file descriptors.

use std::sync::Arc;

use super::{Tailer, classify::Class};
use crate::{
    position::Standing,
    tail::{
        error::TailError,
        event::TailEvent,
        excerpt::{Excerpt, last_line_end, tail_before},
        file::{LogFile, Opening},
        handle::LogHandle,
        look::Look,
    },
};

impl Tailer {
    /// Opens the next unread file. Returns `false` if there is none, or if it has to wait.
    pub(super) fn open_next(&mut self) -> Result<bool, TailError> {
        while self.files.len() < self.options.files_max {
            let Some(next) = self.queue.pop() else { return Ok(false) };
            let looked = Look::at(&*self.options.fs, &next.path).and_then(|look| match look {
                Some(look) => Ok(self.classify(look)?),
                None => Ok(Class::Gone),
            });
            match looked {
                Ok(Class::Unread(look)) => match self.open_whole(&look) {
                    Ok(()) => {
                        self.pending.retain(|pending| pending.path != next.path);
                        return Ok(true);
                    }
                    Err(error) => self.set_pending(&next.path, error),
                },
                Ok(Class::Grown { look, id, offset }) if next.grown == Some(id) => {
                    self.open_grown(&look, id, offset)?;
                    return Ok(true);
                }
                // The file has changed since it was listed. The next survey looks at it again.
                Ok(_) => self.is_unsettled = true,
                Err(error) => self.set_pending(&next.path, error),
            }
        }
        Ok(false)
    }

    /// Opens an unread file, at its start or, for a source that begins at the end, after its last line.
    pub(super) fn open_whole(&mut self, look: &Look) -> Result<(), TailError> {
        let handle = Arc::clone(&look.handle);
        let excerpt = match self.unpack(look)? {
            Some(excerpt) => excerpt,
            None => Excerpt::of(&handle, &[])?,
        };
        let offset = match () {
            () if !self.begins_at_end => 0,
            () if handle.packing().is_plain() => last_line_end(&handle, excerpt.size)?,
            () => excerpt.size,
        };
        let tail = match offset {
            0 => Vec::new(),
            _ if handle.packing().is_plain() => tail_before(&handle, offset)?,
            _ => excerpt.end.clone(),
        };
        let opening = Opening { start: offset, offset, tail, stops: Vec::new() };
        self.open(0, handle, excerpt, opening)
    }

    /// Opens a file that has grown since it was finished, to read the bytes after `offset`.
    pub(super) fn open_grown(&mut self, look: &Look, id: u64, offset: u64) -> Result<(), TailError> {
        self.open_from(look, offset)?;
        // From the next cut on, the frontier lists this file. If the known file is still there too, this file is
        // a longer copy of it, and both stay known.
        if !self.catalog.is_seen(id) {
            self.catalog.remove(id);
        }
        Ok(())
    }

    /// Opens a file of which the bytes before `offset` were read as those of another file. It gets a number of its own: some
    /// statistics may be done with the other one, and need what follows here.
    pub(super) fn open_from(&mut self, look: &Look, offset: u64) -> Result<(), TailError> {
        let excerpt = Excerpt::of(&look.handle, &[offset])?;
        let tail = excerpt.tails[0].clone();
        let opening = Opening { start: offset, offset, tail, stops: Vec::new() };
        self.open(0, Arc::clone(&look.handle), excerpt, opening)
    }

    /// Opens a file for reading. A `number` of 0 means that nothing of it was read; it gets its number with the
    /// first chunk.
    pub(super) fn open(
        &mut self,
        number: u64,
        handle: Arc<LogHandle>,
        excerpt: Excerpt,
        opening: Opening,
    ) -> Result<(), TailError> {
        let (path, offset) = (handle.path().to_owned(), opening.offset);
        let content = excerpt.content();
        let quiet_at = self.now + self.options.grace;
        let mut file = LogFile::open(number, handle, excerpt, opening, quiet_at)?;
        // The bytes before `offset` count as read, so the file gets its number at once and is durable with the
        // next cut.
        if offset > 0 && number == 0 {
            file.set_number(self.numbers.take_file());
        }
        let number = file.number();
        self.files.push(file);
        if number > 0 {
            self.forget_unread(self.files.len() - 1);
        } else {
            // Nothing of this file was read yet. It stays among the unread files until then, so that its loss is
            // noticed if it vanishes.
            let packed = self.files.last().and_then(LogFile::packed);
            let id = self.catalog.add(Standing::Unread, content.head, Some(content), packed, &path);
            self.catalog.see(id, &path);
        }
        (self.complaint, self.begins_at_end) = (None, false);
        self.events.push(TailEvent::Opened { number, path, offset });
        Ok(())
    }
}
