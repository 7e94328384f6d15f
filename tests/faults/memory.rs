//! The memory of the process is bounded, however many keys the log has.

use std::{fs::File, io::Write, path::Path, process::Command};

use evs::prelude::*;
use tempfile::TempDir;

use crate::support::{access_log, process::Running, sqlite_totals_of};

const BYTES_MAX: u64 = 200 << 20;

/// Writes `repeats` times a line for each of `keys` keys, and returns the log's length.
fn write_log(log: &Path, keys: u64, repeats: u64) -> u64 {
    let mut block = Vec::new();
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    for key in 0..keys {
        writeln!(
            block,
            "192.0.2.{} - - [21/Nov/2026:13:25:22 +0000] \"GET /e?c=campaign-{key}&v={} HTTP/1.1\" 204 0 \"-\" \
             \"{agent}\"",
            key % 256,
            key % 1000
        )
        .unwrap();
    }
    let mut file = File::create(log).unwrap();
    (0..repeats).for_each(|_| file.write_all(&block).unwrap());
    block.len() as u64 * repeats
}

/// The most memory that a process had at any time so far, in bytes.
fn peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// Counts a log of that many keys, each of them on `repeats` lines, and returns the most memory it took.
async fn counts_within_memory(keys: u64, repeats: u64, limits: &str) {
    let dir = TempDir::new().unwrap();
    let (log, database) = (dir.path().join("access.log"), dir.path().join("stats.db"));
    let bytes = write_log(&log, keys, repeats);
    let mut command = Command::new(access_log());
    command.arg("--log").arg(&log).arg("--state").arg(dir.path().join("state"));
    command.arg("--sink").arg(format!("sqlite://{}", database.display()));
    command.args(["--once", "--stat", &format!("totals; by=arg_c; count; sum=arg_v; {limits}")]);
    let mut most = 0;
    let outcome = Running::start(&mut command).outcome_watched(|id| most = most.max(peak(id).unwrap_or(0)));
    outcome.assert_complete();
    assert_eq!(outcome.summary()["bytes"].as_u64(), Some(bytes));
    eprintln!("{keys} keys, {} MB: {} MB of memory, {}", bytes >> 20, most >> 20, outcome.stdout.trim());
    assert!(most > 1 << 20 && most < BYTES_MAX, "{keys} keys took {} MB", most >> 20);

    let statistic = Statistic::named("totals").group_by(["arg_c"]).measure(count()).measure(sum("arg_v"));
    let totals = sqlite_totals_of(&database, "combined", statistic).await;
    assert_eq!(totals.len() as u64, keys);
    let sums = totals.values().fold((0, 0), |sums, total| (sums.0 + total.0, sums.1 + total.1));
    let value: u64 = (0..keys).map(|key| key % 1000).sum();
    assert_eq!(sums, (keys * repeats, i128::from(value * repeats)));
    assert!(totals.values().all(|total| total.0 == repeats), "each key was on {repeats} lines");
}

#[tokio::test]
async fn a_hundred_thousand_live_keys_take_less_than_200_mb() {
    counts_within_memory(100_000, 18, "flush=5s").await;
}

#[tokio::test]
async fn a_million_keys_take_less_than_200_mb_with_a_row_limit_of_a_hundred_thousand() {
    counts_within_memory(1_000_000, 1, "rows=100000; flush=60s").await;
}
