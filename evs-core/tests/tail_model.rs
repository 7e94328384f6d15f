//! Whatever happens to the log, every line is handed out once to each statistic.

#![allow(clippy::unwrap_used, reason = "a test")]

mod tail_support;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use evs_core::tail::{Begin, ChunkKind, Frontier, TailOptions, Tailer};
use proptest::prelude::*;
use tail_support::{GRACE, Log, append, compress, lost, pack, set_time};

#[derive(Clone, Debug)]
enum Op {
    /// Bytes of the current and further lines, which end anywhere.
    Write(u8),
    /// A whole line, longer than a chunk, perhaps than the limit.
    WriteLong(u16),
    /// A line into the file that was rotated last.
    WriteLate,
    /// With the last line ended, or not.
    Rotate(bool),
    Compress {
        generation: usize,
        zstd: bool,
    },
    /// A compressed file that is not complete, beside the plain one.
    CompressHalf,
    Read,
    /// Past the grace time.
    ReadLate,
    /// A statistic commits; the last one is that all of them do, and finished files retire.
    Commit(usize),
    Restart,
}

const STATISTICS: usize = 3;

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => any::<u8>().prop_map(Op::Write),
        1 => (0..900_u16).prop_map(Op::WriteLong),
        2 => Just(Op::WriteLate),
        3 => any::<bool>().prop_map(Op::Rotate),
        1 => (1..4_usize, any::<bool>()).prop_map(|(generation, zstd)| Op::Compress { generation, zstd }),
        1 => Just(Op::CompressHalf),
        6 => Just(Op::Read),
        1 => Just(Op::ReadLate),
        4 => (0..=STATISTICS).prop_map(Op::Commit),
        2 => Just(Op::Restart),
    ];
    proptest::collection::vec(op, 1..60)
}

fn chunk_bytes() -> impl Strategy<Value = u64> {
    prop_oneof![Just(16), Just(100), Just(4096)]
}

/// The writer of the log, and its rotator.
struct Writer {
    log: Log,
    /// What has been written, line by line, the unfinished one last.
    lines: Vec<String>,
    /// What of the last line is not yet written.
    rest: String,
    /// A file that may still be written to, after it was renamed.
    late: Option<PathBuf>,
    /// File times that tell any two operations from each other.
    clock: SystemTime,
}

impl Writer {
    fn put(&mut self, path: &Path, text: &str) {
        append(path, text);
        self.tick(path);
    }

    fn tick(&mut self, path: &Path) {
        self.clock += Duration::from_secs(1);
        set_time(path, self.clock);
    }

    fn write(&mut self, mut count: usize) {
        let mut text = String::new();
        while count > 0 {
            if self.rest.is_empty() {
                self.begin("");
            }
            let piece: String = self.rest.drain(..count.min(self.rest.len())).collect();
            count -= piece.len();
            text.push_str(&piece);
        }
        let path = self.log.path.clone();
        self.put(&path, &text);
    }

    fn begin(&mut self, filler: &str) {
        // Lines that are left after their first byte are to differ, too.
        let first = char::from(b'!' + (self.lines.len() % 90) as u8);
        let line = format!("{first}{} {filler}{}", self.lines.len(), "x".repeat(self.lines.len() % 7));
        self.rest = format!("{line}\n");
        self.lines.push(line);
    }

    /// Ends the current line, or leaves it as it is, to be taken as a line later.
    fn end_line(&mut self, properly: bool) {
        if properly {
            self.write(self.rest.len());
        } else if !self.rest.is_empty() {
            let missing = self.rest.len() - 1;
            let line = self.lines.last_mut().unwrap();
            line.truncate(line.len() - missing);
            self.rest.clear();
        }
    }

    fn write_late(&mut self) {
        if let Some(path) = self.late.clone().filter(|path| path.exists()) {
            let line = format!("late {}", self.lines.len());
            // Before the line that is not written to its end.
            let at = self.lines.len() - usize::from(!self.rest.is_empty());
            self.lines.insert(at, line.clone());
            self.put(&path, &format!("{line}\n"));
        }
    }

