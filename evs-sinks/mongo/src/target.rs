//! What a sink is made of: a URL, the driver's options, or a client.

use evs_core::SinkError;
use mongodb::{
    Client,
    options::{ClientOptions, ConnectionString, HostInfo, Tls, WriteConcern},
};

use crate::url::{self, Secrets, Url, check_concern};

/// What a sink is made of, unchecked.
#[derive(Clone)]
pub(crate) enum Target {
    Url(String),
    Options(Box<ClientOptions>),
    /// A client, and the name of a database.
    Client(Client, String),
}

/// A database that can be connected to, and what evs has to know about it before that.
pub(crate) struct Place {
    pub(crate) source: Source,
    pub(crate) database: String,
    pub(crate) secrets: Secrets,
    /// The write concern that was asked for.
    pub(crate) write_concern: WriteConcern,
    /// True if connections use TLS, as far as is known.
    pub(crate) has_tls: bool,
    /// The hosts, for people.
    pub(crate) hosts: String,
}

/// What the driver's client is made of.
pub(crate) enum Source {
    Url(Box<ConnectionString>),
    Options(Box<ClientOptions>),
    Client(Client),
}

impl Target {
    /// Refuses what cannot work, or would not be exact.
    pub(crate) fn checked(self) -> Result<Place, SinkError> {
        match self {
            Self::Url(url) => Ok(url::parse(&url)?.into()),
            Self::Options(options) => {
                let Some(database) = options.default_database.clone() else {
                    return Err(SinkError::refused(
                        "the options name no database: default_database is not set",
                    ));
                };
                check_concern("options ask", options.write_concern.as_ref())?;
                Ok(Place {
                    database,
                    secrets: options.credential.as_ref().map(Secrets::of_credential).unwrap_or_default(),
                    write_concern: options.write_concern.clone().unwrap_or_default(),
                    has_tls: matches!(options.tls, Some(Tls::Enabled(_))),
                    hosts: format!("{:?}", options.hosts),
                    source: Source::Options(options),
                })
            }
            Self::Client(client, database) => {
                if database.is_empty() {
                    return Err(SinkError::refused("the name of the database is empty"));
                }
                check_concern("client asks", client.write_concern())?;
                Ok(Place {
                    database,
                    secrets: Secrets::default(),
                    write_concern: client.write_concern().cloned().unwrap_or_default(),
                    has_tls: false,
                    hosts: "those of a client".to_owned(),
                    source: Source::Client(client),
                })
            }
        }
    }
}

impl From<Url> for Place {
    fn from(Url { parsed, database, secrets }: Url) -> Self {
        // TLS is on by default if the servers are found through DNS.
        let has_tls = matches!(
            (&parsed.tls, &parsed.host_info),
            (Some(Tls::Enabled(_)), _) | (None, HostInfo::DnsRecord(_))
        );
        Self {
            database,
            secrets,
            write_concern: parsed.write_concern.clone().unwrap_or_default(),
            has_tls,
            hosts: format!("{:?}", parsed.host_info),
            source: Source::Url(Box::new(parsed)),
        }
    }
}
