//! The differences between the SQL of the stores.
//!
//! A new store begins with a copy of the dialect that is closest to it, and answers these questions first: How are
//! names quoted, and placeholders written? Does a column compare keys by bytes? What happens to a value that is too
//! large, and to a sum that is? Does a locking read see a row that another transaction is about to insert? The cases
//! in `cases` test each answer on the real server.

use std::{borrow::Cow, fmt, ops::RangeInclusive};

use evs_core::escape;

use evs_store::StoreError;

use crate::value::{ColumnType, Value};

/// The SQL of one kind of store. The defaults are standard SQL, as PostgreSQL and SQLite have it.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// The limits on the size of a statement and of a column's value.
    fn limits(&self) -> Limits;

    /// A name in quotes. It has been checked to consist of letters, digits and `_`.
    fn quote(&self, name: &str) -> String {
        format!("\"{name}\"")
    }

    /// True if names that differ only in upper and lower case are the same column.
    fn folds_names(&self) -> bool {
        true
    }

    /// Appends the placeholder of a bound parameter. Numbers start at 1.
    fn placeholder(&self, sql: &mut String, number: usize) {
        let _ = number;
        sql.push('?');
    }

    /// The declaration of a column's type in `CREATE TABLE`.
    fn column_type(&self, column: ColumnType) -> String;

    /// True if an existing column with the declared type `declared` (in capitals) can be used for `column`.
    fn accepts(&self, column: ColumnType, declared: &str) -> bool {
        declared == self.column_type(column)
    }

    /// The options that follow the parenthesis of `CREATE TABLE`.
    fn table_options(&self) -> &'static str {
        ""
    }

    /// True if the primary key of a statistic's table has a hash of the keys instead of the keys. This is for stores
    /// whose indexes cannot hold keys of any length.
    fn hashes_keys(&self) -> bool {
        false
    }

    /// A key as text. Keys with different bytes become texts that the store compares as different, and
    /// [`unescape`](evs_core::unescape) turns the text back into the key.
    fn key_text<'k>(&self, key: &'k [u8]) -> Cow<'k, str> {
        escape(key)
    }

    /// A measure's value as the store holds it in a column of that type. `None` if the store cannot hold it.
    fn number(&self, column: ColumnType, value: i128) -> Option<Value>;

    /// The expression that reads a column, whose name is quoted. Numbers that are wider than an integer are read as
    /// text.
    fn selected(&self, column: &str, kind: ColumnType) -> String {
        let _ = kind;
        column.to_owned()
    }

    /// The number of decimal places in the text of a measure of that scale, where the store holds it as text.
    fn text_scale(&self, scale: u8) -> u8 {
        scale
    }

    /// The expression for the sum of two values, or NULL if one of them is NULL. A total that the store cannot add up
    /// exactly must make the statement fail. It must never become another number.
    fn sum(&self, held: &str, incoming: &str) -> String {
        format!("{held} + {incoming}")
    }

    /// True if a statement failed because [`sum`](Self::sum) cannot add up a total that the column can hold, changed
    /// nothing, and left its transaction as it was. evs then adds up such totals itself, row by row. Only for a store
    /// that allows an upsert to have the same key in several of its rows.
    fn is_wide_sum(&self, error: &StoreError) -> bool {
        let _ = error;
        false
    }

    /// The clause that makes a SELECT lock the row it finds until the transaction ends.
    fn lock_rows(&self) -> &'static str {
        " FOR UPDATE"
    }

    /// A query for the store's own clock, in seconds since 1970. `None` if the store uses this machine's clock. Old
    /// windows are only removed if both clocks agree that they are old.
    fn clock_query(&self) -> Option<&'static str> {
        None
    }

    /// The clause that makes a SELECT keep others from changing the row it finds until the transaction ends. It is
    /// also used within another statement.
    fn share_rows(&self) -> &'static str {
        " FOR SHARE"
    }

    /// A query (parameter: the source) that takes a lock on the source until the transaction ends. Needed by stores
    /// whose locking reads do not find a row that another transaction is about to insert. It runs before a stream
    /// begins, and before all streams of a source are read.
    fn hold_source(&self) -> Option<&'static str> {
        None
    }

    /// True if a writing transaction locks the whole database, and not only its rows.
    fn has_one_writer(&self) -> bool {
        false
    }

    /// A query that makes rows from one parameter per column, each a [`Value::List`]. It takes the place of VALUES in
    /// an INSERT. `None` if the store has no such query, and allows an upsert to have the same key in several of its
    /// rows.
    fn rows_of_lists(&self, columns: &[ColumnType]) -> Option<String> {
        let _ = columns;
        None
    }

    /// The clause between the rows of an INSERT and the assignments for rows that exist already. `key` is the table's
    /// primary key, quoted.
    fn on_conflict(&self, key: &str) -> String {
        format!(" ON CONFLICT ({key}) DO UPDATE SET ")
    }

    /// The expression, within those assignments, for the value that was to be inserted into a column.
    fn incoming(&self, column: &str) -> String {
        format!("excluded.{column}")
    }

    /// The function that returns the smaller of two values that are not NULL.
    fn least(&self) -> &'static str {
        "least"
    }

    /// The function that returns the larger of two values that are not NULL.
    fn greatest(&self) -> &'static str {
        "greatest"
    }

    /// A statement that deletes, in the order of the primary key, the first `rows_max` rows for which the condition
    /// `old` is true. All names in it are quoted; `key` has the columns of the primary key.
    fn delete_some(&self, table: &str, key: &[String], old: &str, rows_max: usize) -> String {
        let key = key.join(", ");
        format!(
            "DELETE FROM {table} WHERE ({key}) IN \
             (SELECT {key} FROM {table} WHERE {old} ORDER BY {key} LIMIT {rows_max})"
        )
    }

    /// True if the store reserves such table names for itself.
    fn reserves(&self, table: &str) -> bool {
        let _ = table;
        false
    }

    /// A query (parameter: the table) that returns at most one row: NULL if the table as such can be used, or else a
    /// text that says what is wrong, to follow "the table ad_events ".
    fn table_query(&self) -> &'static str;

    /// A query (parameter: the table) that returns for each column: its name; its declared type in capitals; its
    /// position in the primary key from 1, or 0; a text that says what is wrong with how it compares as a key, or
    /// NULL; and 1 if a row can do without it, else 0.
    fn columns_query(&self) -> &'static str;
}

/// The limits on the size of a statement and of a column's value.
///
/// `parameters_max` is a limit of the protocol or of the server (65,535 in PostgreSQL and MySQL, 32,766 in SQLite).
/// The others are limits of column types and indexes. The pipeline gets them through
/// [`Sink::limits`](evs_core::Sink::limits), and rejects lines that do not fit.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The number of bound parameters.
    pub parameters_max: usize,
    /// The number of rows in a statement. More rows would not be faster.
    pub rows_max: usize,
    /// The number of bytes of one key, as text.
    pub key_bytes_max: usize,
    /// The number of bytes of all keys of a row together, as text: they have to fit into one statement.
    pub keys_bytes_max: usize,
    /// The range of a sum, times 10^scale.
    pub sums: RangeInclusive<i128>,
    /// The range of the starts of windows, in seconds since 1970.
    pub windows: RangeInclusive<i64>,
}
