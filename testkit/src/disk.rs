//! Full disks, for tests.
//!
//! A disk that is full makes a write fail in the middle, which no permission and no limit of a process imitates. So
//! tests mount a small file system in memory, in a mount namespace of its own, and run evs in it.

// A failure here fails the test.
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
/// Any other error that prevents writing.
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

/// A small disk, in memory, mounted on a directory in a mount namespace of its own: only programs that are started in
/// the namespace see it. It is unmounted when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    /// The process that keeps the namespace alive.
    holder: Child,
    // Closing it ends the process that holds the namespace.
    _stdin: ChildStdin,
    /// The path to the disk through `/proc`, for other processes.
    outside: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of the given size. `None` if this process may not mount anything.
    ///
    /// # Panics
    ///
    /// Panics if the directory `at` cannot be created.
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

    /// The path to the disk for programs of the same user outside of the namespace.
    pub fn outside(&self) -> &Path {
        &self.outside
    }

    /// The command prefix that runs a program in the namespace: `nsenter --mount=… --`.
    pub fn wrapper(&self) -> [String; 3] {
        ["nsenter".into(), format!("--mount=/proc/{}/ns/mnt", self.holder.id()), "--".into()]
    }

    /// Uses up the given number of bytes.
    pub fn fill(&self, bytes: usize) {
        fs::write(self.outside.join("ballast"), vec![b'x'; bytes]).unwrap();
    }

    /// Uses up all remaining space.
    pub fn fill_up(&self) {
        fill_up(&self.outside.join("rest")).unwrap();
    }

    /// Frees the space that [`SmallDisk::fill`] has used up.
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
