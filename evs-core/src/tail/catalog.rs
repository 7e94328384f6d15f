//! The known files of a source in memory, searchable by their bytes.
//!
//! The catalog is the tailer's copy of the durable [`Inventory`]. It collects changes, which
//! [`Catalog::take_change`] returns to be made durable with the next cut.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::numbers::Numbers;
use crate::position::{Digest, Fingerprint, Inventory, InventoryChange, KnownFile, Standing};

/// The number of files that stay known although their names are gone. One of them may come back, for example
/// when it is moved to another directory and back. If there are more, those that have been known longest are
/// forgotten.
const GONE_MAX: usize = 4096;

/// The known files that are not open.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    /// By id.
    entries: BTreeMap<u64, CatalogEntry>,
    /// Ids by the fingerprint of all bytes of the file, compressed or not.
    prints: HashMap<Fingerprint, u64>,
    /// Ids by the digest of the first uncompressed bytes.
    heads: HashMap<Digest, Vec<u64>>,
    /// The number of entries per length of the head. A lookup by head tries each length that occurs.
    head_lens: BTreeMap<u32, usize>,
    /// Ids that were added or changed since the last [`Catalog::take_change`].
    added: BTreeSet<u64>,
    /// Ids that were removed since then.
    removed: BTreeSet<u64>,
    /// The number of the current survey.
    survey: u64,
    /// The numbers of the source, if its ids are shared by several logs.
    ids: Option<Numbers>,
}

/// A known file, and where it was last seen.
#[derive(Debug)]
struct CatalogEntry {
    file: Arc<KnownFile>,
    /// The path of the file in the last survey that found it.
    path: Option<PathBuf>,
    /// The number of that survey.
    seen: u64,
}

impl Catalog {
    /// Loads the files of an inventory.
    pub(super) fn new(inventory: &Inventory) -> Self {
        Self::of(inventory.files().cloned())
    }

    /// Loads known files.
    pub(super) fn of(files: impl IntoIterator<Item = Arc<KnownFile>>) -> Self {
        let mut catalog = Self::default();
        files.into_iter().for_each(|file| catalog.insert(file));
        catalog
    }

    /// Takes the ids of new files from the numbers that all logs of the source share.
    pub(super) fn with_ids_of(self, numbers: &Numbers) -> Self {
        Self { ids: Some(numbers.clone()), ..self }
    }

    /// Forgets all files, as if none had ever been known. Nothing of them was made durable.
    pub(super) fn clear(&mut self) {
        *self = Self { ids: self.ids.take(), ..Self::default() };
    }

    /// Returns the file with this id.
    pub(super) fn get(&self, id: u64) -> Option<&Arc<KnownFile>> {
        self.entries.get(&id).map(|entry| &entry.file)
    }

    /// Returns the file with exactly these bytes, compressed or not.
    pub(super) fn with_print(&self, print: &Fingerprint) -> Option<&Arc<KnownFile>> {
        self.get(*self.prints.get(print)?)
    }

    /// Returns the files whose heads are the beginning of `head`.
    pub(super) fn with_head(&self, head: &[u8]) -> Vec<Arc<KnownFile>> {
        let mut found = Vec::new();
        if head.is_empty() {
            return found;
        }
        for &len in self.head_lens.range(1..=head.len() as u32).map(|(len, _)| len) {
            let ids = self.heads.get(&Digest::of(&head[..len as usize])).into_iter().flatten();
            found.extend(ids.filter_map(|id| self.get(*id)).cloned());
        }
        found
    }

    /// Adds a file, or updates the known file with the same bytes. Returns its id.
    pub(super) fn add(
        &mut self,
        standing: Standing,
        head: Digest,
        content: Option<Fingerprint>,
        packed: Option<Fingerprint>,
        path: &Path,
    ) -> u64 {
        let same = [content, packed].into_iter().flatten().find_map(|print| self.prints.get(&print).copied());
        let known = same.and_then(|id| self.get(id)).cloned();
        let id = known.as_ref().map_or_else(|| self.next_id(), |known| known.id);
        let path = path.to_string_lossy().into_owned();
        let content = content.or(known.as_ref().and_then(|known| known.content));
        let packed = packed.or(known.as_ref().and_then(|known| known.packed));
        let beginning_of = known.and_then(|known| known.beginning_of);
        self.replace(KnownFile { id, standing, head, content, packed, beginning_of, path, log: None });
        id
    }

