//! Lists the files that a source has passed, for a statistic that is to read them, too.

use std::{
    collections::HashMap,
    io::{self, ErrorKind},
    path::Path,
    sync::Arc,
};

use super::Tailer;
use crate::{
    describe,
    position::{KnownFile, OlderFiles, Standing},
    tail::{
        error::TailError,
        excerpt::{changing, tail_before},
        file::LogFile,
        look::Look,
        options::Begin,
    },
};

impl Tailer {
    /// Returns what lies before [`Tailer::frontier`] and is still there, the oldest file first: the known files that the
    /// last survey found, and the open ones up to where they were handed out. With [`Begin::Start`] it is the live file
    /// alone, and with [`Begin::End`] there is none.
    ///
    /// # Errors
    ///
    /// Returns an error if the files cannot be listed or read, or change meanwhile.
    pub fn older_files(&mut self, begin: Begin) -> Result<OlderFiles, TailError> {
        for index in 0..self.files.len() {
            self.look(index)?;
        }
        self.survey()?;
        // While files are being renamed, the survey may have missed one, and the copy of a truncated file may not be known
        // yet.
        if self.is_unsettled || self.files.iter().any(LogFile::is_truncated) {
            return Err(changing(&self.options.path));
        }
        if let Some(pending) = self.pending.first() {
            let source = io::Error::new(ErrorKind::ResourceBusy, describe(&pending.error));
            return Err(TailError::io("listing older files", &pending.path)(source));
        }
        let open = self.files.iter().filter(|file| file.offset() > 0 && !file.has_lost_its_bytes());
        match begin {
            Begin::Oldest => {}
            Begin::Start => return Ok(open.filter(|file| !file.is_rotated()).map(beginning_of).collect()),
            Begin::End => return Ok(OlderFiles::default()),
        }
        let open: Vec<&LogFile> = open.collect();
        let mut known = Vec::new();
        for file in self.catalog.files().filter(|file| file.standing != Standing::Unread) {
            let is_there = self.catalog.is_seen(file.id) || self.is_hidden(file)?;
            if is_there && !self.is_within_open(file, &open)? {
                known.push(Arc::clone(file));
            }
        }
        let known = self.without_beginnings(&known)?;
        // The order is that of the names, as for files that are read for all statistics.
        let names = self.list()?;
        let age: HashMap<&Path, usize> =
            names.iter().enumerate().map(|(at, name)| (&*name.path, at + 1)).collect();
        let known =
            known.into_iter().map(|file| (self.catalog.path(file.id).and_then(|path| age.get(path)), file));
        let open = open.into_iter().map(|file| (age.get(file.path()), beginning_of(file)));
        let mut all: Vec<_> = known.chain(open).collect();
        all.sort_by_key(|(age, _)| *age);
        Ok(all.into_iter().map(|(_, file)| file).collect())
    }

    /// Returns whether a known file that the last survey did not find is still where it was: while somebody decompresses a
    /// file, the unfinished plain one of the same name hides it.
    fn is_hidden(&self, known: &KnownFile) -> Result<bool, TailError> {
        let path = self.catalog.path(known.id).unwrap_or(Path::new(&known.path));
        let Some(look) = Look::at(&*self.options.fs, path)? else { return Ok(false) };
        Ok([known.content, known.packed].contains(&Some(look.raw)))
    }

    /// Returns whether the bytes of a known file are those with which an open one begins: a file that had grown since it
    /// was finished is open from there on.
    fn is_within_open(&self, known: &KnownFile, open: &[&LogFile]) -> Result<bool, TailError> {
        let Some(content) = known.content else { return Ok(false) };
        for file in open.iter().filter(|file| file.is_plain() && file.offset() >= content.len) {
            if content.head.begins(file.head())
                && content.tail.matches(&tail_before(file.handle(), content.len)?)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Leaves out the files that are the beginning of another one.
    fn without_beginnings(&self, files: &[Arc<KnownFile>]) -> Result<Vec<Arc<KnownFile>>, TailError> {
        let mut by_head: HashMap<_, Vec<&Arc<KnownFile>>> = HashMap::new();
        for file in files {
            by_head.entry(file.head).or_default().push(file);
        }
        let mut kept = Vec::with_capacity(files.len());
        for file in files {
            let mut is_beginning = false;
            if let Some(content) = file.content {
                let is_longer =
                    |other: &KnownFile| other.content.is_some_and(|other| other.len > content.len);
                for other in by_head[&file.head].iter().filter(|other| is_longer(other)) {
                    is_beginning |= self.is_beginning_of(content.len, content.tail, other)?;
                }
            }
            if !is_beginning {
                kept.push(Arc::clone(file));
            }
        }
        Ok(kept)
    }
}

/// Returns what was handed out of an open file, as a known file.
fn beginning_of(file: &LogFile) -> Arc<KnownFile> {
    let content = file.content();
    Arc::new(KnownFile {
        id: 0,
        standing: Standing::Finished,
        head: content.head,
        content: Some(content),
        packed: file.packed(),
        beginning_of: None,
        path: file.path().to_string_lossy().into_owned(),
        log: None,
    })
}
