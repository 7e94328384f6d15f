//! Decides, by the bytes of a file, whether it is open, known, a copy of another one, or unread.
//!
//! Names and times prove nothing, and an inode identifies a file only while it is open. So each question here is
//! whether two files have the same bytes up to some offset. Digests of the first bytes and of those before the
//! offset answer it.
//!
//! Examples, while `access.log` is open and 9,000 of its bytes were read:
//!
//! | file | bytes | class |
//! | --- | --- | --- |
//! | `access.log.1`, renamed from `access.log` | the open file itself | `Open` |
//! | `access.log.1.gz`, whose plain form was finished | those of a finished file, compressed | `Known` |
//! | `access.log.1`, a copy of `access.log` | the first 5,000 of these bytes | `Copy` |
//! | `access.log.1`, after `copytruncate` | all 9,000 bytes, and more | `Continued` |
//! | `access.log.2`, to which late lines were written | those of a finished file, and more | `Grown` |
//! | `access.log.3`, restored by somebody | others | `Unread` |

use std::sync::Arc;

use super::Tailer;
use crate::{
    position::{Digest, FileMark, KnownFile, Standing},
    tail::{
        error::TailError,
        excerpt::{Excerpt, SURE_BYTES, may_be_version, same_beginning, tail_before},
        file::compare::Relation,
        look::Look,
    },
};

/// The most compressed files whose contents are remembered.
const UNPACKED_LEN_MAX: usize = 256;

/// The relation of a file to those that the tailer knows.
#[derive(Debug)]
pub(super) enum Class {
    /// It has vanished since it was listed.
    Gone,
    /// It has no bytes, so there is nothing to decide.
    Empty,
    /// It is one of the open files.
    Open,
    /// It is a known file, which was read already or is older than the source.
    Known,
    /// It has the bytes of an open or a known file, perhaps not yet all of them, and no others.
    Copy,
    /// It has all bytes of an open file, and more. Reading continues in it, unless it is older than the source: a live file
    /// that has only its header begins like many rotated ones.
    Longer { file: usize, look: Look },
    /// It has all bytes that were read of an open file that was truncated, and perhaps more. Reading continues in
    /// it.
    Continued { file: usize, look: Look, len: u64 },
    /// It has some of the bytes that were read of an open file that was truncated, and no others.
    Beginning { file: usize, look: Look },
    /// It has all bytes of a known file, which end at `offset`, and more after them.
    Grown { look: Look, id: u64, offset: u64 },
    /// It is unread.
    Unread(Look),
}

impl Class {
    /// Returns true if the file has bytes that were not read. At the beginning of a source, these are older than the source.
    pub(super) fn has_unread_bytes(&self) -> bool {
        matches!(self, Self::Unread(_) | Self::Grown { .. } | Self::Longer { .. })
    }
}

impl Tailer {
    /// Classifies a file that was opened a moment ago.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or decompressed, or changes meanwhile.
    pub(super) fn classify(&mut self, mut look: Look) -> Result<Class, TailError> {
        let id = look.handle.id();
        if self.files.iter().any(|file| file.id() == id && !file.has_lost_its_bytes()) {
            return Ok(Class::Open);
        }
        if look.raw.len == 0 {
            return Ok(Class::Empty);
        }
        let is_live = self.is_live(&look);
        let known = self.catalog.with_print(&look.raw).map(|known| (known.id, known.standing));
        if let Some((id, standing)) = known {
            let is_another = is_live && look.raw.len < SURE_BYTES;
            if standing == Standing::Unread || !is_another {
                self.catalog.see(id, look.handle.path());
            }
            if standing != Standing::Unread && !is_another {
                return Ok(Class::Known);
            }
        }
        look.unpack_head()?;
        if look.head.is_empty() {
            return Ok(Class::Empty);
        }
        if let Some(class) = self.compare_with_open(&mut look)? {
            return Ok(class.with(look));
        }
        if let Some(class) = self.compare_with_known(&look)? {
            return Ok(class.with(look));
        }
        Ok(Class::Unread(look))
    }

    /// Returns true if the file was opened by the live name, and that name is not a symbolic link.
    fn is_live(&self, look: &Look) -> bool {
        let path = look.handle.path();
        self.names.live() == Some(path)
            && !self.options.fs.link_target(path).is_ok_and(|target| target.is_some())
    }

