//! A process is killed many times while it applies batches.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use evs_core::{Applied, Batch, Sink};
use evs_sql::cases::{batch, schema};

use super::File;
use crate::SqliteSink;

/// The variable with the path of the database. It is set in the process that is to be killed.
const DATABASE: &str = "EVS_TEST_KILLED_DATABASE";
const KILLS: u32 = 40;
const ROWS: u64 = 3000;
/// The key of a row whose total is beyond 64 bits from the second batch on.
const WIDE: &[u8] = b"wide";

/// A batch that is large enough to be interrupted. Each one shares half of its rows with the one before.
fn numbered(sequence: u64) -> Batch {
    let keys = (0..ROWS).map(|row| (row + sequence * ROWS / 2).to_string()).collect::<Vec<_>>();
    let mut rows = keys.iter().map(|key| (60, key.as_bytes(), sequence.into())).collect::<Vec<_>>();
    rows.push((60, WIDE, i64::MAX.into()));
    batch(sequence, &rows)
}

async fn sequence(sink: &SqliteSink) -> u64 {
    sink.progress("web1").await.unwrap().first().map_or(0, |progress| progress.sequence)
}

/// Applies batches until the process is killed. It does nothing in a plain test run.
#[tokio::test]
async fn applies_until_it_is_killed() {
    let Some(path) = env::var_os(DATABASE) else { return };
    let sink = SqliteSink::open(path).await.unwrap();
    sink.prepare(&schema()).await.unwrap();
    let applied = sequence(&sink).await;
    if applied > 0 {
        assert_eq!(sink.apply(&numbered(applied)).await.unwrap(), Applied::Before);
    }
    for sequence in applied + 1.. {
        assert_eq!(sink.apply(&numbered(sequence)).await.unwrap(), Applied::Now);
        // `println` would not work here: the test harness captures it.
        writeln!(std::io::stderr(), "applied {sequence}").unwrap();
    }
}

/// Runs a process and kills it `delay` after it has begun the batch after its next one. Returns the last sequence
/// that it reported as applied.
fn run_and_kill(database: &Path, delay: Duration) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "tests::kill::applies_until_it_is_killed", "--nocapture"])
        .env(DATABASE, database)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut said = Vec::new();
    let number = |line: &str| line.strip_prefix("applied ").and_then(|number| number.parse().ok());
    let first = loop {
        let Some(line) = lines.next() else { panic!("it ended by itself: {said:#?}") };
        if let Some(first) = number(&line) {
            break first;
        }
        said.push(line);
    };
    let since = Instant::now();
    while since.elapsed() < delay {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    lines.filter_map(|line| number(&line)).last().unwrap_or(first)
}

#[tokio::test]
async fn a_process_that_is_killed_many_times_applies_every_batch_once() {
    let file = File::new();
    let mut said = 0;
    for kill in 0..KILLS {
        // The delays are spread over the time that a batch takes.
        said = run_and_kill(&file.path(), Duration::from_micros(u64::from(kill) * 7919 % 40_000));
    }
    let sink = SqliteSink::open(file.path()).await.unwrap();
    let applied = sequence(&sink).await;
    assert!(applied == said || applied == said + 1, "said {said}, found {applied}");
    assert!(applied >= u64::from(KILLS));
    assert_eq!(sink.apply(&numbered(applied)).await.unwrap(), Applied::Before);

    let rows = sink.totals(&schema(), i64::MIN..i64::MAX).await.unwrap();
    assert_eq!(rows.len() as u64, ROWS + ROWS / 2 * (applied - 1) + 1);
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        if row.keys[0] == WIDE {
            let times = i128::from(applied);
            assert_eq!(row.values, [Some(times), Some(times * i128::from(i64::MAX))]);
            continue;
        }
        let key: u64 = std::str::from_utf8(row.keys[0]).unwrap().parse().unwrap();
        let touched = (1..=applied).filter(|n| (n * ROWS / 2..n * ROWS / 2 + ROWS).contains(&key));
        let touched = touched.collect::<Vec<_>>();
        let expected = [touched.len() as u64, touched.iter().sum()].map(|n| Some(i128::from(n)));
        assert_eq!(row.values, expected, "key {key}, touched by {touched:?}");
    }
}
