//! Batches that the operator gave up: a store lacks their rows, and a file of the state directory has them.

use std::{collections::BTreeMap, str};

use evs_core::internals::disk::SimDisk;
use serde_json::Value;

use crate::store::{BatchId, Store};

/// The contents of the files with such rows, by name.
pub type Files = BTreeMap<String, Vec<u8>>;
/// How often each key was counted in the rows of a statistic that a store lacks.
pub type Counts = BTreeMap<String, i128>;

/// Returns the files that a state directory has.
pub fn files(state: &SimDisk) -> Files {
    let names = state.names().into_iter().filter(|name| name.starts_with("discarded-"));
    names.map(|name| (name.clone(), state.contents(&name).unwrap())).collect()
}

/// Returns what stores lack, by store and statistic. A file says so only if the decision was made durable, too: then the
/// store was offered the batch without its rows.
///
/// `answered` are the files of which evs said that a batch was given up.
pub fn counts(files: &Files, answered: &[String], stores: &[Store]) -> BTreeMap<(usize, String), Counts> {
    // A sink that has another name by now may have two files of one batch. The first one may lack its end.
    let mut batches: BTreeMap<(usize, BatchId), Counts> = BTreeMap::new();
    for (name, bytes) in files {
        let mut of_file: BTreeMap<(usize, BatchId), Counts> = BTreeMap::new();
        // After a crash, the end of the file may be missing if the decision is.
        for line in str::from_utf8(bytes).unwrap_or_default().lines() {
            let Ok(row) = serde_json::from_str::<Value>(line) else { break };
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            if text("sink").starts_with("guest") {
                break;
            }
            let store = usize::from(!text("sink").starts_with("reports"));
            let batch: BatchId = (text("epoch"), text("statistic"), row["sequence"].as_u64().unwrap());
            match stores[store].has_rows(&batch) {
                Some(false) => {
                    let key = row["keys"]["request_id"].as_str().unwrap().to_owned();
                    let count: i128 = row["measures"]["count"].as_str().unwrap().parse().unwrap();
                    *of_file.entry((store, batch)).or_default().entry(key).or_default() += count;
                }
                has_rows => assert!(
                    !answered.contains(name),
                    "store {store} has {batch:?}, which was given up: {has_rows:?}"
                ),
            }
        }
        for (batch, counts) in of_file {
            let known = batches.entry(batch).or_default();
            if counts.len() > known.len() {
                *known = counts;
            }
        }
    }
    let mut counts: BTreeMap<(usize, String), Counts> = BTreeMap::new();
    for ((store, (_, statistic, _)), of_batch) in batches {
        let counts = counts.entry((store, statistic)).or_default();
        of_batch.into_iter().for_each(|(key, count)| *counts.entry(key).or_default() += count);
    }
    counts
}
