use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    hash::{BuildHasher, RandomState},
    io::Write,
    sync::Arc,
    time::Instant,
};

use evs::prelude::*;
use evs_testkit::Random;

use crate::{
    counting::{Counting, KIND, builder_for},
    store::Store,
    support::{process::Place, totals_of},
    watched::Watched,
};

const BATCHES: u64 = 500;
const ROWS_PER_BATCH: u64 = 8;
/// Long, so that 500 batches in memory would be seen: 64 KiB each.
const KEY_BYTES: usize = 8 << 10;
/// Of memory, while 32 MiB of batches go to the disk and come back.
const GROWTH_MAX: u64 = 16 << 20;

/// An outage of 500 batches, and then everything is delivered without anybody's help, in order and in bounded memory.
pub(crate) async fn of_500_batches(store: Arc<Store>) {
    let mut database = store.database().await;
    let place = Place::new(KIND, 5);
    let mut pages = Pages::new(&place);
    let statistic =
        Statistic::named("pages").group_by(["request_uri"]).measure(count()).measure(sum("body_bytes_sent"));
    let (sink, account) = Watched::new(database.sink().await);
    let counting = Counting::run(builder_for(&place, statistic, "combined").sink("store", sink), &[&account]);
    pages.write();
    counting.until("the first batch is there", |status| status.sinks[0].batches > 0).await;

    database.down().await;
    pages.write();
    counting.until_down().await;
    let before = counting.status().batches;
    let (mut at_first, mut most) = (0, 0);
    while counting.status().batches < before + BATCHES {
        pages.write();
        counting.until_cut(&place).await;
        most = most.max(memory());
        if counting.status().batches < before + BATCHES / 10 {
            at_first = memory();
        }
    }
    let status = counting.status();
    assert!(status.sinks[0].waiting >= BATCHES, "{status:#?}");
    assert!(status.binlog_bytes > BATCHES * ROWS_PER_BATCH * KEY_BYTES as u64 / 2, "{status:#?}");

    database.up().await;
    let since = Instant::now();
    let mut first = None;
    let caught_up = counting.until("it has caught up", |now| {
        most = most.max(memory());
        if now.sinks[0].waiting < status.sinks[0].waiting {
            first.get_or_insert_with(Instant::now);
        }
        now.sinks[0].waiting == 0
    });
    let caught_up = caught_up.await;
    let all = since.elapsed().as_secs_f64();
    let delivering = first.map_or(0.0, |first| first.elapsed().as_secs_f64());
    eprintln!(
        "{:?}: {BATCHES} batches of {} KiB caught up in {all:.1} s, {delivering:.1} s of it delivering ({:.0} \
         batches/s); memory {} MiB, at the most {} MiB",
        database.engine(),
        (ROWS_PER_BATCH * KEY_BYTES as u64) >> 10,
        BATCHES as f64 / delivering.max(0.001),
        at_first >> 20,
        most >> 20
    );
    assert!(most < at_first + GROWTH_MAX, "{} MiB, from {} MiB", most >> 20, at_first >> 20);
    assert_eq!(caught_up.sinks[0].batches, caught_up.batches);
    account.assert_in_order();
    let pipeline = counting.stop().await;
    let schema = pipeline.schemas().next().unwrap();
    let counted = totals_of(&*database.sink().await, schema).await;
    assert_eq!(counted.len(), pages.bytes.len(), "pages lost, or counted that were not asked for");
    for ((_, keys), (count, bytes)) in counted {
        let expected = pages.bytes.get(&pages.hasher.hash_one(&keys[0]));
        assert_eq!((count, Some(bytes)), (1, expected.map(|&bytes| bytes.into())));
    }
}

/// Requests for pages that are never asked for again.
struct Pages<'a> {
    place: &'a Place,
    random: Random,
    hasher: RandomState,
    /// Of each page, by its hash: the pages themselves would take the memory that is to be seen.
    bytes: BTreeMap<u64, u64>,
}

impl<'a> Pages<'a> {
    fn new(place: &'a Place) -> Self {
        let (random, hasher) = (Random::new(5), RandomState::new());
        Self { place, random, hasher, bytes: BTreeMap::new() }
    }

    /// Logs what becomes a batch.
    fn write(&mut self) {
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
}

/// What this process has in memory, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}
