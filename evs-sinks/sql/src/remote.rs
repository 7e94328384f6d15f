//! The connector to a server, of which a store only implements the [`Driver`].

use std::{fmt, path::Path, str::FromStr};

use async_trait::async_trait;
use evs_core::{Cause, SinkError};
use evs_store::{StoreError, strike};

use crate::{
    builder::Target,
    connection::{Connection, Connector},
    dialect::Dialect,
    url::{check_files, check_url, passwords, passwords_of_options},
};

/// The library that connects to a kind of server.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// The library's options for a connection, which are parsed from a URL.
    type Options: FromStr<Err: Into<Cause>> + Clone + Send + Sync + 'static;
    /// The library's pool of connections.
    type Pool: Send + Sync + 'static;
    /// A connection of the sink.
    type Connection: Connection;

    /// The store's dialect of SQL.
    const DIALECT: &'static dyn Dialect;
    /// The schemes of URLs. Messages show the first one.
    const SCHEMES: &'static [&'static str];
    /// The parameters that a URL may have after its question mark.
    const PARAMETERS: &'static [&'static str];
    /// The parameters that name files.
    const FILES: &'static [&'static str];

    /// The options that a pool has now.
    fn options_of(pool: &Self::Pool) -> Self::Options;

    /// The address in the options.
    fn address(options: &Self::Options) -> Address<'_>;

    /// The password in the options. The driver may only find it by writing the options as a URL, which fails for some
    /// hosts.
    fn password(options: &Self::Options) -> Option<String>;

    /// Adds what evs needs to the options.
    fn complete(options: Self::Options) -> Self::Options;

    /// Makes a connection by completed options, as [`Connector::connect`] demands it.
    async fn connect(options: &Self::Options) -> Result<Self::Connection, StoreError>;
}

/// The address of a database and its user, as messages show them.
#[derive(Clone, Copy, Debug)]
pub struct Address<'o> {
    /// The name of the user.
    pub user: &'o str,
    /// The name or the IP address of the server.
    pub host: &'o str,
    /// The port of the server.
    pub port: u16,
    /// The server's Unix domain socket, which is used in the place of host and port.
    pub socket: Option<&'o Path>,
    /// The name of the database. A sink needs one.
    pub database: Option<&'o str>,
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port, socket, database } = self;
        let database = database.unwrap_or_default();
        match socket {
            Some(socket) => write!(f, "{user}@{}/{database}", socket.display()),
            None => write!(f, "{user}@{host}:{port}/{database}"),
        }
    }
}

/// Connects to the server of a [`Driver`].
pub struct Remote<D: Driver> {
    options: Options<D>,
    secrets: Vec<String>,
}

/// The options of the next connection.
enum Options<D: Driver> {
    Fixed(Box<D::Options>),
    /// Those of a pool, which its owner may change at any time.
    Pool(D::Pool),
}

const URL: &str = "URL of the server names";
const OPTIONS: &str = "options of the server name";

impl<D: Driver> Remote<D> {
    /// Checks a URL or options. It does not connect.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if the URL is wrong, or if there is no name of a database.
    pub fn of(target: Target<D::Options, D::Pool>) -> Result<Self, SinkError> {
        match target {
            Target::Url(url) => Self::new(&url),
            Target::Options(options) => {
                let secrets = secrets::<D>(&options);
                Ok(Self { options: Options::Fixed(Box::new(checked::<D>(OPTIONS, options)?)), secrets })
            }
            Target::Pool(pool) => {
                let options = D::options_of(&pool);
                let secrets = secrets::<D>(&options);
                checked::<D>(OPTIONS, options)?;
                Ok(Self { options: Options::Pool(pool), secrets })
            }
        }
    }

    /// Parses and checks a URL. It does not connect.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`] if the URL is wrong, or names no database.
    pub fn new(url: &str) -> Result<Self, SinkError> {
        check_url(url, D::SCHEMES, D::PARAMETERS)?;
        check_files(url, D::FILES)?;
        let options = url
            .parse::<D::Options>()
            .map_err(|error| SinkError::refused_by("the URL of the server cannot be used", error))?;
        let secrets = passwords(url, D::password(&options).as_deref());
        Ok(Self { options: Options::Fixed(Box::new(checked::<D>(URL, options)?)), secrets })
    }

    /// The options of the next connection, with what evs needs.
    fn options(&self) -> Result<D::Options, SinkError> {
        match &self.options {
            Options::Fixed(options) => Ok((**options).clone()),
            Options::Pool(pool) => checked::<D>(OPTIONS, D::options_of(pool)),
        }
    }
}

/// Refuses options without a database, and adds what evs needs. `names` says whose they are.
fn checked<D: Driver>(names: &str, options: D::Options) -> Result<D::Options, SinkError> {
    if D::address(&options).database.is_none() {
        return Err(SinkError::refused(format!(
            "the {names} no database; expected {}://USER:PASSWORD@HOST:PORT/DATABASE",
            D::SCHEMES[0]
        )));
    }
    Ok(D::complete(options))
}

fn secrets<D: Driver>(options: &D::Options) -> Vec<String> {
    let address = D::address(options);
    passwords_of_options(address.user, address.host, || D::password(options))
}

/// Shows the server and the user, and no password.
impl<D: Driver> fmt::Debug for Remote<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.options() {
            Ok(options) => write!(f, "{}", D::address(&options)),
            Err(_) => f.write_str("a pool without a database"),
        }
    }
}

#[async_trait]
impl<D: Driver> Connector for Remote<D> {
    type Connection = D::Connection;

    fn dialect(&self) -> &dyn Dialect {
        D::DIALECT
    }

    async fn connect(&self) -> Result<D::Connection, StoreError> {
        let options = self.options().map_err(|error| StoreError::permanent(error.to_string()))?;
        D::connect(&options).await.map_err(|mut error| {
            // The owner of a pool may have changed the password.
            error.message = strike(&format!("{self:?}: {}", error.message), &secrets::<D>(&options));
            error
        })
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn secrets(&self) -> &[String] {
        &self.secrets
    }
}
