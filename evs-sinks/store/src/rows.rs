//! The rows of `evs_writers` and `evs_progress`, which are the same in every store.

use std::fmt;

use evs_core::{Epoch, Frontier, Progress, SinkError, Writer};

use crate::words::{PROGRESS, WRITERS, Words};

/// A row of `evs_writers`: the process that has claimed a source last.
#[derive(Clone, Copy, Debug)]
pub struct WriterRow<'r> {
    /// [`Writer::fence`].
    pub fence: i64,
    /// [`Writer::token_text`].
    pub token: &'r str,
    /// The epoch as text.
    pub epoch: &'r str,
    /// [`Writer::host`].
    pub host: &'r str,
    /// [`Writer::process`].
    pub process: i64,
    /// Seconds since 1970.
    pub since: i64,
}

impl WriterRow<'_> {
    fn writer(self, source: &str) -> Option<Writer> {
        Some(Writer {
            source: source.to_owned(),
            fence: u64::try_from(self.fence).ok()?,
            token: u128::from_str_radix(self.token, 16).ok()?,
            epoch: self.epoch.parse().ok()?,
            host: self.host.to_owned(),
            process: u32::try_from(self.process).ok()?,
            since: self.since,
        })
    }

    /// Reads the writer of `source`. `row` is `None` if a column is missing or has another type. The error message
    /// shows `shown`, the row in the database's own form, and appends `how`: how to delete the row, or nothing.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if the row is not one that evs has written.
    pub fn read(
        row: Option<Self>,
        source: &str,
        (words, shown, how): (Words, &dyn fmt::Display, &str),
    ) -> Result<Writer, SinkError> {
        row.and_then(|row| row.writer(source)).ok_or_else(|| {
            let row = words.row;
            SinkError::refused(format!(
                "the {row} of source {source} in {WRITERS} cannot be read: {shown}; when no evs runs with this source, \
                 it may be deleted{how}"
            ))
        })
    }
}

/// A writer's fence, as the number for its column.
///
/// # Errors
///
/// [`SinkError::Refused`] if it does not fit into 64 bits with a sign.
pub fn fence(writer: &Writer) -> Result<i64, SinkError> {
    i64::try_from(writer.fence).map_err(|_| {
        let Writer { source, fence, .. } = writer;
        SinkError::refused(format!("source {source}: fence {fence} does not fit into the column"))
    })
}

/// A row of `evs_progress`: the last batch of a stream that was applied.
#[derive(Clone, Debug)]
pub struct ProgressRow<'r> {
    /// The epoch as text.
    pub epoch: &'r str,
    /// The statistic's name, without escapes.
    pub statistic: String,
    /// The last sequence applied.
    pub sequence: i64,
    /// [`Frontier::to_json`] of that batch's `to`.
    pub position: &'r str,
    /// That batch's checksum in hexadecimal digits.
    pub checksum: &'r str,
}

impl ProgressRow<'_> {
    /// The progress of a stream of `source`. `None` if the row is not one that evs has written.
    pub fn progress(self, source: &str) -> Option<Progress> {
        Some(Progress::new(
            source.to_owned(),
            self.epoch.parse::<Epoch>().ok()?,
            self.statistic,
            u64::try_from(self.sequence).ok()?,
            Frontier::from_json(self.position).ok()?,
            u64::from_str_radix(self.checksum, 16).ok()?,
        ))
    }

    /// Reads the progress of a stream of `source`. `row` is `None` if a column is missing or has another type. The
    /// error message shows `shown`, the row in the database's own form.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if the row is not one that evs has written.
    pub fn read(
        row: Option<Self>,
        source: &str,
        (words, shown): (Words, &dyn fmt::Display),
    ) -> Result<Progress, SinkError> {
        row.and_then(|row| row.progress(source)).ok_or_else(|| {
            let row = words.row;
            SinkError::refused(format!("a {row} of source {source} in {PROGRESS} cannot be read: {shown}"))
        })
    }
}

/// A batch's sequence, as the number for its column.
///
/// # Errors
///
/// [`SinkError::Refused`] if it does not fit into 64 bits with a sign.
pub fn sequence(sequence: u64, statistic: &str) -> Result<i64, SinkError> {
    i64::try_from(sequence).map_err(|_| {
        SinkError::refused(format!("statistic {statistic}: sequence {sequence} does not fit into the column"))
    })
}
