//! TLS to real servers that accept no connection without it: deliveries arrive, and no certificate of anybody else is
//! taken for the server's. Cassandra's tests are beside its sink, for both of its drivers.
//!
//! | test | the server has | evs must |
//! | --- | --- | --- |
//! | `knows_the_server` | a certificate of the authority | accept it by that authority, and by no other |
//! | `looks_at_the_name` | another address | refuse it if the name counts |
//! | `shows_its_own_certificate` | a demand for client certificates | show its own |
//! | `is_told_without_tls` | a demand for TLS | report it if the URL has none |

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use evs::{SinkError, prelude::*};
use evs_testkit::{Certificates, Instance, Kind, Proxy, log_format, proxy::Protocol, server, services::skip};
use support::{process::Place, statistic};

/// The log that is counted.
const KIND: Kind = Kind::Ads;

/// A wrong password. A server that is asked for TLS never gets to see it, unless its certificate was accepted.
const PASSWORD: &str = "hunter2";

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// The address of the proxies, on the port of their server, whose certificate is for 127.0.0.1.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    MySql,
    Postgres,
    Mongo,
}

/// The strictness with which a server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Nothing,
    Authority,
    AuthorityAndName,
}

use Check::{Authority, AuthorityAndName, Nothing};

/// The part of a URL that is about certificates.
#[derive(Clone, Copy)]
struct Tls<'c> {
    check: Check,
    /// The authority to trust, if not one of the usual ones.
    ca: Option<&'c Path>,
    /// The client's own certificate and key.
    client: Option<&'c (PathBuf, PathBuf)>,
}

impl Engine {
    fn service(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::Postgres => "postgres",
            Self::Mongo => "mongo",
        }
    }

    /// The checks that the store can be asked for. MongoDB's URLs have no way to leave out the name alone, with this
    /// driver.
    fn checks(self) -> &'static [Check] {
        match self {
            Self::MySql | Self::Postgres => &[Nothing, Authority, AuthorityAndName],
            Self::Mongo => &[Nothing, AuthorityAndName],
        }
    }

    /// The options of a URL for a connection without TLS.
    fn without_tls(self) -> &'static str {
        match self {
            Self::MySql => "?ssl-mode=DISABLED",
            Self::Postgres => "?sslmode=disable",
            Self::Mongo => "",
        }
    }

    /// The options of a URL for a connection with TLS.
    fn with_tls(self, Tls { check, ca, client }: Tls<'_>) -> String {
        let check = match (self, check) {
            (Self::MySql, Nothing) => "?ssl-mode=REQUIRED",
            (Self::MySql, Authority) => "?ssl-mode=VERIFY_CA",
            (Self::MySql, AuthorityAndName) => "?ssl-mode=VERIFY_IDENTITY",
            (Self::Postgres, Nothing) => "?sslmode=require",
            (Self::Postgres, Authority) => "?sslmode=verify-ca",
            (Self::Postgres, AuthorityAndName) => "?sslmode=verify-full",
            (Self::Mongo, Nothing) => "?tls=true&tlsAllowInvalidCertificates=true",
            (Self::Mongo, _) => "?tls=true",
        };
        let (ca_option, certificate_option, key_option) = match self {
            Self::MySql => ("ssl-ca", "ssl-cert", Some("ssl-key")),
            Self::Postgres => ("sslrootcert", "sslcert", Some("sslkey")),
            Self::Mongo => ("tlsCAFile", "tlsCertificateKeyFile", None),
        };
        let mut options = check.to_owned();
        let mut add = |option: &str, path: &Path| options += &format!("&{option}={}", path.display());
        if let Some(ca) = ca {
            add(ca_option, ca);
        }
        if let Some((certificate, key)) = client {
            if let Some(key_option) = key_option {
                add(certificate_option, certificate);
                add(key_option, key);
            } else {
                add(certificate_option, &in_one_file(certificate, key));
            }
        }
        options
    }

    async fn open(self, url: &str) -> Result<Arc<dyn Sink>, SinkError> {
        Ok(match self {
            Self::MySql => Arc::new(MySqlSink::connect(url).await?),
            Self::Postgres => Arc::new(PostgresSink::connect(url).await?),
            Self::Mongo => Arc::new(MongoSink::connect(url).await?),
        })
    }
}

