//! A long outage: hundreds of batches wait on the disk, and are delivered in order and in bounded memory.

use std::{sync::Arc, time::Instant};

use crate::{
    counting::KIND,
    pages::{BATCH_BYTES, Pages},
    store::Store,
    support::process::Place,
};

/// The number of batches of the outage.
const BATCHES: u64 = 500;
/// The growth of memory that is allowed while 32 MiB of batches go to the disk and come back.
const GROWTH_MAX: u64 = 16 << 20;

/// An outage of 500 batches, and then everything is delivered without anybody's help, in order and in bounded memory.
pub(crate) async fn of_500_batches(store: Arc<Store>) {
    let mut database = store.database().await;
    let place = Place::new(KIND, 5);
    let mut pages = Pages::new(&place);
    let (counting, account) = pages.count_into(database.sink().await);
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
    assert!(status.binlog_bytes > BATCHES * BATCH_BYTES / 2, "{status:#?}");

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
        BATCH_BYTES >> 10,
        BATCHES as f64 / delivering.max(0.001),
        at_first >> 20,
        most >> 20
    );
    assert!(most < at_first + GROWTH_MAX, "{} MiB, from {} MiB", most >> 20, at_first >> 20);
    assert_eq!(caught_up.sinks[0].batches, caught_up.batches);
    account.assert_in_order();
    pages.assert_exact(counting, &database).await;
}

/// The memory of this process, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}
