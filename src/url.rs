//! From a URL to the sink that it names.
//!
//! One table of schemes serves both the choice and the error message, so that the message never leaves out a store. A
//! URL holds a password, so no error shows any part of it except a scheme that is in the table.

use std::sync::Arc;

use evs_core::{Sink, SinkError};

/// The schemes of each store, the feature that it needs, and the form of its URL for error messages.
const SCHEMES: [(&[&str], &str, &str); 5] = [
    (&["sqlite"], "sqlite", "sqlite://PATH"),
    (&["mysql", "mariadb"], "mysql", "mysql://USER:PASSWORD@HOST/DATABASE"),
    (&["postgres", "postgresql"], "postgres", "postgres://USER:PASSWORD@HOST/DATABASE"),
    (&["mongodb", "mongodb+srv"], "mongo", "mongodb://USER:PASSWORD@HOST/DATABASE"),
    (&["cassandra"], "cassandra", "cassandra://USER:PASSWORD@HOST/KEYSPACE"),
];

/// Opens the sink that `url` names, for a service that reads it from its configuration.
///
/// | scheme | sink | feature |
/// | --- | --- | --- |
/// | `sqlite://PATH` | `SqliteSink` | `sqlite` |
/// | `mysql://`, `mariadb://` | `MySqlSink` | `mysql` |
/// | `postgres://`, `postgresql://` | `PostgresSink` | `postgres` |
/// | `mongodb://`, `mongodb+srv://` | `MongoSink` | `mongo` |
/// | `cassandra://` | `CassandraSink` | `cassandra` or `cassandra-cpp` |
///
/// The `connect` of each sink says what its URL may have. A server that is away is no error: the sink connects when it is
/// used.
///
/// ```
/// use evs::prelude::*;
///
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), evs::Error> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let url = format!("sqlite://{}", directory.path().join("reports.db").display());
/// let pipeline = Pipeline::builder("web1")
///     .tail("/var/log/nginx/access.log")
///     .format(LogFormat::combined())
///     .statistic(Statistic::named("requests").group_by(["status"]).measure(count()))
///     .sink("reports", evs::sink_from_url(&url).await?)
///     .state_dir(directory.path().join("state"))
///     .build()?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
///
/// # Errors
///
/// [`SinkError::Refused`] for a scheme that is not in the table, or whose feature is off, and what the `connect` of the
/// sink returns. No error shows a password, or any part of a URL that could be one.
pub async fn sink_from_url(url: &str) -> Result<Arc<dyn Sink>, SinkError> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    match scheme {
        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Arc::new(crate::SqliteSink::connect(url).await?)),
        #[cfg(feature = "mysql")]
        "mysql" | "mariadb" => Ok(Arc::new(crate::MySqlSink::connect(url).await?)),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => Ok(Arc::new(crate::PostgresSink::connect(url).await?)),
        #[cfg(feature = "mongo")]
        "mongodb" | "mongodb+srv" => Ok(Arc::new(crate::MongoSink::connect(url).await?)),
        #[cfg(any(feature = "cassandra", feature = "cassandra-cpp"))]
        "cassandra" => Ok(Arc::new(crate::CassandraSink::connect(url).await?)),
        _ => Err(refused(scheme)),
    }
}

/// The error for a scheme that no sink of this build has. It shows a scheme only if it is in the table: what stands
/// before `://` could be a part of a password.
fn refused(scheme: &str) -> SinkError {
    if let Some((_, feature, _)) = SCHEMES.iter().find(|(schemes, ..)| schemes.contains(&scheme)) {
        return SinkError::refused(format!(
            "a URL with {scheme}:// needs the feature `{feature}` of the crate evs"
        ));
    }
    let expected: Vec<&str> = SCHEMES.iter().map(|(_, _, form)| *form).collect();
    SinkError::refused(format!("the URL of a sink has an unknown scheme; expected {}", expected.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn error(url: &str) -> String {
        match sink_from_url(url).await {
            Ok(sink) => panic!("{url}: {sink:?}"),
            Err(error) => format!("{} {error:?}", evs_core::describe(&error)),
        }
    }

    #[tokio::test]
    async fn no_error_shows_a_secret() {
        let schemes = SCHEMES.iter().flat_map(|(schemes, ..)| schemes.iter().copied());
        for scheme in schemes.chain(["redis", ""]) {
            for url in [
                // A password whose slash is not escaped.
                format!("{scheme}://evs:ge/heim@localhost/stats"),
                format!("evs:ge/heim@{scheme}://localhost/stats"),
                format!("ge-heim-{scheme}://localhost"),
            ] {
                if url.starts_with("sqlite://") {
                    continue;
                }
                let error = error(&url).await;
                assert!(!error.contains("heim"), "{url}: {error}");
            }
        }
    }

    #[tokio::test]
    async fn an_unknown_scheme_is_refused_with_all_known_ones() {
        for url in ["", "stats.db", "redis://localhost/0", "SQLITE://stats.db"] {
            let error = error(url).await;
            for scheme in ["sqlite://", "mysql://", "postgres://", "mongodb://", "cassandra://"] {
                assert!(error.contains(scheme), "{url}: {error}");
            }
        }
    }

    #[test]
    fn a_scheme_without_its_feature_names_the_feature() {
        let error = refused("mariadb").to_string();
        assert_eq!(error, "a URL with mariadb:// needs the feature `mysql` of the crate evs");
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn a_url_of_sqlite_opens_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("stats.db");
        let sink = sink_from_url(&format!("sqlite://{}", path.display())).await.expect("opened");
        assert_eq!(sink.progress("web1").await.expect("asked"), []);
        assert!(path.exists());
    }
}
