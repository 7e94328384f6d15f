//! Whole pipelines in a simulated world: every line of the log is in every store exactly once, whatever happens.
//!
//! A world is made from one seed. A web server writes its log on a simulated disk, which is rotated and compressed
//! between any two calls of the pipeline. The state directory is on another simulated disk. Stores are slow, silent or
//! down, lose answers and refuse. The pipeline lives several times: each time it is killed at some call, its disk
//! fails or is full, or it is told to stop; and perhaps the power fails, so that log and state directory lose some of
//! what was not synced. In the last life nothing goes wrong, and then everything has to be right.
//!
//! ```text
//! cargo test -p evs-core --test world                              # some worlds
//! EVS_WORLDS=10000 cargo test -p evs-core --test world             # more of them
//! EVS_WORLD=17 cargo test -p evs-core --test world                 # the world with seed 17
//! ```
//!
//! A world is on one thread. Its seed decides which thread of the pipeline runs next, and time passes only while all of
//! them wait. So a seed always gives the same world.

#![allow(clippy::unwrap_used, unreachable_pub, missing_docs, reason = "a test that cannot go on has failed")]

mod chance;
mod life;
mod process;
mod site;
mod store;
#[path = "../tail_support/mod.rs"]
mod tail_support;
mod time;
mod world;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Instant,
};

use world::{Coverage, World};

/// The number of worlds, unless `EVS_WORLDS` has another.
const WORLDS: u64 = 200;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{variable}: {value}")))
}

#[test]
fn every_line_is_in_every_store_exactly_once() {
    let (worlds, only) = (number("EVS_WORLDS").unwrap_or(WORLDS), number("EVS_WORLD"));
    let (next, coverage, started) = (AtomicU64::new(0), Mutex::new(Coverage::default()), Instant::now());
    let failed = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while failed.lock().unwrap().is_none() {
                    let count = next.fetch_add(1, SeqCst);
                    if count >= worlds {
                        break;
                    }
                    let seed = only.unwrap_or(count);
                    fastrand::seed(seed);
                    match catch_unwind(AssertUnwindSafe(|| World::new(seed).run())) {
                        Ok(seen) => coverage.lock().unwrap().add(seen),
                        Err(panic) => {
                            eprintln!("the world with seed {seed} is wrong: EVS_WORLD={seed}");
                            failed.lock().unwrap().get_or_insert(panic);
                        }
                    }
                }
            });
        }
    });
    if let Some(panic) = failed.into_inner().unwrap() {
        resume_unwind(panic);
    }
    let (coverage, seconds) = (coverage.into_inner().unwrap(), started.elapsed().as_secs_f64());
    eprintln!("{worlds} worlds in {seconds:.1} s: {coverage:?}");
    // Otherwise the worlds prove less than they seem to.
    if only.is_none() && worlds >= WORLDS {
        coverage.assert_complete();
    }
}

/// Otherwise a seed would not bring a failure back.
#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 0..10 {
        let [one, other] = [(); 2].map(|()| {
            fastrand::seed(seed);
            World::new(seed).run()
        });
        assert_eq!(one.trace, other.trace, "seed {seed}: {one:?} and {other:?}");
    }
}
