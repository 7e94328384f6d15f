//! The names of a log's files: how they are given, and which are free.

use std::path::{Path, PathBuf};

use crate::{chance::Chance, tail_support::sim::Disk};

const DIRECTORY: &str = "/log";
const LOG: &str = "/log/access.log";
/// The name of a log that the server itself names by the time.
const PATTERN: &str = "/log/access.%s.log";
/// The extensions of compressed files, for each program that a rotator may have.
const EXTENSIONS: [&str; 4] = ["gz", "zst", "xz", "bz2"];

/// How rotated files are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// By their age: `access.log.1`, and the numbers of the others grow.
    Numbers,
    /// By the time of the rotation: `access.log-1800000000`.
    Dates,
    /// The live file has the time of its beginning in its name, and is never renamed: `access.1800000000.log`.
    Pattern,
}

/// The names of a log.
#[derive(Debug)]
pub struct Naming {
    pub scheme: Scheme,
    /// The directory of rotated files.
    directory: &'static str,
    /// The extension of compressed files.
    extension: &'static str,
}

impl Naming {
    pub fn new(chance: &mut Chance) -> Self {
        let scheme =
            [Scheme::Numbers, Scheme::Numbers, Scheme::Dates, Scheme::Pattern][chance.below(4) as usize];
        let directory = [DIRECTORY, "/log/old"][usize::from(scheme != Scheme::Pattern && chance.one_in(4))];
        Self { scheme, directory, extension: EXTENSIONS[chance.below(8).saturating_sub(4) as usize] }
    }

    /// Returns the directory of rotated files, if it is another one than the live file's.
    pub fn olddir(&self) -> Option<&'static str> {
        (self.directory != DIRECTORY).then_some(self.directory)
    }

    /// Returns the path that a pipeline follows.
    pub fn followed(&self) -> &'static str {
        if self.scheme == Scheme::Pattern { PATTERN } else { LOG }
    }

    /// Returns the path of a live file that is created at this time, in seconds since 1970.
    pub fn live(&self, seconds: u64) -> PathBuf {
        match self.scheme {
            Scheme::Pattern => PathBuf::from(format!("/log/access.{seconds}.log")),
            _ => PathBuf::from(LOG),
        }
    }

    /// Returns the path of a file that is rotated at this time, in seconds since 1970, if it is named by its time.
    pub fn dated(&self, seconds: u64) -> PathBuf {
        PathBuf::from(format!("{}/access.log-{seconds}", self.directory))
    }

    /// Returns the path of the rotated file with that number.
    pub fn numbered(&self, number: u64) -> PathBuf {
        PathBuf::from(format!("{}/access.log.{number}", self.directory))
    }

    /// Returns the path of a file once it is compressed.
    pub fn packed(&self, path: &Path) -> PathBuf {
        PathBuf::from(format!("{}.{}", path.display(), self.extension))
    }

    pub fn is_packed(&self, path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == self.extension)
    }

    /// Returns the renames after which the number 1 is free, in their order.
    pub fn shifts(&self, disk: &Disk) -> Vec<(PathBuf, PathBuf)> {
        let mut shifts = Vec::new();
        for number in 1.. {
            let (from, to) = (self.numbered(number), self.numbered(number + 1));
            match (disk.exists(&from), disk.exists(&self.packed(&from))) {
                (true, _) => shifts.push((from, to)),
                (false, true) => shifts.push((self.packed(&from), self.packed(&to))),
                (false, false) => break,
            }
        }
        shifts.reverse();
        shifts
    }

    pub fn pack(&self, bytes: &[u8]) -> Vec<u8> {
        crate::tail_support::pack(bytes, self.extension)
    }

    /// Returns the text of a file, which may be compressed.
    pub fn text(&self, path: &Path, bytes: &[u8]) -> String {
        let bytes = if self.is_packed(path) {
            crate::tail_support::unpack(bytes, self.extension)
        } else {
            bytes.to_vec()
        };
        String::from_utf8(bytes).unwrap()
    }
}
