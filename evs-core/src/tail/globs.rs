//! Patterns for the names of logs, as a shell writes them: `/var/log/nginx/*.access.log`.
//!
//! A pattern matches the names of live files. Which of the matched names are logs, and which are rotated files of such a
//! log, follows from the names alone, so that it is the same at every moment of a rotation:
//!
//! | name, for `*.log` | what it is |
//! | --- | --- |
//! | `shop.log` | a log |
//! | `shop.log.1`, `shop.log-20261128.gz` | rotated files of `shop.log` |
//! | `shop-20261128.log` | the same, although it matches: without its date it is `shop.log`, which matches too |
//! | `shop.log.gz` | nothing: a log has no extension of a compressor |
//!
//! If a name is that of a rotated file of two logs (`web-1-20261128.log` of `web-1.log` and of `web.log`), it belongs to
//! the one with the longer name. So each file belongs to at most one log.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    fmt, io,
    path::{Component, Path, PathBuf},
};

use glob::{MatchOptions, Pattern as GlobPattern};

use super::{bases::bases_of, fs::LogFs, packing::without_extension, pattern::Pattern};

/// The letters that make a path a pattern.
const LETTERS: [char; 3] = ['*', '?', '['];

/// A hidden file is only matched by a pattern that begins with a dot, as in a shell.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A pattern that several logs may match.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    /// The directories above the first one that is a pattern.
    root: PathBuf,
    /// The directories below, down to that of the logs.
    below: Vec<Part>,
    /// The pattern of a log's name.
    name: GlobPattern,
}

/// A directory of a pattern.
#[derive(Clone, Debug)]
enum Part {
    Literal(OsString),
    Pattern(GlobPattern),
}

/// A pattern that cannot be understood.
#[derive(Debug)]
pub(crate) struct InvalidGlob {
    /// The path as it was given.
    path: PathBuf,
    /// The column of the mistake, from 1 on.
    column: usize,
    /// The mistake.
    reason: String,
}

impl fmt::Display for InvalidGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, column {}: {}", self.path, self.column, self.reason)
    }
}

impl Glob {
    /// Parses a path; returns `None` if it is no pattern, but the path of one log.
    pub(crate) fn parse(path: &Path) -> Result<Option<Self>, InvalidGlob> {
        if !path.as_os_str().as_encoded_bytes().iter().any(|byte| LETTERS.contains(&char::from(*byte))) {
            return Ok(None);
        }
        let error = |column: usize, reason: &str| InvalidGlob {
            path: path.to_owned(),
            column,
            reason: reason.to_owned(),
        };
        let text = path.to_str().ok_or_else(|| error(1, "a pattern is UTF-8"))?;
        let (mut root, mut below, mut column) = (PathBuf::new(), Vec::new(), 1);
        let parts: Vec<Component<'_>> = path.components().collect();
        let Some((Component::Normal(name), directories)) = parts.split_last() else {
            return Err(error(1, "a pattern ends with the name of a log"));
        };
        for part in directories {
            column = column_of(text, part.as_os_str(), column);
            match compile(part.as_os_str()).map_err(|(at, reason)| error(column + at, reason))? {
                Some(pattern) => below.push(Part::Pattern(pattern)),
                None if below.is_empty() => root.push(part),
                None => below.push(Part::Literal(part.as_os_str().to_owned())),
            }
        }
        column = column_of(text, name, column);
        if name.to_str().is_some_and(|name| Pattern::parse(name).is_some()) {
            return Err(error(column, "a name has either times (%Y) or the letters * ? [ of a pattern"));
        }
        let name = match compile(name).map_err(|(at, reason)| error(column + at, reason))? {
            Some(name) => name,
            // Only a directory is a pattern.
            None => GlobPattern::new(&GlobPattern::escape(&name.to_string_lossy()))
                .map_err(|invalid| error(column + invalid.pos, invalid.msg))?,
        };
        Ok(Some(Self { root, below, name }))
    }

