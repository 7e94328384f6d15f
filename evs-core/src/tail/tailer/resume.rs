//! Starts a source, and continues it after a restart.
//!
//! A new source has to draw a line between files that are older than itself and those that it is to read. A resumed
//! one has to find the files again that the last run had open, whatever has happened to their names since.
//!
//! What `resume` does with each file that some statistic still needs:
//!
//! - It is found by its bytes, under any name, compressed or not: reading continues at the offset.
//! - It is found in a directory beside the log: the same, with a hint to set `olddir`.
//! - A file begins like it and differs before the offset: [`TailError::Changed`], or what [`OnChanged`] says.
//! - It is nowhere: [`TailError::Gone`], or what [`OnGone`] says. Then its bytes are counted as lost.
//!
//! Nothing is decided while names are changing: the files are listed until two consecutive lists agree.

use std::{
    collections::{BTreeMap, HashSet},
    io::ErrorKind,
    path::Path,
    sync::Arc,
    time::Instant,
};

use super::{
    Tailer,
    locate::{Located, Wanted},
    survey::same_names,
};
use crate::{
    position::{Digest, FileMark, Frontier, Inventory, KnownFile, Standing},
    tail::{
        catalog::Catalog,
        error::TailError,
        event::TailEvent,
        excerpt::changing,
        fs::{FileId, directory_of},
        look::Look,
        names::Name,
        numbers::Numbers,
        options::{Begin, OnChanged, OnGone, OnUnreadable, TailOptions},
        packing::Packing,
    },
};

/// The most times that the files are listed until two consecutive lists agree.
const LISTS_MAX: usize = 5;

impl Tailer {
    /// Starts a new source.
    ///
    /// # Errors
    ///
    /// Returns an error if the files cannot be read, are being renamed, or the log is not a [regular
    /// file](TailError::NotRegular).
    pub fn start(options: TailOptions, now: Instant) -> Result<Self, TailError> {
        Self::start_with(options, Catalog::default(), Numbers::new(1, 1), now)
    }

    /// Starts a new log of a source. `catalog` is empty.
    pub(in crate::tail) fn start_with(
        options: TailOptions,
        catalog: Catalog,
        numbers: Numbers,
        now: Instant,
    ) -> Result<Self, TailError> {
        let begin = options.begin;
        let mut tailer = Self::new(options, catalog, numbers, now);
        if begin != Begin::Oldest {
            tailer.begin_at_newest(begin == Begin::End)?;
        }
        tailer.look_at_live()?;
        tailer.survey()?;
        Ok(tailer)
    }

    /// Marks all files as older than the source, except for the live one or, without a live name, the newest.
    fn begin_at_newest(&mut self, at_end: bool) -> Result<(), TailError> {
        let first = self.numbers.next_file();
        for _ in 0..LISTS_MAX {
            (self.files, self.events) = (Vec::new(), Vec::new());
            self.catalog.clear();
            self.begins_at_end = at_end;
            self.numbers.go_back_to(first);
            let names = self.list()?;
            let newest = match self.names.live() {
                Some(live) => names.iter().position(|name| name.path == live),
                None => names.len().checked_sub(1),
            };
            let mut is_disturbed = false;
            if let Some(at) = newest {
                is_disturbed |= !self.open_newest(&names[at])?;
            }
            for (at, name) in names.iter().enumerate() {
                if Some(at) != newest && name.stat.size > 0 {
                    is_disturbed |= !self.know_foreign(name)?;
                }
            }
            if !is_disturbed && same_names(&names, &self.list()?) {
                // If there is no line yet, all lines that come belong to the source.
                self.begins_at_end = false;
                return Ok(());
            }
        }
        Err(changing(&self.options.path))
    }

    /// Opens the file with which the source begins. Returns `false` if its name leads to another file by now.
    fn open_newest(&mut self, name: &Name) -> Result<bool, TailError> {
        if !name.stat.is_regular {
            return Err(TailError::NotRegular { path: name.path.clone() });
        }
        let Some(look) = Look::at(&*self.options.fs, &name.path)? else { return Ok(false) };
        let is_it = look.handle.id() == name.id();
        if look.raw.len > 0 {
            self.open_whole(&look)?;
        }
        Ok(is_it)
    }

