use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant, SystemTime},
};

use super::{Anchor, Tailer};
use crate::tail::{
    FileMark, Frontier, OnGone, TailError, TailEvent, TailOptions,
    locate::{Located, Wanted},
    siblings::Sibling,
};

/// What has been found again.
struct Places {
    /// By number.
    located: BTreeMap<u64, Located>,
    /// The other files.
    left: Vec<Sibling>,
    /// If the newest was empty, and files that seem older were written to after that: since when.
    hidden_since: Option<i64>,
}

impl Places {
    fn find(wanted: &[Wanted], files: &[Sibling]) -> Result<Self, TailError> {
        let mut found: BTreeMap<u64, (usize, Located)> = BTreeMap::new();
        let is_newest = |one: &Wanted| wanted.last().is_some_and(|newest| newest.number == one.number);
        // Of an empty file nothing is known but its inode, which another file may have by now. Those with
        // bytes come first, so that it can be looked for between them; then the newest, since an inode is
        // only given to a newer file.
        let (full, empty): (Vec<_>, Vec<_>) = wanted.iter().partition(|wanted| wanted.has_bytes());
        for wanted in full.iter().chain(empty.iter().rev()) {
            if is_newest(wanted) && !wanted.has_bytes() && found.contains_key(&(wanted.number - 1)) {
                // It is whatever comes next behind the one before it. An inode proves nothing here: it is
                // reused at once, by the compressed form of an older file for instance.
                continue;
            }
            let (mut from, mut to) = (0, files.len());
            if !wanted.has_bytes() {
                from = found.range(..wanted.number).next_back().map_or(from, |(_, (at, _))| at + 1);
                to = found.range(wanted.number..).next().map_or(to, |(_, (at, _))| *at);
            }
            let free: Vec<(usize, &Sibling)> = files
                .iter()
                .enumerate()
                .filter(|(at, _)| (from..to).contains(at) && found.values().all(|(taken, _)| taken != at))
                .collect();
            let mut place = wanted.locate(&free)?;
            if place.is_none() && found.contains_key(&(wanted.number + 1)) {
                // What stands just before its successor, and was written to since, is what it has become.
                let before = free.last().filter(|(at, file)| at + 1 == to && wanted.was_empty_before(file));
                place = before.map(|(at, file)| Ok((*at, Located::whole(file)?))).transpose()?;
            }
            found.extend(place.map(|place| (wanted.number, place)));
        }
        // Of those that were empty, behind all others, the last one that an inode leads to.
        let last_full = full.iter().map(|wanted| wanted.number).max();
        let behind = empty.iter().filter(|wanted| Some(wanted.number) > last_full);
        let newest = behind.rev().find_map(|wanted| Some((wanted, found.get(&wanted.number)?.0)));
        let hidden_since = newest.and_then(|(newest, own)| {
            let last = full.iter().filter_map(|wanted| found.get(&wanted.number)).map(|(at, _)| at + 1).max();
            let mut between = files.iter().take(own).skip(last.unwrap_or(0));
            between.any(|file| newest.was_empty_before(file)).then(|| newest.latest().modified + 1)
        });
        if hidden_since.is_some() {
            // Then all of them are unread, whatever the inodes of empty files say.
            found.retain(|number, _| full.iter().any(|wanted| wanted.number == *number));
        }
        let is_left = |at: usize| found.values().all(|(taken, _)| *taken != at);
        let left = files.iter().enumerate().filter(|(at, _)| is_left(*at));
        let left = left.map(|(_, file)| file.clone()).collect();
        let located = found.into_iter().map(|(number, (_, located))| (number, located)).collect();
        Ok(Self { located, left, hidden_since })
    }
}