    /// Compares a file with the open ones. Returns `None` if it has nothing to do with any of them.
    ///
    /// Many files may begin with the bytes of a short one: the same header, for example. The file with which it has most bytes
    /// in common is the one.
    fn compare_with_open(&mut self, look: &mut Look) -> Result<Option<Kind>, TailError> {
        let mut nearest: Option<(u64, usize, Relation)> = None;
        for index in 0..self.files.len() {
            if !same_beginning(self.files[index].head(), &look.head) {
                continue;
            }
            // The open file was the live one and now has another name, so it was renamed, not copied. The live
            // file is a new one.
            if self.files[index].was_renamed(self.names.live()) && self.is_live(look) {
                continue;
            }
            let excerpt = self.unpack(look)?;
            let file = &self.files[index];
            let relation = file.compare(look, excerpt.as_ref())?;
            let common = match relation {
                Relation::Other => continue,
                Relation::Copy => return Ok(Some(Kind::Copy)),
                Relation::Longer if file.is_outgrown() => continue,
                Relation::Longer => file.size(),
                // The name of the open file now leads to other bytes.
                Relation::Beginning if file.id() == look.handle.id() => continue,
                Relation::Continued | Relation::Beginning
                    if !file.is_truncated() && file.has_lost_its_bytes() =>
                {
                    continue;
                }
                Relation::Continued | Relation::Beginning => file.offset(),
            };
            if nearest.as_ref().is_none_or(|(most, ..)| common > *most) {
                nearest = Some((common, index, relation));
            }
        }
        let Some((common, index, relation)) = nearest else { return Ok(None) };
        if let Some(kind) = self.compare_with_known(look)?
            && kind.common().is_none_or(|known| known > common)
        {
            return Ok(Some(kind));
        }
        match relation {
            Relation::Longer => Ok(Some(Kind::Longer { file: index })),
            // The truncation has just happened, or there was no copy at the last survey.
            _ if !self.files[index].is_truncated() => {
                self.look(index)?;
                self.is_unsettled = true;
                Ok(Some(Kind::Copy))
            }
            Relation::Continued => {
                let len = self.unpack(look)?.map_or(look.raw.len, |excerpt| excerpt.size);
                Ok(Some(Kind::Continued { file: index, len }))
            }
            _ => Ok(Some(Kind::Beginning { file: index })),
        }
    }

    /// Returns how many bytes a file has in common with a known one that it is a version of, [`u64::MAX`] if these are all of
    /// them; `None` if it is no version of any.
    pub(super) fn common_with_known(&mut self, look: &Look) -> Result<Option<u64>, TailError> {
        Ok(self.compare_with_known(look)?.map(|kind| kind.common().unwrap_or(u64::MAX)))
    }

    /// Compares a file with the known ones. Returns `None` if it has nothing to do with any of them.
    fn compare_with_known(&mut self, look: &Look) -> Result<Option<Kind>, TailError> {
        let known = self.catalog.with_head(&look.head);
        let is_live = self.is_live(look);
        let is_sure = |known: &Arc<KnownFile>| {
            !is_live || known.content.or(known.packed).is_some_and(|print| print.len >= SURE_BYTES)
        };
        let is_wanted = |known: &Arc<KnownFile>| known.standing != Standing::Unread && is_sure(known);
        let known: Vec<_> = known.into_iter().filter(is_wanted).collect();
        if known.is_empty() {
            return Ok(None);
        }
        let excerpt = self.unpack(look)?;
        let content = excerpt.as_ref().map_or(look.raw, Excerpt::content);
        let mut grown: Option<(u64, u64)> = None;
        for known in known {
            let Some(other) = known.content else {
                // The known file was found compressed and was never decompressed. Now it is uncompressed, or
                // compressed in another way.
                if content.head == known.head {
                    self.know_again(&known, look, Some(content));
                    return Ok(Some(Kind::Known));
                }
                continue;
            };
            if content == other {
                self.know_again(&known, look, None);
                return Ok(Some(Kind::Known));
            }
            if content.len > other.len {
                if may_be_version(&look.head, other.len, content.len)
                    && other.tail.matches(&tail_at(look, excerpt.as_ref(), other.len)?)
                    && !self.is_still_there(&known, look)?
                {
                    grown = grown.max(Some((other.len, known.id)));
                }
            } else if self.is_beginning_of(content.len, content.tail, &known)? {
                return Ok(Some(Kind::Copy));
            }
        }
        Ok(grown.map(|(offset, id)| Kind::Grown { id, offset }))
    }

