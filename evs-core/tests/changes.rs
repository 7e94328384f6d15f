//! Random sequences of changes to a pipeline, compared with a simple model: sinks are renamed, forgotten, removed and added,
//! statistics come and go and get measures, stores are away or refuse, batches are tried again and given up, and runs are killed. After each
//! run every store has exactly the lines that the model says, and in the end some documented way out leads from wherever
//! the changes have led to a pipeline that delivers everything.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "pipeline_support/mod.rs"]
mod pipeline_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

use evs_core::{
    Begin, Error, LogFormat, MeasureColumn, MeasureKind, Pipeline, PipelineBuilder, Schema, Sink, SinkState,
    Statistic, Status, count, sum,
};
use pipeline_support::{Machine, TestSink, until};
use proptest::prelude::*;

const STATISTICS: [&str; 3] = ["requests", "errors", "ads"];
/// The statistic that begins at the oldest file when it is added.
const FROM_OLDEST: &str = "ads";
const STORES: usize = 3;
/// The names that sinks can have.
const NAMES: [&str; 5] = ["pg", "reports", "archive", "mysql", "old"];

/// A change, or something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// Lines are appended to the log.
    Append(u64),
    /// The pipeline runs until everything is where it can be.
    Run,
    /// The pipeline is killed some milliseconds after its start, and runs again.
    Kill(u64),
    /// The n-th sink gets a name that is free.
    Rename(usize, usize),
    /// The n-th sink is forgotten by its name.
    Forget(usize),
    /// The n-th sink is removed without a word.
    Remove(usize),
    /// A store that no sink writes to gets a sink, under a name that is free.
    Add(usize, usize),
    /// A statistic is added, or taken out.
    Toggle(usize),
    /// A statistic gets another measure.
    Redefine(usize),
    /// The n-th store is away, or back.
    Down(usize),
    /// The n-th store refuses the rows of a statistic, or no more.
    Refuse(usize, usize),
    /// The service asks the n-th sink to try a statistic again.
    Retry(usize, usize),
    /// The service gives up the batch that the n-th sink has refused.
    Discard(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (sink, name, statistic) = (0..STORES, 0..NAMES.len(), 0..STATISTICS.len());
    let step = prop_oneof![
        4 => (1_u64..5).prop_map(Step::Append),
        4 => Just(Step::Run),
        2 => (0_u64..40).prop_map(Step::Kill),
        1 => (sink.clone(), name.clone()).prop_map(|(sink, name)| Step::Rename(sink, name)),
        1 => sink.clone().prop_map(Step::Forget),
        1 => sink.clone().prop_map(Step::Remove),
        2 => (sink.clone(), name).prop_map(|(store, name)| Step::Add(store, name)),
        2 => statistic.clone().prop_map(Step::Toggle),
        1 => statistic.clone().prop_map(Step::Redefine),
        2 => sink.clone().prop_map(Step::Down),
        3 => (sink.clone(), statistic.clone()).prop_map(|(store, statistic)| Step::Refuse(store, statistic)),
        1 => (sink.clone(), statistic.clone()).prop_map(|(sink, statistic)| Step::Retry(sink, statistic)),
        2 => (sink, statistic).prop_map(|(sink, statistic)| Step::Discard(sink, statistic)),
    ];
    prop::collection::vec(step, 4..24)
}

/// What a store has of one statistic.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// The sequence of its last batch; 0 if it does not know the statistic.
    at: u64,
    lines: u64,
}

/// What the binlog knows of a sink and a statistic.
#[derive(Clone, Debug, Default)]
struct Known {
    acknowledged: u64,
    discarded: BTreeSet<u64>,
}

