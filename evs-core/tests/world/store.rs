//! A store that is slow, silent or down, that commits and loses the answer, or that refuses.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use evs_core::{Applied, Batch, Limits, MemorySink, Progress, Rows, Schema, Sink, SinkError, Writer};

use crate::{chance::Chance, life::KEPT, mishap::Mishaps, operator::FIRST, time::Time};

/// The epoch, statistic and sequence of a batch.
pub type BatchId = (String, String, u64);

/// The store. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Store {
    pub memory: Arc<Mutex<MemorySink>>,
    pub mishaps: Arc<Mutex<Mishaps>>,
    /// A replica that is behind.
    pub replica: Arc<Mutex<Option<Replica>>>,
    time: Time,
    /// True if the replica takes the store's place now and then.
    pub fails_over: Arc<AtomicBool>,
    chance: Arc<Mutex<Chance>>,
    /// True at the end of the world: the store works.
    pub is_calm: Arc<AtomicBool>,
    /// For each batch that was added, whether it had rows when it was added last.
    added: Arc<Mutex<BTreeMap<BatchId, bool>>>,
    /// The number of answers that were lost after a commit.
    pub lost_answers: Arc<AtomicU64>,
    /// The number of times that the store went back to an older state.
    pub failovers: Arc<AtomicU64>,
}

/// An older state of a store.
#[derive(Debug)]
pub struct Replica {
    /// The time of its contents.
    made: Duration,
    /// The number of statistics of which it has something.
    statistics: usize,
    memory: MemorySink,
}

/// What a call meets.
enum Luck {
    Good,
    /// The call has its effect, and no answer comes.
    NoAnswer,
}

impl Store {
    pub fn new(chance: Chance, time: Time, fails_over: bool) -> Self {
        Self {
            memory: Arc::default(),
            mishaps: Arc::default(),
            replica: Arc::default(),
            time,
            fails_over: Arc::new(AtomicBool::new(fails_over)),
            chance: Arc::new(Mutex::new(chance)),
            is_calm: Arc::default(),
            added: Arc::default(),
            lost_answers: Arc::default(),
            failovers: Arc::default(),
        }
    }

    /// Returns whether a batch had rows when it was added last, if it ever was.
    pub fn has_rows(&self, batch: &BatchId) -> Option<bool> {
        self.added.lock().unwrap().get(batch).copied()
    }

    /// Returns true if the position of a statistic is still in the files that are older than it.
    pub fn is_among_older_files(&self, source: &str) -> bool {
        self.remembered(source).iter().any(|progress| progress.to.to_string().contains("older file"))
    }

    /// Returns the number of statistics of a source of which the store has something.
    pub fn known(&self, source: &str) -> usize {
        let remembered = self.remembered(source);
        remembered.iter().map(|progress| &progress.statistic).collect::<BTreeSet<_>>().len()
    }

    fn remembered(&self, source: &str) -> Vec<Progress> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.memory().progress(source)).unwrap()
    }

    /// Returns the store as it is now.
    pub fn memory(&self) -> MemorySink {
        self.memory.lock().unwrap().clone()
    }

    /// Copies the store to its replica now and then, or has the replica take its place.
    ///
    /// A store that remembers nothing of a statistic counts as emptied, which evs rightly refuses. So a replica only takes
    /// the place if it has something of each.
    async fn replicate(&self) {
        if !self.fails_over.load(SeqCst) || self.is_calm.load(SeqCst) || self.has_mishap() {
            return;
        }
        let [is_copied, fails_over] = [3, 6].map(|times| self.chance.lock().unwrap().one_in(times));
        let statistics = self.statistics().await;
        if statistics >= FIRST && is_copied {
            let replica = Replica { made: self.time.elapsed(), statistics, memory: self.memory().backup() };
            *self.replica.lock().unwrap() = Some(replica);
        } else if fails_over {
            self.fail_over().await;
        }
    }

    /// Lets the replica take the store's place, if there is one that may.
    pub async fn fail_over(&self) {
        let (statistics, now) = (self.statistics().await, self.time.elapsed());
        let may = |replica: &mut Replica| {
            replica.statistics == statistics && now.saturating_sub(replica.made) < KEPT / 3
        };
        if let Some(replica) = self.replica.lock().unwrap().take_if(may) {
            self.failovers.fetch_add(1, SeqCst);
            *self.memory.lock().unwrap() = replica.memory;
        }
    }

    /// Returns the number of statistics of which the store has something.
    async fn statistics(&self) -> usize {
        self.memory().progress("web1").await.map_or(0, |progress| progress.len())
    }

    /// Decides what a call meets, and waits or fails accordingly.
    async fn call(&self, refuses: bool) -> Result<Luck, SinkError> {
        self.strike();
        if self.is_calm.load(SeqCst) {
            return Ok(Luck::Good);
        }
        let (luck, millis) = {
            let mut chance = self.chance.lock().unwrap();
            (chance.below(40), chance.below(10))
        };
        match luck {
            0..=2 => Err(SinkError::unavailable("connecting", "refused")),
            3 if refuses => Err(SinkError::refused("not now")),
            4 => pending().await,
            5..=8 => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(Luck::Good)
            }
            9..=12 => Ok(Luck::NoAnswer),
            _ => Ok(Luck::Good),
        }
    }

    /// Loses the answer of a call that has had its effect, if that is its luck.
    fn answer<T>(&self, luck: &Luck, answer: T) -> Result<T, SinkError> {
        match luck {
            Luck::Good => Ok(answer),
            Luck::NoAnswer => {
                self.lost_answers.fetch_add(1, SeqCst);
                Err(SinkError::unavailable("waiting for the answer", "the connection was reset"))
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Sink for Store {
    fn limits(&self) -> Limits {
        self.memory().limits()
    }

    async fn prepare(&self, schema: &Schema) -> Result<(), SinkError> {
        let luck = self.call(false).await?;
        self.memory().prepare(schema).await?;
        self.answer(&luck, ())
    }

    async fn progress(&self, source: &str) -> Result<Vec<Progress>, SinkError> {
        self.call(false).await?;
        self.memory().progress(source).await
    }

    async fn begin(&self, progress: &Progress) -> Result<(), SinkError> {
        let luck = self.call(false).await?;
        self.memory().begin(progress).await?;
        self.answer(&luck, ())
    }

    async fn writer(&self, source: &str) -> Result<Option<Writer>, SinkError> {
        self.call(false).await?;
        self.memory().writer(source).await
    }

    async fn claim(&self, writer: &Writer, last: Option<&Writer>) -> Result<bool, SinkError> {
        let luck = self.call(false).await?;
        let memory = if self.is_forgetful() { self.memory().backup() } else { self.memory() };
        let is_claimed = memory.claim(writer, last).await?;
        self.answer(&luck, is_claimed)
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        let luck = self.call(true).await?;
        self.be_taken_over(&batch.source).await;
        let applied = self.memory().apply(batch).await?;
        if applied == Applied::Now {
            let id = (batch.epoch.to_string(), batch.schema.statistic.clone(), batch.sequence);
            self.added.lock().unwrap().insert(id, !batch.rows.is_empty());
        }
        self.replicate().await;
        self.answer(&luck, applied)
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.call(false).await?;
        self.memory().sweep(schema, before).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.memory().close().await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.memory().totals(schema, windows).await
    }
}