    /// Records that a known file was found in another form, such as compressed.
    fn know_again(&mut self, known: &KnownFile, look: &Look, content: Option<crate::position::Fingerprint>) {
        let path = look.handle.path();
        let mut file = KnownFile { path: path.to_string_lossy().into_owned(), ..known.clone() };
        file.packed = look.packed().or(known.packed);
        file.content = known.content.or(content);
        self.catalog.replace(file);
        self.catalog.see(known.id, path);
    }

    /// Returns true if a file that is older than the source and has only a few lines, such as a header, is still there. Then
    /// another file that begins with them is not this one with later lines, which would be older than the source, too.
    fn is_still_there(&self, known: &KnownFile, look: &Look) -> Result<bool, TailError> {
        if known.standing != Standing::Foreign || known.content.is_none_or(|print| print.len >= SURE_BYTES) {
            return Ok(false);
        }
        Ok(self.found_again(known)?.is_some_and(|there| there.handle.id() != look.handle.id()))
    }

    /// Returns true if the first `len` bytes of a known file that is still there end with this tail. Then the
    /// file in question is a copy of it that is still being made.
    pub(super) fn is_beginning_of(
        &self,
        len: u64,
        tail: Digest,
        known: &KnownFile,
    ) -> Result<bool, TailError> {
        match self.found_again(known)? {
            Some(look) => Ok(tail.matches(&tail_at(&look, None, len)?)),
            None => Ok(false),
        }
    }

    /// Opens a known file where the last survey found it; `None` if other bytes are there by now.
    fn found_again(&self, known: &KnownFile) -> Result<Option<Look>, TailError> {
        let Some(path) = self.catalog.path(known.id) else { return Ok(None) };
        let look = Look::at(&*self.options.fs, path)?;
        Ok(look.filter(|look| [known.content, known.packed].contains(&Some(look.raw))))
    }

    /// Returns the content of a compressed file, from the cache if possible; `None` for a plain file.
    pub(super) fn unpack(&mut self, look: &Look) -> Result<Option<Excerpt>, TailError> {
        if look.handle.packing().is_plain() {
            return Ok(None);
        }
        if let Some(excerpt) = self.unpacked.get(&look.raw) {
            return Ok(Some(excerpt.clone()));
        }
        if self.unpacked.len() >= UNPACKED_LEN_MAX {
            self.unpacked.clear();
        }
        let excerpt = Excerpt::of(&look.handle, &[])?;
        self.unpacked.insert(look.raw, excerpt.clone());
        Ok(Some(excerpt))
    }
}

/// A [`Class`] without the opened file.
enum Kind {
    Known,
    Copy,
    Longer { file: usize },
    Continued { file: usize, len: u64 },
    Beginning { file: usize },
    Grown { id: u64, offset: u64 },
}

impl Kind {
    /// Returns the number of bytes that it has in common with a known file; `None` if these are all that it has.
    fn common(&self) -> Option<u64> {
        match self {
            Self::Grown { offset, .. } => Some(*offset),
            _ => None,
        }
    }

    /// Adds the opened file.
    fn with(self, look: Look) -> Class {
        match self {
            Self::Known => Class::Known,
            Self::Copy => Class::Copy,
            Self::Longer { file } => Class::Longer { file, look },
            Self::Continued { file, len } => Class::Continued { file, look, len },
            Self::Beginning { file } => Class::Beginning { file, look },
            Self::Grown { id, offset } => Class::Grown { look, id, offset },
        }
    }
}

/// Returns the last uncompressed bytes before `offset`.
fn tail_at(look: &Look, excerpt: Option<&Excerpt>, offset: u64) -> Result<Vec<u8>, TailError> {
    match excerpt {
        _ if look.handle.packing().is_plain() => tail_before(&look.handle, offset),
        Some(excerpt) if excerpt.size == offset => Ok(excerpt.end.clone()),
        _ => {
            let excerpt = Excerpt::of(&look.handle, &[offset])?;
            debug_assert!(excerpt.tails[0].len() <= FileMark::TAIL_BYTES_MAX);
            // A file that ends before `offset` cannot have the same bytes there.
            Ok(if excerpt.size < offset { Vec::new() } else { excerpt.tails[0].clone() })
        }
    }
}
