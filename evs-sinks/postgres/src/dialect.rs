//! The dialect of PostgreSQL.
//!
//! What is special: a statement has one text for any number of rows, since `unnest` turns one list for each column
//! into rows; a locking read does not see a row that another transaction is about to insert, so the first batch of a
//! stream takes an advisory lock on its source; one upsert may not have the same key twice, so nothing is padded.

use std::fmt::Write;

use evs_sql::{ColumnType, Dialect, Limits, Value, decimal};

/// The SQL of PostgreSQL.
#[derive(Debug)]
pub(crate) struct PostgresDialect;

/// The largest value of NUMERIC(38, scale), without its decimal point.
const UNSCALED_MAX: u128 = 10_u128.pow(38) - 1;

impl Dialect for PostgresDialect {
    fn limits(&self) -> Limits {
        Limits {
            // The protocol has 16 bits for the number of parameters.
            parameters_max: 65_535,
            rows_max: 8192,
            // A quarter of the limit of TEXT, and half of the limit of a statement.
            key_bytes_max: 1 << 28,
            keys_bytes_max: 1 << 28,
            sums: -(UNSCALED_MAX as i128)..=UNSCALED_MAX as i128,
            // 4714-11-24 BC to the last whole second of 294276.
            windows: -210_866_803_200..=9_224_318_015_999,
        }
    }

    fn clock_query(&self) -> Option<&'static str> {
        Some("SELECT extract(epoch FROM clock_timestamp())::bigint")
    }

    fn folds_names(&self) -> bool {
        false
    }

    fn placeholder(&self, sql: &mut String, number: usize) {
        let _ = write!(sql, "${number}");
    }

    fn column_type(&self, column: ColumnType) -> String {
        match column {
            ColumnType::Integer | ColumnType::Count => "BIGINT".to_owned(),
            ColumnType::Time => "TIMESTAMPTZ".to_owned(),
            ColumnType::Decimal(scale) | ColumnType::Sum(scale) => format!("NUMERIC(38,{scale})"),
            ColumnType::KeyHash => "BYTEA".to_owned(),
            // The database's own collation would be correct, too, but it compares more slowly.
            ColumnType::Key | ColumnType::KeyText | ColumnType::Text => "TEXT COLLATE \"C\"".to_owned(),
        }
    }

    fn hashes_keys(&self) -> bool {
        true
    }

    fn number(&self, column: ColumnType, value: i128) -> Option<Value> {
        match column {
            ColumnType::Decimal(scale) | ColumnType::Sum(scale) => {
                (value.unsigned_abs() <= UNSCALED_MAX).then(|| Value::Text(decimal(value, scale)))
            }
            _ => i64::try_from(value).ok().map(Value::Integer),
        }
    }

    /// Reads values independently of the driver's types for dates and decimals.
    fn selected(&self, column: &str, kind: ColumnType) -> String {
        match kind {
            ColumnType::Time => format!("extract(epoch FROM {column})::bigint"),
            ColumnType::Decimal(_) | ColumnType::Sum(_) => format!("{column}::text"),
            _ => column.to_owned(),
        }
    }

    /// An advisory lock is identified by two numbers. The first one is evs's own. Sources with the same hash wait for
    /// each other, which does no other harm.
    fn hold_source(&self) -> Option<&'static str> {
        Some("SELECT 1 FROM pg_advisory_xact_lock('evs_progress'::regclass::oid::int, hashtext($1))")
    }

    fn rows_of_lists(&self, columns: &[ColumnType]) -> Option<String> {
        let list = |(at, column): (usize, &ColumnType)| {
            let kind = match column {
                ColumnType::Integer | ColumnType::Count => "bigint",
                ColumnType::Time => "timestamptz",
                ColumnType::Decimal(_) | ColumnType::Sum(_) => "numeric",
                ColumnType::KeyHash => "bytea",
                ColumnType::Key | ColumnType::KeyText | ColumnType::Text => "text",
            };
            format!("${}::{kind}[]", at + 1)
        };
        let lists = columns.iter().enumerate().map(list).collect::<Vec<_>>();
        Some(format!("SELECT * FROM unnest({})", lists.join(", ")))
    }

    /// Rows that another transaction is adding to are left for the next time. The rows to delete are chosen once: a
    /// subquery of the DELETE could be evaluated again and again.
    fn delete_some(&self, table: &str, key: &[String], old: &str, rows_max: usize) -> String {
        let columns = key.join(", ");
        let same = key.iter().map(|column| format!("{table}.{column} = evs_old.{column}"));
        let same = same.collect::<Vec<_>>().join(" AND ");
        format!(
            "WITH evs_old AS MATERIALIZED (SELECT {columns} FROM {table} WHERE {old} ORDER BY {columns} \
             LIMIT {rows_max} FOR UPDATE SKIP LOCKED) DELETE FROM {table} USING evs_old WHERE {same}"
        )
    }

    /// The server's own tables come first wherever a name is looked up.
    fn reserves(&self, table: &str) -> bool {
        table.starts_with("pg_")
    }

    /// The table is the one that its unqualified name denotes, in whichever schema of the search path.
    fn table_query(&self) -> &'static str {
        "SELECT CASE WHEN c.relkind NOT IN ('r', 'p') THEN 'is a ' || CASE c.relkind WHEN 'v' THEN 'view' \
         WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' \
         WHEN 'c' THEN 'type' ELSE 'index' END \
         WHEN c.relpersistence = 't' THEN 'is a temporary table' \
         WHEN c.relpersistence = 'u' THEN 'is UNLOGGED: when the server crashes, it is emptied; repair it with: \
         ALTER TABLE ' || quote_ident(c.relname) || ' SET LOGGED' \
         ELSE (SELECT 'has ' || CASE WHEN bool_or(x.indisprimary) THEN 'a DEFERRABLE primary key, by which no row is \
         found' ELSE 'a unique index ' || min(i.relname) || ' beside its primary key, which would refuse rows' END \
         FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid AND x.indisunique \
         AND (NOT x.indisprimary OR NOT x.indimmediate)) END \
         FROM pg_class AS c WHERE c.oid = to_regclass(quote_ident($1))"
    }

    /// Any deterministic collation is accepted, that is, one by which different texts are different: people may want
    /// to sort by it.
    fn columns_query(&self) -> &'static str {
        "SELECT a.attname::text, CASE a.atttypid WHEN 'timestamptz'::regtype THEN \
         replace(upper(format_type(a.atttypid, a.atttypmod)), 'TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ') \
         WHEN 'text'::regtype THEN 'TEXT COLLATE \"C\"' ELSE upper(format_type(a.atttypid, a.atttypmod)) END, \
         coalesce((SELECT k.place FROM pg_index AS x, unnest(x.indkey) WITH ORDINALITY AS k (attnum, place) \
         WHERE x.indrelid = a.attrelid AND x.indisprimary AND k.attnum = a.attnum AND k.place <= x.indnkeyatts), 0), \
         (SELECT 'compares by ' || l.collname || ', not by bytes' FROM pg_collation AS l \
         WHERE l.oid = a.attcollation AND NOT l.collisdeterministic), \
         (NOT a.attnotnull OR a.atthasdef OR a.attidentity <> '')::int \
         FROM pg_attribute AS a WHERE a.attrelid = to_regclass(quote_ident($1)) AND a.attnum > 0 \
         AND NOT a.attisdropped ORDER BY a.attnum"
    }
}
