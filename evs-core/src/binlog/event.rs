//! The payloads of frames and their encoding. This file does no I/O.
//!
//! Payloads are JSON, so that a person can read a binlog with `strings`, and fields can be added. Rows are not: they
//! are most of the bytes, and are in their own encoding, compressed with LZ4. An acknowledgement and the payload of a
//! batch:
//!
//! ```text
//! {"sink":"reports","statistic":"requests","sequence":7}
//!
//!   0  a3 01 00 00                    the JSON has 419 bytes
//!   4  {"statistic":"requests","schema":…,"sequence":7,"predecessor":…,"from":{…},"to":{…},"rows":120,"bytes":2400,…}
//! 423  … LZ4 of the 2,400 bytes of rows
//! ```

use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    error::{Contradiction, Damage},
    frame::{Frames, u32_at},
    ledger::{Ledger, RejectedLine},
    state::BinlogState,
};
use crate::{
    batch::{Epoch, Rows},
    codec::InvalidJson,
    position::{Frontier, InventoryChange, Move, OlderFiles},
    statistic::Schema,
};

/// The maximum length of the encoded rows of one batch. It is far below the limits of the compression and of a
/// frame's length.
pub(super) const ROWS_BYTES_MAX: u64 = 1 << 30;

/// The maximum length of a payload. A longer one is refused before it is written.
pub(super) const PAYLOAD_BYTES_MAX: u64 = 2 << 30;

/// The kinds of frames, with the numbers of `docs/binlog-format.md`.
pub(super) mod kind {
    /// The state at the start of a segment.
    pub(crate) const SNAPSHOT: u8 = 1;
    /// The definition of a statistic.
    pub(crate) const DEFINE: u8 = 2;
    /// A batch with its rows.
    pub(crate) const BATCH: u8 = 3;
    /// A later position of a statistic, without rows.
    pub(crate) const ADVANCE: u8 = 4;
    /// The end of a commit.
    pub(crate) const SETTLE: u8 = 5;
    /// The progress of a sink.
    pub(crate) const ACKNOWLEDGE: u8 = 6;
    /// A new sink, or a new position of a known one.
    pub(crate) const REGISTER: u8 = 7;
    /// The removal of a sink.
    pub(crate) const FORGET: u8 = 8;
    /// The change of the inventory; it exists since version 2.
    pub(crate) const FILES: u8 = 9;
    /// Another name for a sink; it exists since version 2.
    pub(crate) const RENAME: u8 = 10;
    /// A batch that is given up for a sink; it exists since version 2.
    pub(crate) const DISCARD: u8 = 11;
    /// A position of a source of many logs; it exists since version 2.
    pub(crate) const MOVE: u8 = 12;
}

/// Defines a statistic, or gives it another schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Define {
    pub(super) schema: Arc<Schema>,
    /// The position from which it counts.
    pub(super) from: Arc<Frontier>,
    /// The older files that a new statistic reads besides. They exist since version 2.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub(super) older: OlderFiles,
}

/// Returns whether a statistic has no older files.
pub(super) fn is_empty(older: &OlderFiles) -> bool {
    older.is_empty()
}

/// The header of a batch, which comes before its rows.
///
/// The sequence and the predecessor make batches a chain: whoever has the last checksum knows all that came before.
/// The number of rows and their length are known before decompressing, so a damaged length cannot make evs allocate
/// more than [`ROWS_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BatchHeader {
    /// The name of the statistic.
    pub(super) statistic: String,
    /// The [`schema_hash`](super::apply::schema_hash) of the statistic's schema.
    pub(super) schema: u64,
    /// The number of the batch in its stream.
    pub(super) sequence: u64,
    /// The checksum of the previous batch; 0 for the first one. It exists since version 2; in version 1 it follows
    /// from the frames before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) predecessor: Option<u64>,
    /// The position before the batch.
    pub(super) from: Arc<Frontier>,
    /// The position after the batch; empty within a cut.
    pub(super) to: Arc<Frontier>,
    /// The number of rows.
    pub(super) rows: u64,
    /// The length of the encoded rows before compression.
    pub(super) bytes: u64,
    /// The checksum of the batch: [`Batch::checksum`](crate::Batch::checksum).
    pub(super) checksum: u64,
}

