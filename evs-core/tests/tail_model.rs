//! Every line is handed out exactly once to each statistic, whatever happens to the log.
//!
//! The log is on a simulated disk, and something may happen to it between any two calls of the tailer. The
//! writer, the rotator and the reader of the log are in `tail_world`.

#![allow(clippy::unwrap_used, reason = "a test")]

mod tail_support;
mod tail_world;

use std::{fmt, sync::Arc, time::Duration};

use evs_core::{Begin, OnGone, internals::tail::TailOptions};
use proptest::{collection::vec, prelude::*, strategy::Union};
use tail_support::{
    GRACE,
    sim::{Disk, SimFs},
    still,
};
use tail_world::{
    Ending, LOG, Link, Naming, Program, Reader, Rotator, STATISTICS, Stamp, Turn, Way, Who, World, Writer,
    trace,
};

/// The time is half past twelve on 27 November 2026.
const CLOCK: Duration = Duration::from_secs(1_795_782_600);
const LINE_BYTES_MAX: usize = 300;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Op {
    /// Writes bytes of the current line and of further ones. They end anywhere.
    Write(u8),
    /// Queues that many bytes, which the writer writes in its next turns.
    WriteLater(u8),
    /// Writes a whole line that is longer than a chunk and, perhaps, than the limit.
    WriteLong(u16),
    /// Writes a line into the file that was rotated last.
    WriteLate,
    /// Runs a program, after those that are queued.
    Do(Program),
    /// Queues a program.
    DoLater(Program),
    /// Runs some steps of the queued work.
    Work(Who, u8),
    /// Polls and reads some chunks. The turns happen meanwhile.
    Read {
        chunks: usize,
        during: Vec<Turn>,
    },
    /// Reads all chunks, after the grace time.
    ReadLate {
        during: Vec<Turn>,
    },
    /// Adds a statistic that begins at the oldest file. The turns happen meanwhile.
    Add {
        during: Vec<Turn>,
    },
    /// Makes a statistic commit. The last index means that all of them commit and finished files retire.
    Commit(usize),
    Restart {
        during: Vec<Turn>,
    },
    /// After this many calls, all further ones fail, and another tailer takes over.
    Kill(u16),
    /// After this many calls, a single one fails.
    Fail(u16),
    /// Sets the clock forward or back by some seconds.
    SetClock(i16),
}

/// The settings that stay the same from the first to the last operation.
#[derive(Clone, Debug)]
struct Scene {
    way: Way,
    link: Link,
    /// The naming of rotated files, unless each one is named in its own way.
    naming: Option<Naming>,
    /// The unit of file times.
    tick: Duration,
    chunk_bytes: u64,
    read_bytes_max: usize,
    /// The number of handed-out chunks that stay unread while further ones are handed out.
    lag: usize,
    /// The operations before the tailer starts.
    before: Vec<Op>,
    begin: Begin,
}

/// The simulated log, the agents that use it, and the reader.
struct Run {
    fs: SimFs<World>,
    reader: Reader,
}

impl Run {
    fn new(scene: &Scene, on_gone: OnGone) -> Self {
        let mut disk = Disk::new(CLOCK, scene.tick);
        let mut writer = Writer::new(LINE_BYTES_MAX);
        let rotator = Rotator::new(scene.way, scene.link, scene.naming, &mut disk, &mut writer);
        let fs = SimFs::new(disk, World::new(writer, rotator), scene.read_bytes_max);
        for op in &scene.before {
            happen(&fs, op);
        }
        fs.with(|disk, world| world.begin_source(disk, scene.begin));
        let options = TailOptions {
            begin: scene.begin,
            grace: GRACE,
            line_bytes_max: LINE_BYTES_MAX as u64,
            chunk_bytes: scene.chunk_bytes,
            on_gone,
            fs: Arc::new(fs.clone()),
            wall: still(),
            ..TailOptions::new(LOG)
        };
        let reader = Reader::start(fs.clone(), options, scene.lag);
        Self { fs, reader }
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Read { chunks, during } => {
                self.plan(during);
                self.reader.read(*chunks);
            }
            Op::ReadLate { during } => {
                self.reader.pass(2 * GRACE);
                self.plan(during);
                self.reader.read(usize::MAX);
            }
            Op::Add { during } => {
                self.plan(during);
                self.reader.add();
            }
            Op::Commit(which) => self.reader.commit(*which),
            Op::Restart { during } => {
                self.plan(during);
                self.reader.restart();
            }
            Op::Kill(calls) => self.fs.lock().agent.kill_after(*calls),
            Op::Fail(calls) => self.fs.lock().agent.fail_after(*calls),
            _ => happen(&self.fs, op),
        }
    }

    fn plan(&self, during: &[Turn]) {
        self.fs.lock().agent.plan(during);
    }

    /// Stops all agents, and reads everything.
    fn finish(mut self) {
        self.fs.with(|disk, world| world.calm_down(disk));
        self.reader.finish();
        // With a line in the live file, the files before it are known to be finished.
        happen(&self.fs, &Op::Write(1));
        self.fs.with(|disk, world| world.calm_down(disk));
        self.reader.finish();
        self.reader.check();
    }
}