    /// Returns the directories in which logs may be, each of them once, by path. A directory that two paths lead to has the
    /// one that is no symbolic link.
    pub(super) fn directories(&self, fs: &dyn LogFs) -> io::Result<Vec<PathBuf>> {
        let root = if self.root.as_os_str().is_empty() { PathBuf::from(".") } else { self.root.clone() };
        let mut found = vec![(false, root)];
        for part in &self.below {
            let mut next = Vec::new();
            for (is_linked, directory) in found {
                match part {
                    Part::Literal(name) => next.push((is_linked, directory.join(name))),
                    Part::Pattern(pattern) => {
                        let names = list(fs, &directory)?;
                        let names = names.iter().filter_map(|name| name.to_str());
                        for name in names.filter(|name| pattern.matches_with(name, OPTIONS)) {
                            let path = directory.join(name);
                            next.push((is_linked || fs.link_target(&path)?.is_some(), path));
                        }
                    }
                }
            }
            found = next;
        }
        if self.below.is_empty() {
            return Ok(found.into_iter().map(|(_, directory)| directory).collect());
        }
        // Those without a link come first.
        found.sort();
        let (mut seen, mut directories) = (HashSet::new(), Vec::new());
        for (_, directory) in found {
            // A file, or nothing, is no directory of logs.
            if let Some(stat) = fs.stat(&directory)?.filter(|stat| !stat.is_regular)
                && seen.insert(stat.id)
            {
                directories.push(directory);
            }
        }
        directories.sort();
        Ok(directories)
    }

    /// Returns whether the pattern matches a name.
    fn matches(&self, name: &str) -> bool {
        self.name.matches_with(name, OPTIONS)
    }

    /// Returns whether `name` is the name of a log: it matches, and is not that of a rotated or compressed file of a log.
    pub(super) fn is_log(&self, name: &str) -> bool {
        self.matches(name)
            && without_extension(name).len() == name.len()
            && !bases_of(name).iter().any(|base| self.is_log(base))
    }

    /// Returns whether a path may be that of a log: of one whose directory may be gone by now.
    pub(super) fn may_match(&self, path: &str) -> bool {
        let path = Path::new(path);
        let (Some(name), Some(directory)) = (path.file_name().and_then(OsStr::to_str), path.parent()) else {
            return false;
        };
        let root = self.root.strip_prefix(".").unwrap_or(&self.root);
        let Ok(below) = directory.strip_prefix(".").unwrap_or(directory).strip_prefix(root) else {
            return false;
        };
        let below: Vec<Component<'_>> = below.components().collect();
        let matches = |(part, component): (&Part, &Component<'_>)| match part {
            Part::Literal(name) => name == component.as_os_str(),
            Part::Pattern(pattern) => {
                component.as_os_str().to_str().is_some_and(|name| pattern.matches_with(name, OPTIONS))
            }
        };
        self.is_log(name) && below.len() == self.below.len() && self.below.iter().zip(&below).all(matches)
    }

    /// Returns the name of the log that a file with this name belongs to, in the same directory; `None` if it belongs to
    /// none.
    pub(super) fn owner(&self, name: &str) -> Option<String> {
        if self.is_log(name) {
            return Some(name.to_owned());
        }
        bases_of(without_extension(name)).into_iter().find(|base| self.is_log(base))
    }

    /// Returns whether a name matches, although the file belongs to another log.
    pub(super) fn is_taken_for_rotated(&self, name: &str) -> bool {
        self.matches(name) && !self.is_log(name)
    }
}

/// Compiles the pattern in one part of a path; `None` if there is none.
fn compile(part: &OsStr) -> Result<Option<GlobPattern>, (usize, &'static str)> {
    let Some(text) = part.to_str().filter(|text| text.contains(LETTERS)) else { return Ok(None) };
    if let Some(at) = text.find("**") {
        return Err((at, "** is not supported: name each level, as in /var/log/*/access.log"));
    }
    match GlobPattern::new(text) {
        Ok(pattern) => Ok(Some(pattern)),
        Err(invalid) => Err((invalid.pos, invalid.msg)),
    }
}

/// Returns the column at which a part of the path begins, not before `from`.
fn column_of(path: &str, part: &OsStr, from: usize) -> usize {
    let rest = path.get(from - 1..).unwrap_or_default();
    part.to_str().and_then(|part| rest.find(part)).map_or(from, |at| from + at)
}