    /// Returns the id of the next file.
    fn next_id(&self) -> u64 {
        match &self.ids {
            Some(numbers) => numbers.take_id(),
            None => self.entries.keys().next_back().map_or(1, |last| last + 1),
        }
    }

    /// Records that a file is a copy of the beginning of the truncated file `number`.
    pub(super) fn set_beginning_of(&mut self, id: u64, number: u64) {
        if let Some(known) = self.get(id).cloned() {
            self.replace(KnownFile { beginning_of: Some(number), ..(*known).clone() });
        }
    }

    /// Replaces the record of a file. Does nothing if it is the same as before, so that it need not be made
    /// durable again.
    pub(super) fn replace(&mut self, file: KnownFile) {
        if self.get(file.id).is_some_and(|known| **known == file) {
            return;
        }
        let id = file.id;
        let before = self.take(id);
        self.insert(Arc::new(file));
        if let (Some(entry), Some(before)) = (self.entries.get_mut(&id), before) {
            (entry.path, entry.seen) = (before.path, before.seen);
        }
        self.added.insert(id);
    }

    /// Removes a file.
    pub(super) fn remove(&mut self, id: u64) {
        if self.take(id).is_some() {
            self.added.remove(&id);
            self.removed.insert(id);
        }
    }

    /// Starts a survey. Until [`Catalog::see`] is called for it, no file counts as found.
    pub(super) fn begin_survey(&mut self) {
        self.survey += 1;
    }

