//! The dialect of MySQL and MariaDB.
//!
//! What is special: identifiers are quoted with backticks; a primary key has at most 3,072 bytes, so it has a hash in
//! the place of the keys; a
//! locking read that finds no row locks the gap in which it would be, so no lock on the source is needed;
//! CREATE TABLE ends the transaction.

use std::borrow::Cow;

use evs_core::escape;
use evs_sql::{ColumnType, Dialect, Limits, Value, decimal};

/// The SQL that MySQL and MariaDB have in common.
#[derive(Debug)]
pub(crate) struct MySqlDialect;

/// The largest value of DECIMAL(38, scale), without its decimal point.
const UNSCALED_MAX: u128 = 10_u128.pow(38) - 1;

/// The limit on all keys of a row together. With [`PACKET_BYTES_MIN`] it leaves room for the rest of a statement.
const KEYS_BYTES_MAX: usize = 512 << 10;

/// The size of a statement that every server must accept, since a row has to fit into one. No server has a smaller
/// default.
pub(crate) const PACKET_BYTES_MIN: usize = 1 << 20;

impl Dialect for MySqlDialect {
    fn limits(&self) -> Limits {
        Limits {
            // The protocol has 16 bits for the number of parameters.
            parameters_max: 65_535,
            // With this many rows the round trip to the server hardly matters. The server holds memory for each
            // parameter of a prepared statement, and there are eleven such statements per statistic.
            rows_max: 1024,
            // The limit of LONGTEXT. The server is asked for the limit of a statement.
            key_bytes_max: u32::MAX as usize,
            keys_bytes_max: KEYS_BYTES_MAX,
            sums: -(UNSCALED_MAX as i128)..=UNSCALED_MAX as i128,
            // 1000-01-01 00:00:00 to 9999-12-31 23:59:59. DATETIME guarantees nothing outside of this range.
            windows: -30_610_224_000..=253_402_300_799,
        }
    }

