//! A connection that is cut between a commit and its answer.
//!
//! The client cannot know whether its batch was applied. It offers the batch again, and the store must recognise it if it
//! was, and apply it if it was not.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use evs::{SinkError, prelude::*};
use evs_testkit::{Random, proxy::Sender};

use crate::{
    counting::{Counting, KIND},
    store::{Database, Store},
    support::process::Place,
    watched::Account,
};

/// The number of commits whose outcome the client cannot know, unless `EVS_AMBIGUOUS` is another.
const AMBIGUOUS: u64 = 50;
/// The number of connections that end somewhere else.
const CUTS: u64 = 20;
/// The number of lines of each batch.
const LINES: u64 = 50;

/// The connection is cut at the server's commit: before the server gets it, or before the client gets the answer. Nothing
/// tells the client which of the two it was.
pub(crate) async fn ambiguous_commits(store: Arc<Store>) {
    let faults = std::env::var("EVS_AMBIGUOUS").map_or(AMBIGUOUS, |faults| faults.parse().unwrap());
    let database = store.database().await;
    let (mut place, mut random) = (Place::new(KIND, 3), Random::new(3));
    place.write(500);
    let (applied, account) = if store.engine.has_server() {
        let (counting, account) = Counting::start(&place, database.sink().await);
        counting.until_delivered(&place).await;
        let applied = cut_commits(&database, &counting, &mut place, &mut random, faults).await;
        counting.assert_exact(&place, &database).await;
        (applied, account)
    } else {
        in_process(&database, &mut place, faults).await
    };
    account.assert_in_order();
    let (found, engine) = (account.before(), database.engine());
    // Without transactions, a batch is several writes, and the one whose answer was lost may be any of them.
    if engine.is_transactional() || !engine.has_server() {
        assert_eq!(found, applied, "commits that took effect, and batches found applied");
    }
    eprintln!(
        "{engine:?}: {faults} ambiguous commits; {applied} had taken effect and {} had not; {found} batches were found \
         applied; the rows of all {} lines are exact",
        faults - applied,
        account.lines()
    );
}

/// Cuts the connection at so many commits. Returns the number of those that took effect.
async fn cut_commits(
    database: &Database,
    counting: &Counting,
    place: &mut Place,
    random: &mut Random,
    faults: u64,
) -> u64 {
    let mut applied = 0;
    for fault in 1..=faults {
        let retries = counting.sink().retries;
        if random.below(2) == 0 {
            database.proxy().lose_request(random.below(3));
        } else {
            database.proxy().lose_answer(random.below(3));
            applied += 1;
        }
        counting.until_happened(place, LINES, database.proxy(), fault).await;
        counting.until_delivered(place).await;
        assert!(counting.sink().retries > retries, "fault {fault} was not noticed");
    }
    applied
}

/// The same for a store without a connection: its answer is replaced by an error, or the batch never reaches it.
/// `tests/kill.rs` kills the process at any moment of its commits.
async fn in_process(database: &Database, place: &mut Place, faults: u64) -> (u64, Arc<Account>) {
    let applied = Arc::new(AtomicU64::new(0));
    let chance = Chance {
        random: Random::new(3).into(),
        left: faults.into(),
        applied: Arc::clone(&applied),
        failed: 0.into(),
    };
    let (counting, account) = Counting::start(place, Arc::new(Forgetful(database.sink().await, chance)));
    while counting.sink().retries < faults {
        place.write(LINES);
        counting.until_delivered(place).await;
    }
    counting.assert_exact(place, database).await;
    (applied.load(Ordering::SeqCst), account)
}

/// A sink that fails with or without having applied the batch.
#[derive(Debug)]
struct Forgetful(Arc<dyn Sink>, Chance);

/// The chance of a failure.
#[derive(Debug)]
struct Chance {
    random: std::sync::Mutex<Random>,
    /// The number of failures that are left.
    left: AtomicU64,
    /// The number of failures whose batch was applied.
    applied: Arc<AtomicU64>,
    /// The sequence of the last batch that failed: each fails once at most.
    failed: AtomicU64,
}

evs_store::forward_sink!(Forgetful, |sink, batch| {
    let chance = &sink.1;
    let is_again = chance.failed.swap(batch.sequence, Ordering::SeqCst) == batch.sequence;
    let is_left = |left: u64| left.checked_sub(1);
    if is_again || chance.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_left).is_err() {
        return sink.0.apply(batch).await;
    }
    let is_applied = chance.random.lock().unwrap().below(2) == 0;
    if is_applied {
        sink.0.apply(batch).await?;
        chance.applied.fetch_add(1, Ordering::SeqCst);
    }
    Err(SinkError::unavailable("the connection", "cut between a commit and its answer"))
});

/// The connection is cut anywhere: in the header of a message or in its body.
pub(crate) async fn messages(store: Arc<Store>) {
    if !store.engine.has_server() {
        return;
    }
    let database = store.database().await;
    let (mut place, mut random) = (Place::new(KIND, 3), Random::new(3));
    place.write(500);
    let (counting, account) = Counting::start(&place, database.sink().await);
    counting.until_delivered(&place).await;
    for fault in 1..=CUTS {
        let sender = if random.below(2) == 0 { Sender::Client } else { Sender::Server };
        // Most messages are shorter than that.
        database.proxy().cut_within(sender, random.below(12), random.below(300) as usize);
        counting.until_happened(&mut place, LINES, database.proxy(), fault).await;
        counting.until_delivered(&place).await;
    }
    account.assert_in_order();
    counting.assert_exact(&place, &database).await;
}