/// Moves a statistic to a later position without any rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Advance {
    pub(super) statistic: String,
    pub(super) to: Arc<Frontier>,
}

/// Ends a commit. The frames since the last end take effect with this one; without it, none of them does.
///
/// It is written last. So the presence of a valid *settle* frame proves that all frames of its commit before it were
/// written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settle {
    /// The totals after the commit.
    pub(super) ledger: Ledger,
    /// The lines that were rejected in the commit.
    pub(super) rejected: Arc<[RejectedLine]>,
    /// Further epochs that the source takes over.
    pub(super) predecessors: Vec<Epoch>,
}

/// The position of a sink in the batches of a statistic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SinkPosition {
    pub(super) sink: String,
    pub(super) statistic: String,
    /// The sequence up to which the sink has the batches.
    pub(super) sequence: u64,
}

/// Removes a sink permanently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Forget {
    pub(super) sink: String,
}

/// Gives a sink another name, under which its progress goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rename {
    /// The name so far.
    pub(super) sink: String,
    /// The new name, which no sink has.
    pub(super) to: String,
}

/// Gives up a batch for a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Discard {
    pub(super) sink: String,
    pub(super) statistic: String,
    /// The sequence of the batch.
    pub(super) sequence: u64,
    /// The number of its rows.
    pub(super) rows: u64,
}

/// A frame that changes the state: every kind except the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Define(Define),
    Batch(BatchHeader),
    Advance(Advance),
    Settle(Settle),
    Acknowledge(SinkPosition),
    Register(SinkPosition),
    Forget(Forget),
    Files(InventoryChange),
    Rename(Rename),
    Discard(Discard),
    Move(Move),
}

impl Event {
    /// Returns whether the frame is part of a commit, so that it has no effect without the end of the commit.
    ///
    /// A rename or an acknowledgement is complete in itself. The parts of a commit are not: a batch without the new
    /// totals of the ledger would count lines that the ledger does not have.
    pub(super) fn in_commit(&self) -> bool {
        match self {
            Self::Define(_)
            | Self::Batch(_)
            | Self::Advance(_)
            | Self::Files(_)
            | Self::Settle(_)
            | Self::Move(_) => true,
            Self::Acknowledge(_)
            | Self::Register(_)
            | Self::Forget(_)
            | Self::Rename(_)
            | Self::Discard(_) => false,
        }
    }

    /// Adds the frame of the event. The header of a batch is followed by its rows, encoded as in [`Rows::as_bytes`];
    /// for other kinds `rows` is empty.
    pub(super) fn push(&self, rows: &[u8], frames: &mut Frames) {
        match self {
            Self::Define(define) => push_json(frames, kind::DEFINE, define),
            Self::Batch(header) => push_batch(frames, header, rows),
            Self::Advance(advance) => push_json(frames, kind::ADVANCE, advance),
            Self::Settle(settle) => push_json(frames, kind::SETTLE, settle),
            Self::Acknowledge(position) => push_json(frames, kind::ACKNOWLEDGE, position),
            Self::Register(position) => push_json(frames, kind::REGISTER, position),
            Self::Forget(forget) => push_json(frames, kind::FORGET, forget),
            Self::Files(change) => push_json(frames, kind::FILES, change),
            Self::Rename(rename) => push_json(frames, kind::RENAME, rename),
            Self::Discard(discard) => push_json(frames, kind::DISCARD, discard),
            Self::Move(to) => push_json(frames, kind::MOVE, to),
        }
    }

