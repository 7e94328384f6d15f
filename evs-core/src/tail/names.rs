//! The names that files of the log may have, and the order in which these files are read.
//!
//! The order is only a hint. The bytes of a file alone decide which file it is.
//!
//! | name, for `access.log` | age |
//! | --- | --- |
//! | `access.log.2` | generation 2, older than generation 1 |
//! | `access.log-20261128.gz`, `access-20261128.log` | the date 2026, 11, 28 |
//! | `access.log` | the live file, the newest |
//! | `access.log.bak`, `access.log.1~`, `other.log.1` | none: they do not belong to the log |
//!
//! The extension of a compressor is taken off first. A name of the log only means that the file is looked at. So a
//! scheme that is not known here costs lines if its files are needed, and a foreign file with such a name is read.

use std::{
    collections::HashSet,
    ffi::OsStr,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{
    fs::{FileId, LogFs, Stat, directory_of},
    options::TailOptions,
    packing::{packed_paths, without_extension},
    pattern::Pattern,
};

/// A name under which a file of the log was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The full path.
    pub(super) path: PathBuf,
    /// The metadata of the file when it was listed.
    pub(super) stat: Stat,
    /// The age that the name tells.
    age: Age,
}

impl Name {
    /// Returns the device and the inode.
    pub(super) fn id(&self) -> FileId {
        self.stat.id
    }

    /// Identifies the name together with its file. If it differs between two lists, files were renamed in
    /// between.
    pub(super) fn key(&self) -> (&OsStr, FileId) {
        (self.path.as_os_str(), self.id())
    }
}

/// The age of a file as its name tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Age {
    /// `.1`, `.2`: the number of rotations since then.
    Generation(u64),
    /// `-20260101`: the date, then further numbers after it.
    Date(Vec<u64>),
    /// The live file, which has no age in its name.
    Live,
}

/// The places in which a log's files may be.
///
/// There are two places besides the log's own directory. A link such as `access.log -> /data/access.log` is rotated
/// beside its target, and logrotate moves files to its `olddir`.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The path of the live file, or of the pattern.
    path: PathBuf,
    /// The pattern of a log whose files are all named by their time.
    pattern: Option<Pattern>,
    /// The directory that rotated files are moved to.
    olddir: Option<PathBuf>,
}

impl Names {
    /// Takes the path and the `olddir` from the options.
    pub(super) fn new(options: &TailOptions) -> Self {
        let name = options.path.file_name().and_then(OsStr::to_str).filter(|_| !options.is_literal);
        let olddir = options.olddir.as_ref().map(|olddir| directory_of(&options.path).join(olddir));
        Self { path: options.path.clone(), pattern: name.and_then(Pattern::parse), olddir }
    }

    /// Returns the path of the live file; `None` if the log has none.
    pub(super) fn live(&self) -> Option<&Path> {
        self.pattern.is_none().then_some(&*self.path)
    }

    /// Returns the directories that are searched.
    pub(super) fn directories(&self, fs: &dyn LogFs) -> Vec<PathBuf> {
        let mut directories = vec![directory_of(&self.path).to_owned()];
        let target = self.live().and_then(|live| fs.link_target(live).ok().flatten());
        directories.extend(target.map(|target| directory_of(&target).to_owned()));
        directories.extend(self.olddir.clone());
        directories.dedup();
        directories
    }

    /// Lists the files, oldest first and the live one last. A file with several names is listed once.
    ///
    /// If there are a compressed and a plain file of the same name, the compressed one is left out: it may be
    /// incomplete.
    pub(super) fn list(&self, fs: &dyn LogFs) -> io::Result<Vec<Name>> {
        let mut found = Vec::new();
        if let Some(pattern) = &self.pattern {
            let age = |name: &str| pattern.key(name).map(Age::Date);
            for directory in [Some(directory_of(&self.path)), self.olddir.as_deref()].into_iter().flatten() {
                found.extend(in_directory(fs, directory, age)?);
            }
        } else {
            let base = self.path.file_name().and_then(OsStr::to_str);
            if let Some(base) = base {
                for directory in
                    [Some(directory_of(&self.path)), self.olddir.as_deref()].into_iter().flatten()
                {
                    found.extend(in_directory(fs, directory, |name| age_of(base, name))?);
                }
            }
            if let Some(target) = fs.link_target(&self.path)?
                && let Some(base) = target.file_name().and_then(OsStr::to_str)
            {
                let own = target.file_name().map(OsStr::to_owned);
                for directory in [Some(directory_of(&target)), self.olddir.as_deref()].into_iter().flatten() {
                    let beside = in_directory(fs, directory, |name| age_beside_target(base, name))?;
                    found.extend(beside.into_iter().filter(|name| name.path.file_name() != own.as_deref()));
                }
            }
        }
        sort(&mut found);
        if let Some(live) = self.live()
            && let Some(stat) = fs.stat(live)?
        {
            found.push(Name { path: live.to_owned(), stat, age: Age::Live });
        }
        // A hard link is not another file. The last name is kept, since it may be the live one.
        let mut ids = HashSet::new();
        found.reverse();
        found.retain(|name| ids.insert(name.id()));
        found.reverse();
        Ok(found)
    }

