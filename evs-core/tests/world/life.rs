//! One life of a pipeline, from its start to its end or to the moment at which it is killed.

use std::{
    future::pending,
    io::ErrorKind,
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    time::Duration,
};

use evs_core::{
    Begin, Error, Pipeline, SinkError, Summary,
    internals::{
        disk::DiskFault,
        pipeline::{Environment, Turns},
    },
};

use crate::{
    coverage::Event,
    process::{Process, ProcessFs},
    world::World,
};

/// The time after which a life that should be over counts as stuck.
const PATIENCE: Duration = Duration::from_secs(600);
/// The time for which acknowledged batches are kept, for a store that goes back.
pub const KEPT: Duration = Duration::from_secs(60);
/// The most milliseconds after which the stores are calm in the last life.
const CALM_AFTER_MAX: u64 = 400;
/// The most turns that a thread lets pass before it goes on.
const PASSED_MAX: u64 = 6;
/// The interval of looking whether something is over.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The way in which a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is killed in the given call to the state directory, which does half of its work.
    KilledByDisk(usize),
    /// It is killed in the given call to the log.
    KilledByLog(u64),
    /// The given call to the log fails.
    LogFails(u64, ErrorKind),
    /// It is killed after some milliseconds.
    Killed(u64),
    /// The given call to the state directory fails.
    Fails(usize, ErrorKind),
    /// The same, and if it is a write, half of it is done.
    Short(usize, ErrorKind),
    /// After the given number of bytes, the disk of the state directory is full. Later, it is told to stop.
    Full(u64),
    /// After some milliseconds, it is told to stop.
    Stopped(u64),
    /// It has read and delivered everything.
    Done,
}

impl End {
    /// Returns true if nothing fails in this life that evs does not cope with.
    fn is_graceful(self) -> bool {
        matches!(self, Self::Stopped(_) | Self::Full(_) | Self::Done)
    }

    /// Returns the time after which the life is ended.
    fn after(self) -> Duration {
        match self {
            Self::Killed(millis) | Self::Stopped(millis) => Duration::from_millis(millis),
            Self::Done => PATIENCE,
            _ => Duration::from_millis(150),
        }
    }
}

