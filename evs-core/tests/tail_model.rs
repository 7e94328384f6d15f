//! Whatever happens to the log, every line is handed out once to each statistic.
//!
//! The log is on a simulated disk, and something may happen to it between any two calls of the tailer. Its
//! writer and its rotator are in `tail_world`, and so is who reads it.

#![allow(clippy::unwrap_used, reason = "a test")]

mod tail_support;
mod tail_world;

use std::{fmt, sync::Arc, time::Duration};

use evs_core::{Begin, OnGone, internals::tail::TailOptions};
use proptest::{collection::vec, prelude::*, strategy::Union};
use tail_support::{
    GRACE,
    sim::{Disk, SimFs},
};
use tail_world::{
    Ending, LOG, Link, Naming, Program, Reader, Rotator, STATISTICS, Stamp, Turn, Way, Who, World, Writer,
    trace,
};

/// 27 November 2026, half past twelve.
const CLOCK: Duration = Duration::from_secs(1_795_782_600);
const LINE_BYTES_MAX: usize = 300;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Op {
    /// Bytes of the current and further lines, which end anywhere.
    Write(u8),
    /// As many, but whenever the writer has its turns.
    WriteLater(u8),
    /// A whole line, longer than a chunk, perhaps than the limit.
    WriteLong(u16),
    /// A line into the file that was rotated last.
    WriteLate,
    /// Something is done to the files, and what was to be done before it.
    Do(Program),
    /// Something is to be done to the files.
    DoLater(Program),
    /// A part of what is to be done.
    Work(Who, u8),
    /// A look at the log and some chunks, with what happens meanwhile.
    Read {
        chunks: usize,
        during: Vec<Turn>,
    },
    /// All chunks, after the grace time.
    ReadLate {
        during: Vec<Turn>,
    },
    /// A statistic commits; the last one is that all of them do, and finished files retire.
    Commit(usize),
    Restart {
        during: Vec<Turn>,
    },
    /// After some calls all further ones fail, and another tailer takes over.
    Kill(u16),
    /// After some calls one of them fails.
    Fail(u16),
    /// The clock steps by some seconds.
    SetClock(i16),
}

/// What stays the same from the first to the last operation.
#[derive(Clone, Debug)]
struct Scene {
    way: Way,
    link: Link,
    /// How rotated files are named, unless each one has its own way.
    naming: Option<Naming>,
    /// The steps of file times.
    tick: Duration,
    chunk_bytes: u64,
    read_bytes_max: usize,
    /// How many chunks are read later than they are handed out.
    lag: usize,
    /// What there is before the tailer starts.
    before: Vec<Op>,
    begin: Begin,
}

/// The simulated log, who else uses it, and who reads it.
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

    /// Nothing happens any more, and everything is read.
    fn finish(mut self) {
        self.fs.with(|disk, world| world.calm_down(disk));
        self.reader.finish();
        // With a line in the live file the ones before it are known to be finished.
        happen(&self.fs, &Op::Write(1));
        self.fs.with(|disk, world| world.calm_down(disk));
        self.reader.finish();
        self.reader.check();
    }
}

/// What happens whether there is a reader or not.
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

/// Everything that happens.
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

/// One operation on a line.
impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.scene)?;
        self.ops.iter().try_for_each(|op| write!(f, "\n    {op:?},"))
    }
}

/// What may happen in a property.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plot {
    /// Files are renamed and compressed.
    Renamed,
    /// The log is copied and truncated, and the copies are renamed and compressed.
    Copied,
    /// All of it, and more: links, copies, names of any order, any times.
    Mixed,
    /// Bytes are deleted, too, whether they have been read or not.
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
            2 => (0..=STATISTICS).prop_map(Op::Commit),
            1 => turns().prop_map(|during| Op::Restart { during }),
            1 => (0..100_u16).prop_map(Op::Kill),
        ];
        prop_oneof![60 => op, 1 => (0..60_u16).prop_map(Op::Fail)]
    }

    /// What may happen whether there is a reader or not.
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

/// A program for which a name has to be found.
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

/// Failures are told as what happened, and no seeds are kept: they say nothing once an operation is added.
fn config() -> ProptestConfig {
    ProptestConfig { max_shrink_iters: 50_000, failure_persistence: None, ..ProptestConfig::default() }
}

/// A property for each of the clocks: one that tells all operations apart, that of a kernel with a timer of
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