    /// Returns the compressed files that were left out because of the plain ones among `names`.
    pub(super) fn hidden(&self, names: &[Name], fs: &dyn LogFs) -> Vec<PathBuf> {
        let plain = names.iter().filter(|name| self.live() != Some(&*name.path));
        let packed = plain.flat_map(|name| packed_paths(&name.path));
        packed.filter(|path| fs.stat(path).is_ok_and(|stat| stat.is_some())).collect()
    }

    /// Lists the files in the subdirectories of the log's directory whose names are those of rotated files.
    ///
    /// They are not searched in every survey, because such a directory can have a year of files. They are searched
    /// once a file is missing.
    pub(super) fn in_subdirectories(&self, fs: &dyn LogFs) -> io::Result<Vec<Name>> {
        let (Some(live), Some(base)) = (self.live(), self.path.file_name().and_then(OsStr::to_str)) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for name in entries(fs, directory_of(live))? {
            let directory = directory_of(live).join(name);
            match fs.list(&directory) {
                Ok(_) => found.extend(in_directory(fs, &directory, |name| age_of(base, name))?),
                Err(_) => continue,
            }
        }
        sort(&mut found);
        Ok(found)
    }
}

/// Lists a directory; one that does not exist has no names.
fn entries(fs: &dyn LogFs, directory: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    match fs.list(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed,
    }
}

/// Lists the regular files in a directory whose names tell an age.
fn in_directory(
    fs: &dyn LogFs,
    directory: &Path,
    age: impl Fn(&str) -> Option<Age>,
) -> io::Result<Vec<Name>> {
    let mut found: Vec<Name> = Vec::new();
    for name in entries(fs, directory)? {
        let Some(age) = name.to_str().and_then(|name| age(without_extension(name))) else { continue };
        let path = directory.join(name);
        if let Some(stat) = fs.stat(&path)?
            && stat.is_regular
        {
            found.push(Name { path, stat, age });
        }
    }
    // If there are `.1`, `.1.gz` and `.1.zst`, only the plain one is kept.
    let packed: Vec<PathBuf> = found.iter().filter_map(|name| plain_path(&name.path)).collect();
    if !packed.is_empty() {
        let names: HashSet<&OsStr> = found.iter().map(|name| name.path.as_os_str()).collect();
        let shadowed = packed.into_iter().filter(|path| names.contains(path.as_os_str()));
        let shadowed: HashSet<PathBuf> = shadowed.collect();
        found.retain(|name| plain_path(&name.path).is_none_or(|path| !shadowed.contains(&path)));
    }
    Ok(found)
}

/// Returns the path of a compressed file without its extension; `None` if it has no such extension.
fn plain_path(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let plain = without_extension(name);
    (plain.len() < name.len()).then(|| path.with_file_name(plain))
}

/// Sorts the files, oldest first. If they are named in two ways, their times are the only common order.
fn sort(files: &mut [Name]) {
    files.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
    if files.iter().all(|file| matches!(file.age, Age::Generation(_))) {
        files.sort_by(|a, b| b.age.cmp(&a.age));
    } else if files.iter().all(|file| matches!(file.age, Age::Date(_))) {
        files.sort_by(|a, b| a.age.cmp(&b.age));
    } else {
        files.sort_by_key(|file| file.stat.modified);
    }
}

/// Returns the age in `name`, which is `base` with a suffix (`access.log.1`), or with one before the extension
/// (`access.1.log`, as logrotate's `extension` makes it).
pub(super) fn age_of(base: &str, name: &str) -> Option<Age> {
    let after = name.strip_prefix(base).and_then(age);
    after.or_else(|| {
        let (stem, extension) = base.rsplit_once('.')?;
        age(name.strip_prefix(stem)?.strip_suffix(extension)?.strip_suffix('.')?)
    })
}

