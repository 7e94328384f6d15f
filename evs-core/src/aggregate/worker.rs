use memchr::memchr;

use super::{
    plan::{Plan, StatisticPlan},
    table::{RowKey, Table},
};
use crate::{
    format::{LineParser, Reason, Record, Rejection},
    number::{decimal, decimal_list},
    statistic::MeasureKind,
};

/// How many bytes of a rejected line are kept.
const SAMPLE_BYTES_MAX: usize = 1024;
/// How many bytes of keys a statistic holds before it is cut early: clients choose how long keys are, and a
/// batch has to fit a frame of the binlog.
const KEY_BYTES_MAX: usize = 128 << 20;
/// How many rejected lines a worker keeps between two cuts. Those beyond are counted only: a log in another
/// format than the one named rejects every line, and must not fill memory.
const SAMPLES_MAX: usize = 1000;

/// A line that was not counted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RejectedLine {
    /// The number of its file.
    pub(crate) file: u64,
    /// Where the line starts in the file.
    pub(crate) offset: u64,
    pub(crate) rejection: Rejection,
    /// The line's first bytes.
    pub(crate) sample: Vec<u8>,
}

/// What a worker has seen since the last cut, beside the rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) seen: Seen,
    pub(crate) samples: Vec<RejectedLine>,
}

impl Tally {
    /// Adds what another worker has seen.
    pub(crate) fn add(&mut self, other: Self) {
        self.seen.lines += other.seen.lines;
        self.seen.bytes += other.seen.bytes;
        self.seen.rejected += other.seen.rejected;
        self.seen.too_late += other.seen.too_late;
        self.samples.extend(other.samples);
    }
}

/// How much a worker has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// All lines, rejected ones too.
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    pub(crate) rejected: u64,
    /// Lines left out of a statistic because their window is past its retention, once for each such statistic.
    pub(crate) too_late: u64,
    /// The event time of the last line that was accepted.
    pub(crate) last_seconds: Option<i64>,
}

/// What a worker hands over at a cut: the rows of the statistics that are cut, and its tally.
#[derive(Debug)]
pub(crate) struct Part {
    /// By statistic, in the order in which the cut named them.
    pub(crate) tables: Vec<Table>,
    pub(crate) tally: Tally,
}

/// Which statistics have counted a chunk before: those that are ahead after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) statistics: Vec<bool>,
    /// Whether the lines, bytes and rejected lines of the chunk have been counted, too.
    pub(crate) tally: bool,
}

/// Parses and aggregates chunks into tables of its own.
#[derive(Debug)]
pub(crate) struct Worker {
    plan: Plan,
    parser: LineParser,
    keep_samples: bool,
    tables: Vec<Table>,
    tally: Tally,
    // Used again for every line:
    record: Record,
    numbers: Vec<Option<i64>>,
    key: RowKey,
    windows: Windows,
}

impl Worker {
    pub(crate) fn new(plan: Plan, parser: LineParser, keep_samples: bool) -> Self {
        let table = |statistic: &StatisticPlan| Table::new(statistic.keys.len(), statistic.kinds.clone());
        Self {
            tables: plan.statistics.iter().map(table).collect(),
            windows: Windows::new(&plan.statistics),
            numbers: vec![None; plan.numbers.len()],
            plan,
            parser,
            keep_samples,
            tally: Tally::default(),
            record: Record::new(),
            key: RowKey::default(),
        }
    }

    /// Sets the time, in seconds since 1970, that retention is reckoned from.
    pub(crate) fn set_now(&mut self, now: i64) {
        if now != self.windows.now {
            self.windows.now = now;
            self.windows.compute(&self.plan.statistics);
        }
    }

    /// Counts all lines of `block`, which begins at `start` of file number `file` and ends behind a line.
    pub(crate) fn lines(&mut self, block: &[u8], file: u64, start: u64, skip: Option<&Skip>) {
        let counted = !skip.is_some_and(|skip| skip.tally);
        let (mut at, mut lines) = (0, 0);
        while at < block.len() {
            let len = memchr(b'\n', &block[at..]).unwrap_or(block.len() - at);
            let line = &block[at..at + len];
            if let Err(rejection) = self.line(line, skip) {
                self.reject(rejection, file, start + at as u64, line, skip);
            }
            lines += 1;
            at += len + 1;
        }
        if counted {
            self.tally.seen.lines += lines;
            self.tally.seen.bytes += block.len() as u64;
        }
    }

    /// Rejects a line that is too long to be read, of which `head` is the beginning.
    pub(crate) fn oversized(&mut self, head: &[u8], file: u64, start: u64, len: u64, skip: Option<&Skip>) {
        let rejection = Rejection { reason: Reason::LineTooLong, column: 1 };
        self.reject(rejection, file, start, head, skip);
        if !skip.is_some_and(|skip| skip.tally) {
            self.tally.seen.lines += 1;
            self.tally.seen.bytes += len;
        }
    }

    /// Hands over the tables of `statistics` and the tally, and begins them anew.
    pub(crate) fn cut(&mut self, statistics: &[usize]) -> Part {
        Part {
            tables: statistics.iter().map(|&at| self.tables[at].take()).collect(),
            tally: std::mem::take(&mut self.tally),
        }
    }