/// The pipeline as it should be.
#[derive(Debug, Default)]
struct Model {
    lines: u64,
    /// The lines that were there at the last commit.
    committed: u64,
    /// By statistic that the binlog knows, the lines of each of its batches.
    batches: BTreeMap<&'static str, Vec<u64>>,
    /// By statistic that the binlog knows, the lines up to which it is counted.
    counted: BTreeMap<&'static str, u64>,
    /// By sink and statistic, what the binlog knows.
    known: BTreeMap<&'static str, BTreeMap<&'static str, Known>>,
    /// By store, its contents.
    held: [BTreeMap<&'static str, Held>; STORES],
    down: [bool; STORES],
    refuses: [Option<&'static str>; STORES],
}

impl Model {
    /// The batches that wait for a sink, by statistic.
    fn waiting(&self, sink: &str) -> BTreeMap<&'static str, u64> {
        let known = self.known.get(sink).into_iter().flatten();
        known.map(|(statistic, known)| (*statistic, self.last(statistic) - known.acknowledged)).collect()
    }

    fn last(&self, statistic: &str) -> u64 {
        self.batches.get(statistic).map_or(0, |batches| batches.len() as u64)
    }

    /// Counts what a run with these statistics counts, and delivers what can be delivered.
    fn run(&mut self, statistics: &[&'static str], sinks: &[(&'static str, usize)]) {
        // The binlog forgets sinks that are not configured.
        self.known.retain(|name, _| sinks.iter().any(|(sink, _)| sink == name));
        // A new statistic begins where the source stands, or at the oldest file.
        let mut older = Vec::new();
        for statistic in statistics {
            if !self.counted.contains_key(statistic) && *statistic == FROM_OLDEST && self.committed > 0 {
                older.push(*statistic);
            }
            self.counted.entry(statistic).or_insert(self.committed);
            self.batches.entry(statistic).or_default();
        }
        // A new sink begins with the next batch.
        for (sink, _) in sinks {
            let known = self.known.entry(sink).or_default();
            for (statistic, batches) in &self.batches {
                let acknowledged = batches.len() as u64;
                known.entry(statistic).or_insert_with(|| Known { acknowledged, ..Known::default() });
            }
        }
        for statistic in statistics {
            let new = self.lines - self.counted[statistic];
            self.counted.insert(statistic, self.lines);
            if new > 0 {
                self.batches.entry(statistic).or_default().push(new);
            }
        }
        // Older files are read when nothing else is to be read.
        for statistic in older {
            self.batches.entry(statistic).or_default().push(self.committed);
        }
        self.committed = self.lines;
        self.deliver(sinks);
    }