impl World {
    /// Lets the pipeline live once. Returns what a life that ended by itself returned.
    pub fn live(&mut self, end: End) -> Option<Result<Summary, Error>> {
        let (calls, error) = match end {
            End::KilledByLog(calls) => (calls, None),
            End::LogFails(calls, error) => (calls, Some(error)),
            _ => (u64::MAX / 2, None),
        };
        let process = Process::new(&self.state, calls, error);
        show!("{end:?}, {:?}", self.operator);
        match end {
            End::KilledByDisk(call) => self.state.fail_call(call, DiskFault::Crash),
            End::Fails(call, error) => self.state.fail_call(call, DiskFault::Error(error)),
            End::Short(call, error) => self.state.fail_call(call, DiskFault::Short(error)),
            End::Full(bytes) => self.state.set_room(Some(self.state.bytes() + bytes)),
            _ => {}
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.unwrap();
        let ended = runtime.block_on(async {
            self.time.begin_life();
            let ended = self.run_once(end, &process).await;
            let started = tokio::time::Instant::now();
            while self.state.is_locked() || Arc::strong_count(&process) > 1 {
                assert!(started.elapsed() < PATIENCE, "seed {}: threads go on after {end:?}", self.seed);
                tokio::time::sleep(LOOK_EVERY).await;
            }
            self.time.end_life();
            ended
        });
        // Tasks that read batches end with the runtime.
        drop(runtime);
        show!("ended: {ended:?}");
        self.show_log();
        self.coverage.note(Event::Life, 1);
        self.coverage.note(Event::Kill, u64::from(process.is_killed()));
        self.coverage.note(Event::LogError, u64::from(matches!(end, End::LogFails(..))));
        self.state.restart();
        self.state.set_room(None);
        match &ended {
            // A pipeline that starts on a full disk says so; one that runs waits for room.
            Some(Err(Error::Binlog(error))) if matches!(end, End::Full(_)) && error.is_disk_full() => {}
            // The operator starts it again.
            Some(Err(Error::SinkStopped { source: SinkError::Refused { .. }, .. })) if end == End::Done => {}
            // The caller knows what is right.
            Some(Err(_)) if self.is_judged_apart => {}
            Some(Err(error)) if end.is_graceful() => panic!("seed {}: {end:?}: {error:?}", self.seed),
            _ => {}
        }
        ended
    }

    async fn run_once(&mut self, end: End, process: &Arc<Process>) -> Option<Result<Summary, Error>> {
        let seed = self.seed;
        let pipeline = match self.pipeline(process) {
            Ok(pipeline) => pipeline,
            Err(error) => return Some(Err(error)),
        };
        let killed = async {
            while !process.is_killed() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let over = async {
            match end {
                End::Killed(_) => {
                    tokio::time::sleep(end.after()).await;
                    process.kill();
                    pending::<()>().await;
                }
                End::Done => pending().await,
                _ => tokio::time::sleep(end.after()).await,
            }
        };
        let run = async {
            match end {
                End::Done => pipeline.run_to_end(over).await,
                End::Stopped(millis) if self.manner.runs_again => {
                    pipeline.run(tokio::time::sleep(Duration::from_millis(millis))).await?;
                    pipeline.run(over).await
                }
                _ => pipeline.run(over).await,
            }
        };
        let calm_after = Duration::from_millis(self.chance.below(CALM_AFTER_MAX));
        let stores = self.stores.clone();
        let calm = async {
            if end == End::Done {
                tokio::time::sleep(calm_after).await;
                stores.iter().for_each(|store| store.is_calm.store(true, SeqCst));
            }
            pending::<()>().await;
        };
        let watch = async {
            tokio::time::sleep(PATIENCE).await;
            panic!("seed {seed}: {end:?} never ends: {:#?}", pipeline.status());
        };
        tokio::select! {
            // The future of the run is dropped at once, as if its process had ended.
            () = killed => None,
            ended = run => Some(ended),
            () = self.operator.attend(pipeline.status_handle(), &self.stores) => None,
            () = watch => None,
            () = calm => None,
        }
    }

    pub fn pipeline(&mut self, process: &Arc<Process>) -> Result<Pipeline, Error> {
        let (followed, olddir, format) =
            self.log.with(|_, site| (site.naming.followed(), site.naming.olddir(), site.kind.format()));
        let mut builder = Pipeline::builder(self.source)
            .tail(followed)
            .format(format)
            .begin(Begin::Oldest)
            .grace(Duration::from_millis(200))
            .poll_every(Duration::from_millis(20))
            .workers(self.manner.workers)
            .spool_bytes_max(self.manner.spool_bytes_max)
            .drain_timeout(Duration::from_millis(100))
            .sink_timeout(Duration::from_millis(50))
            .segment_bytes_max(4096)
            .keep_acknowledged(KEPT)
            .state_dir("/sim");
        builder = self.log.with(|_, site| site.harm.configure(builder));
        if let Some(lines) = self.manner.lines_per_second_max {
            builder = builder.lines_per_second_max(lines);
        }
        if let Some(olddir) = olddir {
            builder = builder.olddir(olddir);
        }
        if let Some((_, undelivered)) = &self.copied {
            builder = builder.cloned_from("/copied", *undelivered);
        }
        builder = self.operator.configure(builder, &self.stores);
        let log = ProcessFs { fs: self.log.clone(), process: Arc::clone(process) };
        let chance = Mutex::new(self.chance.fork());
        let environment = Environment {
            log: Some(Arc::new(log)),
            state: Some(Arc::new(self.state.clone())),
            copied: self.copied.as_ref().map(|(disk, _)| Arc::new(disk.clone()) as _),
            wall: self.time.wall(),
            turns: Turns::tasks(move || chance.lock().unwrap().below(PASSED_MAX) as u32),
        };
        environment.surround(builder).build()
    }
}
