//! The progress bar of a run to the end of the log.

use std::{convert::Infallible, time::Duration};

use evs::Pipeline;
use indicatif::{ProgressBar, ProgressStyle};

/// Shows the progress of a run to the end, for as long as it is polled: bytes, lines, speed, and a sink that is down.
pub(crate) async fn show(pipeline: &Pipeline) -> Infallible {
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let status = pipeline.status();
        bar.set_length(status.bytes + status.behind_bytes);
        bar.set_position(status.bytes);
        let waiting: u64 = status.sinks.iter().map(|sink| sink.waiting).sum();
        let down =
            status.sinks.iter().filter_map(|sink| sink.last_error.as_deref()).next().unwrap_or_default();
        bar.set_message(format!(
            "{} lines, {} rejected, {:.1} M lines/s, {waiting} batches waiting {down}",
            status.lines,
            status.rejected,
            status.lines_per_second / 1e6
        ));
    }
}
