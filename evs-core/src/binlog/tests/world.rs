//! A binlog on a simulated disk, and beside it a simple model of its contents. Each step is applied to both.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::super::{
    Binlog, BinlogError, BinlogOptions, Commit, Counters, Cut, Ledger, Recovery, RejectedLine, RejectsMark,
};
use crate::{
    batch::{Batch, Epoch, Rows},
    disk::SimDisk,
    position::{
        Digest, FileMark, Fingerprint, Frontier, InventoryChange, KnownFile, OlderFiles, OlderPosition,
        Standing,
    },
    statistic::{KeyColumn, MeasureColumn, MeasureKind, Schema},
};

pub(super) const SOURCE: &str = "ads-web1";
pub(super) const EPOCH: Epoch = Epoch::from_bytes([0x5A; 16]);
pub(super) const STATISTICS: [&str; 2] = ["hits", "sales"];
pub(super) const SINKS: [&str; 2] = ["reports", "archive"];
/// Segments so small that nearly every commit begins a new one.
pub(super) const SMALL: BinlogOptions =
    BinlogOptions { segment_bytes_max: 3000, keep_acknowledged: std::time::Duration::ZERO };

/// Segments with room for a few commits.
pub(super) const MEDIUM: BinlogOptions = BinlogOptions { segment_bytes_max: 6000, ..SMALL };

pub(super) fn schema(statistic: &str, keys: usize) -> Arc<Schema> {
    let key = |at| KeyColumn { name: format!("key{at}"), field: format!("arg_{at}") };
    let (name, field) = ("count".to_owned(), String::new());
    let measures = vec![MeasureColumn::new(name, MeasureKind::Count, field, 0)];
    Arc::new(Schema::new(statistic, 60, (0..keys).map(key).collect(), measures))
}

pub(super) fn frontier(offset: u64) -> Arc<Frontier> {
    let mark = FileMark {
        number: 1,
        start: 0,
        offset,
        size: offset + 10,
        device: 2,
        inode: 3,
        modified: 1_780_000_000,
        head: Digest::of(b"head"),
        tail: Digest::of(&offset.to_le_bytes()),
        is_rotated: false,
        path: "/var/log/access.log".to_owned(),
        log: None,
    };
    Arc::new(Frontier::new(vec![mark]))
}

/// Returns a frontier like [`frontier`], in which the fields of version 2 are set, too.
fn newer_frontier(offset: u64) -> Arc<Frontier> {
    let mut frontier = Frontier::clone(&frontier(offset));
    (frontier.files[0].start, frontier.files[0].is_rotated) = (7, true);
    Arc::new(frontier)
}

/// Makes a known file that differs for each salt. Over several ids, each standing and each optional field occurs.
pub(super) fn known_file(id: u64, salt: u64) -> Arc<KnownFile> {
    let print =
        |len: u64| Fingerprint { len, head: Digest::of(b"head"), tail: Digest::of(&len.to_le_bytes()) };
    Arc::new(KnownFile {
        id,
        standing: [Standing::Unread, Standing::Finished, Standing::Foreign][(id % 3) as usize],
        head: Digest::of(b"head"),
        content: id.is_multiple_of(2).then(|| print(id * 1000)),
        packed: (id % 4 < 2).then(|| print(id * 10)),
        beginning_of: id.is_multiple_of(3).then_some(id * 100),
        path: format!("/var/log/access.log.{id}-{salt}"),
        log: None,
    })
}

/// Makes rows that differ for each salt.
pub(super) fn rows(keys: usize, len: usize, salt: u64) -> Rows {
    let mut rows = Rows::new(keys, 1);
    for row in 0..len {
        let text = format!("{salt}-{}", (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt);
        rows.push(row as i64 * 60, (0..keys).map(|_| text.as_bytes()), &[Some(i128::from(salt))]);
    }
    rows
}

/// Splits rows into pieces of `len` rows.
pub(super) fn pieces(rows: &Rows, len: usize) -> Vec<Rows> {
    let mut pieces: Vec<Rows> = Vec::new();
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        if pieces.last().is_none_or(|piece| piece.len() == len) {
            pieces.push(Rows::new(rows.key_columns(), rows.measure_columns()));
        }
        let Some(piece) = pieces.last_mut() else { unreachable!("there is one") };
        piece.push(row.window_start, row.keys.iter().copied(), row.values);
    }
    pieces
}