/// A file with the certificate and its key, as MongoDB's driver expects it.
fn in_one_file(certificate: &Path, key: &Path) -> PathBuf {
    let both = certificate.with_extension("both.pem");
    let text = [certificate, key].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    std::fs::write(&both, text).unwrap();
    both
}

/// A server, and a log that is counted into it.
struct Server {
    engine: Engine,
    instance: Instance,
    place: Place,
}

impl Server {
    /// Starts a server that accepts no connection without TLS, with the certificates of that folder, or a server
    /// without TLS.
    ///
    /// `None` if there is no such server here, which has been reported.
    fn start(engine: Engine, tls: Option<&Path>) -> Option<Self> {
        let service = engine.service();
        // Whoever wants no server of that kind wants none of a test's own either.
        server(service)?;
        let tls = tls.map_or("", |folder| folder.to_str().unwrap());
        match Instance::start(service, &[("EVS_SERVICES_TLS", tls)]) {
            Ok(instance) => Some(Self { engine, instance, place: Place::new(KIND, 17) }),
            Err(error) => {
                skip(service, &format!("a server of the test's own cannot be started: {error}"));
                None
            }
        }
    }

    fn url(&self, options: &str) -> String {
        format!("{}{options}", self.instance.url())
    }

    /// The address of the proxy, for which the server's certificate is not valid.
    fn elsewhere(&self) -> SocketAddr {
        SocketAddr::from((ELSEWHERE, self.instance.address().port()))
    }

    /// Starts a proxy at the other address.
    fn proxy(&self) -> Proxy {
        Proxy::start(self.elsewhere(), self.instance.address(), Protocol::Bytes).unwrap()
    }

    /// The URL of the server through the proxy.
    fn url_elsewhere(&self, options: &str) -> String {
        self.url(options).replacen(&self.instance.address().to_string(), &self.elsewhere().to_string(), 1)
    }

    /// Counts more of the log through that URL, and checks that all of it is there, to the last digit.
    async fn takes(&mut self, url: &str) {
        self.place.write(200);
        let pipeline = Pipeline::builder("tls")
            .tail(self.place.log())
            .format(log_format(KIND).parse().unwrap())
            .statistic(statistic(KIND, "totals"))
            .sink("store", self.engine.open(url).await.unwrap_or_else(|error| panic!("{url}: {error:?}")))
            .state_dir(self.place.state())
            .build()
            .unwrap();
        let run = pipeline.run_to_end(std::future::pending());
        let summary = tokio::time::timeout(PATIENCE, run).await.expect("the server is there").unwrap();
        assert!(summary.is_complete, "{url}: {summary:?}");
        self.place.assert_exact_in(&*self.engine.open(url).await.unwrap(), url).await;
    }

    /// Returns the reason why that URL is refused permanently.
    async fn refusal(&self, url: &str) -> String {
        let url = with_another_password(url);
        refused(&url, &self.engine.open(&url).await.expect_err(&url))
    }
}

/// The same URL with a wrong password.
fn with_another_password(url: &str) -> String {
    url.replace("//evs:evs@", &format!("//evs:{PASSWORD}@"))
}

/// The text of a permanent error, which shows no password.
fn refused(url: &str, error: &SinkError) -> String {
    let SinkError::Refused { what, source: Some(source) } = error else { panic!("{url}: {error:?}") };
    assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error:?}");
    format!("{what}: {source}")
}

/// The certificate is accepted if it passes the checks that the URL asks for, and only then.
async fn knows_the_server(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(folder.path()).unwrap();
    let (ca, stranger) = (certificates.ca(), certificates.stranger());
    let Some(mut server) = Server::start(engine, Some(&certificates.of_server())) else { return };
    let tls = |check, ca| engine.with_tls(Tls { check, ca, client: None });

    for &check in engine.checks() {
        server.takes(&server.url(&tls(check, Some(&ca)))).await;
    }
    server.takes(&server.url(&tls(Nothing, Some(&stranger)))).await;
    if engine != Engine::Mongo {
        // TLS is preferred where nothing is said.
        server.takes(&server.url("")).await;
    }
    for &check in engine.checks().iter().filter(|&&check| check != Nothing) {
        for ca in [Some(&*stranger), None] {
            let said = server.refusal(&server.url(&tls(check, ca))).await;
            assert!(said.contains("invalid peer certificate: UnknownIssuer"), "{check:?}: {said}");
        }
    }
}

