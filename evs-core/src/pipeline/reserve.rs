//! Reserved room on the disk of the state directory. It is given up when the disk is full, to make more room.
//!
//! ```text
//! disk full -> reserve given up -> acknowledgements are synced -> old segments are removed -> reserve taken again
//! ```
//!
//! The file is filled with bytes and synced: a file system may otherwise only note its length, and the room would not
//! be there.

use std::{fmt, io, sync::Arc};

use crate::{
    Error,
    disk::{Disk, is_full},
};

/// The size of the reserve: enough for the waiting acknowledgements and for the beginning of a segment.
const BYTES: usize = 128 << 10;
const NAME: &str = "reserve";

/// A file that is removed when the disk is full.
///
/// Without it, a disk that the binlog has filled to the last page could stay full forever: a segment is removed when
/// its acknowledgements are durable, and these need room themselves.
#[derive(Debug)]
pub(super) struct Reserve {
    disk: Arc<dyn Disk>,
    is_held: bool,
}

impl fmt::Display for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {BYTES} bytes of {}", self.disk.path().join(NAME).display())
    }
}

impl Reserve {
    /// Makes a reserve that does not hold any room yet.
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, is_held: false }
    }

    /// Takes the room. If there is none, it returns the reason.
    pub(super) fn hold(&mut self) -> Result<Option<io::Error>, Error> {
        if self.is_held {
            return Ok(None);
        }
        match self.take() {
            Ok(()) => self.is_held = true,
            Err(error) if is_full(error.kind()) => {
                self.remove()?;
                return Ok(Some(error));
            }
            Err(error) => return Err(self.error("writing", error)),
        }
        Ok(None)
    }

    /// The file is always a new one: evs does not write to another file that has the name.
    fn take(&self) -> io::Result<()> {
        if self.disk.existing(NAME)?.is_some() {
            self.disk.remove(NAME)?;
        }
        let file = self.disk.create(NAME)?;
        file.write_all_at(&[0xE5; BYTES], 0)?;
        file.sync()
    }

    /// Gives up the room. Returns whether there was any.
    pub(super) fn give_up(&mut self) -> Result<bool, Error> {
        let was_held = std::mem::take(&mut self.is_held);
        if was_held {
            self.remove()?;
        }
        Ok(was_held)
    }

    fn remove(&self) -> Result<(), Error> {
        self.disk.remove_existing(NAME).map_err(|source| self.error("removing", source))
    }

    fn error(&self, op: &'static str, source: io::Error) -> Error {
        Error::StateDir { op, path: self.disk.path().join(NAME), source }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn a_file_that_is_there_is_replaced_and_never_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir.path().join("state")).unwrap());
        let (reserve, precious) = (disk.path().join(NAME), dir.path().join("precious"));
        fs::write(&precious, "precious").unwrap();
        // This makes another name for the same file.
        fs::hard_link(&precious, &reserve).unwrap();
        assert!(Reserve::new(Arc::clone(&disk)).hold().unwrap().is_none());
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        let found = reserve.metadata().unwrap();
        assert_eq!((found.len(), found.mode() & 0o7777), (BYTES as u64, 0o600));

        fs::remove_file(&reserve).unwrap();
        std::os::unix::fs::symlink(&precious, &reserve).unwrap();
        let error = crate::describe(&Reserve::new(disk).hold().unwrap_err());
        assert!(error.contains("reserve: it is a symbolic link"), "{error}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    }
}
