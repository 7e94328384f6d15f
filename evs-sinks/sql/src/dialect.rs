//! Where the stores' SQL differs.

use std::{borrow::Cow, fmt, ops::RangeInclusive};

use evs_core::escape;

use evs_store::StoreError;

use crate::connection::Value;

/// The SQL of one kind of store. The defaults are those of the standard, as PostgreSQL and SQLite have it.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// How much fits into a statement, and into a column.
    fn limits(&self) -> Limits;

    /// A name in quotes. Names have been checked to be of letters, digits and `_`.
    fn quote(&self, name: &str) -> String {
        format!("\"{name}\"")
    }

    /// Whether names that differ in capitals only are the same column.
    fn folds_names(&self) -> bool {
        true
    }

    /// Appends the placeholder of the bound parameter with that number, from 1.
    fn placeholder(&self, sql: &mut String, number: usize) {
        let _ = number;
        sql.push('?');
    }

    /// How a column is declared.
    fn column_type(&self, column: ColumnType) -> String;

    /// Whether a column that is there, declared with that type (in capitals), can be used.
    fn accepts(&self, column: ColumnType, declared: &str) -> bool {
        declared == self.column_type(column)
    }

    /// What follows the parenthesis of `CREATE TABLE`.
    fn table_options(&self) -> &'static str {
        ""
    }

    /// Whether the primary key of a statistic's table has a hash of the keys in their place, for a store whose
    /// indexes cannot hold keys of any length.
    fn hashes_keys(&self) -> bool {
        false
    }

    /// A key as text that the store compares as different wherever the bytes are different, and that
    /// [`unescape`](evs_core::unescape) turns back.
    fn key_text<'k>(&self, key: &'k [u8]) -> Cow<'k, str> {
        escape(key)
    }

    /// A measure's value as the store holds it in a column of that type; `None` if it cannot.
    fn number(&self, column: ColumnType, value: i128) -> Option<Value>;

    /// What is selected to read a column, which is quoted. Numbers that are wider than an integer are read as
    /// text.
    fn selected(&self, column: &str, kind: ColumnType) -> String {
        let _ = kind;
        column.to_owned()
    }

    /// How many digits behind the point a measure of that scale has where the store holds it as text.
    fn text_scale(&self, scale: u8) -> u8 {
        scale
    }

    /// The sum of two values, or NULL if one of them is NULL. A total that the store cannot add up exactly must be an
    /// error of the statement, never another number.
    fn sum(&self, held: &str, incoming: &str) -> String {
        format!("{held} + {incoming}")
    }

    /// Whether a statement failed because [`sum`](Self::sum) cannot add up a total that the column can hold, changed nothing,
    /// and left its transaction as it was. Such totals are then added up here, row by row. Only for a store that
    /// lets an upsert have the same key in several of its rows.
    fn is_wide_sum(&self, error: &StoreError) -> bool {
        let _ = error;
        false
    }

    /// What makes a SELECT lock the row it finds until the transaction ends.
    fn lock_rows(&self) -> &'static str {
        " FOR UPDATE"
    }

    /// A query for the store's own clock, in seconds since 1970; `None` if it is this machine's. Old windows are removed
    /// only where both agree.
    fn clock_query(&self) -> Option<&'static str> {
        None
    }

    /// What makes a SELECT keep others from changing the row it finds until the transaction ends, also within another
    /// statement.
    fn share_rows(&self) -> &'static str {
        " FOR SHARE"
    }

    /// A query with the parameter source that waits until no other transaction which has made it holds the same
    /// source, and holds it until its own ends. For a store whose locking reads do not find a row that somebody is
    /// about to insert: it is made before a stream begins, and before all streams of a source are read.
    fn hold_source(&self) -> Option<&'static str> {
        None
    }

    /// Whether a transaction that writes locks the whole database, and not only its rows.
    fn has_one_writer(&self) -> bool {
        false
    }

    /// A query that makes rows of one parameter per column, each a [`Value::List`]: what an INSERT can take in
    /// the place of VALUES. `None` if the store has no such, and lets an upsert have the same key in several of its
    /// rows.
    fn rows_of_lists(&self, columns: &[ColumnType]) -> Option<String> {
        let _ = columns;
        None
    }

    /// What comes between an INSERT's rows and the assignments to be made where the row exists. `key` is
    /// the table's primary key, quoted.
    fn on_conflict(&self, key: &str) -> String {
        format!(" ON CONFLICT ({key}) DO UPDATE SET ")
    }

    /// The value that was to be inserted into a column, within those assignments.
    fn incoming(&self, column: &str) -> String {
        format!("excluded.{column}")
    }

    /// The function of the smallest of two values, of which none is NULL.
    fn least(&self) -> &'static str {
        "least"
    }

    /// The function of the largest of two values, of which none is NULL.
    fn greatest(&self) -> &'static str {
        "greatest"
    }

    /// A statement that deletes the first `rows_max` of the rows that `old` is true of, by primary key. All
    /// names in it are quoted; `key` is the primary key's columns.
    fn delete_some(&self, table: &str, key: &[String], old: &str, rows_max: usize) -> String {
        let key = key.join(", ");
        format!(
            "DELETE FROM {table} WHERE ({key}) IN \
             (SELECT {key} FROM {table} WHERE {old} ORDER BY {key} LIMIT {rows_max})"
        )
    }

    /// Whether the store keeps names like that for itself.
    fn reserves(&self, table: &str) -> bool {
        let _ = table;
        false
    }

    /// A query with the parameter table that finds at most one row: NULL if all is well with the table as
    /// such, or a text that says what is wrong with it, to go on behind "the table ad_events ".
    fn table_query(&self) -> &'static str;

    /// A query with the parameter table that finds for each column: its name, its declared type in capitals,
    /// its place in the primary key from 1 or 0, what is wrong with how it compares as a key or NULL, and
    /// whether a row can do without it, as 1 or 0.
    fn columns_query(&self) -> &'static str;
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnType {
    /// Integers of 64 bits.
    Integer,
    /// A moment in UTC, to the second.
    Time,
    /// A measure that counts.
    Count,
    /// The exact numbers of a minimum or maximum, with that many digits behind the point.
    Decimal(u8),
    /// The exact totals of a sum, with that many digits behind the point.
    Sum(u8),
    /// Text that is part of a primary key and compares byte by byte.
    Key,
    /// The hash of a row's keys, in the primary key.
    KeyHash,
    /// A key's text beside the hash; it compares byte by byte, too.
    KeyText,
    /// Any other text, of any length.
    Text,
}

/// How much fits into a statement, and into a column.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bound parameters.
    pub parameters_max: usize,
    /// Rows, where more would not be faster.
    pub rows_max: usize,
    /// Bytes of one key, as text.
    pub key_bytes_max: usize,
    /// Bytes of all keys of a row together, as text: it has to fit into a statement.
    pub keys_bytes_max: usize,
    /// A sum, times 10^scale.
    pub sums: RangeInclusive<i128>,
    /// The starts of windows, in seconds since 1970.
    pub windows: RangeInclusive<i64>,
}
