//! Counts an nginx log into Apache Cassandra, and shows what is there.
//!
//!     cargo run --example cassandra --features cassandra -- \
//!         /var/log/nginx/access.log cassandra://localhost/stats /tmp/evs-state
//!
//! The keyspace must be there:
//!
//!     CREATE KEYSPACE stats WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1};

use std::time::Duration;

use evs::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, log, url, state] = arguments.as_slice() else {
        return Err("usage: cassandra LOG URL STATE_DIR".into());
    };
    // One bucket is enough for the few rows of this statistic.
    let sink = CassandraSink::builder(url).timeout(Duration::from_secs(20)).buckets(1).connect().await?;
    let pipeline = Pipeline::builder("example")
        .tail(log)
        .format(LogFormat::combined())
        .statistic(
            Statistic::named("requests")
                .window(Duration::from_secs(3600))
                .group_by(["status"])
                .measure(count())
                .measure(sum("body_bytes_sent").named("bytes"))
                .flush_every(Duration::from_secs(10)),
        )
        .sink("reports", sink)
        .state_dir(state)
        .build()?;

    println!("counting until Ctrl-C; the sums of an hour are then, for example:");
    println!(
        "    SELECT status, SUM(count), SUM(bytes) FROM requests \
         WHERE window_start = '2026-01-01T12:00:00Z' AND evs_bucket = 0 GROUP BY status;"
    );
    let summary = pipeline
        .run(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    println!("{} lines counted", summary.lines);
    Ok(())
}