    /// What was seen since the last cut.
    pub(crate) fn seen(&self) -> Seen {
        self.tally.seen
    }

    /// The rows held, over all statistics.
    pub(crate) fn rows(&self) -> usize {
        self.tables.iter().map(Table::len).sum()
    }

    /// The statistics that have reached this worker's share, one in `workers`, of their row limit or of
    /// [`KEY_BYTES_MAX`].
    pub(crate) fn full(&self, workers: usize) -> impl Iterator<Item = usize> {
        let full = move |table: &Table, statistic: &StatisticPlan| {
            table.len() * workers >= statistic.rows_max || table.key_bytes() * workers >= KEY_BYTES_MAX
        };
        let pairs = self.tables.iter().zip(&self.plan.statistics).enumerate();
        pairs.filter(move |(_, (table, statistic))| full(table, statistic)).map(|(at, _)| at)
    }

    #[inline]
    fn line(&mut self, line: &[u8], skip: Option<&Skip>) -> Result<(), Rejection> {
        self.parser.parse(line, &mut self.record)?;
        let Self { plan, record, numbers, key, windows, tables, .. } = self;
        for (value, number) in numbers.iter_mut().zip(&plan.numbers) {
            let text = record.field(number.field, line);
            let read = if number.is_list { decimal_list } else { decimal };
            *value = read(text, number.scale)
                .map_err(|error| Rejection { reason: error.into(), column: record.column(number.field) })?;
        }
        // From here on the line counts, in every statistic.
        windows.move_to(record.seconds(), &plan.statistics);
        let mut too_late = 0;
        for (at, (statistic, table)) in plan.statistics.iter().zip(tables).enumerate() {
            if skip.is_some_and(|skip| skip.statistics[at]) {
                continue;
            }
            if windows.are_past[at] {
                too_late += 1;
                continue;
            }
            key.begin(windows.starts[at]);
            let last = statistic.keys.len().wrapping_sub(1);
            for (at, &field) in statistic.keys.iter().enumerate() {
                key.push(record.field(field, line), at == last);
            }
            add(table.row(key.as_bytes()), statistic, numbers);
        }
        self.tally.seen.last_seconds = Some(self.record.seconds());
        // Read again for a statistic that is behind, it was tallied before.
        if too_late > 0 && !skip.is_some_and(|skip| skip.tally) {
            self.tally.seen.too_late += too_late;
        }
        Ok(())
    }

    #[cold]
    fn reject(&mut self, rejection: Rejection, file: u64, offset: u64, line: &[u8], skip: Option<&Skip>) {
        if skip.is_some_and(|skip| skip.tally) {
            return;
        }
        self.tally.seen.rejected += 1;
        if self.tally.samples.len() < SAMPLES_MAX {
            let kept = if self.keep_samples { line.len().min(SAMPLE_BYTES_MAX) } else { 0 };
            let sample = line[..kept].to_vec();
            self.tally.samples.push(RejectedLine { file, offset, rejection, sample });
        }
    }
}

/// Adds one line's numbers to its row. A line's value has 64 bits and a sum 128: no number of lines that
/// fits a disk can overflow it before the merge, which checks.
#[inline]
fn add(row: &mut [i128], statistic: &StatisticPlan, numbers: &[Option<i64>]) {
    for ((total, kind), &number) in row.iter_mut().zip(&*statistic.kinds).zip(&statistic.numbers) {
        if *kind == MeasureKind::Count {
            *total += 1;
            continue;
        }
        let Some(value) = numbers[number].map(i128::from) else {
            continue;
        };
        match kind {
            MeasureKind::Count => {}
            MeasureKind::Sum => *total += value,
            MeasureKind::Min => *total = value.min(*total),
            MeasureKind::Max => *total = value.max(*total),
        }
    }
}

/// Each statistic's window for the second that was looked at last: most lines share it with the one before.
#[derive(Debug)]
struct Windows {
    /// The time now, for retention.
    now: i64,
    seconds: i64,
    starts: Vec<i64>,
    /// Whether the statistic does not keep that window any more: counted anew, it would have a wrong total.
    are_past: Vec<bool>,
}

impl Windows {
    fn new(statistics: &[StatisticPlan]) -> Self {
        let len = statistics.len();
        let mut windows =
            Self { now: i64::MIN, seconds: 0, starts: vec![0; len], are_past: vec![false; len] };
        windows.compute(statistics);
        windows
    }

    #[inline]
    fn move_to(&mut self, seconds: i64, statistics: &[StatisticPlan]) {
        if seconds != self.seconds {
            self.seconds = seconds;
            self.compute(statistics);
        }
    }

    fn compute(&mut self, statistics: &[StatisticPlan]) {
        for (at, statistic) in statistics.iter().enumerate() {
            let start = self.seconds - self.seconds.rem_euclid(statistic.window_seconds);
            self.starts[at] = start;
            let kept = |seconds: i64| start.saturating_add(seconds) > self.now;
            self.are_past[at] = statistic.retain_seconds.is_some_and(|seconds| !kept(seconds));
        }
    }
}
