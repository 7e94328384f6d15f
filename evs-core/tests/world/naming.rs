//! The names of a log's files: how they are given, and which are free.

use std::path::{Path, PathBuf};

use crate::{chance::Chance, tail_support::sim::Disk};

const DIRECTORY: &str = "/log";
const LOG: &str = "/log/access.log";
/// The names of a log that the server itself names by the time. Their order is that of the times.
const PATTERNS: [&str; 3] =
    ["/log/access.%s.log", "/log/access.%Y-%m-%dT%H.%M.%S.log", "/log/access-%y%j%H%M%S.log"];
/// The extensions of compressed files, for each program that a rotator may have.
const EXTENSIONS: [&str; 4] = ["gz", "zst", "xz", "bz2"];

/// How rotated files are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// By their age: `access.log.1`, and the numbers of the others grow.
    Numbers,
    /// By the time of the rotation: `access.log-1800000000`.
    Dates,
    /// The live file has the time of its beginning in its name, and is never renamed: see [`PATTERNS`].
    Pattern,
}

/// The names of a log.
#[derive(Debug)]
pub struct Naming {
    pub scheme: Scheme,
    /// The name of a log that is named by the time.
    pattern: &'static str,
    /// The directory of rotated files.
    directory: &'static str,
    /// The extension of compressed files.
    extension: &'static str,
}

impl Naming {
    pub fn new(chance: &mut Chance, later: &mut Chance) -> Self {
        let scheme =
            [Scheme::Numbers, Scheme::Numbers, Scheme::Dates, Scheme::Pattern][chance.below(4) as usize];
        let directory = [DIRECTORY, "/log/old"][usize::from(scheme != Scheme::Pattern && chance.one_in(4))];
        let pattern = PATTERNS[later.below(4).saturating_sub(1) as usize];
        Self { scheme, pattern, directory, extension: EXTENSIONS[chance.below(8).saturating_sub(4) as usize] }
    }

    /// Returns the directory of rotated files, if it is another one than the live file's.
    pub fn olddir(&self) -> Option<&'static str> {
        (self.directory != DIRECTORY).then_some(self.directory)
    }

    /// Returns the path that a pipeline follows.
    pub fn followed(&self) -> &'static str {
        if self.scheme == Scheme::Pattern { self.pattern } else { LOG }
    }

    /// Returns the path of a live file that is created at this time, in seconds since 1970.
    pub fn live(&self, seconds: u64) -> PathBuf {
        match self.scheme {
            Scheme::Pattern => PathBuf::from(named_by(self.pattern, seconds)),
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

/// Returns a name with a time in it, in seconds since 1970.
fn named_by(pattern: &str, seconds: u64) -> String {
    let (time, mut day, mut year) = (seconds % 86_400, seconds / 86_400, 1970);
    let is_leap = |year: u64| year.is_multiple_of(4);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let day_of_year = day + 1;
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let parts = [
        ("%s", seconds.to_string()),
        ("%Y", year.to_string()),
        ("%y", format!("{:02}", year % 100)),
        ("%m", format!("{month:02}")),
        ("%d", format!("{:02}", day + 1)),
        ("%j", format!("{day_of_year:03}")),
        ("%H", format!("{:02}", time / 3600)),
        ("%M", format!("{:02}", time / 60 % 60)),
        ("%S", format!("{:02}", time % 60)),
    ];
    parts.iter().fold(pattern.to_owned(), |name, (part, value)| name.replace(part, value))
}
