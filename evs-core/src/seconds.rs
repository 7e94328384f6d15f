//! Durations and times as numbers of seconds, for whoever serializes a status.
//!
//! serde writes a `Duration` as an object of seconds and nanoseconds, and a `SystemTime` likewise. A status goes to
//! dashboards, which expect a number: 1.5, or 1795246822.25 for a time. The functions are used with
//! `#[serde(serialize_with = "…")]`.

use std::time::{Duration, SystemTime};

use serde::Serializer;

/// A duration.
pub(crate) fn of<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// A duration that may be absent.
pub(crate) fn of_option<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.serialize_some(&duration.as_secs_f64()),
        None => serializer.serialize_none(),
    }
}

/// A time, in seconds since 1970.
pub(crate) fn since_1970<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(unix_seconds(*time))
}

/// A time that may be absent.
pub(crate) fn since_1970_option<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_some(&unix_seconds(*time)),
        None => serializer.serialize_none(),
    }
}

/// The seconds since 1970, negative for a time before.
fn unix_seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}
