//! The amount of data that was found and not handed out, and the files that cannot be read yet, or not any more.

use std::path::Path;

use super::Tailer;
use crate::tail::{
    backlog::{Backlog, Pending},
    error::TailError,
    file::LogFile,
    look::Look,
    options::OnUnreadable,
};

impl Tailer {
    /// Returns the amount of data that the last poll found and that has not been handed out.
    pub fn backlog(&self) -> Backlog {
        let unread = |file: &&LogFile| file.size() > file.offset();
        let open = self.files.iter().filter(unread);
        let bytes: u64 = open.clone().map(|file| file.size() - file.offset()).sum();
        Backlog {
            bytes: bytes + self.queue.bytes,
            files: (open.count() + self.queue.files.len() + self.pending.len()) as u64,
            is_estimated: self.queue.estimated > 0,
        }
    }

    /// Keeps a file that cannot be read, so that it is tried again.
    pub(super) fn set_pending(&mut self, path: &Path, error: TailError) {
        if matches!(error, TailError::Io { .. }) && error.may_pass() {
            // The file is changing while it is looked at.
            self.is_unsettled = true;
            return;
        }
        self.complain(&error);
        let stat = self.options.fs.stat(path).ok().flatten();
        let known = self.pending.iter().position(|pending| pending.path == path);
        let known = known.map(|at| self.pending.swap_remove(at));
        let since = known.filter(|known| known.stat == stat).map_or(self.now, |known| known.since);
        self.pending.push(Pending { path: path.to_owned(), error, stat, since });
    }

    /// Takes note of a file that was damaged during this very look, if such files may be left out: it is, once the damage has
    /// lasted.
    pub(super) fn unless_damaged<T>(
        &mut self,
        looked: Result<T, TailError>,
        otherwise: T,
    ) -> Result<T, TailError> {
        match looked {
            Err(TailError::Damaged { path, source }) if self.options.on_unreadable == OnUnreadable::Skip => {
                self.set_pending(&path.clone(), TailError::Damaged { path, source });
                self.is_unsettled = true;
                Ok(otherwise)
            }
            looked => looked,
        }
    }

    /// Leaves out the rest of an open file that cannot be decompressed any more.
    pub(super) fn leave_out(&mut self, index: usize) -> Result<(), TailError> {
        self.forget_unread(index);
        let file = &mut self.files[index];
        let path = file.path().to_owned();
        file.set_rotated();
        file.abandon();
        if let Some(look) = Look::at(&*self.options.fs, &path)? {
            self.skip_unreadable(&look);
        }
        Ok(())
    }
}
