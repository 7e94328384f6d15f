//! The C++ driver: the crate `cassandra-cpp`.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use cassandra_cpp::{
    BatchType, CassCollection, CassErrorCode, CassResult, Cluster, Consistency as Level, Error, ErrorKind,
    LendingIterator, List, PreparedStatement, RetryPolicy, Session as CppSession, Ssl, SslVerifyFlag,
    Statement, Value as CppValue, ValueType,
};

use super::{
    Connector, Kind, PAGE_ROWS, Page, Paged, Session, StoreError, Value, number, query, server_error,
};
use crate::config::{Config, Consistency, Tls};

/// Makes sessions of the crate `cassandra-cpp`.
#[derive(Debug)]
pub(crate) struct Cpp;

#[async_trait]
impl Connector for Cpp {
    async fn connect(&self, config: &Config) -> Result<Arc<dyn Session>, StoreError> {
        let session = open(cluster(config, config.datacenter.as_deref())?).await;
        let session = session.map_err(|mut error| {
            if CLOSED.iter().any(|words| error.message.contains(words)) {
                error.message = format!("{}; {}", error.message, config.tls_hint());
            }
            error
        });
        let Some(wanted) = &config.datacenter else { return connected(config, session?) };
        match session {
            // The driver finds no host in a datacenter that does not exist. Any host can tell which datacenters
            // exist.
            Err(error) if error.kind == Kind::Lost => {
                let Ok(session) = open(cluster(config, None)?).await else { return Err(error) };
                let session = connected(config, session)?;
                let found = session.datacenters().await?;
                if found.iter().any(|(name, _)| name == wanted) { Err(error) } else { Ok(session) }
            }
            answer => connected(config, answer?),
        }
    }
}

/// The driver's messages for a node that closes the connection early. There is no code for that.
const CLOSED: [&str; 2] = ["Connection closed prematurely", "Unable to write to socket"];

fn connected(config: &Config, session: CppSession) -> Result<Arc<dyn Session>, StoreError> {
    let level = match config.consistency {
        Consistency::LocalQuorum => Level::LOCAL_QUORUM,
        Consistency::Quorum => Level::QUORUM,
        Consistency::All => Level::ALL,
    };
    Ok(Arc::new(Connected { inner: Some(Inner { session, prepared: RwLock::default() }), level }))
}

fn cluster(config: &Config, datacenter: Option<&str>) -> Result<Cluster, StoreError> {
    let mut cluster = Cluster::default();
    let port = config.hosts.first().map_or(0, |(_, port)| *port);
    if config.hosts.iter().any(|(_, other)| *other != port) {
        let what = "the C++ driver takes one port for all hosts, and the URL has several";
        return Err(StoreError::new(Kind::Permanent, what));
    }
    let hosts = config.hosts.iter().map(|(host, _)| host.as_str()).collect::<Vec<_>>().join(",");
    cluster.set_contact_points(&hosts).map_err(|error| sort(&error))?;
    cluster.set_port(port).map_err(|error| sort(&error))?;
    cluster.set_connect_timeout(config.connect_timeout);
    cluster.set_resolve_timeout(config.connect_timeout);
    cluster.set_request_timeout(config.request_timeout);
    // Without this policy the driver tries all hosts, and their answers are lost.
    cluster.set_retry_policy(RetryPolicy::fallthrough_new());
    if let Some((user, password)) = &config.credentials {
        cluster.set_credentials(user, password).map_err(|error| sort(&error))?;
    }
    if let Some(datacenter) = datacenter {
        cluster.set_load_balance_dc_aware::<()>(datacenter, 0, false).map_err(|error| sort(&error))?;
    }
    if let Some(tls) = &config.tls {
        cluster.set_ssl(ssl(tls)?);
    }
    Ok(cluster)
}

fn ssl(tls: &Tls) -> Result<Ssl, StoreError> {
    let wrong = |option: &str, error: &Error| {
        StoreError::new(Kind::Permanent, format!("{option} cannot be used: {}", sort(error)))
    };
    let mut ssl = Ssl::default();
    ssl.set_verify_flags(&[SslVerifyFlag::PEER_CERT, SslVerifyFlag::PEER_IDENTITY]);
    ssl.add_trusted_cert(&tls.authorities).map_err(|error| wrong("tls_ca", &error))?;
    if let Some((certificate, key)) = &tls.identity {
        ssl.set_cert(certificate).map_err(|error| wrong("tls_cert", &error))?;
        ssl.set_private_key(key, "").map_err(|error| wrong("tls_key", &error))?;
    }
    Ok(ssl)
}

