//! The worker: it parses chunks of the log and counts their lines into tables of its own.
//!
//! A pipeline has one worker per thread. The reader gives each chunk to one of them, and tells it which statistics
//! have counted the chunk before ([`Skip`]). At a cut the worker hands over its rows ([`Part`]) and goes on with empty
//! tables.
//!
//! Three bounds keep memory in hand, since clients choose keys: the row limit of a statistic, the bytes of its keys,
//! and the size of a dictionary. The first two ask for an early cut ([`Worker::full`]). A full dictionary is reset at
//! once; the rows that have its ids are put aside together with its texts, and count towards the row limit until the
//! next cut.

mod aside;

use super::{
    judge,
    plan::{NumberAt, Plan, StatisticPlan},
    selection::Selections,
    table::{Lines, Table, TableRows},
    texts::TextIds,
    windows::Windows,
};
use crate::{
    counters::Counters,
    format::{
        BlockParser, Columns, Conventions, LineParser, Reason, Rejected, Rejection, Unwrapper, add_reasons,
    },
};

/// The number of bytes that are kept of a rejected line.
const SAMPLE_BYTES_MAX: usize = 1024;
/// A statistic is cut early once its keys have this many bytes: clients choose how long keys are, and a batch must fit
/// a frame of the binlog.
const KEY_BYTES_MAX: usize = 128 << 20;
/// The number of rejected lines that a worker keeps between two cuts. Further ones are only counted: if the log has
/// another format than the one named, every line is rejected, and they must not fill memory.
const SAMPLES_MAX: usize = 1000;

/// A line whose time is ahead of the clock by more than this is reported. A day covers clocks without a time zone.
const AHEAD_SECONDS: i64 = 86_400;

/// A line that was not counted, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RejectedLine {
    /// The number of its file.
    pub(crate) file: u64,
    /// The offset of the line in the file.
    pub(crate) offset: u64,
    /// The reason and the column.
    pub(crate) rejection: Rejection,
    /// The first bytes of the line.
    pub(crate) sample: Vec<u8>,
}

/// The counters of a worker since the last cut, and the lines that it rejected. It counts no lost bytes: the reader does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// The counters.
    pub(crate) counters: Counters,
    /// The fields that some line had and none before the last cut, by their indices in the plan. Only those are told that may
    /// have mistaken names: see [`Plan::doubtful`].
    pub(crate) found: Vec<usize>,
    /// By statistic, the lines that its condition selected; empty if no statistic has one.
    pub(crate) selected: Vec<u64>,
    /// By statistic, the lines that were too late; empty if none was.
    pub(crate) too_late: Vec<u64>,
    /// The time of the last accepted line.
    pub(crate) last_seconds: Option<i64>,
    /// The rejected lines by reason.
    pub(crate) rejections: Vec<(Reason, u64)>,
    /// The first rejected lines, at most [`SAMPLES_MAX`] of each worker.
    pub(crate) samples: Vec<RejectedLine>,
}

impl Tally {
    /// Adds the tally of another worker, except its last time.
    pub(crate) fn add(&mut self, other: Self) {
        self.counters += other.counters;
        self.too_late.resize(self.too_late.len().max(other.too_late.len()), 0);
        self.too_late.iter_mut().zip(other.too_late).for_each(|(lines, others)| *lines += others);
        self.selected.resize(self.selected.len().max(other.selected.len()), 0);
        self.selected.iter_mut().zip(other.selected).for_each(|(lines, others)| *lines += others);
        add_reasons(&mut self.rejections, &other.rejections);
        self.samples.extend(other.samples);
        self.found.extend(other.found);
    }
}

/// The part of a cut that one worker hands over: the rows of the statistics that are cut, and its tally.
///
/// All workers hand over their parts at the same position of the log. The committer merges the rows when it has them
/// all.
#[derive(Debug)]
pub(crate) struct Part {
    /// The rows of each statistic, in the order in which the cut named the statistics. They may be several tables.
    pub(crate) rows: Vec<Vec<TableRows>>,
    /// The counters since the cut before.
    pub(crate) tally: Tally,
}

/// The statistics that have counted a chunk before. After a restart, some are ahead of others.
///
/// If `requests` was cut at offset 5000 and `clients` at 3000, for example, reading starts at 3000, and chunks up to
/// 5000 are counted in `clients` alone. The tailer ends a chunk at each of these offsets, so a statistic has counted
/// all of a chunk or nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    /// By statistic, true if it has counted the chunk.
    pub(crate) statistics: Vec<bool>,
    /// True if the tally has counted the chunk before, too: its lines, bytes and rejected lines.
    pub(crate) tally: bool,
    /// True if the chunk is of an older file, which is read for new statistics alone. Its times say nothing about how
    /// far the source has read.
    pub(crate) is_older: bool,
}