    fn shift(&mut self) {
        for generation in (1..200).rev() {
            for extension in ["", ".gz", ".zst"] {
                let from = self.log.sibling(&format!(".{generation}{extension}"));
                if from.exists() {
                    fs::rename(from, self.log.sibling(&format!(".{}{extension}", generation + 1))).unwrap();
                }
            }
        }
        self.late = None;
    }

    fn rotate(&mut self, properly: bool) {
        self.end_line(properly);
        self.shift();
        self.log.rotate(".1");
        let path = self.log.path.clone();
        self.tick(&path);
        self.late = properly.then(|| self.log.sibling(".1"));
    }

    fn copy_truncate(&mut self, properly: bool) {
        self.end_line(properly);
        self.shift();
        let copy = self.log.sibling(".1");
        fs::copy(&self.log.path, &copy).unwrap();
        self.tick(&copy);
        self.log.truncate();
        let path = self.log.path.clone();
        self.tick(&path);
    }

    fn compress(&mut self, generation: usize, zstd: bool) {
        let path = self.log.sibling(&format!(".{generation}"));
        if path.exists() {
            let _ = fs::remove_file(self.log.sibling(&format!(".{generation}.gz")));
            compress(&path, if zstd { "zst" } else { "gz" });
        }
    }

    fn compress_half(&mut self) {
        let path = self.log.sibling(".1");
        if path.exists() {
            let packed = pack(&fs::read(&path).unwrap(), "gz");
            fs::write(self.log.sibling(".1.gz"), &packed[..packed.len() / 2]).unwrap();
        }
    }
}

/// One statistic: what it has committed, and what it has read since.
#[derive(Clone, Default)]
struct Statistic {
    frontier: Frontier,
    committed: Vec<String>,
    read: Vec<String>,
}

struct Reader {
    tailer: Tailer,
    options: TailOptions,
    statistics: Vec<Statistic>,
    now: Instant,
}

impl Reader {
    fn read(&mut self) {
        self.tailer.poll(self.now).unwrap();
        let mut buffer = Vec::new();
        while let Some(chunk) = self.tailer.next_chunk().unwrap() {
            let bytes = chunk.read(&mut buffer).unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if chunk.kind == ChunkKind::Oversized {
                assert_eq!(lines.len(), 1);
                lines[0].truncate(12);
            }
            for statistic in &mut self.statistics {
                if !statistic.frontier.covers(chunk.number, chunk.end) {
                    statistic.read.extend(lines.iter().cloned());
                }
            }
        }
    }

    /// Like a real statistic, none commits a frontier that lies before its own.
    fn commit(&mut self, which: usize) {
        let all = which == STATISTICS;
        let frontier = self.tailer.frontier();
        for (index, statistic) in self.statistics.iter_mut().enumerate() {
            let is_behind = |mark: &evs_core::tail::FileMark| frontier.covers(mark.number, mark.offset);
            if (all || index == which) && statistic.frontier.files.iter().all(is_behind) {
                statistic.frontier = frontier.clone();
                let read = std::mem::take(&mut statistic.read);
                statistic.committed.extend(read);
            }
        }
        if all && self.statistics.iter().all(|statistic| statistic.frontier == frontier) {
            self.tailer.retire();
        }
    }

    fn restart(&mut self) {
        for statistic in &mut self.statistics {
            statistic.read.clear();
        }
        let frontiers: Vec<Frontier> =
            self.statistics.iter().map(|statistic| statistic.frontier.clone()).collect();
        self.tailer = Tailer::resume(self.options.clone(), &frontiers, self.now).unwrap();
    }
}

/// What is left of a line that is over the limit.
fn shorten(line: &str, limit: u64) -> String {
    if line.len() as u64 >= limit { line[..12].to_owned() } else { line.to_owned() }
}