/// Connects in a separate thread, which goes on until the driver gives up. Closing a session that is still connecting
/// to a silent host would block for ever, and would block more than this call.
async fn open(mut cluster: Cluster) -> Result<CppSession, StoreError> {
    let broken = |error: &dyn fmt::Display| {
        StoreError::new(Kind::Lost, format!("the driver's thread for connecting: {error}"))
    };
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| broken(&error))?;
    let thread = std::thread::Builder::new().name("evs-cassandra-connect".to_owned()).spawn(move || {
        let opened = runtime.block_on(cluster.connect()).map_err(|error| sort(&error));
        // If nobody waits for the session any more, it is closed here.
        drop(sender.send(opened));
    });
    thread.map_err(|error| broken(&error))?;
    receiver.await.unwrap_or_else(|error| Err(broken(&error)))
}

/// The interval at which a session that is to be closed is checked.
const CLOSE_POLL: Duration = Duration::from_millis(50);

struct Connected {
    /// Present until this is dropped.
    inner: Option<Inner>,
    level: Level,
}

struct Inner {
    session: CppSession,
    prepared: RwLock<HashMap<Arc<str>, Arc<PreparedStatement>>>,
}

/// Closing a session blocks until its requests are done, so it must not happen on a thread that others wait for.
impl Drop for Connected {
    fn drop(&mut self) {
        let Some(Inner { session, prepared }) = self.inner.take() else { return };
        drop(prepared);
        // Abandoned requests hold the session, too, until the driver is done with them, within the request timeout.
        // They must not be the last owner.
        let close = move || {
            while Arc::strong_count(&session.0) > 1 {
                std::thread::park_timeout(CLOSE_POLL);
            }
        };
        // If no thread can be started, the session is closed here, which may take a while.
        drop(std::thread::Builder::new().name("evs-cassandra-close".to_owned()).spawn(close));
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("driver", &"cassandra-cpp").finish_non_exhaustive()
    }
}

impl Connected {
    fn inner(&self) -> Result<&Inner, StoreError> {
        self.inner.as_ref().ok_or_else(|| StoreError::new(Kind::Lost, "the session is closed"))
    }

