//! The driver in pure Rust: the crate `scylla`.
//!
//! A statement is prepared once for each session, and the driver then knows which nodes have a partition: a write goes to
//! one of them directly.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, RwLock},
};

use async_trait::async_trait;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
};
use scylla::{
    client::{
        execution_profile::{ExecutionProfile, ExecutionProfileHandle},
        session::Session as ScyllaSession,
        session::TlsContext,
        session_builder::SessionBuilder,
    },
    cluster::metadata::{ColumnType, NativeType},
    errors::{
        BrokenConnectionError, BrokenConnectionErrorKind, ConnectionError, ConnectionPoolError,
        ConnectionSetupRequestErrorKind, DbError, ExecutionError, FrameHeaderParseError, MetadataError,
        MetadataFetchErrorKind, NewSessionError, PrepareError, RequestAttemptError,
    },
    frame::protocol_features::ProtocolFeatures,
    policies::load_balancing::DefaultPolicy,
    response::{PagingState, PagingStateResponse},
    serialize::{
        SerializationError,
        value::SerializeValue,
        writers::{CellWriter, WrittenCellProof},
    },
    statement::{
        Consistency as Level, SerialConsistency,
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
        unprepared::Statement,
    },
    value::{CqlValue, Row},
};

use super::{Connector, Kind, PAGE_ROWS, Page, Paged, Session, StoreError, Value, number, server_error};
use crate::config::{Config, Consistency, Tls};

/// Makes sessions of the crate `scylla`.
#[derive(Debug)]
pub(crate) struct Scylla;

/// Uses a session of the host's. A new session is the same one: the driver replaces its connections itself.
pub(crate) struct Shared(pub(crate) Arc<ScyllaSession>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session of the crate scylla")
    }
}

#[async_trait]
impl Connector for Shared {
    async fn connect(&self, config: &Config) -> Result<Arc<dyn Session>, StoreError> {
        Ok(Connected::with(Arc::clone(&self.0), profile(config)))
    }
}

/// The profile with which evs sends all of its statements.
///
/// The few lightweight transactions (claims, and the catalogue) are serial over all datacenters, whatever the
/// consistency of other statements is: two processes in two datacenters may claim a source at the same moment.
fn profile(config: &Config) -> ExecutionProfileHandle {
    let mut policy = DefaultPolicy::builder().token_aware(true);
    if let Some(datacenter) = &config.datacenter {
        policy = policy.prefer_datacenter(datacenter.clone()).permit_dc_failover(false);
    }
    let level = match config.consistency {
        Consistency::LocalQuorum => Level::LocalQuorum,
        Consistency::Quorum => Level::Quorum,
        Consistency::All => Level::All,
    };
    ExecutionProfile::builder()
        .consistency(level)
        .serial_consistency(Some(SerialConsistency::Serial))
        .request_timeout(Some(config.request_timeout))
        .load_balancing_policy(policy.build())
        .build()
        .into_handle()
}

#[async_trait]
impl Connector for Scylla {
    async fn connect(&self, config: &Config) -> Result<Arc<dyn Session>, StoreError> {
        let profile = profile(config);
        let mut builder = SessionBuilder::new()
            .default_execution_profile_handle(profile.clone())
            .connection_timeout(config.connect_timeout)
            .metadata_request_clientside_timeout(config.request_timeout)
            .hostname_resolution_timeout(Some(config.connect_timeout))
            .keyspaces_to_fetch([&config.keyspace])
            .fetch_full_schema_metadata(false)
            .driver_config_reporting(false);
        for (host, port) in &config.hosts {
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            builder = builder.known_node(format!("{host}:{port}"));
        }
        if let Some((user, password)) = &config.credentials {
            builder = builder.user(user, password);
        }
        if let Some(tls) = &config.tls {
            builder = builder.tls_context(Some(tls_context(tls)?));
        }
        let session = builder.build().await.map_err(|error| {
            let mut sorted = sort_new_session(&error);
            if was_closed(&error) {
                sorted.message = format!("{}; {}", sorted.message, config.tls_hint());
            }
            sorted
        })?;
        Ok(Connected::with(Arc::new(session), profile))
    }
}

