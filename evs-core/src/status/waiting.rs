//! The batches that wait for sinks, in words.

use std::time::Duration;

use super::status::{SinkState, SinkStatus, Status};

impl Status {
    /// Says which sinks have waiting batches, for a message to an operator. `None` if no batch waits.
    ///
    /// For example: `reports (down: connecting: refused): 3 batches, 21 rows, since 40 s ago; archive: 1 batch, 7 rows`.
    pub(crate) fn waiting(&self) -> Option<String> {
        let waiting: Vec<_> = self.sinks.iter().filter(|sink| sink.waiting > 0).map(describe).collect();
        (!waiting.is_empty()).then(|| waiting.join("; "))
    }
}

/// Says what waits for a sink.
fn describe(sink: &SinkStatus) -> String {
    let SinkStatus { name, state, last_error, waiting, waiting_rows, lag, .. } = sink;
    let why = match (state, last_error) {
        (SinkState::Up, _) => String::new(),
        (state, None) => format!(" ({state})"),
        (state, Some(error)) => format!(" ({state}: {error})"),
    };
    let batches = if *waiting == 1 { "batch" } else { "batches" };
    let rows = if *waiting_rows == 1 { "row" } else { "rows" };
    let since = match lag {
        Some(lag) if *lag > Duration::ZERO => format!(", since {} s ago", lag.as_secs()),
        _ => String::new(),
    };
    format!("{name}{why}: {waiting} {batches}, {waiting_rows} {rows}{since}")
}
