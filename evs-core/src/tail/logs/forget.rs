//! Logs that have vanished: they are closed after a time, and forgotten.
//!
//! The name of a container's log is used once. So a source must not keep each log for ever that it has ever followed: its
//! descriptor, its part of the position, its tailer. What stays is how its bytes are recognized, up to a limit: if a log
//! comes back with the same bytes, it goes on where it was.

use std::time::Duration;

use super::{Log, Logs, of_log};

/// The time for which a log must have had no file, and not have grown, before it is closed. A web server that still has the
/// last file open may write to it until then.
const FORGET_AFTER: Duration = Duration::from_secs(600);
/// The number of known files of forgotten logs that are kept.
const FORGOTTEN_MAX: usize = 4096;

impl Logs {
    /// Returns whether a log has vanished, and for so long that it is about to be forgotten.
    pub(super) fn is_leaving(&self, log: &Log) -> bool {
        log.vanished_since.is_some_and(|since| self.now >= since + FORGET_AFTER)
    }

    /// Closes the logs that have vanished, and forgets those whose last file has left the position.
    pub(super) fn forget_vanished(&mut self) {
        if self.glob.is_none() {
            return;
        }
        let mut has_left = false;
        for index in 0..self.logs.len() {
            let now = self.now;
            let log = &mut self.logs[index];
            if !log.tailer.is_nameless() {
                log.vanished_since = None;
                continue;
            }
            log.vanished_since.get_or_insert(now);
            if !self.is_leaving(&self.logs[index]) {
                continue;
            }
            let log = &mut self.logs[index];
            if log.tailer.close_vanished() {
                log.due = now;
                self.note(index);
                self.make_ready(index);
            }
            has_left |= self.logs[index].has_left();
        }
        if has_left {
            self.forget();
        }
    }

    /// Forgets the logs that have left the position.
    fn forget(&mut self) {
        let leaving: Vec<bool> = self.logs.iter().map(|log| self.is_leaving(log) && log.has_left()).collect();
        let mut leaving = leaving.into_iter();
        for mut log in self.logs.extract_if(.., |_| leaving.next().unwrap_or(false)) {
            // What is known of its files may not be durable yet.
            let change = log.tailer.take_change();
            self.change.removed.extend(change.removed);
            self.change.added.extend(change.added.iter().map(|file| of_log(file, &log.path)));
            self.forgotten.extend(log.tailer.known().map(|file| of_log(file, &log.path)));
            self.events.append(&mut log.tailer.take_events());
            tracing::info!(log = &*log.path, "the log has vanished and is no longer followed");
        }
        self.bound_forgotten();
        self.index();
    }

    /// Forgets files of forgotten logs, if there are too many of them.
    pub(super) fn bound_forgotten(&mut self) {
        let surplus = self.forgotten.len().saturating_sub(FORGOTTEN_MAX);
        self.change.removed.extend(self.forgotten.drain(..surplus).map(|file| file.id));
    }
}

impl Log {
    /// Returns whether nothing of the log is in the position, nor will be.
    fn has_left(&self) -> bool {
        !self.is_ready && self.tailer.is_vanished() && self.tailer.is_closed()
    }
}