/// Parses and aggregates chunks into tables of its own.
///
/// It takes some hundred lines at a time through these steps, column by column:
///
/// 1. The parser reads the lines into columns of fields and numbers.
/// 2. The dictionaries turn the values of each field into ids, once for all statistics that use the field. Derived texts get
///    theirs by the ids of their inputs.
/// 3. Each condition selects lines by ids. Keys that only these lines need get their ids now.
/// 4. Each statistic finds the rows of its lines by their windows and ids.
/// 5. Each statistic adds its measures to these rows.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The fields, numbers and statistics.
    plan: Plan,
    /// Takes lines out of their container, if the format has one.
    container: Option<Box<Unwrapper>>,
    /// The parser of blocks.
    parser: BlockParser,
    /// The fields that may have mistaken names, as long as no line has had them.
    sought: Vec<usize>,
    /// True if the first bytes of rejected lines are kept.
    keep_samples: bool,
    /// The current time in seconds since 1970, which decides what is past its retention.
    now: i64,
    /// By statistic, its table.
    tables: Vec<Table>,
    /// By statistic, the rows that were put aside because a dictionary of their ids was reset. They keep its old texts.
    rows_aside: Vec<Vec<TableRows>>,
    /// The texts of the lines that are being counted, as ids.
    texts: TextIds,
    /// The lines among them that each condition selects.
    selections: Selections,
    /// True if lines may be rejected after they were read.
    judges: bool,
    /// The counters since the last cut.
    tally: Tally,
    /// By statistic, the index of its windows in `windows`. Statistics with the same length and retention share them.
    windows_of: Vec<usize>,
    /// The lines that are being counted, by column.
    // Used again for every block of lines:
    columns: Columns,
    /// The windows of these lines, for each length and retention.
    windows: Vec<Windows>,
}

impl Worker {
    /// A worker with empty tables. Statistics of the same window length and retention share their windows.
    pub(crate) fn new(plan: Plan, parser: LineParser, keep_samples: bool) -> Self {
        let table = |statistic: &StatisticPlan| {
            Table::new(statistic.keys.len(), statistic.kinds.clone(), statistic.top)
        };
        let mut windows: Vec<Windows> = Vec::new();
        let mut windows_of = Vec::new();
        for statistic in &plan.statistics {
            let known = windows.iter().position(|windows| windows.are_of(statistic));
            windows_of.push(known.unwrap_or_else(|| {
                windows.push(Windows::new(statistic));
                windows.len() - 1
            }));
        }
        let conventions = Conventions::of(&parser);
        let judges = plan.judges();
        let mut columns = Columns::new(plan.fields.len(), plan.numbers.len());
        if judges {
            columns.keep_starts();
        }
        Self {
            tables: plan.statistics.iter().map(table).collect(),
            rows_aside: vec![Vec::new(); plan.statistics.len()],
            texts: TextIds::new(&plan, conventions),
            selections: Selections::new(&plan, conventions),
            judges,
            container: parser.unwrapper(),
            sought: plan.doubtful(&parser),
            parser: BlockParser::new(parser, plan.numbers.clone(), plan.limits.clone()),
            columns,
            keep_samples,
            now: i64::MIN,
            tally: Tally::default(),
            windows_of,
            windows,
            plan,
        }
    }

    /// Sets the current time, in seconds since 1970.
    ///
    /// It decides which windows are past their retention, which lines are ahead of the clock, and of which year a time without
    /// one is. So it is set before each chunk.
    pub(crate) fn set_now(&mut self, now: i64) {
        self.now = now;
        self.parser.set_now(now);
        if self.plan.rejects_ahead {
            self.parser.set_latest(now.saturating_add(AHEAD_SECONDS));
        }
    }

    /// Sets the path of the log that has the next lines.
    pub(crate) fn set_log(&mut self, path: &str) {
        self.texts.set_log(path);
    }

    /// Tells the lines before the next block without which it cannot be read, if the log has such lines: see
    /// [`Chunk::preamble`](crate::tail::Chunk::preamble).
    pub(crate) fn set_preamble(&mut self, lines: Option<&[u8]>) {
        match &mut self.container {
            Some(container) => container.set_pieces(lines),
            None => self.parser.set_directive(lines),
        }
    }