    /// Decodes the payload of a frame, except a batch's rows. `version` is that of the segment.
    pub(super) fn decode(version: u32, kind: u8, payload: &[u8]) -> Result<Self, Damage> {
        Ok(match kind {
            kind::DEFINE => Self::Define(json(kind, payload)?),
            kind::BATCH => {
                let (header, _) = split_batch(payload)?;
                if header.predecessor.is_some() != (version >= 2) {
                    return Err(Damage::Predecessor);
                }
                Self::Batch(header)
            }
            kind::ADVANCE => Self::Advance(json(kind, payload)?),
            kind::SETTLE => Self::Settle(json(kind, payload)?),
            kind::ACKNOWLEDGE => Self::Acknowledge(json(kind, payload)?),
            kind::REGISTER => Self::Register(json(kind, payload)?),
            kind::FORGET => Self::Forget(json(kind, payload)?),
            kind::FILES if version >= 2 => Self::Files(json(kind, payload)?),
            kind::RENAME if version >= 2 => Self::Rename(json(kind, payload)?),
            kind::DISCARD if version >= 2 => Self::Discard(json(kind, payload)?),
            kind::MOVE if version >= 2 => Self::Move(json(kind, payload)?),
            found => return Err(Damage::Kind { found }),
        })
    }
}

/// Adds the frame of a snapshot, with which every segment begins.
pub(super) fn push_snapshot(frames: &mut Frames, state: &BinlogState) {
    match state.with_positions() {
        Some(state) => push_json(frames, kind::SNAPSHOT, &state),
        None => push_json(frames, kind::SNAPSHOT, state),
    }
}

/// Decodes the payload of a snapshot.
pub(super) fn decode_snapshot(kind: u8, payload: &[u8]) -> Result<BinlogState, Damage> {
    match kind {
        kind::SNAPSHOT => Ok(json::<BinlogState>(kind, payload)?.resolved()?),
        found => Err(Damage::Kind { found }),
    }
}

// This cannot fail: the payloads are strings, numbers, lists and maps with string keys, and the writer is memory.
#[expect(clippy::unwrap_used)]
fn push_json(frames: &mut Frames, kind: u8, payload: &impl Serialize) {
    frames.push(kind, |bytes| serde_json::to_writer(bytes, payload).unwrap());
}

/// Decodes a payload that is JSON.
fn json<T: DeserializeOwned>(kind: u8, payload: &[u8]) -> Result<T, Damage> {
    serde_json::from_slice(payload)
        .map_err(|error| Damage::Payload { kind, source: InvalidJson::new("this kind's payload", error) })
}

/// Adds the frame of a batch: the length of the header's JSON, the JSON, and the compressed rows.
// This cannot fail: the header is strings, numbers and lists, and the space is as large as the compressor requires.
#[expect(clippy::unwrap_used)]
fn push_batch(frames: &mut Frames, header: &BatchHeader, rows: &[u8]) {
    let json = serde_json::to_vec(header).unwrap();
    frames.push(kind::BATCH, |bytes| {
        bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&json);
        let start = bytes.len();
        bytes.resize(start + lz4_flex::block::get_maximum_output_size(rows.len()), 0);
        let written = lz4_flex::block::compress_into(rows, &mut bytes[start..]).unwrap();
        bytes.truncate(start + written);
    });
}

/// Splits the payload of a batch into its header and the compressed rows.
fn split_batch(payload: &[u8]) -> Result<(BatchHeader, &[u8]), Damage> {
    const JSON_AT: usize = size_of::<u32>();
    let end =
        payload.get(..JSON_AT).map_or(usize::MAX, |len| JSON_AT.saturating_add(u32_at(len, 0) as usize));
    // A payload that is too short is reported as JSON that ends too early.
    let json_bytes = payload.get(JSON_AT..end).unwrap_or_default();
    Ok((json(kind::BATCH, json_bytes)?, &payload[end..]))
}

/// Decodes the frame of a batch, with its rows.
pub(super) fn decode_batch(payload: &[u8], schema: &Schema) -> Result<(BatchHeader, Rows), Damage> {
    let (header, compressed) = split_batch(payload)?;
    let expected = header.bytes;
    // LZ4 expands one byte to at most 255 bytes, so a longer length is wrong, and no memory is allocated for it.
    if expected > (compressed.len() as u64).saturating_mul(255) || expected > ROWS_BYTES_MAX {
        return Err(Damage::Compression { expected });
    }
    let mut bytes = vec![0; expected as usize];
    if lz4_flex::block::decompress_into(compressed, &mut bytes).ok() != Some(bytes.len()) {
        return Err(Damage::Compression { expected });
    }
    // If the number of rows does not fit into `usize`, there are fewer bytes than rows, and that is reported.
    let len = usize::try_from(header.rows).unwrap_or(usize::MAX);
    let rows = Rows::from_bytes(bytes, len, schema.keys.len(), schema.measures.len())
        .map_err(|source| Damage::Rows { source })?;
    Ok((header, rows))
}

