//! The databases fail in every way that real ones do, on real servers: down, killed, cut off, silent, full, unwilling.
//! Whatever happens, the numbers in them are exact in the end, and the status has told the truth meanwhile.
//!
//! Each store has a server of its own, which `scripts/services` starts, with a proxy in front of it. `EVS_OUTAGES`
//! picks scenarios by parts of their names; `EVS_KILLS` is the number of times that evs itself is killed, `EVS_SERVER_KILLS`
//! that of its server, and `EVS_AMBIGUOUS` that of the commits at which its connection is cut. `scripts/outages` sets them.
//!
//!     EVS_OUTAGES=cut,silent cargo test --workspace --features evs/full --test outages mysql
//!
//! A scenario is an async function of a store. It writes to a log with exact totals (`Place`), counts it with a
//! pipeline inside of the test (`Counting`) through a sink that keeps account (`Watched`), causes its fault, and ends
//! with three checks: all batches came in order, everything was delivered, and the totals in the database are those of
//! the generator.

// A failure in a helper fails the test.
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/support/mod.rs"]
mod support;

mod backlog;
mod counting;
mod cut;
mod down;
mod evs_killed;
mod full;
mod killed;
mod neighbour;
mod pages;
mod refused;
mod silent;
mod store;
mod unwilling;
mod watched;

use std::{
    pin::Pin,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::store::{Engine, Store};

/// Longer than anything here takes, on a busy machine too. Between two attempts of a sink there are up to 20 s.
const PATIENCE: Duration = Duration::from_secs(120);

/// The scenario that measures the memory of its process. It has one of its own: in this one, the allocator keeps what the
/// scenarios of other stores have freed, and the measure would be of that.
const MEASURES_MEMORY: &str = "backlog_of_500_batches";

/// A scenario, which panics if the store or evs fails it.
type Scenario = fn(Arc<Store>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// The outages, with their names on the command line.
const SCENARIOS: [(&str, Scenario); 11] = [
    ("down_at_start", |store| Box::pin(down::at_start(store))),
    ("server_killed_while_it_applies", |store| Box::pin(killed::while_it_applies(store))),
    ("ambiguous_commits", |store| Box::pin(cut::ambiguous_commits(store))),
    ("messages_cut_off", |store| Box::pin(cut::messages(store))),
    ("evs_killed_while_it_delivers", |store| Box::pin(evs_killed::while_it_delivers(store))),
    (MEASURES_MEMORY, |store| Box::pin(backlog::of_500_batches(store))),
    ("silence", |store| Box::pin(silent::server(store))),
    ("dead_neighbour", |store| Box::pin(neighbour::is_dead(store))),
    ("full_disk", |store| Box::pin(full::disk(store))),
    ("one_statistic_refused", |store| Box::pin(refused::one_statistic(store))),
    ("unwilling", |store| Box::pin(unwilling::to_be_written(store))),
];

/// Runs all scenarios on one server, one after the other, and reports at the end which of them failed.
async fn survives(engine: Engine) {
    let wanted = std::env::var("EVS_OUTAGES").unwrap_or_default();
    let Some(store) = Store::start(engine) else { return };
    let store = Arc::new(store);
    let mut failed = Vec::new();
    for (name, scenario) in SCENARIOS {
        if !wanted.split(',').any(|part| name.contains(part.trim())) {
            continue;
        }
        let since = Instant::now();
        let is_ok = if name == MEASURES_MEMORY && wanted != name {
            tokio::task::spawn_blocking(move || is_survived_alone(engine, name)).await.unwrap()
        } else {
            store.bring_up();
            tokio::spawn(scenario(Arc::clone(&store))).await.is_ok()
        };
        eprintln!("{engine:?}, {name}: {:.1} s, {}", since.elapsed().as_secs_f64(), outcome(is_ok));
        if !is_ok {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{engine:?} did not survive: {failed:?}; the panics are above");
}

/// Runs one scenario in a process of its own, with a server of its own.
fn is_survived_alone(engine: Engine, scenario: &str) -> bool {
    let test = format!("{engine:?}_survives").to_lowercase();
    let mut alone = Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", &test, "--nocapture"]).env("EVS_OUTAGES", scenario);
    alone.status().unwrap().success()
}

fn outcome(is_ok: bool) -> &'static str {
    if is_ok { "survived" } else { "FAILED" }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_survives() {
    survives(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mysql_survives() {
    survives(Engine::MySql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_survives() {
    survives(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mongo_survives() {
    survives(Engine::Mongo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cassandra_survives() {
    survives(Engine::Cassandra).await;
}