    /// Counts all lines of `block`, and returns their number. It begins at offset `start` of file number `file`, and
    /// ends after a whole line.
    pub(crate) fn lines(&mut self, block: &[u8], file: u64, start: u64, skip: Option<&Skip>) -> u64 {
        let lines = match self.container.take() {
            None => self.read(
                block,
                skip,
                |line| start + u64::from(line),
                |worker, rejected| {
                    worker.reject(&rejected, (file, start), &block[rejected.start..rejected.end], skip);
                },
            ),
            Some(mut container) => {
                container.unwrap(block);
                let position = |line: u32| start + container.start_of(line as usize) as u64;
                let lines = self.read(container.text(), skip, position, |worker, rejected| {
                    let (rejected, line) = container.origin(block, &rejected);
                    worker.reject(&rejected, (file, start), line, skip);
                });
                for rejected in container.rejected() {
                    self.reject(rejected, (file, start), &block[rejected.start..rejected.end], skip);
                }
                let rejected = container.rejected().len() as u64;
                self.container = Some(container);
                lines + rejected
            }
        };
        if !skip.is_some_and(|skip| skip.tally) {
            self.tally.counters.lines += lines;
            self.tally.counters.bytes += block.len() as u64;
        }
        lines
    }

    /// Counts all lines of `block`, and returns their number. `position` tells the offset in the file of a line, by that in the
    /// block, and `reject` is called for those that are rejected.
    fn read(
        &mut self,
        block: &[u8],
        skip: Option<&Skip>,
        position: impl Fn(u32) -> u64,
        reject: impl Fn(&mut Self, Rejected),
    ) -> u64 {
        let mut lines = 0;
        self.parser.begin(block);
        while self.parser.read(block, &mut self.columns) {
            lines += self.columns.lines as u64;
            self.note_found();
            self.derive(block, &position);
            self.add(skip);
            for rejected in std::mem::take(&mut self.columns.rejected) {
                reject(self, rejected);
            }
        }
        lines
    }

    /// Notes the fields that lines have for the first time.
    fn note_found(&mut self) {
        let Self { sought, columns, tally, .. } = self;
        sought.retain(|field| {
            let is_found = columns.have(*field);
            tally.found.extend(is_found.then_some(*field));
            !is_found
        });
    }

    /// Rejects a line that is too long to be read. `head` is its beginning.
    pub(crate) fn oversized(&mut self, head: &[u8], file: u64, start: u64, len: u64, skip: Option<&Skip>) {
        let rejection = Rejection { reason: Reason::LineTooLong, column: 1 };
        self.reject(&Rejected { start: 0, end: head.len(), rejection }, (file, start), head, skip);
        if !skip.is_some_and(|skip| skip.tally) {
            self.tally.counters.lines += 1;
            self.tally.counters.bytes += len;
        }
    }

    /// Hands over the rows of `statistics` and the tally, and starts both over.
    pub(crate) fn cut(&mut self, statistics: &[usize]) -> Part {
        let part = Part {
            rows: statistics.iter().map(|&at| self.take_rows(at)).collect(),
            tally: std::mem::take(&mut self.tally),
        };
        for text in 0..self.texts.dictionaries.len() {
            let is_used =
                |at: usize| self.plan.statistics[at].keys.contains(&text) && self.tables[at].len() > 0;
            if self.texts.dictionaries[text].is_large() && !(0..self.tables.len()).any(is_used) {
                self.reset_dictionary(text);
            }
        }
        part
    }

    /// The counters since the last cut.
    pub(crate) fn counters(&self) -> Counters {
        self.tally.counters
    }

    /// The time of the last line that was accepted since the last cut.
    pub(crate) fn last_seconds(&self) -> Option<i64> {
        self.tally.last_seconds
    }

