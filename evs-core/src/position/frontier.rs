//! Positions: how far a source has been read, as an offset per open file.
//!
//! Each batch carries the position up to which it counts, and its checksum covers the JSON of that position.
//! So the JSON must stay readable, and must stay the same, in later versions.
//!
//! An offset alone is not a position, because files are renamed and removed, and because two files can grow at the
//! same time. For example, logrotate renames `access.log` while the web server still has it open:
//!
//! ```text
//!  access.log.1   [####################····]   server's old process still writes here
//!  access.log     [####······]                 new lines are here
//! ```
//!
//! Both have bytes before and bytes after the position, so the position is an offset in each of them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

use super::{digest::Digest, older::OlderPosition};
use crate::codec::InvalidJson;

/// The position in one file of a source, and the facts by which the file is recognized.
///
/// Two things are in here: the position (`number`, `offset`), and what is known about the file, to find it again
/// after a restart. Only its bytes decide: the digest of the first KiB says which file it is, and the digest of the
/// last 4 KiB before `offset` says that nothing before the position has changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileMark {
    /// The number of the file within its source. The first one has 1, and numbers follow the order of
    /// reading.
    pub number: u64,
    /// The offset at which reading of the file began. The bytes before it do not belong to this number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start: u64,
    /// The offset at which reading continues: the start of a line, in uncompressed bytes.
    pub offset: u64,
    /// The uncompressed length at the last look; never less than `offset`.
    pub size: u64,
    /// The device that the file was on. It is only a hint: it may change when the disk is mounted again.
    pub device: u64,
    /// The inode of the file. It is only a hint: inodes are reused at once.
    pub inode: u64,
    /// The time of the last write, in seconds since 1970. It is only a hint.
    pub modified: i64,
    /// The digest of the first bytes: as many as the file had, up to [`FileMark::HEAD_BYTES_MAX`].
    pub head: Digest,
    /// The digest of the last bytes before `offset`, up to [`FileMark::TAIL_BYTES_MAX`].
    pub tail: Digest,
    /// True if the file was no longer the live one at the last look.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_rotated: bool,
    /// The last known path of the file, for messages.
    pub path: String,
    /// The path of the log that the file belongs to, if the source is a pattern that matches several logs; `None` for a
    /// source of one log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Arc<str>>,
}

/// The most files of a position that a text for people names.
const SHOWN_MAX: usize = 64;

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl FileMark {
    /// The most bytes of a file's beginning that are hashed.
    pub const HEAD_BYTES_MAX: usize = 1024;
    /// The most bytes before an offset that are hashed.
    pub const TAIL_BYTES_MAX: usize = 4096;
}

/// The position up to which a source has been read: the `to` of a batch.
///
/// Several files can be open at once, since a rotated log may still grow after its successor has lines. So a
/// position is an offset per open file. Files with lower numbers than the first entry are finished, and files
/// with higher numbers than the last entry are unread.
///
/// For example, `[(3, 120), (4, 4096)]` says: files 1 and 2 are finished, file 3 is read up to byte 120 and
/// file 4 up to byte 4096, and nothing of file 5 is read.
///
/// If a source follows many logs, the position of a batch is only the number of the position in the state directory, and
/// `files` is empty there: see [`Frontier::is_number`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[non_exhaustive]
pub struct Frontier {
    /// The open files, by ascending number.
    pub files: Vec<FileMark>,
    /// The position of a statistic in the older files that it still has to read; `None` if there are none. These files
    /// are no part of what the source reads, and have no numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) older: Option<OlderPosition>,
    /// The number that the binlog has given to `files`, if there are many. Then it is written in their place.
    #[serde(default)]
    pub(crate) position: Option<u64>,
}

/// The number stands for the files. Without a number, nothing is new in the JSON.
impl Serialize for Frontier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Json<'f> {
            files: &'f [FileMark],
            #[serde(skip_serializing_if = "Option::is_none")]
            older: Option<OlderPosition>,
            #[serde(skip_serializing_if = "Option::is_none")]
            position: Option<u64>,
        }
        let Self { files, older, position } = self;
        let files = if position.is_some() { &[] } else { &**files };
        Json { files, older: *older, position: *position }.serialize(serializer)
    }
}

impl Frontier {
    /// Makes a position without older files.
    pub(crate) fn new(files: Vec<FileMark>) -> Self {
        Self { files, older: None, position: None }
    }

    /// Returns true if this is only the number of a position, as in the batches of a source of many logs. What it stands
    /// for is in the state directory alone.
    pub fn is_number(&self) -> bool {
        self.position.is_some() && self.files.is_empty()
    }

    /// Returns true if this is the position of a batch within a cut, which says nothing.
    pub(crate) fn is_within_cut(&self) -> bool {
        self.position.is_none() && self.files.is_empty()
    }

    /// Returns the same position, with another one in the older files.
    pub(crate) fn with_older(self, older: Option<OlderPosition>) -> Self {
        Self { older, ..self }
    }

    /// Returns true if the bytes of file `number` up to `end` lie before this frontier.
    ///
    /// With `[(3, 120), (4, 4096)]`, these are covered: all of files 1 and 2, file 3 up to 120, file 4 up to 4,096.
    /// These are not: file 3 up to 121, and file 5 from its first byte. A statistic skips a chunk that its frontier
    /// covers; that is how several statistics with different positions read one log.
    pub fn covers(&self, number: u64, end: u64) -> bool {
        match self.files.binary_search_by_key(&number, |mark| mark.number) {
            Ok(at) => end <= self.files[at].offset,
            // A file between two open ones was read to its end and closed earlier than the first of them.
            Err(at) => at < self.files.len(),
        }
    }

