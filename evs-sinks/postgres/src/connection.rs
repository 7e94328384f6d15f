//! A connection, and the conversion of values to and from those of the server.

use std::sync::Arc;

use async_trait::async_trait;
use evs_sql::{ColumnType, Connection, StoreError, Value};
use sqlx::{
    AssertSqlSafe, Encode, PgConnection, Postgres, Row, Type, TypeInfo, ValueRef,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgArguments, PgBindIterExt, PgHasArrayType, PgRow, PgTypeInfo, types::Oid},
};

use crate::{errors::sort, numeric::Numeric};

/// The server accepts messages of a gigabyte, and holds several copies of their content.
const STATEMENT_BYTES_MAX: usize = 1 << 29;

/// 2000-01-01, the server's epoch.
const EPOCH: i64 = 946_684_800;

/// A connection. When it is dropped, it is closed, and the server rolls back once it has noticed.
///
/// Until then the transaction may go on, and may even be committed. The next attempt waits for it: at the progress
/// row, which the first statement of the transaction locks, or at the lock on the source, which a transaction that
/// inserts such a row holds.
#[derive(Debug)]
pub(crate) struct PostgresSession {
    connection: PgConnection,
    begin: Arc<str>,
}

impl PostgresSession {
    /// Wraps a connection whose transactions begin with the statement `begin`.
    pub(crate) fn new(connection: PgConnection, begin: &str) -> Self {
        Self { connection, begin: begin.into() }
    }

    async fn run(&mut self, sql: Arc<str>) -> Result<(), StoreError> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await;
        done.map(drop).map_err(|error| sort(&error))
    }
}

/// A point in time, in seconds since 1970, within the range of TIMESTAMPTZ.
struct Moment(i64);

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&((self.0 - EPOCH) * 1_000_000).to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// Binds a statement's parameters. All of its text is evs's own, with names that were checked.
///
/// A list of values becomes one array parameter. So a statement for 8,192 rows of five columns has five parameters,
/// and not 40,960.
fn bind(sql: &Arc<str>, values: Vec<Value>) -> Query<'_> {
    let query = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
    values.into_iter().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(number) => query.bind(number),
        Value::Time(seconds) => query.bind(Moment(seconds)),
        Value::Text(text) => query.bind(text),
        Value::Hash(hash) => query.bind(&hash[..]),
        Value::List(kind, values) => bind_list(query, kind, &values),
    })
}

/// Binds a column's values as an array. The values have the types that the dialect gives them.
fn bind_list<'q>(query: Query<'q>, kind: ColumnType, values: &[Value]) -> Query<'q> {
    match kind {
        ColumnType::Integer | ColumnType::Count => query.bind(
            values
                .iter()
                .map(|value| if let Value::Integer(number) = value { Some(*number) } else { None })
                .bind_iter(),
        ),
        ColumnType::Time => query.bind(
            values
                .iter()
                .map(|value| if let Value::Time(seconds) = value { Some(Moment(*seconds)) } else { None })
                .bind_iter(),
        ),
        ColumnType::Decimal(_) | ColumnType::Sum(_) => {
            query.bind(values.iter().map(|value| text(value).map(Numeric)).bind_iter())
        }
        ColumnType::KeyHash => query.bind(
            values
                .iter()
                .map(|value| if let Value::Hash(hash) = value { Some(&hash[..]) } else { None })
                .bind_iter(),
        ),
        ColumnType::Key | ColumnType::KeyText | ColumnType::Text => {
            query.bind(values.iter().map(text).bind_iter())
        }
    }
}

fn text(value: &Value) -> Option<&str> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn read(row: &PgRow) -> Result<Vec<Value>, sqlx::Error> {
    let value = |at| {
        let raw = row.try_get_raw(at)?;
        match raw.type_info().name() {
            _ if raw.is_null() => Ok(Value::Null),
            "INT8" => row.try_get(at).map(Value::Integer),
            "INT4" => row.try_get::<i32, _>(at).map(|number| Value::Integer(number.into())),
            _ => row.try_get(at).map(Value::Text),
        }
    };
    (0..row.len()).map(value).collect()
}

#[async_trait]
impl Connection for PostgresSession {
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.run(Arc::clone(&self.begin)).await
    }

    async fn execute(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<u64, StoreError> {
        let done = bind(sql, values).execute(&mut self.connection).await.map_err(|error| sort(&error))?;
        Ok(done.rows_affected())
    }

    async fn query(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<Vec<Vec<Value>>, StoreError> {
        let rows = bind(sql, values).fetch_all(&mut self.connection).await.map_err(|error| sort(&error))?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| sort(&error))
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.run("COMMIT".into()).await
    }

    async fn rollback(&mut self) -> Result<(), StoreError> {
        self.run("ROLLBACK".into()).await
    }

    fn statement_bytes_max(&self) -> usize {
        STATEMENT_BYTES_MAX
    }
}
