//! The amount of data that was found and not handed out, and the files that cannot be read yet.

use std::path::Path;

use super::Tailer;
use crate::tail::{
    backlog::{Backlog, Pending},
    error::TailError,
    file::LogFile,
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
}
