//! Frames: the units after a segment's header, each with a length, a kind and checksums. This file does no I/O.
//!
//! An acknowledgement of 54 bytes at offset 0x340 of segment 1:
//!
//! ```text
//!  0  36 00 00 00                  the payload has 54 bytes
//!  4  06                           kind 6: acknowledge
//!  5  00 00 00                     reserved
//!  8  00 03 00 00 00 00 00 00      fsync had succeeded up to offset 0x300
//! 16  … (8 bytes)                  checksum of the payload
//! 24  … (8 bytes)                  checksum of the 24 bytes above
//! 32  {"sink":"reports", …}
//! ```
//!
//! There are two checksums because a header must be believable alone: recovery searches for headers after damaged
//! bytes, and the length must be right before the payload is read.

use xxhash_rust::xxh3::xxh3_64_with_seed;

// These are the offsets of docs/binlog-format.md, "Frames". Each follows from the one before.
const KIND_AT: usize = size_of::<u32>();
const RESERVED_AT: usize = KIND_AT + size_of::<u8>();
const SYNCED_AT: usize = RESERVED_AT + 3;
const PAYLOAD_HASH_AT: usize = SYNCED_AT + size_of::<u64>();
const HEADER_HASH_AT: usize = PAYLOAD_HASH_AT + size_of::<u64>();
/// The length of a frame's header.
pub(super) const HEADER_BYTES: usize = HEADER_HASH_AT + size_of::<u64>();
const _: () = assert!(HEADER_BYTES == 32, "docs/binlog-format.md, \"Frames\"");

/// The place at which a frame begins.
///
/// A frame is never moved: its location is part of its checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// The number of the segment.
    pub(super) segment: u64,
    /// The offset in the segment.
    pub(super) offset: u64,
}

impl Location {
    /// Returns the seed of the checksums at this place. A frame is valid only in its own place: bytes that the file
    /// system has taken from another file, or from another part of this file, have another seed.
    fn seed(self) -> u64 {
        (self.segment << 40).wrapping_add(self.offset)
    }

    /// Returns the checksum of `bytes` at this place.
    pub(super) fn hash(self, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.seed())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
/// The header of a frame: the length, kind and checksum of the payload that follows.
pub(super) struct FrameHeader {
    /// The length of the payload.
    pub(super) payload_bytes: u32,
    /// The kind of the frame, one of [`kind`](super::event::kind).
    pub(super) kind: u8,
    /// The offset in the segment up to which fsync had succeeded when the frame was written.
    pub(super) synced: u64,
    /// The checksum of the payload.
    pub(super) payload_hash: u64,
}

impl FrameHeader {
    /// Reads a header; returns `None` if the bytes are not a header that was written at `place`.
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES], location: Location) -> Option<Self> {
        let (fields, hash) = bytes.split_at(HEADER_HASH_AT);
        let header = Self {
            payload_bytes: u32_at(fields, 0),
            kind: fields[KIND_AT],
            synced: u64_at(fields, SYNCED_AT),
            payload_hash: u64_at(fields, PAYLOAD_HASH_AT),
        };
        let plausible = fields[RESERVED_AT..SYNCED_AT] == [0; 3] && header.synced <= location.offset;
        (plausible && location.hash(fields) == u64_at(hash, 0)).then_some(header)
    }

    /// Writes the header into the first bytes of its frame.
    fn write(&self, bytes: &mut [u8], location: Location) {
        bytes[..KIND_AT].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[KIND_AT] = self.kind;
        bytes[RESERVED_AT..SYNCED_AT].fill(0);
        bytes[SYNCED_AT..PAYLOAD_HASH_AT].copy_from_slice(&self.synced.to_le_bytes());
        bytes[PAYLOAD_HASH_AT..HEADER_HASH_AT].copy_from_slice(&self.payload_hash.to_le_bytes());
        let hash = location.hash(&bytes[..HEADER_HASH_AT]);
        bytes[HEADER_HASH_AT..HEADER_BYTES].copy_from_slice(&hash.to_le_bytes());
    }

    /// Returns the length of the whole frame.
    pub(super) fn frame_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.payload_bytes)
    }
}

/// Frames that are about to be written, one after the other.
///
/// A checksum depends on the place of its frame, and the place depends on the lengths of the frames before. So frames
/// are collected first, and sealed when their place is known.
///
/// Example: frames of 100 and 50 bytes are pushed and sealed at offset 1,000; they are valid at 1,000 and at 1,100,
/// and nowhere else. If the segment is full, the same frames are sealed for the beginning of the next one instead.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// The start and the kind of each frame.
    frames: Vec<(usize, u8)>,
}