/// The cryptography provider is named, since a program may have more than one compiled in.
fn tls_context(tls: &Tls) -> Result<TlsContext, StoreError> {
    let wrong = |what: &str, error: &dyn fmt::Display| {
        StoreError::new(Kind::Permanent, format!("{what} cannot be used: {error}"))
    };
    let certificates = |option: &str, pem: &str| {
        let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, pem::Error>>();
        match found {
            Ok(found) if found.is_empty() => Err(wrong(option, &"it has no certificate in PEM")),
            Ok(found) => Ok(found),
            Err(error) => Err(wrong(option, &error)),
        }
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("tls_ca", &tls.authorities)? {
        roots.add(certificate).map_err(|error| wrong("tls_ca", &error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS", &error))?
        .with_root_certificates(roots);
    let config = match &tls.identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("tls_cert", certificate)?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
            let key = key.map_err(|error| wrong("tls_key", &error))?;
            let config = config.with_client_auth_cert(chain, key);
            config.map_err(|error| wrong("tls_cert with tls_key", &error))?
        }
    };
    Ok(Arc::new(config).into())
}

/// The session may be the host's. So nothing is set in it: the profile goes with each statement, and the keyspace is
/// a part of each text.
struct Connected {
    session: Arc<ScyllaSession>,
    /// Set for each statement, since a session of the host's has another one.
    profile: ExecutionProfileHandle,
    prepared: RwLock<HashMap<Arc<str>, PreparedStatement>>,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("driver", &"scylla").finish_non_exhaustive()
    }
}

impl Connected {
    fn with(session: Arc<ScyllaSession>, profile: ExecutionProfileHandle) -> Arc<dyn Session> {
        Arc::new(Self { session, profile, prepared: RwLock::default() })
    }

    async fn prepared(&self, cql: &Arc<str>) -> Result<PreparedStatement, StoreError> {
        let known = |prepared: &HashMap<_, PreparedStatement>| prepared.get(cql).cloned();
        // A panic cannot leave the map half changed, so a poisoned lock can be used.
        if let Some(statement) =
            known(&self.prepared.read().unwrap_or_else(std::sync::PoisonError::into_inner))
        {
            return Ok(statement);
        }
        let mut statement = self.session.prepare(&**cql).await.map_err(|error| sort_prepare(&error))?;
        // Each write sets the same row to the same values, so a second write has no effect.
        statement.set_is_idempotent(true);
        statement.set_page_size(PAGE_ROWS);
        statement.set_execution_profile_handle(Some(self.profile.clone()));
        let mut prepared = self.prepared.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        prepared.insert(Arc::clone(cql), statement.clone());
        Ok(statement)
    }
}

#[async_trait]
impl Session for Connected {
    async fn datacenters(&self) -> Result<Vec<(String, usize)>, StoreError> {
        let state = self.session.get_cluster_state();
        let mut found = std::collections::BTreeMap::<_, usize>::new();
        for node in state.get_nodes_info() {
            *found.entry(node.datacenter.clone().unwrap_or_default()).or_default() += 1;
        }
        Ok(found.into_iter().collect())
    }

    async fn define(&self, cql: &str) -> Result<(), StoreError> {
        let mut statement = Statement::new(cql);
        statement.set_is_idempotent(true);
        statement.set_execution_profile_handle(Some(self.profile.clone()));
        self.session.query_unpaged(statement, ()).await.map_err(|error| sort(&error))?;
        // A session of the host's may not wait by itself.
        let agreed = self.session.await_schema_agreement().await;
        agreed.map(drop).map_err(|error| sort(&ExecutionError::SchemaAgreementError(error)))
    }

    async fn write(&self, cql: &Arc<str>, rows: &[Vec<Value>]) -> Result<(), StoreError> {
        let statement = self.prepared(cql).await?;
        let answer = if let [row] = rows {
            self.session.execute_unpaged(&statement, row).await
        } else {
            let mut batch = Batch::new(BatchType::Unlogged);
            batch.set_is_idempotent(true);
            batch.set_execution_profile_handle(Some(self.profile.clone()));
            for _ in rows {
                batch.append_statement(statement.clone());
            }
            self.session.batch(&batch, rows).await
        };
        answer.map(drop).map_err(|error| sort(&error))
    }

    async fn page(
        &self,
        cql: &Arc<str>,
        values: &[Value],
        behind: Option<Page>,
    ) -> Result<Paged, StoreError> {
        let statement = self.prepared(cql).await?;
        let behind = behind.map_or_else(PagingState::start, |page| PagingState::new_from_raw_bytes(page.0));
        let answer = self.session.execute_single_page(&statement, values, behind).await;
        let (result, state) = answer.map_err(|error| sort(&error))?;
        let unreadable = |error: &dyn fmt::Display| {
            StoreError::new(Kind::Permanent, format!("the answer to {cql} cannot be read: {error}"))
        };
        let result = result.into_rows_result().map_err(|error| unreadable(&error))?;
        let mut rows = Vec::with_capacity(result.rows_num());
        for row in result.rows::<Row>().map_err(|error| unreadable(&error))? {
            let row = row.map_err(|error| unreadable(&error))?;
            let row = row.columns.into_iter().map(read).collect::<Option<Vec<_>>>();
            rows.push(row.ok_or_else(|| unreadable(&"a value is of no type that evs writes"))?);
        }
        let end = match state {
            PagingStateResponse::HasMorePages { state } => {
                state.as_bytes_slice().map(|bytes| Page(Arc::clone(bytes)))
            }
            PagingStateResponse::NoMorePages => None,
        };
        Ok((rows, end))
    }
}

/// The error for a value whose type is not its column's: the table was changed after it was checked.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not for a column of type {1}")]
struct OtherType(String, String);

impl SerializeValue for Value {
    fn serialize<'b>(
        &self,
        column: &ColumnType<'_>,
        writer: CellWriter<'b>,
    ) -> Result<WrittenCellProof<'b>, SerializationError> {
        use NativeType::{BigInt, Boolean, Decimal, Int, Text, Timestamp, Varint};
        let written = match (self, column) {
            (Self::Absent, _) => return Ok(writer.set_unset()),
            (Self::Int(number), ColumnType::Native(Int)) => writer.set_value(&number.to_be_bytes()),
            (Self::Bigint(number), ColumnType::Native(BigInt)) => writer.set_value(&number.to_be_bytes()),
            (Self::Boolean(is), ColumnType::Native(Boolean)) => writer.set_value(&[u8::from(*is)]),
            (Self::Text(text), ColumnType::Native(Text)) => writer.set_value(text.as_bytes()),
            (Self::Timestamp(time), ColumnType::Native(Timestamp)) => writer.set_value(&time.to_be_bytes()),
            (Self::Varint(number), ColumnType::Native(Varint)) => {
                let mut bytes = Vec::with_capacity(17);
                number::put(&mut bytes, *number);
                writer.set_value(&bytes)
            }
            (Self::Decimal(number, scale), ColumnType::Native(Decimal)) => {
                let mut bytes = scale.to_be_bytes().to_vec();
                number::put(&mut bytes, *number);
                writer.set_value(&bytes)
            }
            (Self::Texts(texts), ColumnType::Collection { .. }) => return texts.serialize(column, writer),
            _ => {
                let error = OtherType(format!("{self:?}"), format!("{column:?}"));
                return Err(SerializationError::new(error));
            }
        };
        written.map_err(SerializationError::new)
    }
}

