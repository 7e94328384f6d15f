//! A database whose disk is full.
//!
//! The pages that are counted have long keys that cannot be compressed, so that a small disk fills in seconds.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use evs_testkit::{disk::fill_up, services::skip};

use crate::{counting::KIND, pages::Pages, store::Store, support::process::Place};

/// The number of batches after which the disk must be full. Servers have some room in files that they have made
/// already.
const STEPS_MAX: usize = 2000;

/// The database's disk is full: its sink is down and says why, for as long as it is.
pub(crate) async fn disk(store: Arc<Store>) {
    // `tests/faults` does it to a database in a file.
    if !store.engine.has_server() {
        return;
    }
    let mut database = store.database().await;
    let Some(disk) = database.disk().map(Path::to_owned) else {
        return skip("disk of its own", "mounting is not permitted: it needs root");
    };
    let place = Place::new(KIND, 8);
    let mut pages = Pages::new(&place);
    let (counting, account) = pages.count_into(database.sink().await);
    pages.write();
    counting.until("the first batch is there", |status| status.sinks[0].batches > 0).await;

    let full = Full::new(&disk);
    for step in 0.. {
        assert!(step < STEPS_MAX, "{:#?}", counting.status());
        pages.write();
        counting.until_cut(&place).await;
        if counting.sink().retries > 0 {
            break;
        }
    }
    counting.until_down().await;
    eprintln!("{:?}: {}", store.engine, counting.sink().last_error.unwrap_or_default());

    drop(full);
    // Some servers have ended by themselves, and some must be told that there is room again.
    database.restart().await;
    let caught_up = counting.until("it has caught up", |status| status.sinks[0].waiting == 0).await;
    assert_eq!(caught_up.sinks[0].batches, caught_up.batches);
    account.assert_in_order();
    pages.assert_exact(counting, &database).await;
}

/// A file that takes all the room of a disk, until this is dropped.
struct Full(PathBuf);

impl Full {
    /// Fills the disk.
    fn new(disk: &Path) -> Self {
        let full = Self(disk.join("ballast"));
        fill_up(&full.0).unwrap();
        full
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}
