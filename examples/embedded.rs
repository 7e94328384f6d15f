//! evs inside a service: counts an nginx log into SQLite while the service does its own work.
//!
//!     cargo run --example embedded -- /var/log/nginx/access.log /tmp/stats.db /tmp/evs-state
//!
//! The pipeline reads and aggregates on threads of its own, and delivers on the service's tokio runtime. Ctrl-C and
//! SIGTERM end it in good order; even without that, the next start continues where this one ended.

use std::time::Duration;

use evs::prelude::*;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, log, database, state] = arguments.as_slice() else {
        return Err("usage: embedded LOG DATABASE STATE_DIR".into());
    };
    let pipeline = Pipeline::builder("embedded")
        .tail(log)
        .format(LogFormat::combined())
        .statistic(
            Statistic::named("requests")
                .window(Duration::from_secs(60))
                .group_by(["status"])
                .measure(count())
                .measure(sum("body_bytes_sent")),
        )
        .sink("reports", SqliteSink::connect(&format!("sqlite://{database}")).await?)
        .state_dir(state)
        .build_async()
        .await?;

    // The service's own work goes on beside it, and can look at how evs is doing.
    let service = async {
        loop {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let status = pipeline.status();
            println!("{} lines, {} bytes behind", status.lines, status.behind_bytes);
        }
    };
    let mut terminated = signal(SignalKind::terminate())?;
    let shutdown = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
    };
    tokio::select! {
        summary = pipeline.run(shutdown) => println!("{} lines counted", summary?.lines),
        () = service => {}
    }
    Ok(())
}
