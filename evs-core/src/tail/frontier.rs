use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::InvalidJson;

/// The length and xxh3-64 of some bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Digest {
    /// How many bytes were hashed.
    pub len: u32,
    /// Their xxh3-64, as 16 hexadecimal digits in JSON.
    #[serde(with = "hex")]
    pub hash: u64,
}

impl Digest {
    /// The digest of `bytes`, of which there are fewer than 2^32.
    pub fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len() as u32, hash: xxh3_64(bytes) }
    }

    /// Whether `bytes` begin with the ones that were hashed.
    pub(super) fn begins(&self, bytes: &[u8]) -> bool {
        bytes.get(..self.len as usize).is_some_and(|beginning| self.matches(beginning))
    }

    /// Whether `bytes` are the ones that were hashed.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        *self == Self::of(bytes)
    }
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:016x}"))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<u64, D::Error> {
        let text = <std::borrow::Cow<'d, str>>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// How far one file of a source has been read, and how to know the file again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileMark {
    /// The file's number within its source: 1 for the first, in the order in which files are read.
    pub number: u64,
    /// Where reading began in the file: bytes before it are not this number's.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start: u64,
    /// Where reading goes on: the start of a line, as an offset into the uncompressed bytes.
    pub offset: u64,
    /// How long the file was when last looked at, uncompressed; never less than `offset`.
    pub size: u64,
    /// The device it was on. A hint: it may change at a remount.
    pub device: u64,
    /// Its inode. A hint: inodes are reused at once.
    pub inode: u64,
    /// When the file was last written to, in seconds since 1970. A hint.
    pub modified: i64,
    /// The first bytes: up to [`FileMark::HEAD_BYTES_MAX`] of what the file had.
    pub head: Digest,
    /// The last bytes before `offset`: up to [`FileMark::TAIL_BYTES_MAX`].
    pub tail: Digest,
    /// Whether the file was no longer the live one when it was last looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_rotated: bool,
    /// The path by which the file was last known, for messages.
    pub path: String,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl FileMark {
    /// How many bytes of a file's beginning are hashed at the most.
    pub const HEAD_BYTES_MAX: usize = 1024;
    /// How many bytes before an offset are hashed at the most.
    pub const TAIL_BYTES_MAX: usize = 4096;
}

/// Up to where a source has been read: the `to` of a batch.
///
/// Several files can be open at once, since a rotated log may still grow after its successor has lines;
/// so this is an offset per open file. Files with lower numbers than the first are done, those with higher
/// numbers than the last are unread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Frontier {
    /// The open files, by ascending number.
    pub files: Vec<FileMark>,
}

impl Frontier {
    /// Whether the bytes of file `number` up to `end` lie before this frontier.
    pub fn covers(&self, number: u64, end: u64) -> bool {
        match self.files.binary_search_by_key(&number, |mark| mark.number) {
            Ok(at) => end <= self.files[at].offset,
            // Between two open files: read to its end and let go before the first of them was.
            Err(at) => at < self.files.len(),
        }
    }

    /// The frontier before which everything lies that lies before `self` or before `other`.
    ///
    /// What is known of a file is taken from the one that is further in it.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut files = Vec::with_capacity(self.files.len().max(other.files.len()));
        for mark in &self.files {
            match other.files.binary_search_by_key(&mark.number, |other| other.number) {
                Ok(at) if other.files[at].offset > mark.offset => files.push(other.files[at].clone()),
                Ok(_) => files.push(mark.clone()),
                // Read to its end and let go, as far as `other` knows.
                Err(at) if at < other.files.len() => {}
                Err(_) => files.push(mark.clone()),
            }
        }
        let last = self.files.last().map_or(0, |mark| mark.number);
        files.extend(other.files.iter().filter(|mark| mark.number > last).cloned());
        Self { files }
    }

    /// The frontier as JSON, always the same text for the same frontier.
    // Cannot fail: strings, numbers and lists only.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap()
    }

    /// Reads what [`Frontier::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// If `json` is anything else.
    pub fn from_json(json: &str) -> Result<Self, InvalidJson> {
        serde_json::from_str(json).map_err(|error| InvalidJson::new("a position", error))
    }
}

/// For people: `access.log.1 at byte 120, access.log at byte 4096`.
impl fmt::Display for Frontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.files.is_empty() {
            return f.write_str("the beginning");
        }
        for (at, mark) in self.files.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{} at byte {}", mark.path, mark.offset)?;
        }
        Ok(())
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
        };
        Frontier { files: files.iter().map(mark).collect() }
    }

    #[test]
    fn json_is_read_back() {
        let mut frontier = frontier(&[(3, 10), (4, 0)]);
        frontier.files[0].head = Digest::of(b"head");
        assert_eq!(Frontier::from_json(&frontier.to_json()).unwrap(), frontier);
        assert!(Frontier::from_json(r#"{"files":[{"number":1}]}"#).is_err());
    }

    /// A batch's checksum covers this text, so that of an older binlog must stay as it was.
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

    fn any_frontier() -> impl Strategy<Value = Frontier> {
        prop::collection::btree_map(1_u64..6, 0_u64..4, 0..4)
            .prop_map(|files| frontier(&files.into_iter().collect::<Vec<_>>()))
    }

    proptest! {
        #[test]
        fn a_join_covers_what_either_covers(a in any_frontier(), b in any_frontier()) {
            let joined = a.join(&b);
            for number in 1..7 {
                for end in 1..5 {
                    let either = a.covers(number, end) || b.covers(number, end);
                    prop_assert_eq!(joined.covers(number, end), either, "file {} to {}", number, end);
                }
            }
        }
    }
}
