//! What an operator does to a store by mistake, and takes back when the pipeline has said so.
//!
//! A mishap strikes at some call of a life. evs stops the store, or a part of it, or the whole run, and adds nothing that
//! counts twice later. The way out is that of docs/errors.md: the store is as it was again, and what it lacks follows.

use std::{
    mem,
    sync::{Arc, atomic::Ordering::SeqCst},
};

use evs_core::{
    Batch, Epoch, Error, KeyColumn, MeasureColumn, MeasureKind, MemorySink, Rows, Schema, Sink, Writer,
};

use crate::{coverage::Event, life::End, operator::STATISTICS, store::Store, world::World};

/// The calls of a life among which a mishap strikes.
const CALLS_MAX: u64 = 25;
/// The length of a life with a mishap, and of the life after it, in milliseconds.
const MISHAP_MILLIS: u64 = 400;
const AFTER_MILLIS: u64 = 300;
/// The epoch and the process of somebody else.
const OTHER_EPOCH: [u8; 16] = [7; 16];
const OTHER_TOKEN: u128 = 7;

/// A mishap.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// The store has these contents instead of its own: none, those of an old backup, or those of another installation.
    Replaced(MemorySink),
    /// Each claim goes to a server that does not share it with the others.
    Forgetful,
    /// Another process, which has the same state directory, claims the source. It adds nothing.
    TakenOver,
}

/// The mishaps of a store.
#[derive(Debug, Default)]
pub struct Mishaps {
    /// The mishap that comes, and after how many calls.
    planned: Option<(u64, Mishap)>,
    /// The present one. If the contents were replaced, these are the right ones.
    present: Option<Mishap>,
}

impl Store {
    /// Lets a mishap strike after some calls.
    fn plan(&self, calls: u64, mishap: Mishap) {
        self.mishaps.lock().unwrap().planned = Some((calls, mishap));
    }

    pub fn has_mishap(&self) -> bool {
        self.mishaps.lock().unwrap().present.is_some()
    }

    /// Returns true if claims are forgotten.
    pub fn is_forgetful(&self) -> bool {
        matches!(self.mishaps.lock().unwrap().present, Some(Mishap::Forgetful))
    }

    /// Lets the planned mishap strike if its call has come.
    pub fn strike(&self) {
        let mut mishaps = self.mishaps.lock().unwrap();
        match mishaps.planned.take() {
            Some((0, Mishap::Replaced(contents))) => {
                let right = mem::replace(&mut *self.memory.lock().unwrap(), contents);
                mishaps.present = Some(Mishap::Replaced(right));
            }
            Some((0, mishap)) => mishaps.present = Some(mishap),
            Some((calls, mishap)) => mishaps.planned = Some((calls - 1, mishap)),
            None => {}
        }
    }

    /// Takes a mishap back. Returns false if there was none.
    pub fn mend(&self) -> bool {
        let mut mishaps = self.mishaps.lock().unwrap();
        mishaps.planned = None;
        let present = mishaps.present.take();
        if let Some(Mishap::Replaced(right)) = &present {
            *self.memory.lock().unwrap() = right.clone();
        }
        present.is_some()
    }

    /// Lets another process claim the source, if that is the mishap.
    pub async fn be_taken_over(&self, source: &str) {
        if !matches!(self.mishaps.lock().unwrap().present, Some(Mishap::TakenOver)) {
            return;
        }
        let memory = self.memory();
        let last = memory.writer(source).await.unwrap();
        if let Some(last) = last.filter(|last| last.token != OTHER_TOKEN) {
            let other = Writer { fence: last.fence + 1, token: OTHER_TOKEN, ..last.clone() };
            assert!(memory.claim(&other, Some(&last)).await.unwrap());
        }
    }
}

impl World {
    /// Lets a store have a mishap for a life, if the binlog keeps what a store lacks that is put right. Before that, a store
    /// may be backed up.
    pub fn perhaps_a_mishap(&mut self) {
        // Where a source goes on after its state directory was lost is what all stores say then.
        if !self.manner.fails_over || self.operator.has_lost_state {
            return;
        }
        let at = self.later.below(2) as usize;
        let store = self.stores[at].clone();
        if store.known(self.source) != self.operator.statistics() {
            return;
        }
        if self.later.one_in(3) {
            self.old[at] = Some(store.memory().backup());
        } else if self.later.one_in(2) {
            self.mishap(&store, at);
        }
    }

    fn mishap(&mut self, store: &Store, at: usize) {
        let elsewhere = elsewhere(self.source);
        let mishap = match (self.later.below(5), &self.old[at]) {
            (0, _) => Mishap::Replaced(MemorySink::new()),
            (1, Some(old)) => Mishap::Replaced(old.backup()),
            (2, _) => Mishap::Forgetful,
            (3, _) => Mishap::TakenOver,
            (4, _) => Mishap::Replaced(elsewhere.clone()),
            _ => return,
        };
        show!("mishap of store {at}: {mishap:?}");
        // A copy that was made in between would lack what was added before.
        store.replica.lock().unwrap().take();
        store.plan(self.later.below(CALLS_MAX), mishap);
        let mended = self.operator.mended;
        self.is_judged_apart = true;
        let ended = self.live(End::Stopped(MISHAP_MILLIS)).unwrap();
        self.is_judged_apart = false;
        // The pipeline sees how far the store is before the time is over for which the binlog keeps what it lacks.
        let was_struck = store.has_mishap() || self.operator.mended > mended;
        store.mend();
        let seed = self.seed;
        match ended {
            Ok(_) => {}
            Err(Error::ForeignState { .. }) => assert_eq!(contents(&elsewhere), 1, "seed {seed}"),
            Err(error) => panic!("seed {seed}: {error:?}"),
        }
        self.coverage.note(Event::Mishap, u64::from(was_struck));
        let were_calm = self.stores.each_ref().map(|store| store.is_calm.swap(true, SeqCst));
        self.live(End::Stopped(AFTER_MILLIS)).unwrap().unwrap();
        for (store, was_calm) in self.stores.iter().zip(were_calm) {
            store.is_calm.store(was_calm, SeqCst);
        }
    }
}

/// Returns the store of another installation, in which another state directory counts under the same name of the source.
fn elsewhere(source: &str) -> MemorySink {
    let memory = MemorySink::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut rows = Rows::new(1, 1);
        rows.push(0, [&b"other"[..]], &[Some(1)]);
        let (epoch, schema) = (Epoch::from_bytes(OTHER_EPOCH), Arc::new(schema()));
        memory.prepare(&schema).await.unwrap();
        memory.apply(&Batch::new(source, epoch, schema, 1, rows)).await.unwrap();
    });
    memory
}

fn schema() -> Schema {
    let count = MeasureColumn::new("count", MeasureKind::Count, "", 0);
    Schema::new(STATISTICS[0].0, 60, vec![KeyColumn::new("request_id", "request_id")], vec![count])
}

/// Returns the number of rows of the store of another installation.
fn contents(memory: &MemorySink) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(memory.totals(&schema(), i64::MIN..i64::MAX)).unwrap().len()
}
