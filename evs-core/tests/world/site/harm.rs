//! What is done to a log that no rotator does: lines that are too long, a truncation without a copy, and compressed files that
//! lose their end. The lines that are in no file any more count if evs has read them in time.

use std::path::{Path, PathBuf};

use evs_core::{OnChanged, OnGone, OnUnreadable, PipelineBuilder};

use super::Site;
use crate::{
    chance::Chance,
    lines::{Kind, LINE_BYTES_MAX},
    model::Line,
    tail_support::sim::Disk,
};

/// The harm that a world has, by a chance of its own.
#[derive(Debug)]
pub struct Harm {
    chance: Chance,
    /// True if there are lines that are too long.
    has_long_lines: bool,
    /// True if somebody truncates the log now and then.
    truncates: bool,
    /// True if compressed files lose their end.
    damages: bool,
    /// True if no more are damaged or truncated.
    has_ended: bool,
    /// The lines that were in the log, and are in no file any more.
    gone: Vec<String>,
    /// The texts of the files that were damaged or truncated.
    texts: Vec<String>,
    /// The contents of the compressed files that have lost their end.
    damaged: Vec<Vec<u8>>,
    pub long: u64,
    pub truncated: u64,
}

impl Harm {
    pub fn new(mut chance: Chance, kind: Kind) -> Self {
        Self {
            has_long_lines: chance.one_in(5),
            // A server that describes its lines does so when it opens a file, and not after a truncation.
            truncates: chance.one_in(5) && kind == Kind::Plain,
            damages: chance.one_in(3),
            has_ended: false,
            gone: Vec::new(),
            texts: Vec::new(),
            damaged: Vec::new(),
            long: 0,
            truncated: 0,
            chance,
        }
    }

    /// Does no more harm to files. Where the stores stand is a place in a file that has to be there.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Returns the number of files that have lost their end.
    pub fn damages(&self) -> u64 {
        self.damaged.len() as u64
    }

    /// Returns the lines that are in no file any more.
    pub fn lines(&self) -> Vec<Line> {
        self.gone.iter().map(|line| (line.clone(), false)).collect()
    }

    /// Returns true if a file that was damaged or truncated began with this text. evs may have taken a file with this text for
    /// a copy of it.
    pub fn began_with(&self, text: &str) -> bool {
        self.texts.iter().any(|of| of.starts_with(text))
    }

    /// Returns true if a file has lost its end.
    pub fn is_damaged(&self, disk: &Disk, path: &Path) -> bool {
        disk.read(path).is_ok_and(|bytes| self.damaged.iter().any(|damaged| damaged == bytes))
    }

    /// Tells a pipeline what it may meet.
    pub fn configure(&self, mut builder: PipelineBuilder) -> PipelineBuilder {
        if self.has_long_lines {
            builder = builder.line_bytes_max(LINE_BYTES_MAX as u64);
        }
        if self.damages {
            builder = builder.on_unreadable(OnUnreadable::Skip);
        }
        // What was truncated or damaged while no pipeline ran is not found again.
        if self.damages || self.truncates {
            builder = builder.on_gone(OnGone::Continue);
            // Other files may begin like it: with more than a KiB of the end of a long line. These were not read.
            if self.has_long_lines {
                builder = builder.on_changed(OnChanged::ReadAgain);
            }
        }
        builder
    }

    /// Returns a line that is too long or nearly so, now and then.
    pub fn long_line(&mut self, number: u64) -> Option<String> {
        if !self.has_long_lines || !self.chance.one_in(40) {
            return None;
        }
        self.long += 1;
        let len = LINE_BYTES_MAX - 50 + self.chance.below(100) as usize;
        Some(format!("{number:05} is long {}\n", "x".repeat(len)))
    }
}

impl Site {
    /// Does some harm now and then, but not in the middle of a rotation.
    pub(super) fn perhaps_harm(&mut self, disk: &mut Disk) {
        if self.harm.has_ended || !self.steps.is_empty() {
            return;
        }
        if self.harm.truncates && self.harm.chance.one_in(400) {
            self.truncate_log(disk);
        }
        if self.harm.damages && self.harm.chance.one_in(200) {
            self.damage(disk);
        }
    }

    fn truncate_log(&mut self, disk: &mut Disk) {
        let live = self.live.clone();
        let text = self.naming.text(&live, disk.read(&live).unwrap());
        // The end of the present line follows later.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        self.harm.gone.extend(whole.lines().map(str::to_owned));
        self.harm.texts.push(text);
        disk.truncate(&live, 0).unwrap();
        self.synced.insert(disk.find(&live).unwrap(), 0);
        self.harm.truncated += 1;
        show!("  truncated");
    }

    fn damage(&mut self, disk: &mut Disk) {
        let is_it = |path: &&Path| self.naming.is_packed(path) && !self.harm.is_damaged(disk, path);
        let packed: Vec<PathBuf> = disk.paths().filter(is_it).map(Path::to_owned).collect();
        if packed.is_empty() {
            return;
        }
        let path = &packed[self.harm.chance.below(packed.len() as u64) as usize];
        let bytes = disk.read(path).unwrap();
        let text = self.naming.text(path, bytes);
        let left = bytes[..self.harm.chance.below(bytes.len() as u64) as usize].to_vec();
        let events = text.lines().filter(|line| self.kind.is_event(line));
        self.harm.gone.extend(events.map(str::to_owned));
        self.harm.texts.push(text);
        disk.truncate(path, left.len()).unwrap();
        show!("  damaged {}: {} bytes", path.display(), left.len());
        self.harm.damaged.push(left);
    }
}