/// A rotator renames, or copies and truncates; not now this and now that.
fn run(ops: Vec<Op>, is_copying: bool, chunk_bytes: u64) {
    let log = Log::new();
    File::create(&log.path).unwrap();
    let clock = SystemTime::now();
    let options = TailOptions { chunk_bytes, line_bytes_max: 300, begin: Begin::Oldest, ..log.options() };
    let mut writer = Writer { log, lines: Vec::new(), rest: String::new(), late: None, clock };
    let path = writer.log.path.clone();
    writer.tick(&path);
    let tailer = Tailer::start(options.clone(), Instant::now()).unwrap();
    let frontier = tailer.frontier();
    let statistics = vec![Statistic { frontier, ..Statistic::default() }; STATISTICS];
    let mut reader = Reader { tailer, options, statistics, now: Instant::now() };
    for op in ops {
        match op {
            Op::Write(count) => writer.write(usize::from(count)),
            Op::WriteLong(len) => {
                writer.end_line(true);
                writer.begin(&format!("{:012}{}", writer.lines.len(), "y".repeat(usize::from(len))));
                writer.write(writer.rest.len());
            }
            Op::WriteLate => writer.write_late(),
            Op::Rotate(properly) if is_copying => writer.copy_truncate(properly),
            Op::Rotate(properly) => writer.rotate(properly),
            Op::Compress { generation, zstd } => {
                if writer.late.is_none() || generation > 1 {
                    writer.compress(generation, zstd);
                }
            }
            Op::CompressHalf => writer.compress_half(),
            Op::Read => reader.read(),
            Op::ReadLate => {
                reader.now += 2 * GRACE;
                writer.late = None;
                reader.read();
            }
            Op::Commit(which) => reader.commit(which),
            Op::Restart => reader.restart(),
        }
    }
    writer.end_line(true);
    writer.write_late();
    // To the end: each time the finished files make room.
    for _ in 0..30 {
        reader.now += 2 * GRACE;
        reader.read();
        reader.commit(STATISTICS);
    }
    writer.write(1);
    writer.end_line(true);
    for _ in 0..2 {
        reader.now += 2 * GRACE;
        reader.read();
        reader.commit(STATISTICS);
    }
    assert!(reader.tailer.is_at_end());
    assert_eq!(reader.tailer.behind(), 0);
    assert_eq!(lost(&mut reader.tailer), 0);
    let limit = reader.options.line_bytes_max;
    let mut expected: Vec<String> = writer.lines.iter().map(|line| shorten(line, limit)).collect();
    expected.sort();
    for statistic in &reader.statistics {
        let mut got: Vec<String> = [&statistic.committed[..], &statistic.read[..]].concat();
        got.sort();
        assert_eq!(got, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn every_line_of_a_renamed_log_is_handed_out_once(ops in ops(), chunk_bytes in chunk_bytes()) {
        run(ops, false, chunk_bytes);
    }

    #[test]
    fn every_line_of_a_truncated_log_is_handed_out_once(ops in ops(), chunk_bytes in chunk_bytes()) {
        run(ops, true, chunk_bytes);
    }
}

// Sequences that were once read otherwise: inodes of empty files are reused.

#[test]
fn a_new_log_with_the_inode_of_an_empty_one_hides_no_file() {
    use Op::{Commit, Compress, CompressHalf, Read, Restart, Rotate, Write, WriteLate};
    let ops = vec![
        Rotate(false),
        Restart,
        Commit(1),
        Restart,
        Rotate(true),
        CompressHalf,
        Compress { generation: 2, zstd: true },
        Rotate(true),
        WriteLate,
        Commit(2),
        Compress { generation: 2, zstd: false },
        Compress { generation: 1, zstd: true },
        Restart,
        Write(170),
        Write(49),
        Rotate(true),
        Write(149),
        Restart,
        Read,
        Read,
    ];
    run(ops, false, 4096);
}

#[test]
fn a_compressed_file_with_the_inode_of_an_empty_one_is_not_read_again() {
    use Op::{Commit, Compress, CompressHalf, Read, ReadLate, Restart, Rotate, Write, WriteLate};
    let ops = vec![
        Write(121),
        Rotate(false),
        Read,
        Rotate(true),
        Write(25),
        Write(243),
        Rotate(false),
        CompressHalf,
        ReadLate,
        Write(235),
        Write(123),
        Commit(STATISTICS),
        Commit(STATISTICS),
        WriteLate,
        Compress { generation: 2, zstd: false },
        Commit(1),
        Write(10),
        Restart,
        Write(2),
        Write(28),
        Compress { generation: 3, zstd: false },
        Rotate(false),
        Read,
        Write(22),
        WriteLate,
        Commit(2),
        Read,
        Read,
        Write(185),
        Read,
        Commit(1),
        Restart,
        Read,
    ];
    run(ops, false, 100);
}
