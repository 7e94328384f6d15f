//! The older files that new statistics still have to read, beside what is read for all statistics.
//!
//! Statistics that were added at the same start have the same list, and read it together. Lists are read one after the
//! other.

use std::{mem, sync::Arc, time::Instant};

use crate::{
    aggregate::Skip,
    position::{Frontier, OlderFiles, OlderPosition},
    tail::{Chunk, LogHandle, OlderReader, TailError, TailEvent, TailOptions},
};

/// The older files of all statistics.
#[derive(Debug)]
pub(super) struct Older {
    options: TailOptions,
    /// By statistic, its older files.
    statistics: Vec<OfStatistic>,
    /// The list that is being read.
    current: Option<(OlderFiles, OlderReader)>,
    /// The files that were read since the last cut.
    handles: Vec<Arc<LogHandle>>,
    events: Vec<TailEvent>,
}

/// The older files of one statistic.
#[derive(Debug, Default)]
struct OfStatistic {
    list: OlderFiles,
    /// The position up to which they were handed out.
    position: OlderPosition,
    /// True if the position has moved since the last cut of the statistic.
    has_moved: bool,
}

impl OfStatistic {
    /// Returns the number of files that are not finished.
    fn left(&self) -> u64 {
        (self.list.len() as u64).saturating_sub(self.position.file)
    }
}

/// What there is to read in older files.
pub(super) enum Next {
    /// A chunk, and the statistics that skip it.
    Chunk(Chunk, Skip),
    /// Nothing for now: the next file cannot be found or read yet.
    Wait,
    /// Nothing more.
    Done,
}

impl Older {
    /// Takes the older files of each statistic, and its position in them.
    pub(super) fn new(options: TailOptions, files: Vec<(OlderFiles, OlderPosition)>) -> Self {
        let mut statistics: Vec<OfStatistic> = Vec::with_capacity(files.len());
        for (list, position) in files {
            // Equal lists become one, so that they are compared only here.
            let same =
                statistics.iter().find(|other| other.list == list).map(|other| Arc::clone(&other.list));
            statistics.push(OfStatistic { list: same.unwrap_or(list), position, has_moved: false });
        }
        Self { options, statistics, current: None, handles: Vec::new(), events: Vec::new() }
    }

    /// Gives a new statistic its older files.
    pub(super) fn begin(&mut self, statistic: usize, list: &OlderFiles) {
        self.statistics[statistic] = OfStatistic { list: Arc::clone(list), ..OfStatistic::default() };
    }

    /// Returns whether a statistic has no older files.
    pub(super) fn is_without(&self, statistic: usize) -> bool {
        self.statistics[statistic].list.is_empty()
    }

    /// Returns the number of files that a statistic still has to read.
    pub(super) fn left(&self, statistic: usize) -> u64 {
        self.statistics[statistic].left()
    }

    /// Returns whether every statistic has read its older files.
    pub(super) fn is_done(&self) -> bool {
        self.statistics.iter().all(|statistic| statistic.left() == 0)
    }

    /// Returns whether a statistic has moved since this was last called for it.
    pub(super) fn take_moved(&mut self, statistic: usize) -> bool {
        mem::take(&mut self.statistics[statistic].has_moved)
    }

    /// Adds the position of a statistic in its older files to its position in the log.
    pub(super) fn locate(&self, statistic: usize, frontier: Frontier) -> Frontier {
        let OfStatistic { list, position, .. } = &self.statistics[statistic];
        // A position without any file says nothing, so the end of the older files is kept until there is a file.
        let is_kept = self.left(statistic) > 0 || (!list.is_empty() && frontier.files.is_empty());
        frontier.with_older(is_kept.then_some(*position))
    }

    /// Returns the files that were read since the last call. They must be made durable before a position in them is.
    pub(super) fn take_handles(&mut self) -> Vec<Arc<LogHandle>> {
        let mut handles = mem::take(&mut self.handles);
        handles.extend(self.current.iter_mut().flat_map(|(_, reader)| reader.take_handles()));
        handles
    }

    /// Returns the events since the last call.
    pub(super) fn take_events(&mut self) -> Vec<TailEvent> {
        mem::take(&mut self.events)
    }

    /// Returns the next chunk for the statistics that need it.
    pub(super) fn next(&mut self, now: Instant) -> Result<Next, TailError> {
        loop {
            if self.current.is_none() {
                self.current = self.open();
            }
            let Some((list, reader)) = &mut self.current else { return Ok(Next::Done) };
            let before = reader.position();
            let chunk = reader.next_chunk(now);
            self.events.extend(reader.take_events());
            let (chunk, after) = (chunk?, reader.position());
            let is_needed = |of: &OfStatistic| Arc::ptr_eq(&of.list, list) && of.position < after;
            let skips = self.statistics.iter().map(|of| !is_needed(of)).collect();
            for of in self.statistics.iter_mut().filter(|of| is_needed(of)) {
                (of.position, of.has_moved) = (after, true);
            }
            if reader.is_done() {
                self.handles.extend(reader.take_handles());
                self.current = None;
            }
            match chunk {
                Some(chunk) => {
                    return Ok(Next::Chunk(chunk, Skip { statistics: skips, tally: true, is_older: true }));
                }
                None if before == after => return Ok(Next::Wait),
                None => {}
            }
        }
    }

    /// Begins to read the next list.
    fn open(&self) -> Option<(OlderFiles, OlderReader)> {
        let list = &self.statistics.iter().find(|of| of.left() > 0)?.list;
        let readers = self.statistics.iter().filter(|of| Arc::ptr_eq(&of.list, list) && of.left() > 0);
        let positions = readers.map(|of| of.position).collect();
        Some((Arc::clone(list), OlderReader::new(self.options.clone(), Arc::clone(list), positions)))
    }
}