pub(super) fn open(disk: &SimDisk, options: BinlogOptions) -> Result<(Binlog, Recovery), BinlogError> {
    Binlog::open_as(Arc::new(disk.clone()), SOURCE, options, || EPOCH)
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Commits rows for each of [`STATISTICS`]. `None` leaves a statistic out; 0 moves it on without a batch.
    Commit([Option<usize>; 2]),
    /// Commits like [`Step::Commit`], with a change of the files.
    CommitFiles([Option<usize>; 2], FilesStep),
    /// Gives the first statistic another schema.
    Redefine,
    /// Registers a sink that begins after the present batches.
    Register(usize),
    /// Registers a sink again, with one batch less than it had.
    ComeBack(usize),
    /// A sink acknowledges all batches of one statistic.
    Acknowledge(usize, usize),
    Forget(usize),
    /// Gives a sink the name of the other one, if only the first is registered.
    Rename(usize),
    /// Gives up the next batch of one statistic for a sink, if there is one.
    Discard(usize, usize),
    Retain,
    Sync,
    Reopen,
}

/// A change of the inventory by a commit. The newest file that stays is replaced by another one with the same id, so
/// the change is empty only if no file is known and none is found.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilesStep {
    /// The number of oldest files that are forgotten.
    pub(super) forgotten: usize,
    /// The number of new files.
    pub(super) found: u64,
}

type Files = BTreeMap<u64, Arc<KnownFile>>;

/// The binlog and the model: everything that is known for certain.
pub(super) struct World {
    pub(super) disk: SimDisk,
    pub(super) options: BinlogOptions,
    pub(super) binlog: Option<Binlog>,
    /// Batches whose commit has returned, or that were there after a recovery; by sequence from 1 on.
    certain: BTreeMap<&'static str, Vec<Batch>>,
    commits: u64,
    /// The inventory as of the last commit that changed it.
    files: Option<Files>,
    /// The commit that is under way.
    pending: Option<Pending>,
    /// The batches that were given up for certain, each with its sink and statistic.
    discards: Vec<(usize, usize, u64)>,
    /// The sequences up to which batches may be gone: every sink has acknowledged them.
    may_be_gone: BTreeMap<&'static str, u64>,
    keys: usize,
    /// A number that makes the rows of every attempt different.
    salt: u64,
    /// The number of rows in a batch; a cut with more rows becomes several batches.
    pub(super) piece_rows: usize,
}

/// A commit that may or may not be in the binlog.
struct Pending {
    batches: Vec<(usize, Batch)>,
    /// The inventory after this commit.
    files: Option<Files>,
}

impl World {
    pub(super) fn new(options: BinlogOptions) -> Self {
        Self {
            disk: SimDisk::new(),
            options,
            binlog: None,
            certain: STATISTICS.map(|statistic| (statistic, Vec::new())).into(),
            commits: 0,
            files: None,
            pending: None,
            discards: Vec::new(),
            may_be_gone: BTreeMap::new(),
            keys: 1,
            salt: 0,
            piece_rows: usize::MAX,
        }
    }

    /// Opens the binlog if it is not open, and takes the step.
    pub(super) fn step(&mut self, step: Step) -> Result<(), BinlogError> {
        if self.binlog.is_none() {
            self.recover()?;
        }
        let last: Vec<u64> = STATISTICS.iter().map(|name| self.certain[name].len() as u64).collect();
        let Some(binlog) = &mut self.binlog else { unreachable!("it was opened") };
        match step {
            Step::Commit(rows) => return self.commit(rows, None),
            Step::CommitFiles(rows, files) => return self.commit(rows, Some(files)),
            Step::Redefine => self.keys = 3 - self.keys,
            Step::Register(sink) => {
                for (statistic, last) in STATISTICS.iter().zip(last) {
                    binlog.register_sink(SINKS[sink], statistic, last)?;
                }
            }
            Step::ComeBack(sink) => {
                let mark = binlog.acknowledged_by(SINKS[sink], STATISTICS[0]);
                if let Some(earlier) = mark.and_then(|mark| mark.checked_sub(1)) {
                    match binlog.register_sink(SINKS[sink], STATISTICS[0], earlier) {
                        Err(BinlogError::Gone { .. }) => {}
                        result => result?,
                    }
                }
            }
            Step::Acknowledge(sink, statistic) => {
                if binlog.acknowledged_by(SINKS[sink], STATISTICS[statistic]).is_some() {
                    binlog.acknowledge(SINKS[sink], STATISTICS[statistic], last[statistic])?;
                }
            }
            Step::Forget(sink) => {
                // This comes before the call, which may fail after the sink was forgotten.
                self.discards.retain(|(known, ..)| *known != sink);
                binlog.forget_sink(SINKS[sink])?;
            }
            Step::Rename(sink) => {
                let is_registered = |name: &str| binlog.state().sinks.contains_key(name);
                if is_registered(SINKS[sink]) && !is_registered(SINKS[1 - sink]) {
                    binlog.rename_sink(SINKS[sink], SINKS[1 - sink])?;
                }
            }
            Step::Discard(sink, statistic) => {
                let next = binlog.acknowledged_by(SINKS[sink], STATISTICS[statistic]).map(|last| last + 1);
                if let Some(next) = next.filter(|next| *next <= last[statistic]) {
                    binlog.discard(SINKS[sink], STATISTICS[statistic], next, 1)?;
                    self.discards.push((sink, statistic, next));
                }
            }
            Step::Retain => {
                // This comes before the call, which may fail after some segments are removed.
                for statistic in STATISTICS {
                    let mark = self.may_be_gone.entry(statistic).or_default();
                    *mark = (*mark).max(binlog.state().acknowledged(statistic));
                }
                binlog.retain(Instant::now(), u64::MAX)?;
            }
            Step::Sync => binlog.sync()?,
            Step::Reopen => {
                self.binlog = None;
                self.recover()?;
            }
        }
        Ok(())
    }

