//! A log of which every line becomes a row of its own.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    hash::{BuildHasher, RandomState},
    io::Write,
    sync::Arc,
};

use evs::prelude::*;
use evs_testkit::Random;

use crate::{
    counting::{Counting, builder_for},
    store::Database,
    support::{process::Place, totals_of},
    watched::{Account, Watched},
};

/// The number of lines, and of rows, per batch.
const ROWS_PER_BATCH: usize = 8;
/// Long keys, so that hundreds of batches show in memory or on a disk.
const KEY_BYTES: usize = 8 << 10;
/// The bytes of the pages that [`Pages::write`] logs.
pub(crate) const BATCH_BYTES: u64 = (ROWS_PER_BATCH * KEY_BYTES) as u64;

/// Requests for pages that are never asked for again: each is a row of its own, with a long key.
pub(crate) struct Pages<'a> {
    place: &'a Place,
    random: Random,
    hasher: RandomState,
    /// Of each page, by its hash: the pages themselves would take the memory that is to be seen.
    bytes: BTreeMap<u64, u64>,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(place: &'a Place) -> Self {
        let (random, hasher) = (Random::new(5), RandomState::new());
        Self { place, random, hasher, bytes: BTreeMap::new() }
    }

    /// Logs the lines of a batch of some [`BATCH_BYTES`].
    pub(crate) fn write(&mut self) {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut lines = Vec::new();
        for _ in 0..ROWS_PER_BATCH {
            let mut page = b"/".to_vec();
            // No compression makes it short.
            page.extend(self.random.bytes(KEY_BYTES).iter().map(|byte| LETTERS[usize::from(byte % 64)]));
            let bytes = self.random.below(1 << 40);
            lines.extend(b"192.0.2.1 - - [21/Nov/2026:13:25:00 +0000] \"GET ");
            lines.extend(&page);
            writeln!(lines, " HTTP/1.1\" 200 {bytes} \"-\" \"-\"").unwrap();
            self.bytes.insert(self.hasher.hash_one(&page), bytes);
        }
        let mut log = OpenOptions::new().append(true).create(true).open(self.place.log()).unwrap();
        log.write_all(&lines).unwrap();
    }

    /// Counts the pages into a sink.
    pub(crate) fn count_into(&self, sink: Arc<dyn Sink>) -> (Counting, Arc<Account>) {
        let statistic = Statistic::named("pages").group_by(["request_uri"]);
        let statistic = statistic.measure(count()).measure(sum("body_bytes_sent"));
        let (sink, account) = Watched::new(sink);
        let builder = builder_for(self.place, statistic, "combined").sink("store", sink);
        (Counting::run(builder, &[&account]), account)
    }

    /// Stops, and holds what is in the database against what was written to the log.
    pub(crate) async fn assert_exact(&self, counting: Counting, database: &Database) {
        let pipeline = counting.stop().await;
        let schema = pipeline.schemas().next().unwrap();
        let counted = totals_of(&*database.sink().await, schema).await;
        assert_eq!(counted.len(), self.bytes.len(), "pages lost, or counted that were not asked for");
        for ((_, keys), (count, bytes)) in counted {
            let expected = self.bytes.get(&self.hasher.hash_one(&keys[0]));
            assert_eq!((count, Some(bytes)), (1, expected.map(|&bytes| bytes.into())));
        }
    }
}
