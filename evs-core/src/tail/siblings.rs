use std::{
    collections::HashSet,
    ffi::OsStr,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::handle::{FileId, Packing, Stat};

/// A file of the log: a rotated one, or the live one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
}

impl Sibling {
    pub(super) fn id(&self) -> FileId {
        self.stat.id
    }
}

/// The files of the log at `path`: the rotated ones from the oldest on, then the live one, if there is one.
/// `None` if they are being renamed right now.
///
/// A compressed file is left out while there is a plain one of the same name: it may be incomplete.
pub(super) fn siblings(path: &Path) -> io::Result<Option<Vec<Sibling>>> {
    // A directory cannot be read at one moment; two readings with the same result can be trusted.
    let mut before = scan(path)?;
    for _ in 0..4 {
        let after = scan(path)?;
        // Growth is no renaming.
        let named = |files: &[Sibling]| files.iter().map(|f| (f.path.clone(), f.id())).collect::<Vec<_>>();
        if named(&before) == named(&after) {
            return Ok(Some(after));
        }
        before = after;
    }
    Ok(None)
}

/// What a file's name says about its age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// `.1`, `.2`: how many rotations ago.
    Generation(u64),
    /// `-20260101`: the date, then other numbers behind it.
    Date(Vec<u64>),
}

struct Rotated {
    age: Age,
    file: Sibling,
}

fn scan(path: &Path) -> io::Result<Vec<Sibling>> {
    let live = Stat::at(path)?;
    let mut found = Vec::new();
    if let Some(base) = path.file_name().and_then(OsStr::to_str) {
        found.extend(rotated(path, |name| age_behind(base, name))?);
    }
    if let Some(target) = link_target(path) {
        found.extend(beside_target(&target)?);
    }
    found.retain(|rotated| live.is_none_or(|live| live.id != rotated.file.id()));
    sort(&mut found);
    let mut files: Vec<Sibling> = Vec::with_capacity(found.len() + 1);
    for Rotated { file, .. } in found {
        // A hard link is no other file.
        if files.iter().all(|other| other.id() != file.id()) {
            files.push(file);
        }
    }
    files.extend(live.map(|stat| Sibling { path: path.to_owned(), stat }));
    Ok(files)
}

/// The files in the directory of `path` whose names say an age.
fn rotated(path: &Path, age: impl Fn(&str) -> Option<Age>) -> io::Result<Vec<Rotated>> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found: Vec<Rotated> = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let Some(age) = name.to_str().and_then(|name| age(without_packing(name))) else { continue };
        let path = directory.join(name);
        if let Some(stat) = Stat::at(&path)?
            && stat.is_regular
        {
            found.push(Rotated { age, file: Sibling { path, stat } });
        }
    }
    // Of `.1`, `.1.gz` and `.1.zst` the first that is there, which is also their order by name.
    found.sort_by(|a, b| a.file.path.cmp(&b.file.path));
    let mut names = HashSet::new();
    found.retain(|rotated| names.insert(without_packing(&rotated.file.path.to_string_lossy()).to_owned()));
    Ok(found)
}

/// Oldest first. Two ways of naming have no common order but the time.
fn sort(files: &mut [Rotated]) {
    if files.iter().all(|file| matches!(file.age, Age::Generation(_))) {
        files.sort_by(|a, b| b.age.cmp(&a.age));
    } else if files.iter().all(|file| matches!(file.age, Age::Date(_))) {
        files.sort_by(|a, b| a.age.cmp(&b.age));
    } else {
        files.sort_by(|a, b| {
            let key = |rotated: &Rotated| (rotated.file.stat.modified, rotated.file.path.clone());
            key(a).cmp(&key(b))
        });
    }
}

/// Where the symbolic link `path` leads.
fn link_target(path: &Path) -> Option<PathBuf> {
    let is_link = path.symlink_metadata().ok()?.is_symlink();
    is_link.then(|| path.canonicalize().ok()).flatten()
}

/// The files that are named like the target of a link but for their numbers, and are older by them.
fn beside_target(target: &Path) -> io::Result<Vec<Rotated>> {
    let Some(base) = target.file_name().and_then(OsStr::to_str) else { return Ok(Vec::new()) };
    let Some(newest) = numbers(base).filter(|numbers| !numbers.is_empty()) else { return Ok(Vec::new()) };
    rotated(target, |name| {
        let numbers = (shape(name) == shape(base)).then(|| numbers(name)).flatten()?;
        (numbers < newest).then_some(Age::Date(numbers))
    })
}