    fn commit(&mut self, rows_of: [Option<usize>; 2], files: Option<FilesStep>) -> Result<(), BinlogError> {
        self.salt += 1;
        let change = files.map(|files| self.change(files));
        let files_after = self.files_after(change.as_ref());
        let Some(binlog) = &mut self.binlog else { unreachable!("it was opened") };
        let newer_or_not = if change.is_some() { newer_frontier } else { frontier };
        let common = newer_or_not((self.commits + 1) * 1000 + self.salt);
        let is_newer = change.is_some();
        let mut commit = Commit { ledger: ledger(self.commits + 1), files: change, ..Commit::default() };
        let line = RejectedLine {
            file: 1,
            offset: self.salt,
            column: 7,
            reason: "no closing quote".to_owned(),
            sample: b"\xFF\\\0\"".to_vec(),
        };
        commit.rejected = Arc::new([line]);
        let mut batches = Vec::new();
        for (at, len) in rows_of.into_iter().enumerate().filter_map(|(at, len)| Some((at, len?))) {
            let keys = if at == 0 { self.keys } else { 1 };
            let schema = schema(STATISTICS[at], keys);
            let known = binlog.state().statistics.get(STATISTICS[at]);
            let from = known.map_or_else(|| frontier(5), |known| Arc::clone(&known.to));
            // A new statistic has older files, in version 2.
            let has_older = is_newer && known.is_none();
            let older: OlderFiles = has_older.then(|| known_file(7, self.salt)).into_iter().collect();
            let position = has_older.then_some(OlderPosition { file: 0, offset: self.salt });
            let to = Arc::new(Frontier::clone(&common).with_older(position));
            let pieces = pieces(&rows(keys, len, self.salt), self.piece_rows);
            let before = &self.certain[STATISTICS[at]];
            let (mut sequence, mut predecessor) =
                (before.len() as u64, before.last().map_or(0, Batch::checksum));
            let mut begin = Arc::clone(&from);
            for (piece, rows) in pieces.iter().enumerate() {
                sequence += 1;
                let is_last = piece + 1 == pieces.len();
                let batch = Batch {
                    source: SOURCE.into(),
                    epoch: EPOCH,
                    schema: Arc::clone(&schema),
                    sequence,
                    predecessor,
                    from: begin,
                    to: if is_last { Arc::clone(&to) } else { Arc::default() },
                    rows: rows.clone(),
                    writer: None,
                    cut_checksum: None,
                };
                let batch = Batch { cut_checksum: Some(batch.checksum()), ..batch };
                (begin, predecessor) = (Arc::clone(&batch.to), batch.checksum());
                batches.push((at, batch));
            }
            commit.cuts.push(Cut { schema, from, to: Arc::clone(&to), rows: pieces, older });
        }
        self.pending = Some(Pending { batches, files: files_after });
        let mut result = binlog.commit(&commit);
        if result.as_ref().is_err_and(BinlogError::is_disk_full) {
            // There is room again, so the same commit must succeed.
            result = binlog.commit(&commit);
        }
        if result.is_ok() {
            self.settle();
        }
        result
    }