impl Frames {
    /// Adds a frame; `write` appends the payload. The caller makes sure that the payload is not longer than
    /// [`PAYLOAD_BYTES_MAX`](super::event::PAYLOAD_BYTES_MAX).
    pub(super) fn push(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
        self.frames.push((self.bytes.len(), kind));
        self.bytes.resize(self.bytes.len() + HEADER_BYTES, 0);
        write(&mut self.bytes);
    }

    /// Returns the length of all frames together.
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Returns the number of frames.
    pub(super) fn count(&self) -> usize {
        self.frames.len()
    }

    /// Returns the start and the length of each frame if the first one starts at `offset`.
    pub(super) fn spans(&self, offset: u64) -> impl Iterator<Item = (u64, u64)> {
        self.bounds().map(move |(start, end, _)| (offset + start as u64, (end - start) as u64))
    }

    /// Fills in the headers for frames that start at `place`, and returns the bytes to write there.
    pub(super) fn seal(&mut self, location: Location, synced: u64) -> &[u8] {
        let bounds: Vec<_> = self.bounds().collect();
        for (start, end, kind) in bounds {
            let location = Location { offset: location.offset + start as u64, ..location };
            let (header, payload) = self.bytes[start..end].split_at_mut(HEADER_BYTES);
            debug_assert!(u32::try_from(payload.len()).is_ok(), "lengths have 32 bits");
            debug_assert!(synced <= location.offset, "what is not written is not synced");
            let (payload_bytes, payload_hash) = (payload.len() as u32, location.hash(payload));
            FrameHeader { payload_bytes, kind, synced, payload_hash }.write(header, location);
        }
        &self.bytes
    }

    /// Returns the start, the end and the kind of each frame.
    fn bounds(&self) -> impl Iterator<Item = (usize, usize, u8)> {
        let ends = self.frames.iter().skip(1).map(|frame| frame.0).chain([self.bytes.len()]);
        self.frames.iter().zip(ends).map(|(&(start, kind), end)| (start, end, kind))
    }
}

/// Reads a little-endian number at an offset.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

/// Reads a little-endian number at an offset.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

/// Seals changed frames again; see [`reseal`](super::reseal).
#[cfg(any(test, feature = "internals"))]
pub(super) fn reseal(segment: u64, first: usize, bytes: &mut [u8]) {
    let mut offset = first;
    while let Some(frame) = bytes.get_mut(offset..).filter(|frame| frame.len() >= HEADER_BYTES) {
        let location = Location { segment, offset: offset as u64 };
        let (header, rest) = frame.split_at_mut(HEADER_BYTES);
        let (payload_bytes, kind, synced) = (u32_at(header, 0), header[KIND_AT], u64_at(header, SYNCED_AT));
        let payload = &rest[..rest.len().min(payload_bytes as usize)];
        let payload_hash = location.hash(payload);
        FrameHeader { payload_bytes, kind, synced, payload_hash }.write(header, location);
        offset += HEADER_BYTES + payload_bytes as usize;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOCATION: Location = Location { segment: 3, offset: 100 };

    fn sealed(payloads: &[Vec<u8>]) -> (Frames, Vec<u8>) {
        let mut frames = Frames::default();
        for payload in payloads {
            frames.push(7, |bytes| bytes.extend_from_slice(payload));
        }
        let bytes = frames.seal(LOCATION, 60).to_vec();
        (frames, bytes)
    }

    proptest! {
        #[test]
        fn frames_are_read_as_they_were_written(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..5),
        ) {
            let (frames, bytes) = sealed(&payloads);
            for ((offset, len), payload) in frames.spans(LOCATION.offset).zip(&payloads) {
                let frame = &bytes[(offset - LOCATION.offset) as usize..][..len as usize];
                let location = Location { offset, ..LOCATION };
                let header = FrameHeader::parse(frame.first_chunk().unwrap(), location).unwrap();
                prop_assert_eq!((header.kind, header.synced, header.frame_bytes()), (7, 60, len));
                prop_assert_eq!(&frame[HEADER_BYTES..], &payload[..]);
                prop_assert_eq!(header.payload_hash, location.hash(payload));
            }
        }

        #[test]
        fn no_other_bytes_are_a_header(bytes: [u8; HEADER_BYTES]) {
            prop_assert_eq!(FrameHeader::parse(&bytes, LOCATION), None);
        }
    }

    #[test]
    fn a_frame_is_invalid_in_any_other_place() {
        let (_, bytes) = sealed(&[b"payload".to_vec()]);
        let header = bytes.first_chunk().unwrap();
        assert!(FrameHeader::parse(header, LOCATION).is_some());
        for (segment, offset) in [(2, 100), (4, 100), (3, 101), (3, 612)] {
            assert_eq!(FrameHeader::parse(header, Location { segment, offset }), None, "{segment}, {offset}");
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        for offset in 0..4096 {
            let location = Location { segment: 1, offset };
            assert_eq!(FrameHeader::parse(&[0; HEADER_BYTES], location), None);
        }
    }
}
