//! A store that is slow, silent or down, that commits and loses the answer, or that refuses.

use std::{
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

use crate::{
    chance::Chance,
    life::{KEPT, STATISTICS},
    time::Time,
};

/// The store. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Store {
    memory: Arc<Mutex<MemorySink>>,
    /// A replica that is behind, with the time of its contents.
    replica: Arc<Mutex<Option<(Duration, MemorySink)>>>,
    time: Time,
    /// True if the replica takes the store's place now and then.
    fails_over: bool,
    chance: Arc<Mutex<Chance>>,
    /// True at the end of the world: the store works.
    pub is_calm: Arc<AtomicBool>,
    /// The number of answers that were lost after a commit.
    pub lost_answers: Arc<AtomicU64>,
    /// The number of times that the store went back to an older state.
    pub failovers: Arc<AtomicU64>,
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
            replica: Arc::default(),
            time,
            fails_over,
            chance: Arc::new(Mutex::new(chance)),
            is_calm: Arc::default(),
            lost_answers: Arc::default(),
            failovers: Arc::default(),
        }
    }

    /// Returns the store as it is now.
    pub fn memory(&self) -> MemorySink {
        self.memory.lock().unwrap().clone()
    }

    /// Copies the store to its replica now and then, or has the replica take its place.
    ///
    /// A store that remembers nothing of a statistic counts as emptied, which evs rightly refuses. So the replica has
    /// something of each.
    async fn replicate(&self) {
        if !self.fails_over || self.is_calm.load(SeqCst) {
            return;
        }
        let backup = self.memory().backup();
        let is_begun = backup.progress("web1").await.is_ok_and(|progress| progress.len() == STATISTICS.len());
        let mut replica = self.replica.lock().unwrap();
        let mut chance = self.chance.lock().unwrap();
        let now = self.time.elapsed();
        if is_begun && chance.one_in(3) {
            *replica = Some((now, backup));
        } else if chance.one_in(6)
            && let Some((_, memory)) = replica.take_if(|(at, _)| now - *at < KEPT / 3)
        {
            self.failovers.fetch_add(1, SeqCst);
            *self.memory.lock().unwrap() = memory;
        }
    }

    /// Decides what a call meets, and waits or fails accordingly.
    async fn call(&self, refuses: bool) -> Result<Luck, SinkError> {
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
        let is_claimed = self.memory().claim(writer, last).await?;
        self.answer(&luck, is_claimed)
    }

    async fn apply(&self, batch: &Batch) -> Result<Applied, SinkError> {
        let luck = self.call(true).await?;
        let applied = self.memory().apply(batch).await?;
        self.replicate().await;
        self.answer(&luck, applied)
    }

    async fn sweep(&self, schema: &Schema, before: i64) -> Result<bool, SinkError> {
        self.memory().sweep(schema, before).await
    }

    async fn close(&self) -> Result<(), SinkError> {
        self.memory().close().await
    }

    async fn totals(&self, schema: &Schema, windows: Range<i64>) -> Result<Rows, SinkError> {
        self.memory().totals(schema, windows).await
    }
}