    /// Delivers what the stores take.
    fn deliver(&mut self, sinks: &[(&'static str, usize)]) {
        for (sink, store) in sinks.iter().filter(|(_, store)| !self.down[*store]) {
            for (statistic, known) in self.known.get_mut(sink).into_iter().flatten() {
                let held = self.held[*store].entry(statistic).or_default();
                // A store that remembers the statistic goes on after what it has, whatever its sink's name was.
                let is_known = held.at > 0;
                held.at = if is_known { held.at } else { known.acknowledged };
                let after = usize::try_from(held.at).unwrap();
                for (lines, sequence) in self.batches[statistic].iter().zip(1..).skip(after) {
                    let is_given_up = known.discarded.contains(&sequence);
                    if self.refuses[*store] == Some(statistic) && !is_given_up {
                        break;
                    }
                    held.at = sequence;
                    held.lines += if is_given_up { 0 } else { *lines };
                }
                known.acknowledged = held.at;
            }
        }
    }
}

/// The real pipeline, and what is configured.
struct World {
    machine: Machine,
    stores: [TestSink; STORES],
    sinks: Vec<(&'static str, usize)>,
    statistics: Vec<&'static str>,
    /// The statistics that have another measure.
    redefined: BTreeSet<&'static str>,
    model: Model,
}

impl World {
    fn new() -> Self {
        let machine = Machine::new();
        machine.append("");
        Self {
            machine,
            stores: Default::default(),
            sinks: vec![("pg", 0), ("reports", 1)],
            statistics: vec!["requests", "errors"],
            redefined: BTreeSet::new(),
            model: Model::default(),
        }
    }

    fn builder(&self) -> PipelineBuilder {
        self.builder_with_former(None)
    }

    /// Makes the builder of what is configured. The sink with that index had another name.
    fn builder_with_former(&self, former: Option<(usize, &str)>) -> PipelineBuilder {
        let is_down = self.sinks.iter().any(|(_, store)| self.model.down[*store]);
        let mut builder = Pipeline::builder("web1")
            .tail(self.machine.log())
            .format(LogFormat::common())
            .state_dir(self.machine.state())
            .drain_timeout(Duration::from_millis(if is_down { 50 } else { 30_000 }));
        for name in &self.statistics {
            let mut statistic = Statistic::named(*name).measure(count()).redefine(true);
            if self.redefined.contains(name) {
                statistic = statistic.measure(sum("body_bytes_sent"));
            }
            if *name == FROM_OLDEST {
                statistic = statistic.begin(Begin::Oldest);
            }
            builder = builder.statistic(statistic.flush_every(Duration::from_secs(3600)));
        }
        for (at, (name, store)) in self.sinks.iter().enumerate() {
            builder = builder.sink(*name, self.stores[*store].clone());
            if let Some((_, former)) = former.filter(|(sink, _)| *sink == at) {
                builder = builder.formerly(former);
            }
        }
        builder
    }

    /// Returns whether every sink is where the model has it.
    fn is_settled(&self, status: &Status) -> bool {
        status.sinks.iter().zip(&self.sinks).all(|(status, (sink, store))| {
            let waiting = self.model.waiting(sink);
            let stopped = waiting.values().filter(|batches| **batches > 0).count();
            let is_as_it_should = match self.model.down[*store] {
                true => status.state == SinkState::Down,
                false => status.stopped.len() == stopped && (stopped > 0 || status.state == SinkState::Up),
            };
            is_as_it_should && status.waiting == waiting.values().sum::<u64>()
        })
    }

    /// Returns the first difference between a store and the model.
    async fn difference(&self) -> Option<String> {
        for (at, held) in self.model.held.iter().enumerate() {
            for (statistic, held) in held {
                let found = lines(&self.stores[at], statistic).await;
                if found != held.lines {
                    return Some(format!("store {at} has {found} lines of {statistic}: {:#?}", self.model));
                }
            }
        }
        None
    }

    /// Waits until everything is where the model has it.
    async fn settled(&self, pipeline: &Pipeline) {
        until(pipeline, "settled", |status| self.is_settled(status)).await;
        let started = Instant::now();
        while let Some(difference) = self.difference().await {
            assert!(started.elapsed() < Duration::from_secs(30), "{difference}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        until(pipeline, "settled", |status| self.is_settled(status)).await;
    }

    /// Runs until everything is where it can be, and compares the stores with the model.
    async fn run(&mut self, builder: PipelineBuilder) {
        self.model.run(&self.statistics, &self.sinks);
        let pipeline = builder.build().unwrap();
        let summary = pipeline.run(self.settled(&pipeline)).await.unwrap();
        let waiting =
            self.sinks.iter().flat_map(|(sink, _)| self.model.waiting(sink)).map(|(_, batches)| batches);
        assert_eq!(summary.undelivered, waiting.sum::<u64>(), "{:#?}", self.model);
        assert_eq!(self.difference().await, None);
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Append(lines) => {
                let line = "::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" 200 5\n";
                self.machine.append(&line.repeat(lines as usize));
                self.model.lines += lines;
            }
            Step::Run => self.run(self.builder()).await,
            Step::Kill(millis) => self.kill(Duration::from_millis(millis)).await,
            Step::Rename(sink, name) if sink < self.sinks.len() && !self.is_named(NAMES[name]) => {
                let former = std::mem::replace(&mut self.sinks[sink].0, NAMES[name]);
                if let Some(known) = self.model.known.remove(former) {
                    self.model.known.insert(NAMES[name], known);
                }
                self.run(self.builder_with_former(Some((sink, former)))).await;
            }
            Step::Forget(sink) if self.sinks.len() > 1 && sink < self.sinks.len() => {
                let (name, _) = self.sinks.remove(sink);
                self.run(self.builder().forget_sink(name)).await;
            }
            Step::Remove(sink) if self.sinks.len() > 1 && sink < self.sinks.len() => {
                let removed = self.sinks.remove(sink);
                let must_fail = self.model.waiting(removed.0).values().any(|batches| *batches > 0);
                match self.builder().build() {
                    Err(Error::UndeliveredSink { .. }) if must_fail => self.sinks.insert(sink, removed),
                    Ok(pipeline) if !must_fail => {
                        drop(pipeline);
                        self.run(self.builder()).await;
                    }
                    result => panic!("{result:?}, must fail: {must_fail}"),
                }
            }
            Step::Add(store, name) => {
                if self.sinks.iter().all(|(_, used)| *used != store) && !self.is_named(NAMES[name]) {
                    self.sinks.push((NAMES[name], store));
                    self.run(self.builder()).await;
                }
            }
            Step::Toggle(statistic) => {
                let name = STATISTICS[statistic];
                match self.statistics.iter().position(|known| *known == name) {
                    Some(at) if self.statistics.len() > 1 => drop(self.statistics.remove(at)),
                    Some(_) => {}
                    None => self.statistics.push(name),
                }
            }
            Step::Redefine(statistic) => drop(self.redefined.insert(STATISTICS[statistic])),
            Step::Down(store) => {
                self.model.down[store] = !self.model.down[store];
                self.stores[store].is_down.store(self.model.down[store], SeqCst);
            }
            Step::Refuse(store, statistic) => {
                let statistic = Some(STATISTICS[statistic]);
                self.refuse(store, if self.model.refuses[store] == statistic { None } else { statistic });
            }
            Step::Retry(sink, statistic) => self.decide(sink, STATISTICS[statistic], false).await,
            Step::Discard(sink, statistic) => self.decide(sink, STATISTICS[statistic], true).await,
            Step::Rename(..) | Step::Forget(_) | Step::Remove(_) => {}
        }
    }

    /// Kills a run after some time. The next one, with the same configuration, goes on where it was.
    async fn kill(&mut self, after: Duration) {
        let pipeline = self.builder().build().unwrap();
        tokio::select! {
            ended = pipeline.run(pending()) => panic!("{ended:?}"),
            () = tokio::time::sleep(after) => {}
        }
        drop(pipeline);
        // The last write of the killed run may not have ended.
        while let Err(Error::Locked { .. }) = self.builder().build() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.run(self.builder()).await;
    }

    fn refuse(&mut self, store: usize, statistic: Option<&'static str>) {
        self.model.refuses[store] = statistic;
        *self.stores[store].refuses_rows_of.lock().unwrap() = statistic;
    }

    /// Runs, and makes a decision about a batch that is refused, if there is one: it is given up, or the cause is removed and
    /// it is tried again.
    async fn decide(&mut self, sink: usize, statistic: &'static str, gives_up: bool) {
        self.run(self.builder()).await;
        let Some(&(name, store)) = self.sinks.get(sink) else { return };
        let waits = self.model.waiting(name).get(statistic).is_some_and(|batches| *batches > 0);
        // A store that is down answers no decision.
        if self.model.down[store] || !waits {
            return;
        }
        let pipeline = self.builder().build().unwrap();
        let handle = pipeline.status_handle();
        let sequence = self.model.known[name][statistic].acknowledged + 1;
        let drive = async {
            self.settled(&pipeline).await;
            assert!(handle.discard(name, statistic, sequence + 1).await.is_err());
            if gives_up {
                handle.discard(name, statistic, sequence).await.unwrap();
                let known = self.model.known.get_mut(name).unwrap().get_mut(statistic).unwrap();
                known.discarded.insert(sequence);
            } else {
                self.refuse(store, None);
                assert!(handle.retry(name, statistic).unwrap());
            }
            self.model.deliver(&self.sinks);
            self.settled(&pipeline).await;
        };
        pipeline.run(drive).await.unwrap();
        assert_eq!(self.difference().await, None);
    }

    /// Returns whether a name is in use, by the configuration or in the binlog.
    fn is_named(&self, name: &str) -> bool {
        self.sinks.iter().any(|(known, _)| *known == name) || self.model.known.contains_key(name)
    }

    /// Removes every cause, after which everything must be delivered.
    async fn end(&mut self) {
        for store in 0..STORES {
            self.model.down[store] = false;
            self.stores[store].is_down.store(false, SeqCst);
            self.refuse(store, None);
        }
        self.run(self.builder()).await;
        assert!(self.builder().build().unwrap().run_to_end(pending()).await.unwrap().is_complete);
        for (sink, _) in &self.sinks {
            assert!(self.model.waiting(sink).values().all(|batches| *batches == 0));
        }
    }
}

/// Returns the lines that a store has of a statistic.
async fn lines(store: &TestSink, statistic: &str) -> u64 {
    let hits = MeasureColumn::new("count", MeasureKind::Count, "", 0);
    let schema = Schema::new(statistic, 60, Vec::new(), vec![hits]);
    // A store without a table has no lines.
    let Ok(rows) = store.totals(&schema, i64::MIN..i64::MAX).await else { return 0 };
    rows.iter().filter_map(|row| row.values[0]).map(|value| u64::try_from(value).unwrap()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn every_line_is_counted_once_in_each_sink_and_nothing_is_wedged(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in &steps {
                world.step(step).await;
            }
            world.end().await;
        });
    }
}

/// The number of cases: `EVS_CHANGES=2000` looks longer than the default.
fn cases() -> u32 {
    std::env::var("EVS_CHANGES").map_or(24, |cases| cases.parse().unwrap())
}
