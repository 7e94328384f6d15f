//! The statistics of a site's dashboard: errors by endpoint, visitors a day, sizes by quantile, the pages with the most hits. They
//! are counted into SQLite and read back as tables and small plots.
//!
//!     cargo run --example dashboard [LOG]
//!
//! Without a log, it shows those of the sample lines in `tests/samples`. Another log has the format `combined`, too. That format has
//! no times of requests, so the histogram is of the sizes of responses; with `$request_time`, it would be of latencies.

use std::{error::Error, future::pending, ops::Range, time::Duration};

use evs::{Begin, Group, Totals, escape, event_time, histogram, prelude::*};

/// The sample lines in the repository.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/apache-combined.log");

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The windows of all times.
const ALL: Range<i64> = i64::MIN..i64::MAX;

/// The number of characters of the longest bar.
const BAR: f64 = 40.0;

/// The statistics: each is one expression.
fn statistics() -> [Statistic; 5] {
    let errors = Statistic::named("errors")
        .window(HOUR)
        .only(field("status").ge(400))
        .group_by([field("uri").path_prefix(1).named("endpoint"), field("status")])
        .measure(count());
    let hours =
        Statistic::named("hours").window(DAY).group_by([event_time().hour().named("hour")]).measure(count());
    let visitors = Statistic::named("visitors").window(DAY).distinct("remote_addr");
    let sizes = Statistic::named("sizes")
        .window(DAY)
        .group_by([field("status").status_class().named("class"), histogram("body_bytes_sent", 0.01)])
        .measure(count());
    let pages = Statistic::named("pages").window(DAY).group_by(["uri"]).measure(count()).top(5);
    [errors, hours, visitors, sizes, pages]
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = std::env::args().nth(1).unwrap_or_else(|| SAMPLE.to_owned());
    let scratch = tempfile::tempdir()?;
    let sink = SqliteSink::open(scratch.path().join("dashboard.db")).await?;
    let mut builder = Pipeline::builder("dashboard")
        .tail(&log)
        .format(LogFormat::combined())
        .begin(Begin::Start)
        .sink("sqlite", sink)
        .state_dir(scratch.path().join("state"));
    for statistic in statistics() {
        builder = builder.statistic(statistic);
    }
    let pipeline = builder.build_async().await?;
    let summary = pipeline.run_to_end(pending()).await?;
    println!("{} lines of {log}, {} rejected\n", summary.lines, summary.rejected);

    // Another connection reads what was written, as a dashboard would.
    let sink = SqliteSink::open(scratch.path().join("dashboard.db")).await?;
    for schema in pipeline.schemas() {
        let rows = sink.totals(schema, ALL).await?;
        let mut totals = Totals::new(schema, ALL);
        totals.add(&rows)?;
        match schema.statistic.as_str() {
            "errors" => bars(
                "Errors by endpoint",
                &totals.group_by(&["endpoint", "status"])?,
                &["endpoint", "status"],
            )?,
            "hours" => bars("Requests by hour of the day (UTC)", &totals.group_by(&["hour"])?, &["hour"])?,
            "visitors" => visitors(&totals.each(DAY)?)?,
            "sizes" => sizes(&totals)?,
            _ => bars("Pages with the most requests", &totals.group_by(&["uri"])?, &["uri"])?,
        }
    }
    Ok(())
}

/// Shows the count of each group as a bar, the largest first unless the groups are hours.
fn bars(title: &str, groups: &[Group<'_>], columns: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut lines = Vec::new();
    for group in groups {
        let keys: Result<Vec<_>, _> =
            columns.iter().map(|column| group.key(column).map(|key| escape(key).into_owned())).collect();
        let count = group.total("count")?.map_or(0, |count| count.value);
        lines.push((keys?.join(" "), count));
    }
    if columns != ["hour"] {
        lines.sort_by_key(|(_, count)| -count);
    }
    let most = lines.iter().map(|(_, count)| *count).max().unwrap_or(1) as f64;
    println!("{title}");
    for (key, count) in lines.iter().take(24) {
        let bar = "█".repeat((*count as f64 / most * BAR).ceil() as usize);
        println!("  {key:>32.32} {count:>6} {bar}");
    }
    println!();
    Ok(())
}

/// Shows the number of different addresses of each day.
fn visitors(totals: &Totals<'_>) -> Result<(), Box<dyn Error>> {
    println!("Visitors a day");
    for day in totals.group_by(&[])? {
        let distinct = day.distinct("remote_addr_slot")?;
        let error = distinct.relative_error() * 100.0;
        println!(
            "  {} about {:.0} (one sigma {error:.1} %)",
            day.window_start().unwrap_or(0),
            distinct.estimate()
        );
    }
    println!();
    Ok(())
}

/// Shows the quantiles of the responses' sizes, by class of status.
fn sizes(totals: &Totals<'_>) -> Result<(), Box<dyn Error>> {
    println!("Bytes of a response       p50        p90        p99");
    for class in totals.group_by(&["class"])? {
        let mut line = format!("  {:>20}", escape(class.key("class")?));
        for q in [0.5, 0.9, 0.99] {
            let quantile = class.quantile("body_bytes_sent_bucket", q)?;
            line +=
                &quantile.map_or_else(|| "          -".to_owned(), |found| format!(" {:>10}", found.value));
        }
        println!("{line}");
    }
    println!();
    Ok(())
}
