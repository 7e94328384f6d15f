//! The place in the log at which reading continues after a start.

use std::time::Duration;

use crate::{
    Error, describe,
    pipeline::shared::Shared,
    position::{Frontier, Inventory},
    tail::{Logs, OnChanged, OnGone, OnUnreadable, TailError, TailOptions},
};

/// The time for which files may come and go before an error of the log is reported. No rotation takes longer.
pub(super) const SETTLE_TIME: Duration = Duration::from_secs(3);
/// The time for which a look at the files is repeated because they changed meanwhile. One rotation may follow another, and the
/// more files there are, the longer a look takes.
const CHANGING_TIME: Duration = Duration::from_secs(60);
/// The interval of polling the log during that time.
const SETTLE_PAUSE: Duration = Duration::from_millis(50);
/// The pause before a log that cannot be opened is tried again.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// Finds the place in the log at which reading continues. Returns `None` if the run is to stop before it was found.
pub(super) async fn resume(
    shared: &Shared,
    counted: &[Frontier],
    inventory: Option<&Inventory>,
    to_end: bool,
) -> Result<Option<Logs>, Error> {
    let Shared { settings, control, board } = shared;
    let started = shared.now();
    // While a rotation may still be under way, the strict options apply: what the caller allows is done only after
    // that time.
    let strict = TailOptions {
        on_gone: OnGone::Stop,
        on_changed: OnChanged::Stop,
        on_unreadable: OnUnreadable::Stop,
        ..settings.tail.clone()
    };
    loop {
        let passed = shared.now() - started;
        let is_settling = passed < SETTLE_TIME;
        let options = if is_settling { &strict } else { &settings.tail };
        // Without any position, this begins a new source.
        match Logs::resume(options.clone(), counted, inventory, shared.now()) {
            Err(_) if control.is_reading_stopped() => return Ok(None),
            Err(error) if (error.may_pass() || matches!(error, TailError::Io { .. })) && is_settling => {
                shared.wait(SETTLE_PAUSE).await;
            }
            Err(error) if error.is_changing() && passed < CHANGING_TIME => shared.wait(SETTLE_PAUSE).await,
            // A file that was damaged during this very look is left out by the next one.
            Err(TailError::Damaged { .. })
                if options.on_unreadable == OnUnreadable::Skip && passed < 2 * SETTLE_TIME =>
            {
                shared.wait(SETTLE_PAUSE).await;
            }
            // A log that cannot be opened is waited for, like one that does not exist.
            Err(error @ TailError::Io { .. }) if !to_end => {
                let error = describe(&error);
                if board.show_log_unavailable(&error) {
                    let source = &settings.source;
                    tracing::error!(source, error, "the log cannot be read and is waited for");
                }
                shared.wait(OPEN_AGAIN).await;
            }
            Err(source) => return Err(Error::Log { name: settings.source.clone(), source }),
            Ok(mut logs) => {
                logs.set_options(&settings.tail);
                logs.watch(control.wake_of_reader());
                return Ok(Some(logs));
            }
        }
    }
}
