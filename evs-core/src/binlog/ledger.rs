//! The ledger of a source: its totals over all statistics, and the lines that it has rejected.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{
    batch::{escape, unescape},
    position::Frontier,
};

/// The totals of a source as a whole, independent of its statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The position up to which the totals count.
    pub frontier: Arc<Frontier>,
    /// The totals up to that position.
    pub totals: Totals,
    /// The position in the file of rejected lines that was written durably before this commit.
    pub rejects: RejectsMark,
    /// The time of the pipeline's clock at this commit, in seconds since 1970. Old windows are removed by that clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
}

/// The totals of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Lines that were read, including rejected ones.
    pub lines: u64,
    /// Bytes of these lines, including newlines.
    pub bytes: u64,
    /// Lines that were rejected.
    pub rejected: u64,
    /// Bytes of the log that vanished before they were read.
    pub lost_bytes: u64,
    /// Lines left out of a statistic because their window was past its retention, once for each such statistic.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub too_late: u64,
    /// Lines that were counted although their time was more than a day ahead of the clock.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ahead: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Totals {
    /// Returns the difference from `before` to these totals.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            lines: self.lines - before.lines,
            bytes: self.bytes - before.bytes,
            rejected: self.rejected - before.rejected,
            lost_bytes: self.lost_bytes - before.lost_bytes,
            too_late: self.too_late - before.too_late,
            ahead: self.ahead - before.ahead,
        }
    }
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
    /// The offset in the line at which reading failed, in bytes.
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
