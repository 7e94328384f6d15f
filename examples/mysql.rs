//! Counts an nginx log into MySQL or MariaDB, and prints a query for the result.
//!
//!     cargo run --example mysql --features mysql -- \
//!         /var/log/nginx/access.log mysql://evs:secret@localhost/stats /tmp/evs-state
//!
//! The database and its user must be there:
//!
//!     CREATE DATABASE stats;
//!     CREATE USER evs IDENTIFIED BY 'secret';
//!     GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON stats.* TO evs;

use std::time::Duration;

use evs::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, log, url, state] = arguments.as_slice() else {
        return Err("usage: mysql LOG URL STATE_DIR".into());
    };
    let pipeline = Pipeline::builder("example")
        .tail(log)
        .format(LogFormat::combined())
        .statistic(
            Statistic::named("requests")
                .window(Duration::from_secs(60))
                .group_by(["status"])
                .measure(count().named("hits"))
                .measure(sum("body_bytes_sent").named("bytes"))
                .flush_every(Duration::from_secs(5))
                .retain(Duration::from_secs(90 * 86_400)),
        )
        // A server that is away is no error: its batches wait in the state directory.
        .sink("reports", MySqlSink::connect(url).await?)
        .state_dir(state)
        .build()?;

    println!("counting until Ctrl-C; the last hour is then, for example:");
    println!(
        "    SELECT window_start, SUM(hits), SUM(bytes) FROM requests \
         WHERE window_start >= UTC_TIMESTAMP() - INTERVAL 1 HOUR GROUP BY window_start ORDER BY window_start;"
    );
    let summary = pipeline
        .run(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    println!("{} lines counted", summary.lines);
    Ok(())
}
