//! A log into MySQL.

use std::time::Duration;

use evs::{SinkStart, prelude::*};

#[tokio::main]
async fn main() -> Result<(), evs::Error> {
    let url = std::env::var("DATABASE_URL").unwrap_or_default();
    let pipeline = Pipeline::builder("ads-web1")
        .tail("/var/log/nginx/access.log")
        .format("combined".parse()?)
        .statistic(
            Statistic::named("ad_events")
                .window(Duration::from_secs(60))
                .group_by([arg("c").named("campaign")])
                .measure(count())
                .measure(sum(arg("v")).scale(2).named("revenue").within(0..=100_000)),
        )
        .sink("warehouse", MySqlSink::connect(&url).await?)
        .new_sinks(SinkStart::Oldest)
        .state_dir("/var/lib/evs/ads-web1")
        .build()?;
    let summary = pipeline.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    println!("{} lines, {} batches", summary.lines, summary.batches);
    Ok(())
}