/// Returns the age in the name of a file beside `base`, the target of a link. The file may be a rotated one of
/// the target, another target, whose name has another date in the same place, or a rotated one of such a
/// target.
fn age_beside_target(base: &str, name: &str) -> Option<Age> {
    if let Some(age) = age_of(base, name) {
        return Some(age);
    }
    if !is_dated(base) {
        return None;
    }
    let as_target =
        |name: &str| (shape(name) == shape(base) && is_dated(name)).then(|| numbers(name)).flatten();
    if let Some(numbers) = as_target(name) {
        return Some(Age::Date(numbers));
    }
    let separators = name.match_indices(['.', '-', '_']);
    let rotated = separators.filter_map(|(at, _)| Some((as_target(&name[..at])?, age(&name[at..])?)));
    rotated.max_by_key(|(_, age)| age.clone()).map(|(numbers, _)| Age::Date(numbers))
}

/// Returns the age in a suffix such as `.1`, `-20260101`, `.2026-01-01` or `-20260101-1767225600`.
pub(super) fn age(suffix: &str) -> Option<Age> {
    let rest = suffix.strip_prefix(['.', '-', '_'])?;
    let is_number = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && rest.len() < 6 {
        return suffix.starts_with('.').then(|| rest.parse().ok().map(Age::Generation)).flatten();
    }
    let is_date = rest.starts_with(|first: char| first.is_ascii_digit())
        && rest.bytes().all(|byte| byte.is_ascii_digit() || b"-_:.TZ+".contains(&byte))
        && rest.bytes().filter(u8::is_ascii_digit).count() >= 6;
    if !is_date {
        return None;
    }
    let parts = numbers(rest)?;
    // A date in three parts is ordered by year, month and day, in whatever order they are written.
    let lens: Vec<usize> = digit_runs(rest).map(str::len).collect();
    Some(Age::Date(match (&parts[..], &lens[..]) {
        ([year, month, day, rest @ ..], [4, 1..=2, 1..=2, ..]) => {
            [&[year * 10_000 + month * 100 + day], rest].concat()
        }
        ([day, month, year, rest @ ..], [1..=2, 1..=2, 4, ..]) => {
            [&[year * 10_000 + month * 100 + day], rest].concat()
        }
        _ => parts,
    }))
}

/// Returns true if a name has a date: at least six digits, of which four in a row are a year.
fn is_dated(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let is_year = |run: &str| run.starts_with("19") || run.starts_with("20") || run.len() == 4;
    digits >= 6 && digit_runs(name).any(|run| run.len() >= 4 && is_year(run))
}

/// Returns the runs of digits in `text`.
fn digit_runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty())
}

/// Returns the runs of digits in `text` as numbers; `None` if one is out of range.
fn numbers(text: &str) -> Option<Vec<u64>> {
    digit_runs(text).map(|run| run.parse().ok()).collect()
}

