//! What a case needs: a database on a server, and rows.

use std::time::Duration;

use async_trait::async_trait;
use evs_core::{Batch, Sink, SinkError};
pub use evs_store::cases::schema;

use crate::Connector;

/// A database for one test. It is dropped at the end.
#[async_trait]
pub trait Database: Send + Sync + Sized + 'static {
    /// The sink's connector.
    type Connector: Connector;
    /// A connection without evs.
    type Plain: Plain;

    /// Makes a new database. Returns `None` if there is no test server, after reporting that the test is left out.
    async fn fresh() -> Option<Self>;

    /// Makes a sink with the sink's builder.
    async fn connect(url: &str, settings: Settings) -> Result<Box<dyn Sink>, SinkError>;

    /// The URL of this database.
    fn url(&self) -> String;

    /// The sink's connector for this database.
    fn connector(&self) -> Self::Connector;

    /// The database as anybody else would open it.
    async fn plain(&self) -> Self::Plain;

    /// A sink with the defaults.
    async fn sink(&self) -> Box<dyn Sink> {
        Self::connect(&self.url(), Settings::default()).await.unwrap()
    }
}

/// A database on a server.
#[async_trait]
pub trait Server: Database {
    /// An account of the server.
    type User: User;

    /// The scheme of the sink's URLs.
    const SCHEME: &'static str;

    /// The URL of this database for another user; `login` is `NAME:PASSWORD`.
    fn url_as(&self, login: &str) -> String;

    /// Makes an account with the given rights to this database.
    async fn user(&self, rights: &str) -> Self::User;

    /// Ends all other connections to this database.
    async fn cut_others(&self, plain: &mut Self::Plain);

    /// True if a session in the database is waiting for a lock.
    async fn is_lock_waited_for(&self, plain: &mut Self::Plain) -> bool;
}

/// A connection without evs, as any other program would make it. [`plain!`](crate::plain!) implements it.
#[async_trait]
pub trait Plain: Send {
    /// Executes statements.
    async fn run(&mut self, sql: &str);

    /// The columns of each row of a query's result, as text.
    async fn texts(&mut self, sql: &str) -> Vec<Vec<String>>;
}

/// An account that is dropped at the end.
pub trait User: Send + Sync {
    /// `NAME:PASSWORD`, as it is written in a URL. The password is [`PASSWORD`].
    fn login(&self) -> String;
}

/// The password of every [`User`]. It has characters that must be escaped in a URL.
pub const PASSWORD: &str = "hunter2/@#";
/// The password as it is written in a URL.
pub const ENCODED_PASSWORD: &str = "hunter2%2F%40%23";

/// Settings of a sink's builder.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// True if the sink may create tables.
    pub create: bool,
    /// The time limit for connecting, if it is not the default.
    pub timeout: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { create: true, timeout: None }
    }
}

/// The URL of a database with another user: `server` is the URL of another database of the same server.
pub fn url_of(server: &str, name: &str, user: Option<&str>) -> String {
    let (scheme, rest) = server.split_once("://").unwrap();
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (place, _) = place.rsplit_once('/').unwrap();
    let (own_user, host) = place.rsplit_once('@').unwrap();
    let question = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{}@{host}/{name}{question}{query}", user.unwrap_or(own_user))
}

/// Runs `work` in a thread with a runtime of its own, and waits for it. A test's own runtime cannot be blocked on
/// while it drops something.
pub fn in_a_thread(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A failure here is ignored: a failing test has said why it failed, and a database that is left behind would only
    // hide that.
    let _ = std::thread::spawn(move || runtime.block_on(work)).join();
}

/// A batch of source `web1`. A row is the window, the key, and the revenue of one hit.
pub fn batch(sequence: u64, rows: &[(i64, &[u8], i128)]) -> Batch {
    evs_store::cases::batch("web1", sequence, rows)
}

/// The error with its causes, as the status shows it.
pub fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The error of a sink that cannot be opened. It must show no password.
pub async fn refused<D: Database>(url: &str) -> String {
    let error = D::connect(url, Settings::default()).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    let shown = format!("{error:?} {}", in_full(&error));
    assert!(!shown.contains("hunter2"), "{shown}");
    in_full(&error)
}
