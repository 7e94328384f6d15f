//! What a tailer tells and is told if it follows one of several logs of a source.

use std::path::PathBuf;

use super::Tailer;
use crate::{
    position::{Fingerprint, KnownFile, Standing},
    tail::{file::LogFile, fs::FileId, look::Look},
};

/// The bytes of a file that was read to its end, for another log that has a name for it.
#[derive(Debug)]
pub(in crate::tail) struct Finished {
    pub(in crate::tail) id: FileId,
    content: Fingerprint,
    packed: Option<Fingerprint>,
    path: PathBuf,
}

impl Tailer {
    /// Returns the files that are open.
    pub(in crate::tail) fn open_ids(&self) -> impl Iterator<Item = FileId> {
        self.files.iter().filter(|file| !file.has_lost_its_bytes()).map(LogFile::id)
    }

    /// Returns the files that were read to their end.
    pub(in crate::tail) fn finished(&self) -> impl Iterator<Item = Finished> {
        let is_finished = |file: &&LogFile| file.is_done() && file.offset() > 0 && !file.has_lost_its_bytes();
        self.files.iter().filter(is_finished).map(|file| Finished {
            id: file.id(),
            content: file.content(),
            packed: file.packed(),
            path: file.path().to_owned(),
        })
    }

    /// Goes on with a file that another log has read, and that has a name of this one. What is added to it belongs here.
    pub(in crate::tail) fn take_over(&mut self, finished: &Finished) {
        let Finished { id, content, packed, path } = finished;
        let known = self.catalog.add(Standing::Finished, content.head, Some(*content), *packed, path);
        self.is_unsettled = true;
        // It may have been renamed or removed by now. Then its bytes are known.
        let names = self.list().unwrap_or_default();
        let name = names.iter().find(|name| name.id() == *id);
        let look = name.and_then(|name| Look::at(&*self.options.fs, &name.path).ok().flatten());
        // It is opened now, so that the next cut has it as read. Few bytes would not be recognized later.
        if let Some(look) = look.filter(|look| look.handle.id() == *id && look.raw.len >= content.len)
            && self.open_grown(&look, known, content.len).is_err()
        {
            tracing::debug!(path = %look.handle.path().display(), "the file has changed");
        }
    }

    /// Returns whether only a write to the live file, or a change of names, can bring something to do.
    pub(in crate::tail) fn is_quiet(&self) -> bool {
        self.is_at_end() && self.files.len() <= 1 && self.pending.is_empty() && self.gone.is_empty()
    }

    /// Returns whether the log has no file any more, under any name. It may have one open that was removed.
    pub(in crate::tail) fn is_nameless(&self) -> bool {
        self.is_nameless
    }

    /// Returns whether the log has no file any more, and everything that it had was read.
    pub(in crate::tail) fn is_vanished(&self) -> bool {
        self.is_nameless && self.is_at_end() && self.pending.is_empty()
    }

    /// Returns whether no file is open, and none is in the position.
    pub(in crate::tail) fn is_closed(&self) -> bool {
        self.files.is_empty() && self.gone.is_empty()
    }

    /// Closes the files of a log that has vanished: if the last line of one has no LF, it is complete now. Returns whether
    /// there were any.
    pub(in crate::tail) fn close_vanished(&mut self) -> bool {
        if !self.is_vanished() || self.files.iter().all(LogFile::is_done) {
            return false;
        }
        self.files.iter_mut().for_each(LogFile::close);
        true
    }

    /// Returns whether bytes of files must be made durable of which nothing was read.
    pub(in crate::tail) fn has_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Returns all known files.
    pub(in crate::tail) fn known(&self) -> impl Iterator<Item = &std::sync::Arc<KnownFile>> {
        self.catalog.files()
    }

    /// Sets how many files may be open.
    pub(in crate::tail) fn set_files_max(&mut self, files_max: usize) {
        self.options.files_max = files_max;
    }

    /// Sets how often all files are looked at.
    pub(in crate::tail) fn set_survey_every(&mut self, every: std::time::Duration) {
        self.options.survey_every = every;
    }
}
