//! Which logs are polled, when the file system tells of changes.

use std::{path::Path, time::Duration};

use super::{Directory, Logs, QUIET_EVERY};
use crate::tail::{fs::directory_of, wake::Wake};

/// The interval at which a quiet log is polled if the file system tells of changes: a report may be missed.
const WATCHED_EVERY: Duration = Duration::from_secs(5);

impl Logs {
    /// Has the file system tell of changes, from now on.
    pub(crate) fn watch(&mut self, wake: Wake) {
        if self.glob.is_none() || !wake.is_collecting() {
            return;
        }
        for directory in &mut self.directories {
            directory.is_watched = wake.watch_directory(&directory.path);
        }
        self.wake = Some(wake);
        // What has changed before is not reported.
        self.logs.iter_mut().for_each(|log| log.due = self.now);
        self.discover_due = self.now;
    }

    /// Takes over the directories that a search has found. Those that were known stay watched.
    pub(super) fn set_directories(&mut self, mut found: Vec<Directory>) {
        for directory in &mut found {
            // A directory that was replaced has another inode, and the watch of the old one says nothing of it.
            let is_same = |known: &&Directory| {
                known.real == directory.real
                    && known.stat.map(|stat| stat.id) == directory.stat.map(|stat| stat.id)
            };
            let known = self.directories.iter().find(is_same).map(|known| known.is_watched);
            directory.is_watched = match (&self.wake, known) {
                (_, Some(is_watched)) => is_watched,
                (Some(wake), None) => wake.watch_directory(&directory.path),
                (None, None) => false,
            };
        }
        self.directories = found;
    }

    /// Has those logs polled that the file system has reported a change of.
    pub(super) fn follow_hints(&mut self) {
        let (Some(wake), Some(glob)) = (&self.wake, &self.glob) else { return };
        let changed = wake.take_changed();
        if changed.all {
            self.logs.iter_mut().for_each(|log| log.due = self.now);
            self.discover_due = self.now;
            return;
        }
        for path in changed.paths {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let in_directory =
                self.directories.iter().filter(|directory| directory.real == directory_of(&path));
            for directory in in_directory {
                let log =
                    glob.owner(name).and_then(|owner| directory.path.join(owner).to_str().map(str::to_owned));
                match log.as_deref().and_then(|log| self.by_path.get(log)) {
                    Some(index) => self.logs[*index].due = self.now,
                    // A new log, or a directory.
                    None => self.discover_due = self.now,
                }
            }
            if self.directories.iter().any(|directory| directory.real == path) {
                self.discover_due = self.now;
            }
        }
    }

    /// Returns the time until a quiet log is polled again.
    pub(super) fn quiet_for(&self, index: usize) -> Duration {
        if self.wake.is_none() {
            return QUIET_EVERY;
        }
        let path = Path::new(&*self.logs[index].path);
        let is_watched = self
            .directories
            .iter()
            .any(|directory| directory.is_watched && directory.path == directory_of(path));
        // What a link leads to is elsewhere.
        let is_link = || self.options.fs.link_target(path).is_ok_and(|target| target.is_some());
        if is_watched && !is_link() { WATCHED_EVERY } else { QUIET_EVERY }
    }
}

#[cfg(all(test, feature = "notify"))]
mod tests {
    use std::{
        fs::{self, OpenOptions},
        io::Write,
        time::Instant,
    };

    use super::*;
    use crate::tail::TailOptions;

    #[test]
    fn a_quiet_log_is_polled_when_the_file_system_tells_of_a_change_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let pattern = path("*.log");
        fs::write(path("a.log"), "one\n").unwrap();
        fs::write(path("b.log"), "one\n").unwrap();
        let start = Instant::now();
        let mut logs = Logs::resume(TailOptions::new(&pattern), &[], None, start).unwrap();
        let wake = Wake::watching(&pattern);
        logs.watch(wake.clone());
        let read = |logs: &mut Logs, at: Instant| {
            let mut read = Vec::new();
            logs.poll(at).unwrap();
            while let Some(chunk) = logs.next_chunk().unwrap() {
                read.push(chunk.log.unwrap().rsplit('/').next().unwrap().to_owned());
            }
            read
        };
        assert_eq!(read(&mut logs, start), ["a.log", "b.log"]);
        // The second look finds nothing, and both are quiet.
        read(&mut logs, start + Duration::from_millis(100));
        read(&mut logs, start + Duration::from_millis(200));
        if !logs.directories[0].is_watched {
            eprintln!("skipped: this system cannot watch");
            return;
        }
        let soon = start + Duration::from_millis(300);
        assert!(logs.logs.iter().all(|log| log.due > soon + Duration::from_secs(1)), "nobody asks for them");
        OpenOptions::new().append(true).open(path("a.log")).unwrap().write_all(b"two\n").unwrap();
        wake.wait(Duration::from_secs(60));
        assert_eq!(read(&mut logs, soon), ["a.log"]);
        fs::write(path("c.log"), "one\n").unwrap();
        wake.wait(Duration::from_secs(60));
        // A report of an earlier change, or of the new name alone, may come before that of the bytes.
        let (mut found, mut at) = (Vec::new(), soon);
        while found.is_empty() && start.elapsed() < Duration::from_secs(120) {
            at += Duration::from_millis(100);
            found = read(&mut logs, at);
            wake.wait(Duration::from_millis(50));
        }
        assert_eq!(found, ["c.log"]);
    }
}
