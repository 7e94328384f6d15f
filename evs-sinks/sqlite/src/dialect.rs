use evs_sql::{ColumnType, Dialect, Limits, Value};

#[derive(Debug)]
pub(crate) struct SqliteDialect;

impl Dialect for SqliteDialect {
    fn limits(&self) -> Limits {
        Limits {
            // SQLITE_MAX_VARIABLE_NUMBER.
            parameters_max: 32_766,
            // Measured: fewer spend their time between threads, more are no faster.
            rows_max: 256,
            // SQLITE_MAX_LENGTH.
            key_bytes_max: 999_999_999,
            keys_bytes_max: 1 << 28,
            sums: i64::MIN.into()..=i64::MAX.into(),
            windows: i64::MIN..=i64::MAX,
        }
    }

    fn column_type(&self, column: ColumnType) -> String {
        let name = match column {
            // Decimals are kept as integers times 10^scale: SQLite has none.
            ColumnType::Integer | ColumnType::Time | ColumnType::Count | ColumnType::Decimal(_) => "INTEGER",
            // Compared byte by byte unless declared otherwise.
            ColumnType::Key | ColumnType::KeyText | ColumnType::Text => "TEXT",
            ColumnType::KeyHash => "BLOB",
        };
        name.to_owned()
    }

    /// STRICT, since other tables turn a sum beyond 64 bits into floating point by themselves.
    fn table_options(&self) -> &'static str {
        " STRICT, WITHOUT ROWID"
    }

    /// A writing transaction locks the whole database from its beginning.
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

    fn number(&self, _: ColumnType, value: i128) -> Option<Value> {
        i64::try_from(value).ok().map(Value::Integer)
    }

    fn reserves(&self, table: &str) -> bool {
        table.starts_with("sqlite_")
    }

    fn table_query(&self) -> &'static str {
        "SELECT CASE WHEN type <> 'table' THEN 'is a ' || type \
         WHEN strict = 0 THEN 'is not STRICT: sums beyond 64 bits would be rounded' END \
         FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE"
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
