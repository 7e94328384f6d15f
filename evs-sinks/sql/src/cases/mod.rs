//! What every SQL store with a server must do, whatever the server is: cases for the tests of the sinks.
//!
//! The differences between servers are arguments. A sink implements [`Database`] for a database of a server of its own
//! tests, and lists its cases with [`cases!`](crate::cases!). `evs_core::conformance` has the contract of every sink;
//! here is what SQL adds: tables as others see them, rights, URLs and locks.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "cases of tests")]

mod store;
mod tables;

use std::time::Duration;

use async_trait::async_trait;
use evs_core::{
    Batch, Epoch, KeyColumn, MeasureColumn, MeasureKind, Rows, Schema, Sink, SinkError, conformance::chained,
};

pub use store::*;
pub use tables::*;

use crate::Connector;

/// A database of its own, on the server that the tests are given. It is dropped at the end.
#[async_trait]
pub trait Database: Send + Sync + Sized + 'static {
    /// How the sink connects.
    type Connector: Connector;
    /// How anybody else connects.
    type Plain: Plain;
    /// An account of the server.
    type User: User;

    /// The scheme of the sink's URLs.
    const SCHEME: &'static str;

    /// A new database; `None` if the tests are given no server, which was said.
    async fn fresh() -> Option<Self>;

    /// A sink as its builder makes it.
    async fn connect(url: &str, settings: Settings) -> Result<Box<dyn Sink>, SinkError>;

    /// The URL of this database; `user` is `NAME:PASSWORD`.
    fn url(&self, user: Option<&str>) -> String;

    /// The sink's connector for this database.
    fn connector(&self) -> Self::Connector;

    /// The database as anybody else would open it.
    async fn plain(&self) -> Self::Plain;

    /// An account with those rights to this database.
    async fn user(&self, rights: &str) -> Self::User;

    /// Ends all other connections to this database.
    async fn cut_others(&self, plain: &mut Self::Plain);

    /// Whether somebody in the database waits for a lock.
    async fn is_lock_waited_for(&self, plain: &mut Self::Plain) -> bool;

    /// A sink with the defaults.
    async fn sink(&self) -> Box<dyn Sink> {
        Self::connect(&self.url(None), Settings::default()).await.unwrap()
    }
}

/// A connection as anybody else would make it.
#[async_trait]
pub trait Plain: Send {
    /// Executes statements.
    async fn run(&mut self, sql: &str);

    /// The texts of a query's rows.
    async fn texts(&mut self, sql: &str) -> Vec<Vec<String>>;
}

/// An account that is dropped at the end.
pub trait User: Send + Sync {
    /// `NAME:PASSWORD`, as a URL has it. The password is [`PASSWORD`].
    fn login(&self) -> String;
}

/// The password of every [`User`], in which what must be escaped in a URL is.
pub const PASSWORD: &str = "hunter2/@#";
/// The same, as a URL has it.
pub const ENCODED_PASSWORD: &str = "hunter2%2F%40%23";

/// Settings of a sink's builder.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether tables are made.
    pub create: bool,
    /// How long connecting may take, unless that is the default.
    pub timeout: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { create: true, timeout: None }
    }
}

/// Lists cases of [`cases`](mod@crate::cases) as tests: `cases! { MyDatabase: all_scales_are_kept(), ... }`.
#[macro_export]
macro_rules! cases {
    ($database:ty: $($name:ident($($argument:expr),* $(,)?)),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                $crate::cases::$name::<$database>($($argument),*).await;
            }
        )+
    };
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

/// Waits for what a test's own runtime cannot be made to wait for while it drops something.
pub fn in_a_thread(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A test that fails says why; that its database is left behind is not what it is about.
    let _ = std::thread::spawn(move || runtime.block_on(work)).join();
}

/// The statistic `ads`: a key, a count, and a sum in hundredths.
pub fn schema() -> Schema {
    let measure = |name: &str, kind, scale| MeasureColumn::new(name, kind, "", scale);
    Schema::new(
        "ads",
        60,
        vec![KeyColumn::new("campaign", "arg_c")],
        vec![measure("hits", MeasureKind::Count, 0), measure("revenue", MeasureKind::Sum, 2)],
    )
}

/// A batch of source `web1`: per row the window, the key, and the revenue of one hit.
pub fn batch(sequence: u64, rows: &[(i64, &[u8], i128)]) -> Batch {
    let mut encoded = Rows::new(1, 2);
    for (window, key, value) in rows {
        encoded.push(*window, [*key], &[Some(1), Some(*value)]);
    }
    let (schema, epoch) = (schema(), Epoch::from_bytes([7; 16]));
    chained(Batch::new("web1", epoch, schema, sequence, encoded))
}

/// The error with its causes, as a status would show it.
pub fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The error of a sink that is not to be had; it shows no password.
pub async fn refused<D: Database>(url: &str) -> String {
    let error = D::connect(url, Settings::default()).await.unwrap_err();
    assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
    let shown = format!("{error:?} {}", in_full(&error));
    assert!(!shown.contains("hunter2"), "{shown}");
    in_full(&error)
}
