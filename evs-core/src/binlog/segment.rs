//! The segments of a binlog: their names and headers. This file does no I/O.
//!
//! The first bytes of `binlog-0000000000000001.evs` of the source `web1`:
//!
//! ```text
//!   0  45 56 53 42 4c 4f 47 0a                            EVSBLOG\n
//!   8  02 00 00 00                                        version 2
//!  12  04 00 00 00                                        the name has 4 bytes
//!  16  5f 0c … (16 bytes)                                 the epoch
//!  32  01 00 00 00 00 00 00 00                            segment 1
//!  40  77 65 62 31                                        web1
//!  44  … (8 bytes)                                        XXH3 of everything before
//! ```
//!
//! A file is one segment of one binlog for good: the name has the number, the header has it again, and each frame's
//! checksum depends on it. So a file that is copied, renamed or restored in the wrong place is noticed.

use std::time::Instant;

use xxhash_rust::xxh3::xxh3_64;

#[cfg(any(test, feature = "internals"))]
use super::frame;
use super::frame::{u32_at, u64_at};
use crate::batch::Epoch;

const MAGIC: [u8; 8] = *b"EVSBLOG\n";
/// The version that is written. It is also the latest one that can be read.
pub(super) const VERSION: u32 = 2;
/// The maximum length of a source's name, in bytes.
pub(super) const SOURCE_BYTES_MAX: usize = 255;

// These are the offsets of docs/binlog-format.md, "Segment header". Each follows from the one before.
const VERSION_AT: usize = MAGIC.len();
const SOURCE_BYTES_AT: usize = VERSION_AT + size_of::<u32>();
const EPOCH_AT: usize = SOURCE_BYTES_AT + size_of::<u32>();
const NUMBER_AT: usize = EPOCH_AT + 16;
const SOURCE_AT: usize = NUMBER_AT + size_of::<u64>();
const _: () = assert!(SOURCE_AT == 40, "docs/binlog-format.md, \"Segment header\"");
const HASH_BYTES: usize = size_of::<u64>();
/// The maximum length of the header, in bytes.
pub(super) const HEADER_BYTES_MAX: usize = SOURCE_AT + SOURCE_BYTES_MAX + HASH_BYTES;

/// Returns the file name of a segment.
pub(super) fn name(number: u64) -> String {
    format!("binlog-{number:016x}.evs")
}

/// The meaning of a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The name of the segment with this number.
    Segment(u64),
    /// The name looks like that of a segment, but evs would write it differently.
    Alike,
    /// The name of another file, which the binlog ignores.
    Other,
}

/// Reads the name of a file.
///
/// `binlog-000000000000000a.evs` is segment 10. `binlog-a.evs` and `binlog-000000000000000A.evs` are `Alike`: they
/// stand for the same number, so somebody has renamed a file, and evs stops rather than ignore it. `lock` is `Other`.
pub(super) fn parse_name(file_name: &str) -> Named {
    let digits = file_name.strip_prefix("binlog-").and_then(|rest| rest.strip_suffix(".evs"));
    let Some(digits) = digits else {
        return Named::Other;
    };
    match u64::from_str_radix(digits, 16) {
        Ok(number) if number > 0 && name(number) == file_name => Named::Segment(number),
        _ => Named::Alike,
    }
}

/// The header of a segment: its version, epoch, number and source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) version: u32,
    pub(super) epoch: Epoch,
    pub(super) number: u64,
    pub(super) source: String,
}

/// The result of reading the first bytes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A valid header.
    Header(SegmentHeader),
    /// The magic bytes of a segment with a later version, which this evs cannot read.
    Newer(u32),
    /// Bytes that are not a valid header.
    Unreadable,
}

impl SegmentHeader {
    /// Returns the length of the header.
    pub(super) fn len(&self) -> usize {
        SOURCE_AT + self.source.len() + HASH_BYTES
    }

