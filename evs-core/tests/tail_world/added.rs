//! A statistic that is added while the source runs, and begins at the oldest file.

use std::{collections::HashSet, path::Path, time::Instant};

use evs_core::{
    Begin, Frontier, TailError,
    internals::{
        position::{OlderFiles, OlderPosition},
        tail::{Chunk, OlderReader, TailOptions, Tailer},
    },
};

use super::World;
use crate::tail_support::sim::{Disk, SimFs};

/// The statistic: what it has read of the log that is read for all, and of its older files.
#[derive(Debug, Default)]
pub struct Added {
    /// The position in the log, as committed.
    pub frontier: Frontier,
    /// The position that the last restart began with.
    counted: Option<Frontier>,
    list: OlderFiles,
    position: OlderPosition,
    reader: Option<OlderReader>,
    pub committed: HashSet<String>,
    read: Vec<String>,
}

impl Added {
    /// Adds the statistic to a source, unless the log is being changed.
    pub fn begin(tailer: &mut Tailer, options: &TailOptions) -> Option<Self> {
        let list = tailer.older_files(Begin::Oldest).ok()?;
        let mut added = Self { frontier: tailer.frontier(), list, ..Self::default() };
        added.counted = Some(added.frontier.clone());
        added.open(options);
        Some(added)
    }

    fn open(&mut self, options: &TailOptions) {
        self.reader =
            Some(OlderReader::new(options.clone(), self.list.clone(), vec![self.position, self.position]));
    }

    /// Forgets what was not committed, and begins again from there.
    pub fn restart(&mut self, options: &TailOptions) {
        let list = serde_json::to_string(&self.list).unwrap();
        self.list = serde_json::from_str(&list).unwrap();
        self.read.clear();
        self.counted = Some(Frontier::from_json(&self.frontier.to_json()).unwrap());
        self.open(options);
    }

    /// Commits what was read, up to the position of the source.
    pub fn commit(&mut self, frontier: &Frontier) {
        self.frontier = match &self.counted {
            Some(counted) => frontier.join(counted),
            None => frontier.clone(),
        };
        self.position = self.reader.as_ref().unwrap().position();
        self.committed.extend(self.read.drain(..));
    }

    /// Counts a chunk that is read for all statistics.
    pub fn count(&mut self, chunk: &Chunk, lines: &[String]) {
        if self.counted.as_ref().is_some_and(|counted| counted.covers(chunk.number, chunk.end)) {
            return;
        }
        self.add(lines);
    }

    fn add(&mut self, lines: &[String]) {
        for line in lines {
            let is_new = !self.committed.contains(line) && !self.read.contains(line);
            assert!(is_new, "the added statistic counts {line:?} twice");
            self.read.push(line.clone());
        }
    }

    /// Reads up to `chunks` chunks of the older files. After an error, a process would start again.
    pub fn read(&mut self, fs: &SimFs<World>, chunks: usize, now: Instant) -> Result<(), TailError> {
        for _ in 0..chunks {
            let reader = self.reader.as_mut().unwrap();
            let chunk = reader.next_chunk(now);
            for event in reader.take_events() {
                super::trace(format_args!("older: {event}"));
            }
            let Some(chunk) = chunk? else { return Ok(()) };
            let mut buffer = Vec::new();
            let bytes = chunk.read(&mut buffer)?.to_vec();
            super::trace(format_args!("older: {chunk:?} at {:?}", self.reader.as_ref().unwrap().position()));
            let text = std::str::from_utf8(&bytes).unwrap();
            let lines: Vec<String> = text.lines().map(|line| fs.lock().agent.writer.shorten(line)).collect();
            self.add(&lines);
        }
        Ok(())
    }

    pub fn is_done(&self) -> bool {
        self.reader.as_ref().unwrap().is_done()
    }

    /// Returns the lines among `lines` that were not counted.
    pub fn missing<'l>(&self, lines: impl Iterator<Item = &'l str>) -> Vec<&'l str> {
        lines.filter(|line| !self.committed.contains(*line)).collect()
    }
}

/// Returns all whole lines that are in files of the log.
pub fn lines_of_all(disk: &Disk, shorten: impl Fn(&str) -> String) -> HashSet<String> {
    let paths: Vec<_> = disk.paths().map(Path::to_owned).collect();
    paths.iter().flat_map(|path| super::lines(disk, path)).flatten().map(|line| shorten(&line)).collect()
}
