//! The reader of several logs: two statistics and the ledger, as in a pipeline, but killed at any moment.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use evs_core::{
    Frontier, OnGone, TailError,
    internals::{
        position::Inventory,
        tail::{Logs, TailOptions},
    },
};

use super::site::{Act, Site};
use crate::tail_support::{GRACE, sim::SimFs};

/// The number of statistics that commit when they are told. The ledger commits with each of them.
pub const STATISTICS: usize = 2;
/// The number of times that an error must come again while nothing happens, before it is believed.
const ERRORS_MAX: u32 = 20;
const ROUNDS_MAX: u32 = 60;

/// A line, with the path of its log.
type Line = (String, String);

#[derive(Debug, Default)]
struct Statistic {
    frontier: Frontier,
    committed: HashSet<Line>,
    read: Vec<Line>,
}

pub struct Reader {
    pub fs: SimFs<Site>,
    options: TailOptions,
    logs: Option<Logs>,
    statistics: Vec<Statistic>,
    inventory: Option<Inventory>,
    counted: Vec<Frontier>,
    now: Instant,
    errors: u32,
}

impl Reader {
    pub fn start(fs: SimFs<Site>, options: TailOptions) -> Self {
        let mut reader = Self {
            fs,
            options,
            logs: None,
            statistics: (0..=STATISTICS).map(|_| Statistic::default()).collect(),
            inventory: None,
            counted: Vec::new(),
            now: Instant::now(),
            errors: 0,
        };
        reader.open();
        reader.commit(STATISTICS);
        reader
    }

    fn open(&mut self) {
        while self.logs.is_none() {
            let mut options = self.options.clone();
            // A log that has vanished may have grown before. It has not, and no byte may count as lost.
            options.on_gone = if self.errors < ERRORS_MAX / 2 { OnGone::Stop } else { OnGone::Continue };
            match Logs::resume(options, &self.counted, self.inventory.as_ref(), self.now) {
                Ok(logs) => self.logs = Some(logs),
                Err(error) => self.endure(&error),
            }
            if self.fs.lock().agent.take_killed() {
                self.logs = None;
            }
        }
        self.errors = 0;
        self.note_events();
    }

    pub fn restart(&mut self) {
        self.logs = None;
        self.statistics.iter_mut().for_each(|statistic| statistic.read.clear());
        let stored = |statistic: &Statistic| Frontier::from_json(&statistic.frontier.to_json()).unwrap();
        self.counted = self.statistics.iter().map(stored).collect();
        let inventory = serde_json::to_string(&self.inventory).unwrap();
        self.inventory = serde_json::from_str(&inventory).unwrap();
        self.open();
    }

    pub fn read(&mut self, mut chunks: usize) {
        self.pass(Duration::from_millis(300));
        loop {
            match self.try_read(&mut chunks) {
                _ if self.fs.lock().agent.take_killed() => return self.restart(),
                Ok(()) => break,
                // As in a pipeline, reading starts over from the last commit.
                Err(TailError::Shrunk { .. }) => return self.restart(),
                Err(error) => self.endure(&error),
            }
        }
        self.errors = 0;
        self.note_events();
    }

    fn try_read(&mut self, chunks: &mut usize) -> Result<(), TailError> {
        let logs = self.logs.as_mut().unwrap();
        logs.poll(self.now)?;
        let mut buffer = Vec::new();
        while *chunks > 0
            && let Some(chunk) = logs.next_chunk()?
        {
            *chunks -= 1;
            let log = chunk.log.clone().unwrap().to_string();
            let text = String::from_utf8(chunk.read(&mut buffer)?.to_vec()).unwrap();
            for (at, statistic) in self.statistics.iter_mut().enumerate() {
                if let Some(counted) = self.counted.get(at) {
                    if counted.covers(chunk.number, chunk.end) {
                        continue;
                    }
                    assert!(!counted.covers(chunk.number, chunk.start + 1), "{chunk:?} spans {counted}");
                }
                for line in text.lines() {
                    let line = (log.clone(), line.to_owned());
                    let is_new = !statistic.committed.contains(&line) && !statistic.read.contains(&line);
                    assert!(is_new, "statistic {at} counts {line:?} twice: {chunk:?}");
                    statistic.read.push(line);
                }
            }
        }
        Ok(())
    }

    /// Makes one statistic commit, or all of them. The ledger commits in any case.
    pub fn commit(&mut self, which: usize) {
        let logs = self.logs.as_mut().unwrap();
        let is_all = which >= STATISTICS;
        if is_all && logs.has_retired() {
            logs.retire();
        }
        let (frontier, change) = (logs.frontier(), logs.take_change());
        for (at, statistic) in self.statistics.iter_mut().enumerate() {
            if !is_all && at != which && at != STATISTICS {
                continue;
            }
            statistic.frontier = match self.counted.get(at) {
                Some(counted) => frontier.join(counted),
                None => frontier.clone(),
            };
            statistic.committed.extend(statistic.read.drain(..));
        }
        let change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
        self.inventory.get_or_insert_default().apply(&change);
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        let shared = &mut *self.fs.lock();
        shared.disk.set_clock(shared.disk.clock() + time);
    }

    /// Reads and commits everything, now that nothing happens any more. Returns the number of logs that are followed.
    pub fn finish(&mut self) -> usize {
        for round in 1..=ROUNDS_MAX {
            let before = self.statistics[STATISTICS].frontier.clone();
            self.pass(2 * GRACE);
            self.read(usize::MAX);
            self.commit(STATISTICS);
            if before == self.statistics[STATISTICS].frontier && round >= 4 {
                return self.logs.as_ref().unwrap().len();
            }
        }
        panic!("no end after {ROUNDS_MAX} rounds: {}", self.statistics[STATISTICS].frontier);
    }

    pub fn check(&mut self) {
        let now = self.now;
        assert!(
            self.logs.as_mut().unwrap().check_end(now).unwrap(),
            "everything is read, and this is not the end"
        );
        let site = &self.fs.lock().agent;
        for (at, statistic) in self.statistics.iter().enumerate() {
            let lost: Vec<_> = site.counted.difference(&statistic.committed).collect();
            assert!(lost.is_empty(), "statistic {at} has lost {} lines: {:?}", lost.len(), lost.first());
            let foreign: Vec<_> = statistic.committed.difference(&site.counted).collect();
            assert!(foreign.is_empty(), "statistic {at} has counted {:?}", foreign.first());
        }
    }

    /// An error is believed if it comes again and again while nothing happens.
    fn endure(&mut self, error: &TailError) {
        self.note_events();
        let shared = &mut *self.fs.lock();
        self.now += Duration::from_millis(500);
        if !shared.agent.is_idle() {
            return shared.agent.act(Act::Work, &mut shared.disk);
        }
        self.errors += 1;
        assert!(self.errors < ERRORS_MAX, "the logs cannot be read: {error}");
    }

    fn note_events(&mut self) {
        for event in self.logs.iter_mut().flat_map(Logs::take_events) {
            assert!(!event.is_loss(), "no byte is lost, but: {event}");
        }
    }
}
