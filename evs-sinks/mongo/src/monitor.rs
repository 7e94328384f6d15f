//! Observes the servers through the driver's monitors. The errors of calls only say that no server was found.
//!
//! The driver looks for servers in the background, and a call that finds none fails after a time limit with "server
//! selection timeout". An operator needs the reason: a wrong certificate does not pass by itself, and a server that
//! is down does. The driver tells it only to the handler of its monitoring events.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use evs_store::StoreError;
use mongodb::{
    error::{Error, ErrorKind},
    event::{EventHandler, sdam::SdamEvent},
    options::ServerAddress,
};

/// Receives the events of the driver while it looks for servers.
#[derive(Clone, Default)]
pub(crate) struct Monitor(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// True if some server has answered, so the settings for TLS are right.
    has_answered: bool,
    /// The result of the last check of each server.
    servers: HashMap<ServerAddress, Look>,
}

#[derive(Debug, PartialEq)]
enum Look {
    Answered,
    /// The TLS handshake failed, with the reason.
    Distrusted(String),
    /// The connection was made, and was closed without an answer.
    Closed,
    Away,
}

impl Monitor {
    /// The handler that the driver calls.
    pub(crate) fn handler(&self) -> EventHandler<SdamEvent> {
        let monitor = self.clone();
        EventHandler::callback(move |event| monitor.see(event))
    }

    fn see(&self, event: SdamEvent) {
        let mut seen = self.lock();
        match event {
            SdamEvent::ServerHeartbeatSucceeded(event) => {
                seen.has_answered = true;
                seen.servers.insert(event.server_address, Look::Answered);
            }
            SdamEvent::ServerHeartbeatFailed(event) => {
                seen.servers.insert(event.server_address, Look::of(&event.failure));
            }
            SdamEvent::ServerClosed(event) => {
                seen.servers.remove(&event.address);
            }
            _ => {}
        }
    }

    /// The permanent reason why no server can be used, if there is one.
    pub(crate) fn distrust(&self) -> Option<StoreError> {
        self.lock().distrust()
    }

    /// Adds these observations to an error: the error is permanent after all, or it has a likely reason. `has_tls` is
    /// true if the URL asks for TLS.
    pub(crate) fn explain(&self, error: StoreError, has_tls: bool) -> StoreError {
        self.lock().explain(error, has_tls)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// A server that answers, or that is down and may come back, is worth waiting for.
    fn distrust(&self) -> Option<StoreError> {
        let mut why = None;
        for look in self.servers.values() {
            let Look::Distrusted(failure) = look else { return None };
            why = Some(failure);
        }
        why.map(|why| StoreError::permanent(format!("TLS: {why}")))
    }

    fn explain(&self, error: StoreError, has_tls: bool) -> StoreError {
        if !error.is_transient() {
            return error;
        }
        if let Some(distrust) = self.distrust() {
            return distrust;
        }
        // A server that is shutting down closes connections, too, but not before it has ever answered.
        if self.has_answered || !self.servers.values().any(|look| *look == Look::Closed) {
            return error;
        }
        let hint = if has_tls {
            "it may have no TLS, which the URL asks for"
        } else {
            "if it asks for TLS, the URL needs tls=true"
        };
        StoreError::transient(format!("the server closes the connection; {hint}: {}", error.message))
    }
}

impl Look {
    fn of(error: &Error) -> Self {
        let ErrorKind::Io(error) = &*error.kind else { return Self::Away };
        match error.kind() {
            // rustls reports a certificate that it does not trust, or a server that does not speak TLS, as invalid
            // data. Servers that are down give other kinds of errors.
            io::ErrorKind::InvalidData => Self::Distrusted(error.to_string()),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Away,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(has_answered: bool, looks: impl IntoIterator<Item = Look>) -> Seen {
        let address = |port| ServerAddress::Tcp { host: "db".to_owned(), port: Some(port) };
        Seen { has_answered, servers: (1..).map(address).zip(looks).collect() }
    }

    fn distrusted() -> Look {
        Look::Distrusted("UnknownIssuer".to_owned())
    }

    #[test]
    fn distrust_is_for_good_if_no_other_server_is_to_be_hoped_for() {
        let away = || StoreError::transient("no server");
        for (looks, passes) in [
            (vec![], true),
            (vec![distrusted()], false),
            (vec![distrusted(), distrusted()], false),
            (vec![distrusted(), Look::Away], true),
            (vec![distrusted(), Look::Closed], true),
            (vec![Look::Answered, distrusted()], true),
        ] {
            let said = format!("{looks:?}");
            let error = seen(true, looks).explain(away(), true);
            assert_eq!(error.is_transient(), passes, "{said}");
            assert_eq!(error.message.contains("UnknownIssuer"), !passes, "{said}");
        }
        let own = seen(true, [distrusted()]).explain(StoreError::permanent("no right"), true);
        assert_eq!(own.message, "no right");
    }

    #[test]
    fn a_server_that_closes_every_connection_may_be_of_another_mind_about_tls() {
        for (has_answered, look, has_tls, hint) in [
            (false, Look::Closed, false, Some("the URL needs tls=true")),
            (false, Look::Closed, true, Some("may have no TLS")),
            (true, Look::Closed, false, None),
            (false, Look::Away, false, None),
        ] {
            let error = seen(has_answered, [look]).explain(StoreError::transient("reset"), has_tls);
            assert!(error.is_transient());
            match hint {
                Some(hint) => assert!(error.message.contains(hint), "{error:?}"),
                None => assert_eq!(error.message, "reset"),
            }
        }
    }
}
