use std::{path::PathBuf, sync::Arc, time::Duration};

use super::fs::{LogFs, RealFs};

/// Where a new source begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begin {
    /// With the oldest rotated file that is still there.
    Oldest,
    /// With the first line of the live file.
    #[default]
    Start,
    /// After the last complete line of the live file.
    End,
}

/// What to do when a file with unread bytes is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnGone {
    /// [`TailError::Gone`](super::TailError::Gone).
    #[default]
    Stop,
    /// Count the bytes as lost, in [`Status::lost_bytes`](crate::Status::lost_bytes), and go on with the next file.
    Continue,
}

/// What to do when a file begins like one that was read, but does not have the bytes that were read of it: it was
/// shortened by a power cut, restored from a backup, or written again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnChanged {
    /// [`TailError::Changed`](super::TailError::Changed).
    #[default]
    Stop,
    /// Read all of it. Lines that were counted before are counted again.
    ReadAgain,
    /// Take what is in it now for read. Lines of it that were not counted are lost.
    Skip,
}

/// What to do when a file that may be unread cannot be decompressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnreadable {
    /// [`TailError::Damaged`](super::TailError::Damaged), once it has not changed for the grace time.
    #[default]
    Stop,
    /// Leave it out, and count its bytes as lost, in [`Status::lost_bytes`](crate::Status::lost_bytes).
    Skip,
}

/// What to tail, and how.
#[derive(Clone, Debug)]
pub struct TailOptions {
    /// The log's path. Rotated files are looked for beside it, and, if it is a symbolic link, beside the file that
    /// it leads to.
    ///
    /// A name with times in it, in the letters of `strftime` (`access.%Y-%m-%d.log`), stands for a log without a
    /// live file: each file is followed until the next one has lines. Known are `%Y`, `%y`, `%m`, `%b`, `%d`,
    /// `%j`, `%H`, `%M`, `%S`, `%s` and `%%`.
    pub path: PathBuf,
    /// A further directory in which rotated files are, relative to that of the log.
    pub olddir: Option<PathBuf>,
    /// Where a new source begins. Default: [`Begin::Start`].
    pub begin: Begin,
    /// How long a rotated file must not have grown before it is let go. Default: 10 s.
    ///
    /// Lines that the web server writes to it later are not read, so this is to be longer than its
    /// `flush=` time.
    pub grace: Duration,
    /// The longest line, LF included, that is handed out whole. Default: 1 MiB.
    pub line_bytes_max: u64,
    /// How long a range is, unless a line is longer. At most `line_bytes_max`. Default: 256 KiB.
    pub chunk_bytes: u64,
    /// What to do when a file with unread bytes is gone. Default: [`OnGone::Stop`].
    pub on_gone: OnGone,
    /// What to do when a file does not have the bytes that were read of it. Default: [`OnChanged::Stop`].
    pub on_changed: OnChanged,
    /// What to do when a file cannot be decompressed. Default: [`OnUnreadable::Stop`].
    pub on_unreadable: OnUnreadable,
    /// The file system. Default: [`RealFs`].
    pub fs: Arc<dyn LogFs>,
}

impl TailOptions {
    /// The defaults for the log at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            olddir: None,
            begin: Begin::default(),
            grace: Duration::from_secs(10),
            line_bytes_max: 1 << 20,
            chunk_bytes: 256 << 10,
            on_gone: OnGone::default(),
            on_changed: OnChanged::default(),
            on_unreadable: OnUnreadable::default(),
            fs: Arc::new(RealFs),
        }
    }

    /// With both lengths in range: a chunk of several lines then has none that is too long.
    pub(super) fn limits(&self) -> Limits {
        let line_bytes_max = self.line_bytes_max.max(1);
        Limits { line_bytes_max, chunk_bytes: self.chunk_bytes.clamp(1, line_bytes_max) }
    }
}

/// How long things may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) line_bytes_max: u64,
    pub(super) chunk_bytes: u64,
}
