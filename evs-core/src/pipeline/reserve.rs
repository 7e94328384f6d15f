//! Room on the state directory's disk that is kept for what makes room.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{Error, disk::is_full};

/// Enough for the acknowledgements that wait, and for the beginning of a segment.
const BYTES: usize = 128 << 10;

/// A file that is given up when the disk is full.
///
/// A disk that the binlog has filled to the last page could stay full for ever: segments go when their
/// acknowledgements are durable, and these need room themselves.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    is_held: bool,
}

impl fmt::Display for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {BYTES} bytes of {}", self.path.display())
    }
}

impl Reserve {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join("reserve"), is_held: false }
    }

    /// Takes the room, if it is there.
    pub(super) fn hold(&mut self) -> Result<bool, Error> {
        if self.is_held {
            return Ok(true);
        }
        let taken = File::create(&self.path)
            .and_then(|mut file| file.write_all(&[0xE5; BYTES]).and_then(|()| file.sync_all()));
        match taken {
            Ok(()) => self.is_held = true,
            Err(error) if is_full(error.kind()) => self.remove()?,
            Err(error) => return Err(self.error("writing", error)),
        }
        Ok(self.is_held)
    }

    /// Gives the room up, and says whether there was any.
    pub(super) fn give_up(&mut self) -> Result<bool, Error> {
        let was_held = std::mem::take(&mut self.is_held);
        if was_held {
            self.remove()?;
        }
        Ok(was_held)
    }

    fn remove(&self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.error("removing", error)),
            _ => Ok(()),
        }
    }

    fn error(&self, op: &'static str, source: io::Error) -> Error {
        Error::StateDir { op, path: self.path.clone(), source }
    }
}