/// Reads a value. `None` for types that evs's tables do not have.
fn read(value: Option<CqlValue>) -> Option<Value> {
    Some(match value {
        None => Value::Absent,
        Some(CqlValue::Int(number)) => Value::Int(number),
        Some(CqlValue::BigInt(number)) => Value::Bigint(number),
        Some(CqlValue::Boolean(is)) => Value::Boolean(is),
        Some(CqlValue::Text(text)) => Value::Text(text.into()),
        Some(CqlValue::Timestamp(time)) => Value::Timestamp(time.0),
        Some(CqlValue::Varint(number)) => Value::Varint(number::read(number.as_signed_bytes_be_slice())?),
        Some(CqlValue::Decimal(decimal)) => {
            let (bytes, scale) = decimal.as_signed_be_bytes_slice_and_exponent();
            Value::Decimal(number::read(bytes)?, scale)
        }
        Some(CqlValue::List(items)) => {
            let text = |item| if let CqlValue::Text(text) = item { Some(text) } else { None };
            Value::Texts(items.into_iter().map(text).collect::<Option<_>>()?)
        }
        Some(_) => return None,
    })
}

/// Sorts an error that a node sent.
fn said(error: &DbError, message: &str) -> StoreError {
    server_error(error.code(&ProtocolFeatures::default()), message)
}

