//! A service that counts its log into SQLite and shows how that is doing.

use std::{sync::Arc, time::Duration};

use evs::prelude::*;

#[tokio::main]
async fn main() -> Result<(), evs::Error> {
    let pipeline = Pipeline::builder("web1.example.org")
        .tail("/var/log/nginx/access.log")
        .format(LogFormat::combined())
        .on_gone(evs::OnGone::Continue)
        .begin(evs::Begin::Oldest)
        .statistic(
            Statistic::named("requests")
                .group_by(("status", arg("c").named("campaign")))
                .measure(count())
                .measure(sum("body_bytes_sent")),
        )
        .sink("reports", evs::sink_from_url("sqlite:///var/lib/evs/reports.db").await?)
        .state_dir("/var/lib/evs/web1")
        .build_async()
        .await?;
    let pipeline = Arc::new(pipeline);
    let mut run = pipeline.spawn(async { drop(tokio::signal::ctrl_c().await) })?;
    while tokio::time::timeout(Duration::from_secs(10), &mut run).await.is_err() {
        println!("{}", serde_json::json!(pipeline.status()));
    }
    Ok(())
}