impl From<Contradiction> for Damage {
    fn from(source: Contradiction) -> Self {
        Self::Contradiction { source }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schema() -> Schema {
        Schema::new("hits", 60, Vec::new(), Vec::new())
    }

    fn batch_payload(change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
        let mut rows = Rows::new(0, 0);
        (0..1000).for_each(|window| rows.push(window * 60, [], &[]));
        let mut header = BatchHeader {
            statistic: "hits".to_owned(),
            schema: 1,
            sequence: 1,
            predecessor: Some(0),
            from: Arc::default(),
            to: Arc::default(),
            rows: rows.len() as u64,
            bytes: rows.as_bytes().len() as u64,
            checksum: 2,
        };
        change(&mut header);
        let mut frames = Frames::default();
        push_batch(&mut frames, &header, rows.as_bytes());
        let location = super::super::frame::Location { segment: 1, offset: 0 };
        frames.seal(location, 0)[super::super::frame::HEADER_BYTES..].to_vec()
    }

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        let (header, rows) = decode_batch(&batch_payload(|_| ()), &schema()).unwrap();
        assert_eq!((header.rows, rows.len()), (1000, 1000));
    }

    #[test]
    fn a_batch_names_the_one_before_it_since_version_2() {
        let (first, unnamed) = (batch_payload(|_| ()), batch_payload(|header| header.predecessor = None));
        for (version, payload, is_sound) in
            [(2, &first, true), (2, &unnamed, false), (1, &first, false), (1, &unnamed, true)]
        {
            let decoded = Event::decode(version, kind::BATCH, payload);
            assert_eq!(decoded.is_ok(), is_sound, "version {version}: {decoded:?}");
        }
    }

    #[test]
    fn what_version_2_added_is_read_as_it_was_written_and_is_damage_in_version_1() {
        let sink = || "reports".to_owned();
        let rename = Event::Rename(Rename { sink: sink(), to: "pg".to_owned() });
        let discard = Discard { sink: sink(), statistic: "hits".to_owned(), sequence: 7, rows: 3 };
        for (kind, event) in [(kind::RENAME, rename), (kind::DISCARD, Event::Discard(discard))] {
            let mut frames = Frames::default();
            event.push(&[], &mut frames);
            let location = super::super::frame::Location { segment: 1, offset: 0 };
            let payload = frames.seal(location, 0)[super::super::frame::HEADER_BYTES..].to_vec();
            assert_eq!(Event::decode(2, kind, &payload).unwrap(), event);
            let damage = Event::decode(1, kind, &payload).unwrap_err();
            assert!(matches!(damage, Damage::Kind { found } if found == kind), "{damage:?}");
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused_before_memory_is_taken() {
        type Case = (&'static str, fn(&mut BatchHeader));
        let cases: [Case; 5] = [
            ("a byte more", |header| header.bytes += 1),
            ("a byte less", |header| header.bytes -= 1),
            ("as much as a u64 says", |header| header.bytes = u64::MAX),
            ("a row more", |header| header.rows += 1),
            ("as many rows as a u64 says", |header| header.rows = u64::MAX),
        ];
        for (label, change) in cases {
            assert!(decode_batch(&batch_payload(change), &schema()).is_err(), "{label}");
        }
    }

    #[test]
    fn a_batch_cut_anywhere_is_refused() {
        let payload = batch_payload(|_| ());
        for end in 0..payload.len() {
            assert!(decode_batch(&payload[..end], &schema()).is_err(), "{end} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_payload_is_read_or_refused(kind: u8, payload: Vec<u8>) {
            for version in 1..=2 {
                let _ = Event::decode(version, kind, &payload);
            }
            let _ = decode_snapshot(kind, &payload);
            let _ = decode_batch(&payload, &schema());
        }
    }
}
