//! Counts an nginx log into MongoDB.
//!
//!     cargo run --features mongo --example mongo -- \
//!         /var/log/nginx/access.log mongodb://localhost:27017/stats /tmp/evs-state
//!
//! Then, in mongosh: `db.requests.find().sort({window_start: -1}).limit(5)`
//!
//! A statistic is a collection, and a row is a document. With a retention, MongoDB removes old documents by an index.

use std::time::Duration;

use evs::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, log, url, state] = arguments.as_slice() else {
        return Err("usage: mongo LOG mongodb://HOST/DATABASE STATE_DIR".into());
    };
    // The server may be away: then the numbers are there when it is back.
    let sink = MongoSink::connect(url).await?;
    let pipeline = Pipeline::builder("web1")
        .tail(log)
        .format(LogFormat::combined())
        .statistic(
            Statistic::named("requests")
                .window(Duration::from_secs(60))
                .group_by(["status"])
                .measure(count())
                .measure(sum("body_bytes_sent").named("bytes"))
                .retain(Duration::from_secs(90 * 86_400)),
        )
        .sink("reports", sink)
        .state_dir(state)
        .build()?;
    let shutdown = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let summary = pipeline.run(shutdown).await?;
    println!("{} lines counted", summary.lines);
    Ok(())
}