/// Lists a directory; one that does not exist, or is none, has no names.
pub(super) fn list(fs: &dyn LogFs, directory: &Path) -> io::Result<Vec<OsString>> {
    match fs.list(directory) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        listed => listed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::RealFs;

    fn glob(path: &str) -> Glob {
        Glob::parse(Path::new(path)).unwrap().unwrap()
    }

    fn owner(pattern: &str, name: &str) -> Option<String> {
        glob(pattern).owner(name)
    }

    #[test]
    fn a_path_without_the_letters_of_a_pattern_is_one_log() {
        for path in ["/var/log/access.log", "access.%Y-%m-%d.log", "/var/log/{a,b}.log"] {
            assert!(Glob::parse(Path::new(path)).unwrap().is_none(), "{path}");
        }
    }

    #[test]
    fn a_bad_pattern_says_what_is_wrong_and_where() {
        let cases = [
            ("/var/log/[a.log", 10, "invalid range"),
            ("/var/[x/*.log", 6, "invalid range"),
            ("/var/log/**/a.log", 10, "** is not supported"),
            ("/var/log/**.log", 10, "** is not supported"),
            ("/var/log/*.%Y-%m-%d.log", 10, "times"),
            ("/var/log/*/..", 1, "ends with the name"),
        ];
        for (path, column, reason) in cases {
            let error = Glob::parse(Path::new(path)).unwrap_err();
            assert!(error.column == column && error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn rotated_and_compressed_files_belong_to_their_log_whether_they_match_or_not() {
        let cases = [
            ("*.log", "access.log", Some("access.log")),
            ("*.log", "access.log.1", Some("access.log")),
            ("*.log", "access.log-20260101.gz", Some("access.log")),
            ("*.log", "access-20260101.log", Some("access.log")),
            ("*.log", "access.1.log.gz", Some("access.log")),
            ("*.log", "access.log.gz", None),
            ("*.log", "access.log.bak", None),
            ("*.log", ".hidden.log", None),
            ("*", "access.log", Some("access.log")),
            ("*", "access.log.1", Some("access.log")),
            ("*", "access.log.10.zst", Some("access.log")),
            ("*", "access.log.gz", None),
            ("*", "access.log.bak", Some("access.log.bak")),
            ("access-*.log", "access-20260101.log", Some("access-20260101.log")),
            ("*.log", "web-1-20261128.log", Some("web-1.log")),
            ("web.*", "web-1-20261128.log", Some("web.log")),
            ("shop?.log", "shop1.log", Some("shop1.log")),
            ("shop[0-9].log", "shopx.log", None),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(owner(pattern, name).as_deref(), expected, "{name} for {pattern}");
        }
    }

    #[test]
    fn a_log_is_matched_by_its_whole_path() {
        let cases = [
            ("/var/log/*.log", "/var/log/a.log", true),
            ("/var/log/*.log", "/var/log/x/a.log", false),
            ("/var/log/*.log", "/var/a.log", false),
            ("/var/log/*.log", "/var/log/a.log.1", false),
            ("/var/log/*/a.log", "/var/log/x/a.log", true),
            ("/var/log/*/a.log", "/var/log/a.log", false),
            ("/var/[xy]/z/*.log", "/var/x/z/a.log", true),
            ("/var/[xy]/z/*.log", "/var/x/y/a.log", false),
            ("*.log", "./a.log", true),
            ("*.log", "x/a.log", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(glob(pattern).may_match(path), expected, "{path} for {pattern}");
        }
    }

    #[test]
    fn directories_may_be_patterns_and_each_is_found_once() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for name in ["a/logs", "b/logs", "c"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        std::fs::write(path("file"), "").unwrap();
        std::os::unix::fs::symlink(path("a"), path("0")).unwrap();
        let pattern = glob(path("*/logs/*.log").to_str().unwrap());
        assert_eq!(pattern.directories(&RealFs).unwrap(), [path("a/logs"), path("b/logs")]);
        let pattern = glob(path("[ab]/logs/access.log").to_str().unwrap());
        assert_eq!(pattern.directories(&RealFs).unwrap(), [path("a/logs"), path("b/logs")]);
        assert!(pattern.is_log("access.log") && !pattern.is_log("error.log"));
    }
}
