//! The dialect of SQLite.
//!
//! What is special: one writer at a time locks the whole file, so no rows are locked; a sum of more than 64 bits
//! makes the statement fail instead of becoming a floating-point number; totals beyond that are kept as text.

use evs_sql::{ColumnType, Dialect, Limits, StoreError, Value, decimal};

use crate::errors::is_integer_overflow;

/// The SQL of SQLite.
#[derive(Debug)]
pub(crate) struct SqliteDialect;

impl Dialect for SqliteDialect {
    fn limits(&self) -> Limits {
        Limits {
            // SQLITE_MAX_VARIABLE_NUMBER.
            parameters_max: 32_766,
            // Measured: with fewer rows the time goes into switching between threads, and more rows are no faster.
            rows_max: 256,
            // SQLITE_MAX_LENGTH.
            key_bytes_max: 999_999_999,
            keys_bytes_max: 1 << 28,
            sums: i128::MIN..=i128::MAX,
            windows: i64::MIN..=i64::MAX,
        }
    }

    fn column_type(&self, column: ColumnType) -> String {
        let name = match column {
            // Decimals are stored as integers times 10^scale, since SQLite has none. So are sums, but beyond 64 bits
            // they are text of their digits. In a STRICT table, ANY converts nothing.
            ColumnType::Sum(_) => "ANY",
            ColumnType::Integer | ColumnType::Time | ColumnType::Count | ColumnType::Decimal(_) => "INTEGER",
            // Text is compared byte by byte unless it is declared otherwise.
            ColumnType::Key | ColumnType::KeyText | ColumnType::Text => "TEXT",
            ColumnType::KeyHash => "BLOB",
        };
        name.to_owned()
    }

    /// Tables of earlier versions have INTEGER for sums. They are accepted, and refuse a total beyond 64 bits.
    fn accepts(&self, column: ColumnType, declared: &str) -> bool {
        declared == self.column_type(column)
            || (matches!(column, ColumnType::Sum(_)) && declared == "INTEGER")
    }

    /// The tables are STRICT, since other tables convert values silently, and round them.
    fn table_options(&self) -> &'static str {
        " STRICT, WITHOUT ROWID"
    }

    /// No clause: a writing transaction locks the whole database from its beginning.
    fn lock_rows(&self) -> &'static str {
        ""
    }

    fn share_rows(&self) -> &'static str {
        ""
    }

    fn has_one_writer(&self) -> bool {
        true
    }

    fn least(&self) -> &'static str {
        "min"
    }

    fn greatest(&self) -> &'static str {
        "max"
    }

    fn number(&self, column: ColumnType, value: i128) -> Option<Value> {
        match (i64::try_from(value), column) {
            (Ok(value), _) => Some(Value::Integer(value)),
            (Err(_), ColumnType::Sum(_)) => Some(Value::Text(decimal(value, 0))),
            (Err(_), _) => None,
        }
    }

    /// Texts have no decimal places: they are values times 10^scale, as the integers are.
    fn text_scale(&self, _: u8) -> u8 {
        0
    }

    /// SQLite adds in floating point if a value is text or the total does not fit into 64 bits. To turn that into an
    /// error, the expression takes the absolute value of the smallest integer, which no integer can hold. That part
    /// depends on the row, so that SQLite does not compute it beforehand.
    fn sum(&self, held: &str, incoming: &str) -> String {
        format!(
            "CASE typeof({held} + {incoming}) WHEN 'real' \
             THEN abs(-9223372036854775807 - 1 + ({incoming} IS NULL)) ELSE {held} + {incoming} END"
        )
    }

    fn is_wide_sum(&self, error: &StoreError) -> bool {
        is_integer_overflow(error)
    }

    fn reserves(&self, table: &str) -> bool {
        table.starts_with("sqlite_")
    }

    fn table_query(&self) -> &'static str {
        "SELECT CASE WHEN t.type <> 'table' THEN 'is a ' || t.type \
         WHEN t.strict = 0 THEN 'is not STRICT: sums beyond 64 bits would be rounded' \
         ELSE (SELECT 'has a unique index ' || min(l.name) || ' beside its primary key, which would replace or \
         refuse rows' FROM pragma_index_list(t.name) AS l WHERE l.\"unique\" AND l.origin <> 'pk') END \
         FROM pragma_table_list AS t WHERE t.schema = 'main' AND t.name = ? COLLATE NOCASE"
    }

    fn columns_query(&self) -> &'static str {
        "SELECT x.name, upper(x.type), x.pk, \
         (SELECT 'compares by ' || i.coll || ', not by bytes' FROM pragma_index_list(t.name) AS l, \
         pragma_index_xinfo(l.name) AS i WHERE l.origin = 'pk' AND i.cid = x.cid AND i.coll <> 'BINARY'), \
         x.hidden <> 0 OR x.\"notnull\" = 0 OR x.dflt_value IS NOT NULL \
         FROM pragma_table_list AS t, pragma_table_xinfo(t.name) AS x \
         WHERE t.schema = 'main' AND t.name = ? COLLATE NOCASE"
    }
}