    /// The number of rows held, by statistic.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> {
        (0..self.tables.len()).map(|at| self.rows_of(at))
    }

    /// The number of joined ids held, over all statistics.
    #[cfg(test)]
    pub(super) fn joined(&self) -> usize {
        self.tables.iter().map(Table::joined_len).sum()
    }

    /// The statistics that have reached this worker's share of their row limit or of [`KEY_BYTES_MAX`]. The share is
    /// one in `workers`.
    pub(crate) fn full(&self, workers: usize) -> impl Iterator<Item = usize> {
        let key_bytes = |at: usize| {
            self.tables[at].key_bytes() + self.rows_aside[at].iter().map(|rows| rows.key_bytes).sum::<usize>()
        };
        (0..self.tables.len()).filter(move |&at| {
            let rows_max = self.plan.statistics[at].rows_max;
            self.rows_of(at) * workers >= rows_max || key_bytes(at) * workers >= KEY_BYTES_MAX
        })
    }

    /// The rows of a statistic, with those put aside. A row that is in several tables takes the memory of several, and
    /// is counted so.
    fn rows_of(&self, statistic: usize) -> usize {
        self.tables[statistic].len() + self.rows_aside[statistic].iter().map(TableRows::len).sum::<usize>()
    }

    /// Finds the ids of the lines in the columns, and what the conditions say of them, and rejects the lines that fail a check.
    ///
    /// The order matters: a full dictionary is reset before ids are found, never between finding ids and rows, because
    /// a reset makes all ids meaningless.
    fn derive(&mut self, block: &[u8], position: impl Fn(u32) -> u64) {
        for text in 0..self.texts.dictionaries.len() {
            if self.texts.dictionaries[text].is_full() {
                self.put_aside_and_reset(text);
            }
        }
        loop {
            let Self { texts, selections, columns, plan, .. } = self;
            texts.find(block, columns);
            let position = |line: usize| position(columns.starts[line]);
            selections.find(&texts.dictionaries, &texts.ids, columns.len(), position);
            texts.find_selected(block, columns, &selections.selected);
            if !self.judges {
                return;
            }
            let Some(reasons) = judge::rejections(plan, texts, &selections.selected, columns, block) else {
                return;
            };
            // Few lines are rejected, so the others simply start over.
            columns.reject(block, &reasons);
        }
    }

    /// Adds the lines of the columns to all statistics that have not counted them before.
    fn add(&mut self, skip: Option<&Skip>) {
        let columns = &self.columns;
        for windows in &mut self.windows {
            windows.find(&columns.seconds, self.now);
        }
        let latest = self.now.saturating_add(AHEAD_SECONDS);
        let may_be_ahead =
            |windows: &Windows| windows.starts.iter().any(|start| start + windows.seconds > latest);
        let mut ahead = 0;
        if self.windows.iter().any(may_be_ahead) {
            ahead = columns.seconds.iter().filter(|seconds| **seconds > latest).count() as u64;
        }
        let Self { plan, columns, texts, selections, windows, windows_of, tables, tally, .. } = self;
        // Lines that are read again for a statistic that is behind were tallied before.
        let is_tallied = skip.is_some_and(|skip| skip.tally);
        let is_older = skip.is_some_and(|skip| skip.is_older);
        let (mut keys, mut numbers) = (Vec::new(), Vec::new());
        for (at, statistic) in plan.statistics.iter().enumerate() {
            if skip.is_some_and(|skip| skip.statistics[at]) {
                continue;
            }
            let selected = statistic.only.map(|tree| &selections.selected[tree]);
            let windows = &windows[windows_of[at]];
            if is_older || !is_tallied {
                let late =
                    selected.map_or(windows.late_lines, |selected| windows.late_among(&selected.lines));
                if late > 0 {
                    tally.counters.too_late += late;
                    tally.too_late.resize(plan.statistics.len(), 0);
                    tally.too_late[at] += late;
                }
                if let Some(selected) = selected {
                    tally.selected.resize(plan.statistics.len(), 0);
                    tally.selected[at] += selected.lines.len() as u64;
                }
            }
            let lines = match selected {
                Some(selected) if selected.lines.is_empty() => continue,
                Some(selected) if !selected.is_all() => Lines::Some(&selected.lines),
                _ => Lines::All,
            };
            keys.clear();
            keys.extend(statistic.keys.iter().map(|&text| (&texts.dictionaries[text], &texts.ids[text][..])));
            numbers.clear();
            numbers.extend(statistic.numbers.iter().map(|number| match number {
                None => None,
                Some(NumberAt::Field(at)) => Some(&columns.numbers[*at]),
                Some(NumberAt::Derived(at)) => Some(&texts.numbers[*at].column),
            }));
            tables[at].add(windows, &keys, &numbers, lines);
        }
        if columns.last_seconds.is_some() && !is_older {
            tally.last_seconds = columns.last_seconds;
        }
        if !is_tallied {
            tally.counters.ahead += ahead;
            tally.counters.bad_values += judge::bad_values(plan, texts, &selections.selected, columns);
        }
    }

    /// Counts a rejected line of a block that begins at an offset of a file, and keeps its first bytes if the log of rejected
    /// lines wants them.
    #[cold]
    fn reject(&mut self, rejected: &Rejected, (file, block): (u64, u64), line: &[u8], skip: Option<&Skip>) {
        if skip.is_some_and(|skip| skip.tally) {
            return;
        }
        self.tally.counters.rejected += 1;
        add_reasons(&mut self.tally.rejections, &[(rejected.rejection.reason, 1)]);
        if self.tally.samples.len() < SAMPLES_MAX {
            let kept = if self.keep_samples { line.len().min(SAMPLE_BYTES_MAX) } else { 0 };
            let sample = line[..kept].to_vec();
            let (offset, rejection) = (block + rejected.start as u64, rejected.rejection);
            self.tally.samples.push(RejectedLine { file, offset, rejection, sample });
        }
    }
}