/// The server has the right authority's certificate, but is at another address.
async fn looks_at_the_name(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(folder.path()).unwrap();
    let ca = certificates.ca();
    let Some(mut server) = Server::start(engine, Some(&certificates.of_server())) else { return };
    let tls = |check| engine.with_tls(Tls { check, ca: Some(&ca), client: None });
    let is_told = |said: &str| said.contains("certificate not valid for name \"127.0.0.2\"");

    // Away is no error, until somebody is there who is not the server.
    let url = with_another_password(&server.url_elsewhere(&tls(AuthorityAndName)));
    let sink = engine.open(&url).await.unwrap();
    let _proxy = server.proxy();
    let said = refused(&url, &sink.progress("web1").await.unwrap_err());
    assert!(is_told(&said), "{said}");

    let said = server.refusal(&server.url_elsewhere(&tls(AuthorityAndName))).await;
    assert!(is_told(&said), "{said}");
    for &check in engine.checks().iter().filter(|&&check| check != AuthorityAndName) {
        server.takes(&server.url_elsewhere(&tls(check))).await;
    }
    server.takes(&server.url(&tls(AuthorityAndName)).replacen("127.0.0.1", "localhost", 1)).await;
}

/// The server asks for a client certificate, and accepts only the right authority's.
async fn shows_its_own_certificate(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(folder.path()).unwrap();
    let (ca, client, stranger) = (certificates.ca(), certificates.client(), certificates.strange_client());
    let Some(mut server) = Server::start(engine, Some(&certificates.of_asking_server())) else { return };
    let tls = |client| engine.with_tls(Tls { check: AuthorityAndName, ca: Some(&ca), client });

    server.takes(&server.url(&tls(Some(&client)))).await;
    let missing = match engine {
        Engine::MySql => "Access denied",
        Engine::Postgres => "requires a valid client certificate",
        Engine::Mongo => "CertificateRequired",
    };
    for (client, why) in [(None, missing), (Some(&stranger), "UnknownCA")] {
        let url = server.url(&tls(client));
        let said = refused(&url, &engine.open(&url).await.expect_err(&url));
        assert!(said.contains(why), "{url}: {said}");
    }
}

/// The deliveries above used TLS: without it, they fail like this.
async fn is_told_without_tls(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(folder.path()).unwrap();
    let Some(server) = Server::start(engine, Some(&certificates.of_server())) else { return };
    let url = server.url(engine.without_tls());
    if engine == Engine::Mongo {
        // Its connections are closed, as by a server that is about to end: there may be another one in a moment.
        let error = engine.open(&url).await.unwrap().progress("web1").await.unwrap_err();
        let SinkError::Unavailable { source, .. } = error else { panic!("who can know? {error:?}") };
        assert!(source.to_string().contains("if it asks for TLS, the URL needs tls=true"), "{source}");
    } else {
        let said = refused(&url, &engine.open(&url).await.expect_err(&url));
        let why = if engine == Engine::MySql { "asks for TLS" } else { "no encryption" };
        assert!(said.contains(why), "{said}");
    }
}

/// Who asks for TLS gets nothing less from a server that has none.
async fn insists_on_tls(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(folder.path()).unwrap();
    let Some(mut server) = Server::start(engine, None) else { return };
    server.takes(&server.url(engine.without_tls())).await;
    for &check in engine.checks() {
        let options = engine.with_tls(Tls { check, ca: Some(&certificates.ca()), client: None });
        let said = server.refusal(&server.url(&options)).await;
        assert!(said.contains("TLS"), "{check:?}: {said}");
    }
}

macro_rules! on_server {
    ($service:ident: $engine:ident: $($case:ident),* $(,)?) => {
        mod $service {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::Engine::$engine).await;
            })*
        }
    };
}

on_server! { mysql: MySql:
    knows_the_server, looks_at_the_name, shows_its_own_certificate, is_told_without_tls, insists_on_tls,
}

on_server! { postgres: Postgres:
    knows_the_server, looks_at_the_name, shows_its_own_certificate, is_told_without_tls, insists_on_tls,
}

// Without TLS, SecantusDB takes a greeting for the beginning of a long message, and waits for the rest.
on_server! { mongo: Mongo:
    knows_the_server, looks_at_the_name, shows_its_own_certificate, is_told_without_tls,
}