    fn clock_query(&self) -> Option<&'static str> {
        Some("SELECT CAST(UNIX_TIMESTAMP() AS SIGNED)")
    }

    fn quote(&self, name: &str) -> String {
        format!("`{name}`")
    }

    fn column_type(&self, column: ColumnType) -> String {
        match column {
            ColumnType::Integer | ColumnType::Count => "BIGINT".to_owned(),
            ColumnType::Time => "DATETIME".to_owned(),
            ColumnType::Decimal(scale) | ColumnType::Sum(scale) => format!("DECIMAL(38,{scale})"),
            // Three such columns, with four bytes a character, fit into an index.
            ColumnType::Key => "VARCHAR(255)".to_owned(),
            ColumnType::KeyHash => "BINARY(16)".to_owned(),
            ColumnType::KeyText | ColumnType::Text => "LONGTEXT".to_owned(),
        }
    }

    /// The collation is binary, since others take `a` for `A` and `ss` for `ß`.
    fn table_options(&self) -> &'static str {
        " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    }

    fn hashes_keys(&self) -> bool {
        true
    }

    /// Escapes a blank at the end of a key. All collations that both MySQL and MariaDB have pad texts with blanks
    /// before they compare them, so a text that ends in a blank would equal the text without it.
    fn key_text<'k>(&self, key: &'k [u8]) -> Cow<'k, str> {
        let text = escape(key);
        match text.strip_suffix(' ') {
            Some(start) => Cow::Owned(format!("{start}\\x20")),
            None => text,
        }
    }

    fn number(&self, column: ColumnType, value: i128) -> Option<Value> {
        match column {
            ColumnType::Decimal(scale) | ColumnType::Sum(scale) => {
                (value.unsigned_abs() <= UNSCALED_MAX).then(|| Value::Text(decimal(value, scale)))
            }
            _ => i64::try_from(value).ok().map(Value::Integer),
        }
    }

    /// Reads times independently of the session's time zone and of the driver's type for dates.
    fn selected(&self, column: &str, kind: ColumnType) -> String {
        match kind {
            ColumnType::Time => format!("TIMESTAMPDIFF(SECOND, '1970-01-01 00:00:00', {column})"),
            _ => column.to_owned(),
        }
    }

    /// The older syntax, since MariaDB does not know FOR SHARE.
    fn share_rows(&self) -> &'static str {
        " LOCK IN SHARE MODE"
    }

    fn on_conflict(&self, _: &str) -> String {
        " ON DUPLICATE KEY UPDATE ".to_owned()
    }

    /// The old function `VALUES()`. MySQL recommends a row alias, which MariaDB does not know, and MariaDB recommends
    /// `VALUE()`.
    fn incoming(&self, column: &str) -> String {
        format!("VALUES({column})")
    }

    /// A DELETE with a LIMIT, since a subquery could not name the table itself.
    fn delete_some(&self, table: &str, key: &[String], old: &str, rows_max: usize) -> String {
        format!("DELETE FROM {table} WHERE {old} ORDER BY {} LIMIT {rows_max}", key.join(", "))
    }

    /// Finds a second unique index, among others: with one, ON DUPLICATE KEY UPDATE could add a row to a different
    /// row.
    fn table_query(&self) -> &'static str {
        "SELECT CASE WHEN t.table_type <> 'BASE TABLE' THEN CONCAT('is a ', LOWER(t.table_type)) \
         WHEN t.engine <> 'InnoDB' THEN CONCAT('has the engine ', t.engine, ', which evs does not trust to roll \
         back; repair it with: ALTER TABLE `', t.table_name, '` ENGINE=InnoDB') \
         ELSE (SELECT CONCAT('has a unique index ', MIN(s.index_name), ' beside its primary key, which would \
         merge rows') FROM information_schema.statistics AS s WHERE s.table_schema = t.table_schema \
         AND s.table_name = t.table_name AND s.non_unique = 0 AND s.index_name <> 'PRIMARY') END \
         FROM information_schema.tables AS t WHERE t.table_schema = DATABASE() AND t.table_name = ?"
    }

    /// The width that some servers show after BIGINT has no meaning, and is removed.
    fn columns_query(&self) -> &'static str {
        "SELECT c.column_name, CASE WHEN c.data_type <> 'bigint' THEN UPPER(c.column_type) \
         WHEN c.column_type LIKE '%unsigned%' THEN 'BIGINT UNSIGNED' ELSE 'BIGINT' END, \
         CAST(COALESCE((SELECT s.seq_in_index FROM information_schema.statistics AS s \
         WHERE s.table_schema = c.table_schema AND s.table_name = c.table_name AND s.index_name = 'PRIMARY' \
         AND s.column_name = c.column_name), 0) AS SIGNED), \
         CASE WHEN c.collation_name NOT IN ('utf8mb4_bin', 'utf8mb4_0900_bin', 'utf8mb4_nopad_bin') \
         THEN CONCAT('compares by ', c.collation_name, ', not by bytes') END, \
         CAST(c.is_nullable = 'YES' OR c.column_default IS NOT NULL OR c.extra <> '' AS SIGNED) \
         FROM information_schema.columns AS c WHERE c.table_schema = DATABASE() AND c.table_name = ?"
    }
}

#[cfg(test)]
mod tests {
    use evs_core::unescape;

    use super::*;

    #[test]
    fn no_key_ends_in_a_blank() {
        for (key, text) in [
            (&b"a"[..], "a"),
            (b"a ", "a\\x20"),
            (b"a  ", "a \\x20"),
            (b" ", "\\x20"),
            (b" a", " a"),
            (b"\\x20", "\\x5Cx20"),
            (b"\xff ", "\\xFF\\x20"),
        ] {
            assert_eq!(MySqlDialect.key_text(key), text);
            assert_eq!(unescape(text).unwrap(), key);
        }
    }
}