    /// Records that the current survey has found the file at `path`.
    pub(super) fn see(&mut self, id: u64, path: &Path) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.seen = self.survey;
            if entry.path.as_deref() != Some(path) {
                entry.path = Some(path.to_owned());
            }
        }
    }

    /// Returns true if the current survey has found the file.
    pub(super) fn is_seen(&self, id: u64) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.seen == self.survey)
    }

    /// Returns all known files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Arc<KnownFile>> {
        self.entries.values().map(|entry| &entry.file)
    }

    /// Returns the path at which the file was last found.
    pub(super) fn path(&self, id: u64) -> Option<&Path> {
        self.entries.get(&id)?.path.as_deref()
    }

    /// Returns the files of a standing that the current survey has not found.
    pub(super) fn unseen(&self, standing: Standing) -> Vec<Arc<KnownFile>> {
        let unseen = |entry: &&CatalogEntry| entry.seen != self.survey && entry.file.standing == standing;
        self.entries.values().filter(unseen).map(|entry| Arc::clone(&entry.file)).collect()
    }

    /// Forgets files that the current survey has not found, if there are too many of them.
    pub(super) fn forget_gone(&mut self) {
        let gone =
            |entry: &&CatalogEntry| entry.seen != self.survey && entry.file.standing != Standing::Unread;
        let count = self.entries.values().filter(gone).count();
        let surplus = count.saturating_sub(GONE_MAX);
        let oldest: Vec<u64> = self.entries.values().filter(gone).take(surplus).map(|e| e.file.id).collect();
        oldest.into_iter().for_each(|id| self.remove(id));
    }

    /// Returns the changes since the last call.
    pub(super) fn take_change(&mut self) -> InventoryChange {
        let removed = std::mem::take(&mut self.removed).into_iter().collect();
        let added = std::mem::take(&mut self.added);
        InventoryChange { removed, added: added.into_iter().filter_map(|id| self.get(id).cloned()).collect() }
    }

    /// Returns the number of known files.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds a record to all indexes.
    fn insert(&mut self, file: Arc<KnownFile>) {
        let id = file.id;
        for print in [file.content, file.packed].into_iter().flatten() {
            self.prints.insert(print, id);
        }
        if file.head.len > 0 {
            self.heads.entry(file.head).or_default().push(id);
            *self.head_lens.entry(file.head.len).or_default() += 1;
        }
        self.entries.insert(id, CatalogEntry { file, path: None, seen: 0 });
    }

    /// Removes a record from all indexes. The fingerprints that belong to another record by now stay.
    fn take(&mut self, id: u64) -> Option<CatalogEntry> {
        let entry = self.entries.remove(&id)?;
        let file = &entry.file;
        for print in [file.content, file.packed].into_iter().flatten() {
            if self.prints.get(&print) == Some(&id) {
                self.prints.remove(&print);
            }
        }
        if let Some(ids) = self.heads.get_mut(&file.head) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.heads.remove(&file.head);
            }
            if let Some(count) = self.head_lens.get_mut(&file.head.len) {
                *count -= 1;
                if *count == 0 {
                    self.head_lens.remove(&file.head.len);
                }
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(bytes: &[u8]) -> Fingerprint {
        let digest = Digest::of(bytes);
        Fingerprint { len: bytes.len() as u64, head: digest, tail: digest }
    }

    fn add(catalog: &mut Catalog, standing: Standing, bytes: &[u8]) -> u64 {
        catalog.add(standing, Digest::of(bytes), Some(print(bytes)), None, Path::new("a.log"))
    }

    #[test]
    fn a_file_is_found_by_its_bytes_and_by_its_beginning() {
        let mut catalog = Catalog::default();
        let one = add(&mut catalog, Standing::Finished, b"one\n");
        let other = add(&mut catalog, Standing::Foreign, b"one\ntwo\n");
        assert_eq!(catalog.with_print(&print(b"one\n")).unwrap().id, one);
        assert!(catalog.with_print(&print(b"two\n")).is_none());
        let ids = |head: &[u8]| catalog.with_head(head).iter().map(|file| file.id).collect::<Vec<_>>();
        assert_eq!(ids(b"one\ntwo\nthree\n"), [one, other]);
        assert_eq!(ids(b"one\n2"), [one]);
        assert_eq!(ids(b"on"), [0; 0]);
    }

    #[test]
    fn the_same_bytes_are_one_file_with_the_later_standing() {
        let mut catalog = Catalog::default();
        let id = add(&mut catalog, Standing::Unread, b"one\n");
        assert_eq!(add(&mut catalog, Standing::Finished, b"one\n"), id);
        assert_eq!((catalog.len(), catalog.get(id).unwrap().standing), (1, Standing::Finished));
    }

    #[test]
    fn changes_lead_from_one_inventory_to_the_next() {
        let mut catalog = Catalog::default();
        let one = add(&mut catalog, Standing::Unread, b"one\n");
        add(&mut catalog, Standing::Foreign, b"two\n");
        let mut inventory = Inventory::default();
        inventory.apply(&catalog.take_change());
        catalog.remove(one);
        add(&mut catalog, Standing::Finished, b"three\n");
        inventory.apply(&catalog.take_change());
        assert!(catalog.take_change().is_empty());
        let again = Catalog::new(&inventory);
        assert_eq!(again.len(), 2);
        assert!(again.with_print(&print(b"one\n")).is_none());
        assert_eq!(again.with_print(&print(b"three\n")).unwrap().standing, Standing::Finished);
    }

    #[test]
    fn files_that_are_gone_are_forgotten_only_when_there_are_too_many() {
        let mut catalog = Catalog::default();
        for number in 0..GONE_MAX + 3 {
            add(&mut catalog, Standing::Finished, format!("{number}\n").as_bytes());
        }
        catalog.begin_survey();
        let first = catalog.with_print(&print(b"0\n")).unwrap().id;
        catalog.see(first, Path::new("a.log.1"));
        catalog.forget_gone();
        assert_eq!(catalog.len(), GONE_MAX + 1);
        assert!(catalog.get(first).is_some());
        assert!(catalog.with_print(&print(b"1\n")).is_none());
    }
}
