//! Notifications for systemd: when the pipelines read, how they are doing, and that their threads advance.
//!
//! A unit for this is in `examples/deploy` of the repository. The protocol:
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>.

use std::{convert::Infallible, time::Duration};

use evs_core::SinkState;
use sd_notify::NotifyState;

use crate::cockpit::{Cockpit, SourceState, SourceStatus};

/// The interval of notifications, unless the watchdog asks for a shorter one.
const NOTIFY_EVERY: Duration = Duration::from_secs(5);
/// The time by which a start may take longer, each time it is asked for: a large state directory is recovered, or many files are
/// looked for.
const START_TIME: Duration = Duration::from_secs(60);

/// Notifies systemd until the future is dropped; then call [`stopping`]. Without `NOTIFY_SOCKET` in the environment, it does
/// nothing.
///
/// - `READY=1` as soon as all pipelines read. Until then the start may take as long as it takes.
/// - `STATUS=` with one line for `systemctl status`.
/// - `WATCHDOG=1` twice in `WatchdogSec=`, but only while the process [is alive](Cockpit::live): a thread that is stuck makes
///   systemd restart the service. A task that only slept would go on notifying.
///
/// ```no_run
/// # async fn example(pipeline: &evs_core::Pipeline, cockpit: evs_admin::Cockpit) -> Result<(), evs_core::Error> {
/// use evs_admin::systemd;
///
/// let shutdown = async { /* SIGTERM */ };
/// tokio::select! {
///     summary = pipeline.run(async { shutdown.await; systemd::stopping() }) => drop(summary?),
///     never = systemd::notify(&cockpit) => match never {},
/// }
/// # Ok(())
/// # }
/// ```
pub async fn notify(cockpit: &Cockpit) -> Infallible {
    let watchdog = sd_notify::watchdog_enabled();
    let every = watchdog.map_or(NOTIFY_EVERY, |limit| (limit / 2).min(NOTIFY_EVERY));
    let mut is_ready = false;
    loop {
        let sources = cockpit.sources();
        let text = status(&sources);
        let mut states = vec![NotifyState::Status(&text)];
        if !is_ready && !sources.is_empty() && cockpit.ready().is_ok {
            is_ready = true;
            states.push(NotifyState::Ready);
        } else if !is_ready {
            states.push(NotifyState::ExtendTimeoutUsec(START_TIME.as_micros() as u32));
        }
        if watchdog.is_some() && cockpit.live().is_ok {
            states.push(NotifyState::Watchdog);
        }
        send(&states);
        // Readiness is told at once.
        let pause = if is_ready { every } else { every.min(Duration::from_millis(100)) };
        tokio::time::sleep(pause).await;
    }
}

/// Tells systemd that the service ends: `STOPPING=1`.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Sends notifications. One that does not arrive is no reason to stop anything: systemd acts on its own time limits.
fn send(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// Returns one line about all sources.
fn status(sources: &[SourceStatus]) -> String {
    let one = |source: &SourceStatus| {
        let name = &source.source;
        let Some(status) = source.status.as_ref().filter(|_| source.state == SourceState::Running) else {
            let error = source.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            return format!("{name}: {}{error}", format!("{:?}", source.state).to_lowercase());
        };
        let behind = match status.behind {
            Some(behind) => format!("{:.0} s behind", behind.as_secs_f64()),
            None => "looking for its place".to_owned(),
        };
        let mut text = format!("{name}: {:.0} lines/s, {behind}", status.lines_per_second);
        if let Some(pause) = &status.paused {
            text += &format!(", paused: {}", pause.reason);
        }
        for sink in status.sinks.iter().filter(|sink| sink.state != SinkState::Up || sink.waiting > 0) {
            text += &format!(", {} {} ({} batches wait)", sink.name, sink.state, sink.waiting);
        }
        text
    };
    // A line feed would end the notification.
    sources.iter().map(one).collect::<Vec<_>>().join("; ").replace('\n', " ")
}
