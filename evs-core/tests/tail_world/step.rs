//! One change of the disk.

use std::{path::PathBuf, time::Duration};

use evs_core::FileMark;

use super::writer::Writer;
use crate::tail_support::{pack, sim::Disk};

/// One change of the disk, or a message from the rotator to the writer.
#[derive(Debug)]
pub enum Step {
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    /// Creates a file, or empties an existing one.
    Create(PathBuf),
    Append(PathBuf, Vec<u8>),
    HardLink {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink(PathBuf),
    Truncate(PathBuf),
    SetTime(PathBuf, Duration),
    /// Makes a symbolic link lead to another file, atomically.
    Swap {
        link: PathBuf,
        target: PathBuf,
    },
    /// Copies one piece, and repeats until nothing is left.
    Copy {
        from: PathBuf,
        to: PathBuf,
        piece: usize,
    },
    /// Compresses a file in pieces. The last piece may never be written.
    Pack {
        from: PathBuf,
        to: PathBuf,
        extension: &'static str,
        pieces: u8,
        dies: bool,
    },
    /// The writer opens the log.
    Reopen {
        log: PathBuf,
        ends_line: bool,
    },
    /// The writer closes the rotated log, if it is this one.
    CloseRotated(PathBuf),
    Pause {
        ends_line: bool,
    },
    WriteDoomed(PathBuf, u8),
    Resume,
}

impl Step {
    /// Changes the disk. Returns the steps that must come next.
    ///
    /// # Panics
    ///
    /// Panics if the rotator has planned an impossible step.
    pub fn run(self, disk: &mut Disk, writer: &mut Writer) -> Vec<Self> {
        let name = format!("{self:?}");
        super::trace(format_args!("    {name}"));
        let next = self.try_run(disk, writer);
        next.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn try_run(self, disk: &mut Disk, writer: &mut Writer) -> std::io::Result<Vec<Self>> {
        match self {
            Self::Rename { from, to } => disk.rename(&from, &to)?,
            Self::Create(path) => drop(disk.create(&path)?),
            Self::Append(path, bytes) => {
                let inode = disk.find(&path)?;
                disk.append(inode, &bytes);
            }
            Self::HardLink { from, to } => disk.hard_link(&from, &to)?,
            Self::Unlink(path) => disk.unlink(&path)?,
            Self::Truncate(path) => disk.truncate(&path, 0)?,
            Self::SetTime(path, time) => {
                if disk.exists(&path) {
                    disk.set_modified(&path, time)?;
                }
            }
            Self::Swap { link, target } => {
                let new = link.with_file_name("access.log~");
                disk.symlink(&target, &new)?;
                disk.rename(&new, &link)?;
            }
            Self::Copy { from, to, piece } => {
                let copied = disk.read(&to)?.len();
                let bytes = disk.read(&from)?;
                let bytes = bytes[copied..bytes.len().min(copied + piece)].to_vec();
                if bytes.is_empty() {
                    return Ok(Vec::new());
                }
                let inode = disk.find(&to)?;
                disk.append(inode, &bytes);
                return Ok(vec![Self::Copy { from, to, piece }]);
            }
            Self::Pack { from, to, extension, pieces, dies } => {
                let bytes = pack(disk.read(&from)?, extension);
                let piece = bytes.len().div_ceil(usize::from(pieces) + 1).max(1);
                let mut pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
                if dies {
                    pieces.pop();
                }
                return Ok(pieces
                    .into_iter()
                    .map(|piece| Self::Append(to.clone(), piece.to_vec()))
                    .collect());
            }
            Self::Reopen { log, ends_line } => {
                let inode = disk.find(&log)?;
                writer.reopen(disk, inode, ends_line);
            }
            Self::CloseRotated(path) => {
                let inode = disk.find(&path)?;
                writer.close_if_rotated(disk, inode);
            }
            Self::Pause { ends_line } => writer.pause(disk, ends_line),
            // A copy that is only the beginning of a longer file is recognized by its head, so the file must be
            // at least as long as a head.
            Self::WriteDoomed(live, lines) => {
                if disk.read(&live)?.len() >= FileMark::HEAD_BYTES_MAX {
                    writer.write_doomed(disk, lines);
                }
            }
            Self::Resume => writer.resume(),
        }
        Ok(Vec::new())
    }
}