    fn change(&self, step: FilesStep) -> InventoryChange {
        let ids: Vec<u64> = self.files.iter().flatten().map(|(id, _)| *id).collect();
        let (removed, kept) = ids.split_at(step.forgotten.min(ids.len()));
        let next = ids.last().map_or(1, |last| last + 1);
        let added = kept.last().copied().into_iter().chain(next..next + step.found);
        InventoryChange {
            removed: removed.to_vec(),
            added: added.map(|id| known_file(id, self.salt)).collect(),
        }
    }

    fn files_after(&self, change: Option<&InventoryChange>) -> Option<Files> {
        let Some(change) = change else { return self.files.clone() };
        let mut files = self.files.clone().unwrap_or_default();
        files.retain(|id, _| !change.removed.contains(id));
        files.extend(change.added.iter().map(|file| (file.id, Arc::clone(file))));
        Some(files)
    }

    /// Marks the pending commit as certain.
    fn settle(&mut self) {
        let Some(Pending { batches, files }) = self.pending.take() else { unreachable!("it was begun") };
        for (at, batch) in batches {
            self.certain.get_mut(STATISTICS[at]).unwrap().push(batch);
        }
        self.files = files;
        self.commits += 1;
    }

    /// Opens the binlog and compares it with the model.
    pub(super) fn recover(&mut self) -> Result<(), BinlogError> {
        let (binlog, recovery) = open(&self.disk, self.options)?;
        let found = binlog.state().ledger.totals.lines;
        if found == self.commits + 1 && self.pending.is_some() {
            self.settle();
        }
        self.pending = None;
        assert_eq!(found, self.commits, "commits in the binlog; {recovery:?}");
        assert!(!recovery.created || self.commits == 0, "a binlog was made anew");
        self.check(&binlog)?;
        self.binlog = Some(binlog);
        Ok(())
    }

    /// Checks that every batch which must be there is there and is the one that was committed.
    fn check(&self, binlog: &Binlog) -> Result<(), BinlogError> {
        assert_eq!(binlog.state().ledger.frontier, ledger(self.commits).frontier);
        assert_eq!(binlog.state().rejected.len(), usize::from(self.commits > 0));
        let files = binlog.state().files.as_ref().map(|files| files.files().collect::<Vec<_>>());
        assert_eq!(files, self.files.as_ref().map(|files| files.values().collect()));
        for (sink, statistic, sequence) in &self.discards {
            // The sink may have the name of the other one by now.
            let is_given_up = [*sink, 1 - *sink].iter().any(|sink| {
                let known = binlog.state().sinks.get(SINKS[*sink]);
                let known = known.and_then(|statistics| statistics.get(STATISTICS[*statistic]));
                known.is_some_and(|known| known.discarded.contains(*sequence))
            });
            assert!(is_given_up, "batch {sequence} of {} for {}", STATISTICS[*statistic], SINKS[*sink]);
        }
        let reader = binlog.reader();
        for (statistic, batches) in &self.certain {
            let last = batches.len() as u64;
            let gone = self.may_be_gone.get(statistic).copied().unwrap_or(0);
            let known = binlog.state().statistics.get(*statistic);
            assert_eq!(known.map_or(0, |known| known.sequence), last, "{statistic}");
            assert_eq!(reader.last_sequence(statistic), last, "{statistic}");
            assert_eq!(reader.batch(statistic, last + 1)?, None);
            let first = reader.first_sequence(statistic).unwrap_or(last + 1);
            assert!(first <= gone + 1, "{statistic} begins with {first}, {gone} may be gone");
            for (sequence, expected) in (1..).zip(batches) {
                let found = reader.batch(statistic, sequence)?;
                assert_eq!(found.is_some(), sequence >= first, "{statistic} {sequence}");
                if let Some(found) = found {
                    assert_eq!(&found, expected);
                    assert_eq!(found.checksum(), expected.checksum());
                }
            }
        }
        Ok(())
    }
}

pub(super) fn ledger(commits: u64) -> Ledger {
    if commits == 0 {
        return Ledger::default();
    }
    Ledger {
        frontier: frontier(commits * 1000),
        totals: Counters {
            lines: commits,
            bytes: commits * 100,
            rejected: commits,
            lost_bytes: 0,
            too_late: commits / 4,
            ahead: commits / 8,
            bad_values: commits / 9,
        },
        rejects: RejectsMark { file: 1, bytes: commits * 10 },
        time: commits.is_multiple_of(2).then_some(1_795_000_000 + commits as i64),
    }
}
