//! The writer that appends to the last segment of a binlog.
//!
//! One write for each commit, at the end of the segment, and then one fdatasync. Frames are not written piece by
//! piece: a crash between two writes is a state more to think about.

use std::{io, sync::Arc};

use super::{
    error::{BinlogError, io_error, room_error},
    event::push_snapshot,
    frame::{Frames, Location},
    segment::{self, SegmentHeader},
    state::BinlogState,
};
use crate::disk::{Disk, DiskFile};

/// The promise of a call when it returns.
///
/// Commits are `Synced`. Acknowledgements are `Written`: a lost one only means that a sink is offered a batch again.
/// They become durable with the next commit, or before a segment goes because of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// The bytes survive the end of the process, but not a power cut.
    Written,
    /// The bytes survive a power cut.
    Synced,
}

/// Appends to the last segment.
///
/// After an error that is not [`is_disk_full`](BinlogError::is_disk_full) the contents of the disk are unknown, and
/// the writer must not be used again.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    /// The directory of the binlog.
    pub(super) disk: Arc<dyn Disk>,
    /// The file of the segment.
    pub(super) file: Arc<dyn DiskFile>,
    /// The format version of the segment. Nothing is appended to a segment of an older version.
    pub(super) version: u32,
    /// The number of the segment.
    pub(super) number: u64,
    /// The offset of the first frame after the snapshot.
    pub(super) begin: u64,
    /// The offset at which the next frame begins.
    pub(super) end: u64,
    /// The offset up to which fsync has succeeded.
    pub(super) synced: u64,
}

impl SegmentWriter {
    /// Makes a segment that begins with the snapshot of `state`. It is durable when this returns.
    pub(super) fn create(
        disk: &Arc<dyn Disk>,
        number: u64,
        state: &BinlogState,
    ) -> Result<Self, BinlogError> {
        let name = segment::name(number);
        let version = segment::VERSION;
        let header = SegmentHeader { version, epoch: state.epoch, number, source: state.source.clone() };
        let mut bytes = header.to_bytes();
        let mut frames = Frames::default();
        push_snapshot(&mut frames, state);
        let location = Location { segment: number, offset: bytes.len() as u64 };
        bytes.extend_from_slice(frames.seal(location, 0));

        let file = disk.create(&name).map_err(room_error("create", &**disk, &name))?;
        if let Err(error) = file.write_all_at(&bytes, 0) {
            // The file is removed, so that the same call can be repeated.
            disk.remove(&name).map_err(io_error("remove", &**disk, &name))?;
            disk.sync().map_err(io_error("sync", &**disk, ""))?;
            return Err(room_error("write", &**disk, &name)(error));
        }
        let end = bytes.len() as u64;
        let mut writer = Self { disk: Arc::clone(disk), file, version, number, begin: end, end, synced: 0 };
        writer.sync()?;
        disk.sync().map_err(io_error("sync", &**disk, ""))?;
        Ok(writer)
    }

    /// Returns whether the segment has more than the snapshot.
    pub(super) fn has_appended(&self) -> bool {
        self.end > self.begin
    }

    /// Appends frames with a single write, and returns the place at which they begin.
    ///
    /// After a failed write, the file is cut back to where it was, so that the same frames can be written again when
    /// there is room. If not even that succeeds, the writer is of no use any more.
    pub(super) fn append(
        &mut self,
        frames: &mut Frames,
        durability: Durability,
    ) -> Result<Location, BinlogError> {
        let location = Location { segment: self.number, offset: self.end };
        debug_assert!(self.synced <= self.end && self.begin <= self.end, "{self:?}");
        let bytes = frames.seal(location, self.synced);
        if let Err(error) = self.file.write_all_at(bytes, location.offset) {
            return Err(self.cut_back(error));
        }
        self.end += frames.len();
        if durability == Durability::Synced {
            self.sync()?;
        }
        Ok(location)
    }

    /// Makes the appended bytes durable.
    pub(super) fn sync(&mut self) -> Result<(), BinlogError> {
        if self.synced < self.end {
            self.file.sync().map_err(io_error("sync", &*self.disk, &segment::name(self.number)))?;
            self.synced = self.end;
        }
        Ok(())
    }

    /// Undoes a write for which there was no room. No byte of it may stay, not even on the disk after the end of the
    /// file: after a power cut such bytes could appear among the frames that are written there next.
    fn cut_back(&mut self, error: io::Error) -> BinlogError {
        let name = segment::name(self.number);
        let error = room_error("write", &*self.disk, &name)(error);
        if !error.is_disk_full() {
            return error;
        }
        let io_error = |op| io_error(op, &*self.disk, &name);
        let undone = self.file.truncate(self.end).map_err(io_error("truncate"));
        match undone.and_then(|()| self.file.sync().map_err(io_error("sync"))) {
            Ok(()) => {
                self.synced = self.end;
                error
            }
            Err(not_undone) => not_undone,
        }
    }
}
