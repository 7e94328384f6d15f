//! A connection, and the conversion of values to and from those of the server.
//!
//! Values are bound in the binary protocol, so no key or number is ever a part of a statement's text. The server
//! sends decimals as text, and evs parses them itself, so that none is rounded.

use std::sync::Arc;

use async_trait::async_trait;
use evs_sql::{Connection, StoreError, Value};
use sqlx::{
    Arguments, AssertSqlSafe, MySql, MySqlConnection, Row, TypeInfo, ValueRef,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};

use crate::{dialect::PACKET_BYTES_MIN, errors::sort};

/// The bytes of a packet that are not counted elsewhere: its headers.
const PACKET_HEADERS_BYTES: usize = 1024;

/// A connection. When it is dropped, it is closed, and the server rolls back once it has noticed.
///
/// Until then the transaction may go on, and may even be committed. The next attempt waits for it at the progress
/// row: the first statement of the transaction has locked that row, or was the first to insert it (a locking read
/// finds an uncommitted insert).
#[derive(Debug)]
pub(crate) struct MySqlSession {
    connection: MySqlConnection,
    is_strict: bool,
    packet_bytes_max: usize,
}

impl MySqlSession {
    /// Wraps a connection. `mode` is its session's `sql_mode`, and `packet_bytes_max` the server's largest packet.
    pub(crate) fn new(connection: MySqlConnection, mode: &str, packet_bytes_max: i64) -> Self {
        let is_strict = mode.split(',').any(|flag| flag == "STRICT_ALL_TABLES");
        Self { connection, is_strict, packet_bytes_max: packet_bytes_max.try_into().unwrap_or(0) }
    }

    /// Checks the session's settings, since a proxy may not have passed them on.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.packet_bytes_max < PACKET_BYTES_MIN {
            let (found, least) = (self.packet_bytes_max, PACKET_BYTES_MIN);
            return Err(StoreError::permanent(format!(
                "the server takes statements of {found} bytes (max_allowed_packet), and evs needs {least}: a row has to \
                 fit into one"
            )));
        }
        if self.is_strict {
            return Ok(());
        }
        Err(StoreError::permanent(
            "the server, or a proxy before it, does not let sql_mode be set to STRICT_ALL_TABLES: values that do \
             not fit would be clipped",
        ))
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), StoreError> {
        sqlx::raw_sql(sql).execute(&mut self.connection).await.map(drop).map_err(|error| sort(&error))
    }
}

/// Binds a statement's parameters. All of its text is evs's own, with names that were checked.
fn bind(sql: &Arc<str>, values: Vec<Value>) -> Result<Query<'_, MySql, MySqlArguments>, StoreError> {
    let mut arguments = MySqlArguments::default();
    arguments.reserve(values.len(), values.iter().map(Value::bytes).sum());
    // Rows are sorted by time, so the last one that was converted is kept.
    let mut last = (0, date_and_time(0));
    for value in values {
        match value {
            Value::Null => arguments.add(None::<i64>),
            Value::Integer(number) => arguments.add(number),
            Value::Time(seconds) => {
                if seconds != last.0 {
                    last = (seconds, date_and_time(seconds));
                }
                arguments.add(&last.1)
            }
            Value::Text(text) => arguments.add(text),
            Value::Hash(hash) => arguments.add(&hash[..]),
            Value::List(..) => unreachable!("the dialect asks for no lists"),
        }
        .map_err(|error| sort(&sqlx::Error::Encode(error)))?;
    }
    Ok(sqlx::query_with(AssertSqlSafe(Arc::clone(sql)), arguments))
}

/// The time as `YYYY-MM-DD hh:mm:ss` in UTC, for the years that DATETIME can hold.
fn date_and_time(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that begin in March, in eras of 400 years; 719,468 days lie between 0000-03-01 and 1970-01-01.
    // <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
    let (era, day) = ((days + 719_468).div_euclid(146_097), (days + 719_468).rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day + 2) / 153;
    let day = day - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = 400 * era + year + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

fn read(row: &MySqlRow) -> Result<Vec<Value>, sqlx::Error> {
    let value = |at| {
        let raw = row.try_get_raw(at)?;
        match raw.type_info().name() {
            _ if raw.is_null() => Ok(Value::Null),
            name if name.contains("INT") => row.try_get_unchecked(at).map(Value::Integer),
            // The server sends decimals as text, and sends texts of the information schema with all kinds of types.
            _ => {
                let bytes: Vec<u8> = row.try_get_unchecked(at)?;
                String::from_utf8(bytes).map(Value::Text).map_err(|error| sqlx::Error::Decode(error.into()))
            }
        }
    };
    (0..row.len()).map(value).collect()
}

#[async_trait]
impl Connection for MySqlSession {
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.run("START TRANSACTION").await
    }

    /// The driver asks the server for the number of matched rows, so an UPDATE that changes nothing counts.
    async fn execute(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<u64, StoreError> {
        let done = bind(sql, values)?.execute(&mut self.connection).await.map_err(|error| sort(&error))?;
        Ok(done.rows_affected())
    }

    async fn query(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<Vec<Vec<Value>>, StoreError> {
        let rows = bind(sql, values)?.fetch_all(&mut self.connection).await.map_err(|error| sort(&error))?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| sort(&error))
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.run("COMMIT").await
    }

    async fn rollback(&mut self) -> Result<(), StoreError> {
        self.run("ROLLBACK").await
    }

    fn statement_bytes_max(&self) -> usize {
        self.packet_bytes_max.saturating_sub(PACKET_HEADERS_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (1_767_225_599, "2025-12-31 23:59:59"),
            (-30_610_224_000, "1000-01-01 00:00:00"),
            (253_402_300_799, "9999-12-31 23:59:59"),
        ] {
            assert_eq!(date_and_time(seconds), text);
        }
    }
}
