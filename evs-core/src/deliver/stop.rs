//! The request of a pipeline to its deliveries to end.

use tokio::{sync::watch, time::Instant};

/// The request of the pipeline to its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Go on.
    No,
    /// Deliver the batches that are there, until the deadline if there is one, and end.
    Drain(Option<Instant>),
    /// End immediately.
    Now,
}

/// Waits until the pipeline asks its deliveries to end when nothing is left.
pub(super) async fn drained(stop: &mut watch::Receiver<Stop>) {
    // The sender lives as long as the run; without a sender there is nothing to wait for.
    let _ = stop.wait_for(|stop| *stop != Stop::No).await;
}

/// Waits until the pipeline asks its deliveries to end, no matter what is left.
pub(super) async fn out_of_time(stop: &mut watch::Receiver<Stop>) {
    drained(stop).await;
    let stop_now = *stop.borrow();
    match stop_now {
        Stop::Drain(Some(deadline)) => tokio::select! {
            biased;
            () = tokio::time::sleep_until(deadline) => {}
            _ = stop.wait_for(|stop| *stop == Stop::Now) => {}
        },
        Stop::Drain(None) => {
            let _ = stop.wait_for(|stop| *stop == Stop::Now).await;
        }
        Stop::No | Stop::Now => {}
    }
}