impl Tailer {
    /// Goes on with a source from the lowest offset per file that any of `frontiers` has. No chunk spans an
    /// offset of any of them, so that a statistic can skip whole chunks with [`Frontier::covers`].
    ///
    /// # Errors
    ///
    /// [`TailError::Gone`] unless [`OnGone::Continue`] was chosen, [`TailError::Changed`],
    /// [`TailError::Forgotten`], or as [`Tailer::start`].
    pub fn resume(options: TailOptions, frontiers: &[Frontier], now: Instant) -> Result<Self, TailError> {
        let wanted = Wanted::merge(frontiers)?;
        if wanted.is_empty() {
            return Self::start(options, now);
        }
        let mut tailer = Self::new(options, Anchor::Newest);
        let files = tailer.siblings()?.ok_or_else(|| tailer.unsettled())?;
        let mut places = Places::find(&wanted, &files)?;
        let newest = wanted[wanted.len() - 1].number;
        let mut missing = Vec::new();
        for wanted in wanted {
            tailer.next_number = wanted.number + 1;
            if wanted.number == newest
                && let Some(since) = places.hidden_since
            {
                tailer.next_number = wanted.number;
                tailer.read_since(since);
                continue;
            }
            let Some(located) = places.located.remove(&wanted.number) else {
                missing.push(wanted);
                continue;
            };
            tailer.open(wanted.number, located, now + tailer.options.grace)?;
        }
        for wanted in missing {
            tailer.miss(&wanted, wanted.number == newest, &places.left)?;
        }
        tailer.follow(now)?;
        Ok(tailer)
    }

    /// A file was not found when resuming, among `left`: decides whether to go on.
    fn miss(&mut self, wanted: &Wanted, is_newest: bool, left: &[Sibling]) -> Result<(), TailError> {
        let mark = wanted.latest();
        let lost = wanted.unread();
        let (number, offset) = (wanted.number, wanted.from);
        if is_newest {
            // If nothing was read, then the same second is late enough.
            self.read_since(mark.modified + i64::from(wanted.size() > 0));
        }
        if is_newest && wanted.size() == 0 {
            self.next_number = number;
            return Ok(());
        }
        // Another statistic may not have heard of it yet.
        self.gone.push(FileMark { offset: wanted.size(), size: wanted.size(), ..mark.clone() });
        if wanted.size() == 0 {
            return Ok(());
        }
        let path = mark.path.clone().into();
        if !is_newest {
            if lost > 0 && self.options.on_gone == OnGone::Stop {
                return Err(gone(wanted));
            }
            self.events.push(TailEvent::Gone { number, path, offset, lost });
            return Ok(());
        }
        for file in left {
            let Some(size) = wanted.size_with_same_head(file)? else { continue };
            let is_short_copy = lost == 0 && size < offset && file.path != self.options.path;
            if !is_short_copy {
                return Err(TailError::Changed { path: file.path.clone(), number, offset, size });
            }
            // Copied, read a bit further, then truncated.
            self.anchor = Anchor::Behind(file.id());
        }
        let live = left.iter().find(|file| file.path == self.options.path);
        if live.is_some_and(|live| live.id() == wanted.id()) {
            self.events.push(TailEvent::Truncated { number, path, offset, lost });
            return Ok(());
        }
        if self.options.on_gone == OnGone::Stop {
            return Err(gone(wanted));
        }
        self.events.push(TailEvent::Gone { number, path, offset, lost });
        Ok(())
    }

    /// Without an older file to look behind, what is unread is told by its time.
    fn read_since(&mut self, seconds: i64) {
        if self.files.is_empty() {
            let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            self.anchor = Anchor::Since(SystemTime::UNIX_EPOCH + since);
        }
    }

    fn unsettled(&self) -> TailError {
        let source = io::Error::new(io::ErrorKind::ResourceBusy, "the files are being renamed");
        TailError::Io { op: "list", path: self.options.path.clone(), source }
    }
}

fn gone(wanted: &Wanted) -> TailError {
    TailError::Gone {
        number: wanted.number,
        path: wanted.latest().path.clone(),
        offset: wanted.from,
        size: wanted.size(),
    }
}