/// Returns `text` with every run of digits replaced by a single `0`.
fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if c.is_ascii_digit() { '0' } else { c };
        if c != '0' || !shape.ends_with('0') {
            shape.push(c);
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::RealFs;

    fn names(path: &Path) -> Vec<String> {
        let files = Names::new(&TailOptions::new(path)).list(&RealFs).unwrap();
        files.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    fn order(base: &str, names_there: &[&str]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        for name in names_there {
            std::fs::write(directory.path().join(name), "x\n").unwrap();
        }
        names(&directory.path().join(base))
    }

    #[test]
    fn generations_are_ordered_as_numbers() {
        let names = ["access.log", "access.log.1", "access.log.10.gz", "access.log.2.zst", "access.log.9"];
        let expected = ["access.log.10.gz", "access.log.9", "access.log.2.zst", "access.log.1", "access.log"];
        assert_eq!(order("access.log", &names), expected);
    }

    #[test]
    fn dates_are_ordered_by_date_and_what_follows() {
        let names = ["a.log", "a.log-20260102", "a.log-20251231.gz", "a.log-20260101-2", "a.log-20260101-10"];
        let expected =
            ["a.log-20251231.gz", "a.log-20260101-2", "a.log-20260101-10", "a.log-20260102", "a.log"];
        assert_eq!(order("a.log", &names), expected);
    }

    #[test]
    fn the_schemes_of_rotators_are_known() {
        let schemes = [
            "a.log.7",
            "a.log-20261128",
            "a.log-2026112809",
            "a.log-20261128-120111",
            "a.log-1795860000",
            "a.log.2026-11-28",
            "a.log.2026-11-28T10:00:00Z",
            "a.log-28-11-2026",
            "a.log.28.11.2026",
            "a.log_20261128",
            "a-20261128.log",
            "a.2026-11-28.log",
            "a.3.log",
        ];
        for name in schemes {
            for extension in ["", ".gz", ".xz", ".bz2", ".br"] {
                let name = format!("{name}{extension}");
                assert_eq!(order("a.log", &[&name]), [&*name]);
            }
        }
    }

    #[test]
    fn a_date_is_ordered_by_its_year_wherever_that_stands() {
        let names = ["a.log-01-12-2026", "a.log-30-11-2026", "a.log-2026-11-29"];
        let expected = ["a.log-2026-11-29", "a.log-30-11-2026", "a.log-01-12-2026"];
        assert_eq!(order("a.log", &names), expected);
    }

    #[test]
    fn a_suffix_may_stand_before_the_extension() {
        assert_eq!(order("a.log", &["a.2.log", "a.1.log.gz", "a.log"]), ["a.2.log", "a.1.log.gz", "a.log"]);
        let dated = ["a-20260102.log", "a-20260101.log", "a.log"];
        assert_eq!(order("a.log", &dated), ["a-20260101.log", "a-20260102.log", "a.log"]);
    }

    #[test]
    fn other_files_are_left_alone() {
        let names =
            ["a.log", "a.log.bak", "a.logs.1", "b.log.1", "a.log.1~", "a.log-1", "a.log.gz", "a.log.gz.tmp"];
        assert_eq!(order("a.log", &names), ["a.log"]);
    }

    #[test]
    fn a_compressed_file_is_left_out_while_its_plain_one_is_there() {
        assert_eq!(order("a.log", &["a.log.1.gz", "a.log.1", "a.log.2.gz"]), ["a.log.2.gz", "a.log.1"]);
        assert_eq!(order("a.log", &["a.log.1.gz", "a.log.1.zst"]), ["a.log.1.gz", "a.log.1.zst"]);
    }

    fn beside_target(target: &str, names_there: &[&str]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        for name in names_there.iter().chain([&target]) {
            std::fs::write(directory.path().join("data").join(name), "x\n").unwrap();
        }
        let link = directory.path().join("current");
        std::os::unix::fs::symlink(directory.path().join("data").join(target), &link).unwrap();
        names(&link)
    }

    #[test]
    fn files_beside_the_target_of_a_link_are_found() {
        let dated = ["log.2026-11-20", "log.2026-11-22", "log.2026-11-09.gz", "other.2026-11-01"];
        let expected = ["log.2026-11-09.gz", "log.2026-11-20", "log.2026-11-22", "current"];
        assert_eq!(beside_target("log.2026-11-21", &dated), expected);
        let months = ["ACCESS_LOG.202610", "ACCESS_LOG.202609"];
        assert_eq!(
            beside_target("ACCESS_LOG.202611", &months),
            ["ACCESS_LOG.202609", "ACCESS_LOG.202610", "current"]
        );
    }

    #[test]
    fn files_that_were_rotated_beside_the_target_of_a_link_are_found() {
        let kubernetes = ["0.log.20261128-100500.gz", "0.log.20261128-101500", "1.log"];
        let expected = ["0.log.20261128-100500.gz", "0.log.20261128-101500", "current"];
        assert_eq!(beside_target("0.log", &kubernetes), expected);
        // The log of another site is not an older file of this site's log.
        assert_eq!(
            beside_target("site2.log", &["site1.log", "site1.log.1", "site2.log.1"]),
            ["site2.log.1", "current"]
        );
    }

    #[test]
    fn a_hard_link_is_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        std::fs::write(&path, "x\n").unwrap();
        std::fs::hard_link(&path, directory.path().join("a.log.1")).unwrap();
        assert_eq!(names(&path), ["a.log"]);
    }

    #[test]
    fn an_olddir_is_looked_through_too() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("old")).unwrap();
        std::fs::write(directory.path().join("old/a.log.1"), "x\n").unwrap();
        std::fs::write(directory.path().join("a.log"), "x\n").unwrap();
        let options =
            TailOptions { olddir: Some("old".into()), ..TailOptions::new(directory.path().join("a.log")) };
        let files = Names::new(&options).list(&RealFs).unwrap();
        assert_eq!(files.len(), 2);
    }

    #[test]
    fn a_pattern_finds_the_files_that_are_named_by_their_time() {
        let there = ["access.2026-11-27.log", "access.2026-11-26.log.gz", "access.log", "access.2026-11.log"];
        let expected = ["access.2026-11-26.log.gz", "access.2026-11-27.log"];
        assert_eq!(order("access.%Y-%m-%d.log", &there), expected);
    }
}