    /// Records a file that is older than the source, unless it is a copy of the live one. Returns `false` if its
    /// name leads to another file by now.
    fn know_foreign(&mut self, name: &Name) -> Result<bool, TailError> {
        let mut look = match Look::at(&*self.options.fs, &name.path) {
            Ok(Some(look)) => look,
            Ok(None) => return Ok(false),
            Err(error @ TailError::Io { .. }) if !error.may_pass() => {
                // If this lasts, it is reported again as an error that says what to do.
                self.complain(&error);
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let is_it = look.handle.id() == name.id();
        // A damaged file is known by its compressed bytes.
        let head = look.unpack_head().map(|()| Digest::of(&look.head));
        let (content, packed) = (look.content(), look.packed());
        self.note_unsynced(&look.handle);
        let Ok(head) = head else {
            self.catalog.add(Standing::Foreign, Digest::default(), None, packed, &name.path);
            return Ok(is_it);
        };
        if self.classify(look)?.has_unread_bytes() {
            self.catalog.add(Standing::Foreign, head, content, packed, &name.path);
        }
        Ok(is_it)
    }

    /// Continues a source. Each file is read from the lowest offset that any of `frontiers` has for it.
    ///
    /// No chunk spans an offset of any frontier, so a statistic that has read more than another can skip whole
    /// chunks with [`Frontier::covers`].
    ///
    /// `inventory` holds the other files that were known when the last of the frontiers became durable. Without an
    /// inventory, all files that are older, by the order of their names, than the last one that was read count as
    /// read: [`TailEvent::Presumed`].
    ///
    /// # Errors
    ///
    /// Returns [`TailError::Gone`] unless [`OnGone::Continue`] was chosen, [`TailError::Changed`] unless
    /// [`OnChanged`] says otherwise, [`TailError::Ambiguous`], [`TailError::Forgotten`], and the errors of
    /// [`Tailer::poll`].
    pub fn resume(
        options: TailOptions,
        frontiers: &[Frontier],
        inventory: Option<&Inventory>,
        now: Instant,
    ) -> Result<Self, TailError> {
        let wanted = Wanted::merge(frontiers)?;
        if wanted.is_empty() && inventory.is_none() {
            return Self::start(options, now);
        }
        let numbers = frontiers.iter().flat_map(|frontier| &frontier.files).map(|mark| mark.number);
        let numbers = Numbers::new(numbers.max().unwrap_or(0) + 1, 1);
        Self::resume_with(options, wanted, inventory.map(Catalog::new), numbers, now)
    }

    /// Continues a log of a source, with the files that at least one statistic needs, and the known ones; `None` if the
    /// state has no known files.
    pub(in crate::tail) fn resume_with(
        options: TailOptions,
        wanted: Vec<Wanted>,
        known: Option<Catalog>,
        numbers: Numbers,
        now: Instant,
    ) -> Result<Self, TailError> {
        let has_inventory = known.is_some();
        let mut tailer = Self::new(options, known.unwrap_or_default(), numbers, now);
        tailer.is_resuming = true;
        tailer.look_at_live()?;
        tailer.find(wanted, has_inventory)?;
        tailer.survey()?;
        tailer.is_resuming = false;
        tailer.missing_since = None;
        Ok(tailer)
    }

    /// Opens the files of an earlier run.
    fn find(&mut self, wanted: Vec<Wanted>, has_inventory: bool) -> Result<(), TailError> {
        let newest = wanted.last().map(|wanted| wanted.number);
        let (wanted, empty): (Vec<_>, Vec<_>) = wanted.into_iter().partition(Wanted::has_bytes);
        let mut search = Search { on_unreadable: self.options.on_unreadable, ..Search::default() };
        let names = self.list()?;
        for name in &names {
            self.search(name, &wanted, &mut search)?;
        }
        let mut located: BTreeMap<u64, Located> = BTreeMap::new();
        let mut taken: HashSet<FileId> = HashSet::new();
        // Files of which most was read come first: the more bytes agree, the surer the match.
        let mut order: Vec<&Wanted> = wanted.iter().collect();
        order.sort_by_key(|wanted| std::cmp::Reverse(wanted.read_to()));
        for one in order {
            let mut found = search.found.remove(&one.number).unwrap_or_default();
            found.retain(|located| !taken.contains(&located.handle.id()));
            if let Some(found) = one.choose(found, has_inventory)? {
                // One of the files that cannot be read may be a longer version of this one.
                if found.excerpt.size < one.size()
                    && let Some(failure) = search.failure.take()
                {
                    return Err(failure);
                }
                taken.insert(found.handle.id());
                located.insert(one.number, found);
            }
        }
        if !same_names(&names, &self.list()?) || search.is_disturbed {
            return Err(changing(&self.options.path));
        }
        // A file that was found again is not the changed form of another one.
        search.alike.retain(|(_, name, _)| !taken.contains(&name.id()));
        let mut last = None;
        for one in wanted {
            let is_newest = Some(one.number) == newest;
            let found = match located.remove(&one.number) {
                Some(found) => Some(found),
                None => self.miss(&one, is_newest || has_inventory, &names, &mut search)?,
            };
            if let Some(found) = found {
                last = last.max(names.iter().position(|name| name.id() == found.handle.id()));
                self.open_found(&one, found)?;
            }
        }
        if !has_inventory {
            let since = empty.last().map(|wanted| wanted.latest().modified);
            self.presume(&names, last, since)?;
        }
        Ok(())
    }

    /// Opens a file that was found again, and reports a loss if it is shorter than it was.
    fn open_found(&mut self, wanted: &Wanted, found: Located) -> Result<(), TailError> {
        let lost = wanted.size().saturating_sub(found.excerpt.size);
        self.open(wanted.number, found.handle, found.excerpt, found.opening)?;
        let index = self.files.len() - 1;
        if wanted.latest().is_rotated {
            self.files[index].set_rotated();
        } else if wanted.is_hinted(self.files[index].id()) && wanted.was_at(self.names.live()) {
            self.files[index].set_live();
        }
        if lost > 0 {
            self.tell_truncated(index, lost, true);
        }
        Ok(())
    }

    /// Compares one file with the wanted ones.
    fn search(&mut self, name: &Name, wanted: &[Wanted], search: &mut Search) -> Result<(), TailError> {
        if wanted.is_empty() {
            return Ok(());
        }
        if name.stat.size == 0 {
            if Packing::of(&name.path, &[]) == Packing::Unreadable {
                let source = ErrorKind::UnexpectedEof.into();
                search.fail(TailError::Damaged { path: name.path.clone(), source });
            }
            return Ok(());
        }
        let mut look = match Look::at(&*self.options.fs, &name.path) {
            Ok(Some(look)) if look.handle.id() == name.id() => look,
            Ok(_) => {
                search.is_disturbed = true;
                return Ok(());
            }
            Err(error @ TailError::NotRegular { .. }) => return Err(error),
            Err(error) => {
                search.fail(error);
                return Ok(());
            }
        };
        let known = self.catalog.with_print(&look.raw);
        // Two files may have the same few lines. Then the inode tells which of them was open.
        let is_hinted = wanted.iter().any(|wanted| wanted.is_hinted(name.id()));
        let is_of = |known: &KnownFile| wanted.iter().any(|one| known.beginning_of == Some(one.number));
        if !is_hinted && known.is_some_and(|known| known.standing != Standing::Unread && !is_of(known)) {
            return Ok(());
        }
        if let Err(error) = look.unpack_head() {
            search.fail(error);
            return Ok(());
        }
        let beginning_of = match self.beginning_of(&look) {
            Ok(beginning_of) => beginning_of,
            Err(error) => {
                search.fail(error);
                return Ok(());
            }
        };
        for wanted in wanted {
            let examined = match beginning_of == Some(wanted.number) {
                true => wanted.take_beginning(&look),
                false if wanted.matches_head(&look.head) => match self.is_another(&look, wanted) {
                    Ok(true) => continue,
                    Ok(false) => wanted.examine(&look),
                    Err(error) => Err(error),
                },
                false => continue,
            };
            match examined {
                Ok(Some(located)) => search.found.entry(wanted.number).or_default().push(located),
                Ok(None) => search.alike.push((wanted.number, name.clone(), look.raw.len)),
                Err(error) => search.fail(error),
            }
        }
        Ok(())
    }

    /// Returns true if a file that begins like the wanted one has more in common with a file that was finished: many begin with
    /// the same header.
    fn is_another(&mut self, look: &Look, wanted: &Wanted) -> Result<bool, TailError> {
        if wanted.is_hinted(look.handle.id()) {
            return Ok(false);
        }
        let common = self.common_with_known(look)?;
        Ok(common.is_some_and(|common| common > wanted.read_to()))
    }

    /// Returns the number of the truncated file of which this one, compressed or not, is known to be a copy of the
    /// beginning.
    fn beginning_of(&mut self, look: &Look) -> Result<Option<u64>, TailError> {
        let mut known = self.catalog.with_head(&look.head);
        known.retain(|known| known.beginning_of.is_some());
        if known.is_empty() {
            return Ok(None);
        }
        let content = self.unpack(look)?.map_or(look.raw, |excerpt| excerpt.content());
        let is_it = |known: &&Arc<KnownFile>| known.content == Some(content);
        Ok(known.iter().find(is_it).and_then(|known| known.beginning_of))
    }

    /// Decides whether to continue without a file that was not found.
    fn miss(
        &mut self,
        wanted: &Wanted,
        may_have_grown: bool,
        names: &[Name],
        search: &mut Search,
    ) -> Result<Option<Located>, TailError> {
        let mark = wanted.latest();
        let (number, lost) = (wanted.number, wanted.unread());
        // The missing file may be the one that cannot be read.
        if let Some(failure) = search.failure.take() {
            return Err(failure);
        }
        if wanted.is_read_and_rotated() || (!may_have_grown && lost == 0) {
            self.give_up(wanted, 0);
            return Ok(None);
        }
        let alike = search.alike.iter().find(|(other, ..)| *other == number);
        if let Some((_, name, size)) = alike {
            let (path, offset, size) = (name.path.clone(), wanted.read_to(), *size);
            match self.options.on_changed {
                OnChanged::Stop => return Err(TailError::Changed { path, number, offset, size }),
                OnChanged::ReadAgain => {}
                OnChanged::Skip => {
                    if let Some(mut look) = Look::at(&*self.options.fs, &path)? {
                        look.unpack_head()?;
                        let (head, content) = (Digest::of(&look.head), look.content());
                        self.catalog.add(Standing::Finished, head, content, look.packed(), &path);
                    }
                }
            }
            self.events.push(TailEvent::Changed { number, path, offset, size });
            self.keep_number(wanted);
            return Ok(None);
        }
        if let Some(found) = self.find_in_subdirectory(wanted, names)? {
            return Ok(Some(found));
        }
        if self.options.on_gone == OnGone::Stop {
            let path = mark.path.clone();
            return Err(TailError::Gone { number, path, offset: wanted.from, size: wanted.size() });
        }
        self.give_up(wanted, lost);
        Ok(None)
    }

    /// Reports that a file is gone, and continues without it.
    fn give_up(&mut self, wanted: &Wanted, lost: u64) {
        let (number, offset) = (wanted.number, wanted.from);
        self.events.push(TailEvent::Gone { number, path: wanted.latest().path.clone().into(), offset, lost });
        self.keep_number(wanted);
    }

    /// Keeps a file that is gone in the frontier until all statistics are past it. It is added to the known files
    /// too, so that it is recognized if it comes back.
    fn keep_number(&mut self, wanted: &Wanted) {
        let size = wanted.size();
        if let Some(content) = wanted.content() {
            let path = Path::new(&wanted.latest().path);
            self.catalog.add(Standing::Finished, content.head, Some(content), None, path);
        }
        self.gone.push(FileMark { offset: size, size, is_rotated: true, ..wanted.latest().clone() });
    }

    /// Looks for a file in the directories beside the log, where a rotator may have moved it. Accepts it only if no
    /// other file there may be unread.
    fn find_in_subdirectory(
        &mut self,
        wanted: &Wanted,
        names: &[Name],
    ) -> Result<Option<Located>, TailError> {
        let all = self.names.in_subdirectories(&*self.options.fs);
        let mut all = all.map_err(TailError::io("list", &self.options.path))?;
        all.retain(|name| name.stat.size > 0 && names.iter().all(|other| other.id() != name.id()));
        let mut found = None;
        let mut others = Vec::new();
        for name in all {
            let Some(mut look) = Look::at(&*self.options.fs, &name.path)? else { continue };
            let is_it = look.unpack_head().is_ok() && wanted.matches_head(&look.head);
            match wanted.examine(&look) {
                Ok(Some(located)) if is_it && found.is_none() => found = Some(located),
                _ => others.push(name),
            }
        }
        let Some(found) = found else { return Ok(None) };
        let directory = directory_of(found.handle.path()).to_owned();
        let modified = found.handle.stat()?.modified;
        // Older files there were read, or are older than the source.
        if let Some(other) =
            others.iter().find(|name| name.path.starts_with(&directory) && name.stat.modified >= modified)
        {
            return Err(TailError::Olddir {
                directory,
                found: found.handle.path().to_owned(),
                other: other.path.clone(),
            });
        }
        self.events.push(TailEvent::Olddir { path: found.handle.path().to_owned(), directory });
        Ok(Some(found))
    }
}

/// The results of a search for the files of an earlier run.
#[derive(Default)]
struct Search {
    /// True if a name led to another file than the one that was listed.
    is_disturbed: bool,
    /// The files that match, by number, each list in the order of reading.
    found: BTreeMap<u64, Vec<Located>>,
    /// Files that begin like a wanted one but differ later, with the number of that one and their own length.
    alike: Vec<(u64, Name, u64)>,
    /// The first reason why a file could not be compared.
    failure: Option<TailError>,
    on_unreadable: OnUnreadable,
}

impl Search {
    /// Notes that a file could not be compared, unless it is a damaged one that is left out.
    fn fail(&mut self, error: TailError) {
        let is_left_out =
            matches!(error, TailError::Damaged { .. }) && self.on_unreadable == OnUnreadable::Skip;
        if !is_left_out {
            self.failure.get_or_insert(error);
        }
    }
}