fn without_packing(name: &str) -> &str {
    match Packing::of(Path::new(name)) {
        Packing::Plain => name,
        Packing::Gzip => name.strip_suffix(".gz").unwrap_or(name),
        Packing::Zstd => name.strip_suffix(".zst").unwrap_or(name),
    }
}

/// The age in `name`, which is `base` with a suffix (`access.log.1`), or with one before the extension
/// (`access.1.log`, as of logrotate's `extension`).
fn age_behind(base: &str, name: &str) -> Option<Age> {
    let behind = name.strip_prefix(base).and_then(age);
    behind.or_else(|| {
        let (stem, extension) = base.rsplit_once('.')?;
        age(name.strip_prefix(stem)?.strip_suffix(extension)?.strip_suffix('.')?)
    })
}

/// The age that `suffix` says: `.1`, `-20260101`, `.2026-01-01`, `-20260101-1767225600`.
fn age(suffix: &str) -> Option<Age> {
    let rest = suffix.strip_prefix(['.', '-', '_'])?;
    let is_number = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && rest.len() < 8 {
        return suffix.starts_with('.').then(|| rest.parse().ok().map(Age::Generation)).flatten();
    }
    let is_date = rest.starts_with(|first: char| first.is_ascii_digit())
        && rest.bytes().all(|byte| byte.is_ascii_digit() || b"-_:.T".contains(&byte));
    if !is_date {
        return None;
    }
    // The first eight digits are the date, however they are separated.
    let end = rest.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).nth(7)?.0 + 1;
    let date: String = rest[..end].chars().filter(char::is_ascii_digit).collect();
    let mut key = vec![date.parse().ok()?];
    key.extend(numbers(&rest[end..])?);
    Some(Age::Date(key))
}

/// The runs of digits in `text`; `None` if one is out of range.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
    runs.map(|run| run.parse().ok()).collect()
}

/// `text` with every run of digits replaced by one.
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

    fn order(base: &str, names: &[&str]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(directory.path().join(name), "x\n").unwrap();
        }
        let files = siblings(&directory.path().join(base)).unwrap().unwrap();
        files.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
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
    fn a_suffix_may_stand_before_the_extension() {
        assert_eq!(order("a.log", &["a.2.log", "a.1.log.gz", "a.log"]), ["a.2.log", "a.1.log.gz", "a.log"]);
        let dated = ["a-20260102.log", "a-20260101.log", "a.log"];
        assert_eq!(order("a.log", &dated), ["a-20260101.log", "a-20260102.log", "a.log"]);
    }

    #[test]
    fn other_files_are_left_alone() {
        let names =
            ["a.log", "a.log.bak", "a.logs.1", "b.log.1", "a.log.1~", "a.log.1.xz", "a.log-1", "a.log.gz"];
        assert_eq!(order("a.log", &names), ["a.log"]);
    }

    #[test]
    fn a_compressed_file_is_left_out_while_its_plain_one_is_there() {
        assert_eq!(order("a.log", &["a.log.1.gz", "a.log.1", "a.log.2.gz"]), ["a.log.2.gz", "a.log.1"]);
    }

    #[test]
    fn a_link_has_older_files_beside_its_target() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for name in
            ["log.2026-11-20", "log.2026-11-21", "log.2026-11-22", "log.2026-11-09.gz", "other.2026-11-01"]
        {
            std::fs::write(path.join(name), "x\n").unwrap();
        }
        std::os::unix::fs::symlink("log.2026-11-21", path.join("current")).unwrap();
        let files = siblings(&path.join("current")).unwrap().unwrap();
        let names: Vec<_> =
            files.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["log.2026-11-09.gz", "log.2026-11-20", "current"]);
    }

    #[test]
    fn a_hard_link_is_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        std::fs::write(&path, "x\n").unwrap();
        std::fs::hard_link(&path, directory.path().join("a.log.1")).unwrap();
        assert_eq!(siblings(&path).unwrap().unwrap().len(), 1);
    }
}