    /// The union of two frontiers: a byte is covered if `self` or `other` covers it.
    ///
    /// The facts about a file are taken from the frontier that has read more of it.
    ///
    /// `[(3, 120), (4, 50)]` joined with `[(4, 80)]` is `[(4, 80)]`: for the second one, file 3 is finished.
    ///
    /// The position in older files stays that of `self`.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut files = Vec::with_capacity(self.files.len().max(other.files.len()));
        for mark in &self.files {
            match other.files.binary_search_by_key(&mark.number, |other| other.number) {
                Ok(at) if other.files[at].offset > mark.offset => files.push(other.files[at].clone()),
                Ok(_) => files.push(mark.clone()),
                // For `other`, this file was read to its end and closed.
                Err(at) if at < other.files.len() => {}
                Err(_) => files.push(mark.clone()),
            }
        }
        let last = self.files.last().map(|mark| mark.number);
        files.extend(other.files.iter().filter(|mark| Some(mark.number) > last).cloned());
        Self { files, older: self.older, position: None }
    }

    /// Writes the frontier as JSON. The same frontier always gives the same text.
    // The `unwrap` cannot fail: there are only strings, numbers and lists.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap()
    }

    /// Reads the text that [`Frontier::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is anything else.
    pub fn from_json(json: &str) -> Result<Self, InvalidJson> {
        serde_json::from_str(json).map_err(|error| InvalidJson::new("a position", error))
    }
}

/// A text for people: `access.log.1 at byte 120, access.log at byte 4096`.
impl fmt::Display for Frontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(number) if self.files.is_empty() => write!(f, "position {number} of many logs")?,
            None if self.files.is_empty() => f.write_str("the beginning")?,
            _ => {}
        }
        for (at, mark) in self.files.iter().take(SHOWN_MAX).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{} at byte {}", mark.path, mark.offset)?;
        }
        if self.files.len() > SHOWN_MAX {
            write!(f, " and {} more files", self.files.len() - SHOWN_MAX)?;
        }
        match self.older {
            Some(OlderPosition { file, offset }) => {
                write!(f, ", and older file {} at byte {offset}", file + 1)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frontier(files: &[(u64, u64)]) -> Frontier {
        let mark = |&(number, offset): &(u64, u64)| FileMark {
            number,
            start: 0,
            offset,
            size: offset,
            device: 0,
            inode: 0,
            modified: 0,
            head: Digest::default(),
            tail: Digest::default(),
            is_rotated: false,
            path: String::new(),
            log: None,
        };
        Frontier::new(files.iter().map(mark).collect())
    }

    #[test]
    fn json_is_read_back() {
        let mut frontier = frontier(&[(3, 10), (4, 0)]);
        frontier.files[0].head = Digest::of(b"head");
        assert_eq!(Frontier::from_json(&frontier.to_json()).unwrap(), frontier);
        assert!(Frontier::from_json(r#"{"files":[{"number":1}]}"#).is_err());
    }

    /// The checksum of a batch covers this text, so the text of an older binlog must never change.
    #[test]
    fn json_has_the_fields_of_version_2_only_where_they_say_something() {
        let mut frontier = frontier(&[(3, 10)]);
        let older = concat!(
            r#"{"files":[{"number":3,"offset":10,"size":10,"device":0,"inode":0,"modified":0,"#,
            r#""head":{"len":0,"hash":"0000000000000000"},"tail":{"len":0,"hash":"0000000000000000"},"#,
            r#""path":""}]}"#
        );
        assert_eq!(frontier.to_json(), older);
        assert_eq!(Frontier::from_json(older).unwrap(), frontier);
        (frontier.files[0].start, frontier.files[0].is_rotated) = (4, true);
        let newer = frontier.to_json();
        assert!(newer.contains(r#""start":4"#) && newer.contains(r#""is_rotated":true"#), "{newer}");
        assert_eq!(Frontier::from_json(&newer).unwrap(), frontier);
    }

    /// The positions of a source of several logs name them, and those of a source of one log are as they were.
    #[test]
    fn json_names_the_log_of_a_file_only_if_there_are_several() {
        let mut frontier = frontier(&[(3, 10)]);
        assert!(!frontier.to_json().contains("log"), "{}", frontier.to_json());
        frontier.files[0].log = Some("/log/a.log".into());
        assert!(frontier.to_json().ends_with(r#""path":"","log":"/log/a.log"}]}"#), "{}", frontier.to_json());
        assert_eq!(Frontier::from_json(&frontier.to_json()).unwrap(), frontier);
    }

    #[test]
    fn a_number_stands_for_the_files() {
        let numbered = Frontier { position: Some(7), ..frontier(&[(3, 10)]) };
        assert_eq!(numbered.to_json(), r#"{"files":[],"position":7}"#);
        let read = Frontier::from_json(&numbered.to_json()).unwrap();
        assert!(read.is_number() && !numbered.is_number() && !read.is_within_cut());
        assert_eq!(read.to_string(), "position 7 of many logs");
    }

    fn any_frontier() -> impl Strategy<Value = Frontier> {
        prop::collection::btree_map(0_u64..6, 0_u64..4, 0..4)
            .prop_map(|files| frontier(&files.into_iter().collect::<Vec<_>>()))
    }

    proptest! {
        #[test]
        fn a_join_covers_what_either_covers(a in any_frontier(), b in any_frontier()) {
            let joined = a.join(&b);
            for number in 0..7 {
                for end in 1..5 {
                    let either = a.covers(number, end) || b.covers(number, end);
                    prop_assert_eq!(joined.covers(number, end), either, "file {} to {}", number, end);
                }
            }
        }
    }
}