/// Performs an operation that is possible with and without a reader.
fn happen(fs: &SimFs<World>, op: &Op) {
    fs.with(|disk, world| match *op {
        Op::Write(bytes) => {
            world.writer.queue(usize::from(bytes));
            world.write(disk);
        }
        Op::WriteLater(bytes) => world.writer.queue(usize::from(bytes)),
        Op::WriteLong(bytes) => world.writer.queue_long(usize::from(bytes)),
        Op::WriteLate => {
            world.writer.queue_late();
            world.step(disk, Who::Writer, 1);
        }
        Op::Do(ref program) => {
            world.rotator.queue(program.clone());
            world.finish_rotator(disk);
        }
        Op::DoLater(ref program) => world.rotator.queue(program.clone()),
        Op::Work(who, steps) => world.step(disk, who, steps),
        Op::SetClock(seconds) => world.set_clock(disk, seconds),
        _ => {}
    });
}

/// A scene and everything that happens in it.
struct Story {
    scene: Scene,
    ops: Vec<Op>,
}

impl Story {
    fn run(&self, on_gone: OnGone) {
        let mut run = Run::new(&self.scene, on_gone);
        for op in &self.ops {
            trace(format_args!("{op:?}"));
            run.op(op);
        }
        run.finish();
    }
}

/// One operation per line.
impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.scene)?;
        self.ops.iter().try_for_each(|op| write!(f, "\n    {op:?},"))
    }
}

/// The things that may happen in a property.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plot {
    /// Files are renamed and compressed.
    Renamed,
    /// The log is copied and truncated, and the copies are renamed and compressed.
    Copied,
    /// All of these and more: links, copies, names in any order, and any times.
    Mixed,
    /// In addition, bytes are deleted, read or not.
    Deleted,
}

impl Plot {
    fn scenes(self, tick: Duration) -> BoxedStrategy<Scene> {
        let is_wild = matches!(self, Self::Mixed | Self::Deleted);
        let way = match self {
            Self::Renamed => Just(Way::Rename).boxed(),
            Self::Copied => Just(Way::CopyTruncate).boxed(),
            Self::Mixed | Self::Deleted => {
                prop_oneof![2 => Just(Way::Rename), 1 => Just(Way::CopyTruncate)].boxed()
            }
        };
        let any_link = prop_oneof![2 => Just(Link::None), 1 => Just(Link::Fixed("access.log")),
                1 => Just(Link::Fixed("0.log")), 1 => Just(Link::Dated)];
        let link = if is_wild { any_link.boxed() } else { Just(Link::None).boxed() };
        let any_naming = prop_oneof![3 => any_naming().prop_map(Some), 1 => Just(None)];
        let naming = if is_wild { any_naming.boxed() } else { Just(Some(Naming::Number)).boxed() };
        let chunk_bytes = prop_oneof![Just(4096_u64), Just(100), Just(16)];
        let read_bytes_max = prop_oneof![3 => Just(usize::MAX), 1 => Just(100)];
        let lag = prop_oneof![2 => Just(0_usize), 1 => Just(2)];
        let begin = prop_oneof![2 => Just(Begin::Oldest), 1 => Just(Begin::Start), 1 => Just(Begin::End)];
        let scene = (way, link, naming, chunk_bytes, read_bytes_max, lag, vec(self.changes(), 0..8), begin);
        let scene =
            scene.prop_map(move |(way, link, naming, chunk_bytes, read_bytes_max, lag, before, begin)| {
                Scene { way, link, naming, tick, chunk_bytes, read_bytes_max, lag, before, begin }
            });
        scene.boxed()
    }

    fn stories(self, tick: Duration) -> impl Strategy<Value = Story> {
        (self.scenes(tick), vec(self.ops(), 1..60)).prop_map(|(scene, ops)| Story { scene, ops })
    }

    fn ops(self) -> impl Strategy<Value = Op> {
        let op = prop_oneof![
            5 => self.changes(),
            3 => (prop_oneof![0..6_usize, Just(usize::MAX)], turns())
                .prop_map(|(chunks, during)| Op::Read { chunks, during }),
            1 => turns().prop_map(|during| Op::ReadLate { during }),
            1 => turns().prop_map(|during| Op::Add { during }),
            2 => (0..=STATISTICS).prop_map(Op::Commit),
            1 => turns().prop_map(|during| Op::Restart { during }),
            1 => (0..100_u16).prop_map(Op::Kill),
        ];
        prop_oneof![60 => op, 1 => (0..60_u16).prop_map(Op::Fail)]
    }

