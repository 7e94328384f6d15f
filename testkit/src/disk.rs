//! Disks that are full.

// What fails here fails the test.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::{
    fs,
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

/// Writes a file until the disk is full.
///
/// # Errors
///
/// Whatever else keeps it from being written.
pub fn fill_up(path: &Path) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    for size in [1 << 20, 4096] {
        let full = loop {
            if let Err(error) = file.write_all(&vec![b'x'; size]) {
                break error;
            }
        };
        if full.kind() != ErrorKind::StorageFull {
            return Err(full);
        }
    }
    Ok(())
}

/// A small disk on a directory, in memory, and in a mount namespace of its own: only those who are told see it.
/// It is gone when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    // Closed, it ends the holder.
    _stdin: ChildStdin,
    outside: PathBuf,
}

impl SmallDisk {
    /// A disk of that size. `None` if this process may not mount anything.
    pub fn mount(at: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let script = r#"mount -t tmpfs -o size="$1",mode=0700 tmpfs "$2" && echo mounted && exec cat"#;
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh", &bytes.to_string()]).arg(at);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = command.spawn().ok()?;
        let mut said = [0; 8];
        if holder.stdout.as_mut()?.read_exact(&mut said).is_err() {
            holder.wait().unwrap();
            return None;
        }
        let stdin = holder.stdin.take()?;
        let outside = PathBuf::from(format!("/proc/{}/root{}", holder.id(), at.display()));
        Some(Self { holder, _stdin: stdin, outside })
    }

    /// The way to the disk for those outside of the namespace, of the same user.
    pub fn outside(&self) -> &Path {
        &self.outside
    }

    /// What runs a program in the namespace.
    pub fn wrapper(&self) -> [String; 3] {
        ["nsenter".into(), format!("--mount=/proc/{}/ns/mnt", self.holder.id()), "--".into()]
    }

    /// Takes that many bytes of the room.
    pub fn fill(&self, bytes: usize) {
        fs::write(self.outside.join("ballast"), vec![b'x'; bytes]).unwrap();
    }

    /// Takes all of the room that is left.
    pub fn fill_up(&self) {
        fill_up(&self.outside.join("rest")).unwrap();
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub fn make_room(&self) {
        fs::remove_file(self.outside.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
