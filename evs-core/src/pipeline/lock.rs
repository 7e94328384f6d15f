use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::{Error, disk};

/// The lock on a state directory: held as long as the file is open, and gone with the process.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the directory, or says who has it.
    pub(super) fn acquire(state_dir: &Path) -> Result<Self, Error> {
        let path = state_dir.join("lock");
        let error = |op, source| Error::StateDir { op, path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
        let mut file = options.open(&path).map_err(|source| error("opening", source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read_holder(&mut file).unwrap_or_else(|_| "another process".to_owned());
                return Err(Error::Locked { path: state_dir.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(error("locking", source)),
        }
        write_holder(&mut file).map_err(|source| error("writing", source))?;
        Ok(Self { _file: file })
    }
}

fn read_holder(file: &mut File) -> io::Result<String> {
    let mut holder = String::new();
    file.take(256).read_to_string(&mut holder)?;
    Ok(holder.trim_end().to_owned())
}

/// For whoever finds the directory locked. It is only a message: the lock itself is the kernel's.
fn write_holder(file: &mut File) -> io::Result<()> {
    let host = rustix::system::uname();
    file.set_len(0)?;
    file.rewind()?;
    match writeln!(file, "process {} on host {}", std::process::id(), host.nodename().to_string_lossy()) {
        // A full disk must not keep anybody from delivering what is on it.
        Err(error) if disk::is_full(error.kind()) => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::acquire(dir.path()).unwrap();
        let error = Lock::acquire(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        Lock::acquire(dir.path()).unwrap();
    }
}