    /// Returns the operations that are possible with and without a reader.
    fn changes(self) -> BoxedStrategy<Op> {
        let program = self.programs();
        let mut changes = vec![
            (6, any::<u8>().prop_map(Op::Write).boxed()),
            (2, any::<u8>().prop_map(Op::WriteLater).boxed()),
            (1, (0..900_u16).prop_map(Op::WriteLong).boxed()),
            (2, Just(Op::WriteLate).boxed()),
            (3, program.clone().prop_map(Op::Do).boxed()),
            (4, program.prop_map(Op::DoLater).boxed()),
            (2, (who(), 1..4_u8).prop_map(|(who, steps)| Op::Work(who, steps)).boxed()),
        ];
        if matches!(self, Self::Mixed | Self::Deleted) {
            changes.push((1, (-3600..=3600_i16).prop_map(Op::SetClock).boxed()));
        }
        Union::new_weighted(changes).boxed()
    }

    fn programs(self) -> BoxedStrategy<Program> {
        let is_wild = matches!(self, Self::Mixed | Self::Deleted);
        let doomed = if self == Self::Deleted { (0..3_u8).boxed() } else { Just(0).boxed() };
        let rotate = (any_naming(), offset(), any::<bool>(), piece(), doomed).prop_map(
            |(naming, offset, ends_line, piece, doomed)| Program::Rotate {
                naming,
                offset,
                ends_line,
                piece,
                doomed,
            },
        );
        let end =
            prop_oneof![4 => Just(Ending::Whole), 1 => Just(Ending::Dies), 1 => Just(Ending::KeepsPlain)];
        let compress = (which(), prop_oneof![Just("gz"), Just("zst")], stamp(), 0..3_u8, end).prop_map(
            |(which, extension, stamp, pieces, end)| Program::Compress {
                which,
                extension,
                stamp,
                pieces,
                end,
            },
        );
        let delete = (0..4_u8)
            .prop_map(move |force| Program::Delete { by_force: force == 0 && self == Self::Deleted });
        let mut programs = vec![(8, rotate.boxed()), (4, compress.boxed()), (1, delete.boxed())];
        if is_wild {
            programs.extend([
                (1, second(|which, naming, offset, _| Program::HardLink { which, naming, offset })),
                (1, second(|which, naming, offset, piece| Program::Copy { which, naming, offset, piece })),
                (1, second(|which, naming, offset, _| Program::Rename { which, naming, offset })),
                (1, (which(), stamp()).prop_map(|(which, stamp)| Program::Touch { which, stamp }).boxed()),
                (
                    1,
                    (which(), 0..3_u8)
                        .prop_map(|(which, pieces)| Program::Decompress { which, pieces })
                        .boxed(),
                ),
            ]);
        }
        Union::new_weighted(programs).boxed()
    }
}

/// A program that needs a free name.
fn second(program: fn(u8, Naming, i8, u16) -> Program) -> BoxedStrategy<Program> {
    let parts = (which(), any_naming(), offset(), piece());
    parts.prop_map(move |(which, naming, offset, piece)| program(which, naming, offset, piece)).boxed()
}

fn which() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0..2_u8, 1 => any::<u8>()]
}

fn any_naming() -> impl Strategy<Value = Naming> {
    proptest::sample::select(&Naming::ALL[..])
}

fn offset() -> impl Strategy<Value = i8> {
    prop_oneof![3 => Just(0_i8), 1 => -20..20_i8]
}

fn piece() -> impl Strategy<Value = u16> {
    prop_oneof![Just(u16::MAX), 4..200_u16]
}

fn stamp() -> impl Strategy<Value = Stamp> {
    prop_oneof![Just(Stamp::Original), Just(Stamp::Present), (-60..=60_i16).prop_map(Stamp::Off)]
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![3 => Just(Who::Rotator), 1 => Just(Who::Writer)]
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let after = prop_oneof![4 => 0..8_u8, 1 => 0..60_u8];
    let turn = (after, who(), 1..3_u8).prop_map(|(after, who, steps)| Turn { after, who, steps });
    vec(turn, 0..7)
}

/// A failure is reported as the list of operations. No seeds are kept: they lose their meaning when an
/// operation is added.
fn config() -> ProptestConfig {
    ProptestConfig { max_shrink_iters: 50_000, failure_persistence: None, ..ProptestConfig::default() }
}

/// One property per clock: one that gives all operations different times, that of a kernel with a timer of
/// 400 ms, and that of a file system with whole seconds.
macro_rules! properties {
    ($($name:ident: $plot:expr, $on_gone:expr;)*) => {
        $(mod $name {
            use super::*;

            proptest! {
                #![proptest_config(config())]

                #[test]
                fn tick_1_ms(story in $plot.stories(Duration::from_millis(1))) {
                    story.run($on_gone);
                }

                #[test]
                fn tick_400_ms(story in $plot.stories(Duration::from_millis(400))) {
                    story.run($on_gone);
                }

                #[test]
                fn tick_1_s(story in $plot.stories(Duration::from_secs(1))) {
                    story.run($on_gone);
                }
            }
        })*
    };
}

properties! {
    renamed: Plot::Renamed, OnGone::Stop;
    copied: Plot::Copied, OnGone::Stop;
    mixed: Plot::Mixed, OnGone::Stop;
    deleted: Plot::Deleted, OnGone::Continue;
    deleted_and_stopped: Plot::Deleted, OnGone::Stop;
}