    async fn prepared(&self, cql: &Arc<str>) -> Result<Arc<PreparedStatement>, StoreError> {
        let inner = self.inner()?;
        // A panic cannot leave the map half changed, so a poisoned lock can be used.
        let known = inner.prepared.read().unwrap_or_else(PoisonError::into_inner).get(cql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = Arc::new(inner.session.prepare(&**cql).await.map_err(|error| sort(&error))?);
        let mut prepared = inner.prepared.write().unwrap_or_else(PoisonError::into_inner);
        prepared.insert(Arc::clone(cql), Arc::clone(&statement));
        Ok(statement)
    }

    fn bound(&self, prepared: &PreparedStatement, values: &[Value]) -> Result<Statement, StoreError> {
        let mut statement = prepared.bind();
        statement.set_consistency(self.level).map_err(|error| sort(&error))?;
        statement.set_serial_consistency(Level::SERIAL).map_err(|error| sort(&error))?;
        for (at, value) in values.iter().enumerate() {
            bind(&mut statement, at, value)?;
        }
        Ok(statement)
    }
}

#[async_trait]
impl Session for Connected {
    async fn datacenters(&self) -> Result<Vec<(String, usize)>, StoreError> {
        let mut found = BTreeMap::<_, usize>::new();
        for table in ["local", "peers"] {
            let cql = format!("SELECT data_center FROM system.{table}");
            for row in query(self, &cql.into(), &[]).await? {
                *found.entry(row[0].text().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
        Ok(found.into_iter().collect())
    }

    async fn define(&self, cql: &str) -> Result<(), StoreError> {
        let mut statement = self.inner()?.session.statement(cql);
        statement.set_consistency(self.level).map_err(|error| sort(&error))?;
        statement.execute().await.map(drop).map_err(|error| sort(&error))
    }

    async fn write(&self, cql: &Arc<str>, rows: &[Vec<Value>]) -> Result<(), StoreError> {
        let prepared = self.prepared(cql).await?;
        let answer = if let [row] = rows {
            self.bound(&prepared, row)?.execute().await
        } else {
            let mut batch = self.inner()?.session.batch(BatchType::UNLOGGED);
            batch.set_consistency(self.level).map_err(|error| sort(&error))?;
            for row in rows {
                let statement = self.bound(&prepared, row)?;
                batch.add_statement(statement).map_err(|error| sort(&error))?;
            }
            batch.execute().await
        };
        answer.map(drop).map_err(|error| sort(&error))
    }

    async fn page(
        &self,
        cql: &Arc<str>,
        values: &[Value],
        behind: Option<Page>,
    ) -> Result<Paged, StoreError> {
        let prepared = self.prepared(cql).await?;
        let mut statement = self.bound(&prepared, values)?;
        statement.set_paging_size(PAGE_ROWS).map_err(|error| sort(&error))?;
        if let Some(Page(behind)) = behind {
            statement.set_paging_state_token(&behind).map_err(|error| sort(&error))?;
        }
        let result = statement.execute().await.map_err(|error| sort(&error))?;
        let rows = rows(&result).ok_or_else(|| {
            let what = format!("the answer to {cql} cannot be read: a value is of no type that evs writes");
            StoreError::new(Kind::Permanent, what)
        })?;
        let end = result.paging_state_token().map_err(|error| sort(&error))?;
        Ok((rows, end.map(|end| Page(end.into()))))
    }
}

/// An absent value stays unbound, and is not written.
fn bind(statement: &mut Statement, at: usize, value: &Value) -> Result<(), StoreError> {
    let bound = match value {
        Value::Absent => return Ok(()),
        Value::Int(number) => statement.bind_int32(at, *number),
        Value::Bigint(number) | Value::Timestamp(number) => statement.bind_int64(at, *number),
        Value::Boolean(is) => statement.bind_bool(at, *is),
        Value::Text(text) => statement.bind_string(at, text),
        Value::Varint(number) => {
            let mut bytes = Vec::with_capacity(17);
            number::put(&mut bytes, *number);
            statement.bind_bytes(at, bytes)
        }
        // The driver's type for a decimal is in a crate that is not a dependency here, but it can be parsed.
        Value::Decimal(number, scale) => match format!("{number}e-{scale}").parse() {
            Ok(decimal) => statement.bind_decimal(at, &decimal),
            Err(_) => {
                let what = format!("{number}e-{scale} is no decimal to the driver");
                return Err(StoreError::new(Kind::Permanent, what));
            }
        },
        Value::Texts(texts) => {
            let mut list = List::with_capacity(texts.len());
            for text in texts {
                list.append_string(text).map_err(|error| sort(&error))?;
            }
            statement.bind_list(at, list)
        }
    };
    bound.map(drop).map_err(|error| sort(&error))
}

/// The rows of a page. `None` if a value has a type that evs's tables do not have.
fn rows(result: &CassResult) -> Option<Vec<Vec<Value>>> {
    let columns = usize::try_from(result.column_count()).ok()?;
    let mut rows = Vec::new();
    let mut found = result.iter();
    while let Some(row) = found.next() {
        rows.push((0..columns).map(|at| read(&row.get_column(at).ok()?)).collect::<Option<_>>()?);
    }
    Some(rows)
}

fn read(value: &CppValue<'_>) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Absent);
    }
    Some(match value.get_type() {
        ValueType::INT => Value::Int(value.get_i32().ok()?),
        ValueType::BIGINT => Value::Bigint(value.get_i64().ok()?),
        ValueType::BOOLEAN => Value::Boolean(value.get_bool().ok()?),
        ValueType::VARCHAR | ValueType::TEXT => Value::Text(value.get_str().ok()?.into()),
        ValueType::TIMESTAMP => Value::Timestamp(value.get_i64().ok()?),
        ValueType::VARINT => Value::Varint(number::read(value.get_bytes().ok()?)?),
        ValueType::DECIMAL => {
            let (scale, bytes) = value.get_bytes().ok()?.split_first_chunk()?;
            Value::Decimal(number::read(bytes)?, i32::from_be_bytes(*scale))
        }
        ValueType::LIST => {
            let mut texts = Vec::new();
            let mut items = value.get_set().ok()?;
            while let Some(item) = items.next() {
                texts.push(item.get_string().ok()?);
            }
            Value::Texts(texts)
        }
        _ => return None,
    })
}

fn sort(error: &Error) -> StoreError {
    let (code, message) = match error.kind() {
        ErrorKind::CassError(code, message) | ErrorKind::CassErrorResult(code, message, ..) => {
            (*code, message.as_str())
        }
        _ => return StoreError::new(Kind::Permanent, error.to_string()),
    };
    if let Some(code) = protocol_code(code) {
        return server_error(code, message);
    }
    use CassErrorCode::{
        LIB_BAD_PARAMS, LIB_INDEX_OUT_OF_BOUNDS, LIB_INVALID_DATA, LIB_INVALID_ITEM_COUNT,
        LIB_INVALID_STATEMENT_TYPE, LIB_INVALID_VALUE_TYPE, LIB_MESSAGE_ENCODE, LIB_NAME_DOES_NOT_EXIST,
        LIB_NOT_IMPLEMENTED, LIB_REQUEST_QUEUE_FULL, SSL_IDENTITY_MISMATCH, SSL_INVALID_CERT,
        SSL_INVALID_PEER_CERT, SSL_INVALID_PRIVATE_KEY, SSL_NO_PEER_CERT, SSL_PROTOCOL_ERROR,
    };
    let kind = match code {
        LIB_BAD_PARAMS
        | LIB_INDEX_OUT_OF_BOUNDS
        | LIB_INVALID_DATA
        | LIB_INVALID_ITEM_COUNT
        | LIB_INVALID_STATEMENT_TYPE
        | LIB_INVALID_VALUE_TYPE
        | LIB_MESSAGE_ENCODE
        | LIB_NAME_DOES_NOT_EXIST
        | LIB_NOT_IMPLEMENTED => Kind::Permanent,
        // Another attempt does not make a certificate valid, and does not teach a node TLS.
        SSL_IDENTITY_MISMATCH
        | SSL_INVALID_CERT
        | SSL_INVALID_PEER_CERT
        | SSL_INVALID_PRIVATE_KEY
        | SSL_NO_PEER_CERT
        | SSL_PROTOCOL_ERROR => Kind::Permanent,
        LIB_REQUEST_QUEUE_FULL => Kind::Busy,
        // No answer in time, no node to ask, or anything else: a new session finds out.
        _ => Kind::Lost,
    };
    StoreError::new(kind, format!("{message} (C++ driver: {code})"))
}

/// The code, in the native protocol, of an error that a node sent.
fn protocol_code(code: CassErrorCode) -> Option<i32> {
    Some(match code {
        CassErrorCode::SERVER_SERVER_ERROR => 0x0000,
        CassErrorCode::SERVER_PROTOCOL_ERROR => 0x000A,
        CassErrorCode::SERVER_BAD_CREDENTIALS => 0x0100,
        CassErrorCode::SERVER_UNAVAILABLE => 0x1000,
        CassErrorCode::SERVER_OVERLOADED => 0x1001,
        CassErrorCode::SERVER_IS_BOOTSTRAPPING => 0x1002,
        CassErrorCode::SERVER_TRUNCATE_ERROR => 0x1003,
        CassErrorCode::SERVER_WRITE_TIMEOUT => 0x1100,
        CassErrorCode::SERVER_READ_TIMEOUT => 0x1200,
        CassErrorCode::SERVER_READ_FAILURE => 0x1300,
        CassErrorCode::SERVER_FUNCTION_FAILURE => 0x1400,
        CassErrorCode::SERVER_WRITE_FAILURE => 0x1500,
        CassErrorCode::SERVER_SYNTAX_ERROR => 0x2000,
        CassErrorCode::SERVER_UNAUTHORIZED => 0x2100,
        CassErrorCode::SERVER_INVALID_QUERY => 0x2200,
        CassErrorCode::SERVER_CONFIG_ERROR => 0x2300,
        CassErrorCode::SERVER_ALREADY_EXISTS => 0x2400,
        CassErrorCode::SERVER_UNPREPARED => 0x2500,
        _ => return None,
    })
}