fn sort(error: &ExecutionError) -> StoreError {
    match error {
        ExecutionError::LastAttemptError(error) => sort_attempt(error),
        ExecutionError::PrepareError(error) => sort_prepare(error),
        ExecutionError::ConnectionPoolError(error) => sort_pool(error),
        ExecutionError::BadQuery(_) | ExecutionError::UseKeyspaceError(_) => {
            StoreError::new(Kind::Permanent, error.to_string())
        }
        ExecutionError::SchemaAgreementError(_) => StoreError::new(Kind::Busy, error.to_string()),
        // No answer in time, no node to ask, or anything else: a new session finds out.
        _ => StoreError::new(Kind::Lost, error.to_string()),
    }
}

fn sort_attempt(error: &RequestAttemptError) -> StoreError {
    match error {
        RequestAttemptError::DbError(error, message) => said(error, message),
        RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => {
            StoreError::new(Kind::Permanent, error.to_string())
        }
        _ => StoreError::new(Kind::Lost, error.to_string()),
    }
}

fn sort_prepare(error: &PrepareError) -> StoreError {
    match error {
        PrepareError::AllAttemptsFailed { first_attempt } => sort_attempt(first_attempt),
        PrepareError::ConnectionPoolError(error) => sort_pool(error),
        _ => StoreError::new(Kind::Lost, error.to_string()),
    }
}

fn sort_pool(error: &ConnectionPoolError) -> StoreError {
    if let ConnectionPoolError::Broken { last_connection_error: cause } = error {
        return sort_connection(cause);
    }
    StoreError::new(Kind::Lost, error.to_string())
}

fn sort_connection(error: &ConnectionError) -> StoreError {
    match error {
        ConnectionError::ConnectionSetupRequestError(setup) => match setup.get_error() {
            ConnectionSetupRequestErrorKind::DbError(error, message) => said(error, message),
            ConnectionSetupRequestErrorKind::MissingAuthentication => StoreError::new(
                Kind::Permanent,
                "the cluster asks for a user and a password, and the URL has none",
            ),
            // With TLS 1.3, a node only checks a client's certificate after the client has finished its part of the
            // handshake.
            ConnectionSetupRequestErrorKind::BrokenConnection(broken) => sort_io(io_error(broken), error),
            _ => StoreError::new(Kind::Lost, error.to_string()),
        },
        ConnectionError::IoError(io) => sort_io(Some(io), error),
        _ => StoreError::new(Kind::Lost, error.to_string()),
    }
}

/// Sorts an error by its cause, if that is known.
fn sort_io(cause: Option<&io::Error>, error: &ConnectionError) -> StoreError {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    match cause.and_then(io::Error::get_ref).and_then(|cause| cause.downcast_ref()) {
        // Another attempt does not make a certificate valid, and does not teach a node TLS.
        Some(InvalidCertificate(_) | AlertReceived(_) | InvalidMessage(_)) => {
            StoreError::new(Kind::Permanent, format!("TLS: {error}"))
        }
        _ => StoreError::new(Kind::Lost, error.to_string()),
    }
}

/// The error that broke a connection, unless the driver itself ended it.
fn io_error(broken: &BrokenConnectionError) -> Option<&io::Error> {
    match broken.downcast_ref()? {
        BrokenConnectionErrorKind::FrameHeaderParseError(FrameHeaderParseError::HeaderIoError(error))
        | BrokenConnectionErrorKind::WriteError(error) => Some(error),
        _ => None,
    }
}

/// True if a connection was made, and broke before the node had sent anything.
fn was_closed(error: &NewSessionError) -> bool {
    let NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
        last_connection_error: ConnectionError::ConnectionSetupRequestError(setup),
    })) = error
    else {
        return false;
    };
    matches!(setup.get_error(), ConnectionSetupRequestErrorKind::BrokenConnection(_))
}

fn sort_new_session(error: &NewSessionError) -> StoreError {
    match error {
        NewSessionError::MetadataError(MetadataError::ConnectionPoolError(error)) => sort_pool(error),
        NewSessionError::MetadataError(MetadataError::FetchError(fetch)) => match &fetch.error {
            MetadataFetchErrorKind::PrepareError(error) => sort_attempt(error),
            _ => StoreError::new(Kind::Lost, error.to_string()),
        },
        NewSessionError::IllegalConfig(_) => StoreError::new(Kind::Permanent, error.to_string()),
        _ => StoreError::new(Kind::Lost, error.to_string()),
    }
}
