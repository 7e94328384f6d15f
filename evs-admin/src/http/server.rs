//! A server for hosts that have none.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};

use super::{
    changes::changes,
    guard::{Guard, guarded},
    router,
};
use crate::cockpit::Cockpit;

/// The time that a client has for the head of a request. `axum::serve` has no such limit: one client with half a request would
/// hold its connection for ever.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The most connections at a time.
const CONNECTIONS_MAX: usize = 256;
/// The pause after the system had no connection to give, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How [`serve`] answers, and whom.
#[derive(Clone, Debug, Default)]
pub struct Options {
    token: Option<String>,
    hosts: Vec<String>,
    has_changes: bool,
}

impl Options {
    /// Everybody on this machine may look.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for this token: `Authorization: Bearer …`. The page asks its user for it. Only the page itself, which has no data,
    /// is given without.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Adds a name by which browsers may ask, such as `stats.example.org`. Addresses and `localhost` always are.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// Adds the routes of [`changes`] under `/do`. They need a token.
    #[must_use]
    pub fn with_changes(mut self) -> Self {
        self.has_changes = true;
        self
    }
}

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is not to be had.
    #[error("listening on {address} failed")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: std::io::Error,
    },
    /// Without a token, everybody who reaches the machine could look, or anybody on it change something.
    #[error("{what} needs a token: set one with Options::token")]
    NoToken {
        /// What needs one, in words.
        what: String,
    },
}

/// Serves [`router`] on an address until the future is dropped, for hosts that have no HTTP server.
///
/// ```no_run
/// # async fn example(cockpit: evs_admin::Cockpit) -> Result<(), evs_admin::http::ServeError> {
/// use evs_admin::http::{Options, serve};
///
/// match serve(([127, 0, 0, 1], 9180).into(), &cockpit, Options::new()).await? {}
/// # }
/// ```
///
/// A client has 10 seconds for the head of its request, and 256 have a connection at a time. An address that is not a loopback
/// one needs a [token](Options::token). Requests for names that are not the server's, and those of other sites' pages, are
/// refused. There is no TLS: put a proxy before it.
///
/// # Errors
///
/// [`ServeError`], before anything is served.
pub async fn serve(
    address: SocketAddr,
    cockpit: &Cockpit,
    options: Options,
) -> Result<Infallible, ServeError> {
    let listener =
        TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
    serve_on(listener, cockpit, options).await
}

/// Serves on a listener, for callers that need to know its port.
///
/// # Errors
///
/// [`ServeError::NoToken`], before anything is served.
pub async fn serve_on(
    listener: TcpListener,
    cockpit: &Cockpit,
    options: Options,
) -> Result<Infallible, ServeError> {
    let Options { token, hosts, has_changes } = options;
    let is_loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    if token.as_ref().is_none_or(String::is_empty) {
        let what = match listener.local_addr() {
            _ if has_changes => "a route that changes something".to_owned(),
            Ok(address) if !is_loopback => format!("the address {address}, which others reach,"),
            _ => String::new(),
        };
        if !what.is_empty() {
            return Err(ServeError::NoToken { what });
        }
    }
    let mut routes: Router = router(cockpit);
    if has_changes {
        routes = routes.nest("/do", changes(cockpit));
    }
    let service = TowerToHyperService::new(guarded(routes, Guard { hosts, token }));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { std::future::pending().await };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let service = service.clone();
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            let connection = pin!(http.serve_connection(TokioIo::new(stream), service));
            // A client that went away is no error of ours.
            let _ = connection.await;
            drop(place);
        });
    }
}
