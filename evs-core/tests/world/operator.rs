//! Who runs the pipeline: between two lives the operator changes its configuration, and during one tries refused batches again.

use std::time::Duration;

use evs_core::{
    Begin, Error, LostState, PipelineBuilder, SinkStart, SinkState, SinkStatus, Statistic, StatusHandle,
    count, field, internals::disk::SimDisk, max, min, sum,
};

use crate::{chance::Chance, store::Store, time::Time};

/// The statistics, and the time between two flushes of each.
pub const STATISTICS: [(&str, Duration); 3] = [
    ("requests", Duration::from_millis(100)),
    ("again", Duration::from_millis(250)),
    ("later", Duration::from_millis(150)),
];
/// The texts of a statistic's condition and of its key, and how many keys a top list has.
pub fn definition_of(statistic: &str) -> (Option<&'static str>, &'static str, Option<u32>) {
    match statistic {
        "again" => (Some(r#"status >= 0 and request_id != """#), r#"default(request_id, "-")"#, None),
        "later" => (None, "request_id", Some(5)),
        _ => (None, "request_id", None),
    }
}

/// The number of those that are there from the beginning.
pub const FIRST: usize = 2;
/// The time for which the statistic `again` is kept: longer than a clock is wrong, since at the start of a source it is
/// believed. So nothing is removed, although it is looked for.
const RETAINED: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The interval at which the operator looks at the status.
const LOOK_EVERY: Duration = Duration::from_millis(30);

/// The configuration, and what becomes of it.
#[derive(Debug)]
pub struct Operator {
    chance: Chance,
    /// The names that the sinks have, one of a store, and how often it was changed.
    sinks: [(&'static str, u64); 2],
    /// The number of measures that were added to the statistic `again`. None can be taken out.
    added: u64,
    /// True once the statistic `later` is there, which counts what was written before, too.
    has_later: bool,
    /// The stores of a sink that is added and taken out again, each time with another name and another store.
    pub guests: Vec<Store>,
    has_guest: bool,
    /// The place at which such a sink begins.
    start: SinkStart,
    time: Time,
    /// True if refused batches are given up now and then.
    gives_up: bool,
    /// The names of the files with the rows of those.
    pub given_up: Vec<String>,
    /// True once the state directory was lost.
    pub has_lost_state: bool,
    /// The number of times that a store was put right because it had stopped.
    pub mended: u64,
    /// The number of changes.
    pub changes: u64,
    /// The number of times that something refused was tried again.
    pub retries: u64,
}

impl Operator {
    pub fn new(mut chance: Chance, time: Time, may_give_up: bool) -> Self {
        Self {
            guests: Vec::new(),
            has_guest: false,
            start: [SinkStart::Now, SinkStart::Oldest][chance.below(2) as usize],
            time,
            gives_up: chance.one_in(3) && may_give_up,
            given_up: Vec::new(),
            chance,
            sinks: [("reports", 0), ("archive", 0)],
            added: 0,
            has_later: false,
            has_lost_state: false,
            mended: 0,
            changes: 0,
            retries: 0,
        }
    }

    /// Changes something before a life, perhaps.
    pub fn change(&mut self) {
        let what = self.chance.below(12);
        match what {
            0 | 1 => self.sinks[what as usize].1 += 1,
            2 if self.added < 2 => self.added += 1,
            3 | 4 if !self.has_later => self.has_later = true,
            5 | 6 if self.has_guest => self.has_guest = false,
            // Nobody adopts the position of a store that has none.
            5 if !self.has_lost_state => {
                self.guests.push(Store::new(self.chance.fork(), self.time.clone(), false));
                self.has_guest = true;
            }
            _ => return,
        }
        self.changes += 1;
    }

    /// Adds what is not there yet, and takes out what does not stay.
    pub fn complete(&mut self) {
        (self.has_later, self.has_guest) = (true, false);
    }

    /// Loses the state directory. From now on, the pipeline goes on where the stores stand.
    pub fn lose_state(&mut self, state: &SimDisk) {
        for name in state.names() {
            state.lose(&name);
        }
        self.has_lost_state = true;
    }

    /// Returns the number of statistics.
    pub fn statistics(&self) -> usize {
        if self.has_later { STATISTICS.len() } else { FIRST }
    }

    /// Adds statistics and sinks to a pipeline.
    pub fn configure(&self, mut builder: PipelineBuilder, stores: &[Store]) -> PipelineBuilder {
        for (name, flush_every) in &STATISTICS[..self.statistics()] {
            let statistic = match *name {
                // The same numbers by way of a condition and a derived key.
                "again" => Statistic::named(*name)
                    .only(field("status").ge(0) & !field("request_id").eq(""))
                    .group_by([field("request_id").default("-").named("request_id")]),
                _ => Statistic::named(*name).group_by(["request_id"]),
            };
            let statistic = statistic.measure(count());
            let mut statistic = statistic.measure(sum("status")).flush_every(*flush_every).redefine(true);
            if *name == "again" {
                let more = [max("status"), min("status")].into_iter().take(self.added as usize);
                statistic = more.fold(statistic, Statistic::measure);
            }
            if *name == "again" {
                statistic = statistic.retain(RETAINED);
            }
            if *name == "later" {
                statistic = statistic.begin(Begin::Oldest);
            }
            if let (.., Some(keys)) = definition_of(name) {
                statistic = statistic.top(keys);
            }
            builder = builder.statistic(statistic);
        }
        for ((name, changes), store) in self.sinks.iter().zip(stores) {
            builder = builder.sink(format!("{name}{changes}"), store.clone());
            // A life may be too short for a new name to get to the state directory.
            for former in 0..*changes {
                builder = builder.formerly(format!("{name}{former}"));
            }
        }
        for (number, guest) in self.guests.iter().enumerate() {
            let name = format!("guest{number}");
            let is_there = self.has_guest && number + 1 == self.guests.len();
            builder = if is_there { builder.sink(name, guest.clone()) } else { builder.forget_sink(name) };
        }
        builder = builder.new_sinks(self.start);
        let lost_state = if self.has_lost_state { LostState::Adopt } else { LostState::Refuse };
        builder.on_lost_state(lost_state)
    }

    /// Puts a store right, if the pipeline has stopped it or a statistic in it.
    async fn mend(&mut self, handle: &StatusHandle, sink: &SinkStatus, store: &Store) {
        if sink.stopped.is_empty() && sink.state != SinkState::Stopped {
            return;
        }
        if sink.stopped.is_empty() {
            // Nothing of a sink that is stopped as a whole can be given up.
            let given_up = handle.discard(&sink.name, STATISTICS[0].0, 1).await;
            assert!(matches!(given_up, Err(Error::NotRefused { .. } | Error::NotRunning)), "{given_up:?}");
        }
        self.mended += u64::from(store.mend());
        let _ = handle.retry_sink(&sink.name);
    }

    /// Tries again now and then what a sink has refused, or gives it up, and puts a store right that had a mishap. Never ends.
    pub async fn attend(&mut self, handle: StatusHandle, stores: &[Store]) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            for (at, sink) in handle.status().sinks.into_iter().enumerate() {
                let store = stores.get(at).filter(|store| store.has_mishap());
                if let Some(store) = store {
                    self.mend(&handle, &sink, store).await;
                    continue;
                }
                let Some(stopped) = sink.stopped.first() else { continue };
                if self.gives_up && self.chance.one_in(3) {
                    // The run may have ended in the meantime.
                    let given_up = handle.discard(&sink.name, &stopped.statistic, stopped.sequence).await;
                    self.given_up
                        .extend(given_up.ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned())));
                } else {
                    let is_tried = self.chance.one_in(2);
                    self.retries += u64::from(is_tried && handle.retry_sink(&sink.name).unwrap_or(false));
                }
            }
        }
    }
}