    /// Encodes the header, with its checksum at the end.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES_MAX);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&(self.source.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.epoch.to_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(self.source.as_bytes());
        let hash = xxh3_64(&bytes);
        bytes.extend_from_slice(&hash.to_le_bytes());
        bytes
    }

    /// Reads the first bytes of a segment: [`HEADER_BYTES_MAX`] of them, or the whole file if it is shorter.
    pub(super) fn parse(bytes: &[u8]) -> Parsed {
        Self::newer(bytes).map_or_else(
            || Self::parse_known(bytes).map_or(Parsed::Unreadable, Parsed::Header),
            Parsed::Newer,
        )
    }

    /// Returns the version if it is a later one. This is checked first, since the rest may then look different.
    ///
    /// The header's checksum is not compared: a later version may compute it in another way. The price is that a
    /// flipped bit in the version is reported as a newer version; nothing is written in either case.
    fn newer(bytes: &[u8]) -> Option<u32> {
        let version = bytes.strip_prefix(&MAGIC)?.first_chunk().copied().map(u32::from_le_bytes)?;
        (version > VERSION).then_some(version)
    }

    /// Reads the header of version 1 or 2, which is the same.
    fn parse_known(bytes: &[u8]) -> Option<Self> {
        let fixed = bytes.get(..SOURCE_AT)?;
        let version = u32_at(fixed, VERSION_AT);
        let source_bytes = u32_at(fixed, SOURCE_BYTES_AT) as usize;
        let sound =
            fixed.starts_with(&MAGIC) && (1..=VERSION).contains(&version) && source_bytes <= SOURCE_BYTES_MAX;
        if !sound {
            return None;
        }
        let hash_at = SOURCE_AT + source_bytes;
        let header = bytes.get(..hash_at + HASH_BYTES)?;
        if u64_at(header, hash_at) != xxh3_64(&header[..hash_at]) {
            return None;
        }
        let epoch = Epoch::from_bytes(*fixed[EPOCH_AT..].first_chunk()?);
        let source = str::from_utf8(&header[SOURCE_AT..hash_at]).ok()?.to_owned();
        Some(Self { version, epoch, number: u64_at(fixed, NUMBER_AT), source })
    }
}

/// Returns the length of the header at the start of `bytes`, if there is one.
#[cfg(any(test, feature = "internals"))]
pub(super) fn header_bytes(bytes: &[u8]) -> Option<usize> {
    match SegmentHeader::parse(bytes) {
        Parsed::Header(header) => Some(header.len()),
        Parsed::Newer(_) | Parsed::Unreadable => None,
    }
}

/// A segment of an open binlog.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// The time since which every registered sink is known to have all batches of the segment.
    pub(super) acknowledged_since: Option<Instant>,
}

impl Segment {
    pub(super) fn new(number: u64, bytes: u64) -> Self {
        Self { number, bytes, acknowledged_since: None }
    }
}

/// Corrects the checksums of a segment's frames after its bytes were changed, so that a test or a fuzzer gets past
/// them. `number` is the number of the segment. If the header is not valid, nothing is changed.
#[cfg(any(test, feature = "internals"))]
pub fn reseal(number: u64, segment: &mut [u8]) {
    if let Some(first) = header_bytes(segment) {
        frame::reseal(number, first, segment);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(version: u32) -> SegmentHeader {
        let (epoch, source) = (Epoch::from_bytes([7; 16]), "ads-web1".to_owned());
        SegmentHeader { version, epoch, number: 0x1234, source }
    }

    #[test]
    fn names_are_read_as_they_were_written_and_no_others() {
        for number in [1, 0xAB, u64::MAX] {
            assert_eq!(parse_name(&name(number)), Named::Segment(number));
        }
        let alike =
            ["binlog-1.evs", "binlog-00000000000000AB.evs", "binlog-0000000000000000.evs", "binlog-.evs"];
        for file_name in alike {
            assert_eq!(parse_name(file_name), Named::Alike, "{file_name}");
        }
        for file_name in ["lock", "binlog-0000000000000001.evs.bak", "rejected.log"] {
            assert_eq!(parse_name(file_name), Named::Other, "{file_name}");
        }
    }

    #[test]
    fn headers_are_read_as_they_were_written_and_refused_when_cut_or_changed() {
        for version in [1, 2] {
            let bytes = header(version).to_bytes();
            assert_eq!(SegmentHeader::parse(&bytes), Parsed::Header(header(version)));
            assert_eq!(bytes.len(), header(version).len());
            for end in 0..bytes.len() {
                assert_eq!(SegmentHeader::parse(&bytes[..end]), Parsed::Unreadable, "{end} bytes");
            }
            for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let parsed = SegmentHeader::parse(&flipped);
                assert!(!matches!(parsed, Parsed::Header(_)), "byte {at}, bit {bit}: {parsed:?}");
            }
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let mut bytes = header(VERSION).to_bytes();
        bytes[VERSION_AT] = 3;
        assert_eq!(SegmentHeader::parse(&bytes), Parsed::Newer(3));
        bytes[VERSION_AT] = 0;
        assert_eq!(SegmentHeader::parse(&bytes), Parsed::Unreadable);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = SegmentHeader::parse(&bytes);
            let _ = SegmentHeader::parse(&[&MAGIC[..], &VERSION.to_le_bytes(), &bytes].concat());
        }
    }
}
