//! The ledger of a source: its totals over all statistics, and the lines that it has rejected.
//!
//! Statistics stand at different positions, since each has its own flush interval. "How many lines were read" needs
//! one position, which is the ledger's: it counts each line once, in the first commit that has it.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{
    batch::{escape, unescape},
    counters::Counters,
    position::Frontier,
};

/// The totals of a source as a whole, independent of its statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The position up to which the totals count.
    pub frontier: Arc<Frontier>,
    /// The totals up to that position.
    pub totals: Counters,
    /// The position in the file of rejected lines that was written durably before this commit.
    pub rejects: RejectsMark,
    /// The time of the pipeline's clock at this commit, in seconds since 1970. Old windows are removed by that clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
}

/// A position in the files of rejected lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectsMark {
    /// The file's number.
    pub file: u64,
    /// The file's length.
    pub bytes: u64,
}

/// A line that could not be counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedLine {
    /// The number of its file: [`FileMark::number`](crate::position::FileMark).
    pub file: u64,
    /// The offset in the file at which the line begins.
    pub offset: u64,
    /// The column at which reading failed: a byte of the line, counted from 1.
    pub column: u64,
    /// The reason.
    pub reason: String,
    /// The bytes of the line, or the first of them.
    #[serde(serialize_with = "serialize_bytes", deserialize_with = "deserialize_bytes")]
    pub sample: Vec<u8>,
}

fn serialize_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&escape(bytes))
}

fn deserialize_bytes<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Cow::<'d, str>::deserialize(deserializer)?;
    let bytes = unescape(&text).ok_or_else(|| D::Error::custom("escaped bytes are expected"))?;
    Ok(bytes.into_owned())
}
