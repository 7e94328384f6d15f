use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use evs_testkit::{disk::fill_up, services::skip};

use crate::{
    counting::{Counting, KIND},
    store::Store,
    support::process::Place,
};

const STEPS_MAX: usize = 1000;

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
    let mut place = Place::new(KIND, 8);
    place.write(500);
    let (counting, account) = Counting::start(&place, database.sink().await);
    counting.until_delivered(&place).await;

    let full = Full::new(&disk);
    // What has room in pages that are there already is taken.
    for step in 0.. {
        assert!(step < STEPS_MAX, "{:#?}", counting.status());
        place.write(1000);
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
    counting.until_delivered(&place).await;
    account.assert_in_order();
    counting.assert_exact(&place, &database).await;
}

/// A file that takes all the room of a disk, until this is dropped.
struct Full(PathBuf);

impl Full {
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
