//! Where the stores' SQL differs.

use std::fmt;

use crate::connection::Value;

/// The SQL of one kind of store. The defaults are those of the standard, as PostgreSQL and SQLite have it.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// How much fits into a statement.
    fn limits(&self) -> Limits;

    /// A name in quotes. Names have been checked to be of letters, digits and `_`.
    fn quote(&self, name: &str) -> String {
        format!("\"{name}\"")
    }

    /// Appends the placeholder of the bound parameter with that number, from 1.
    fn placeholder(&self, sql: &mut String, number: usize) {
        let _ = number;
        sql.push('?');
    }

    /// How a column is declared.
    fn column_type(&self, column: ColumnType) -> &'static str;

    /// What follows the parenthesis of `CREATE TABLE`.
    fn table_options(&self) -> &'static str {
        ""
    }

    /// What makes a SELECT lock the row it finds until the transaction ends.
    fn lock_rows(&self) -> &'static str {
        " FOR UPDATE"
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

    /// A measure's value as the store holds it; `None` if it cannot.
    fn number(&self, value: i128) -> Option<Value>;

    /// Whether the store keeps names like that for itself.
    fn reserves(&self, table: &str) -> bool {
        let _ = table;
        false
    }

    /// A statement that deletes the first `rows_max` of the rows that `old` is true of, by primary key. All
    /// names in it are quoted; `key` is the primary key.
    fn delete_some(&self, table: &str, key: &str, old: &str, rows_max: usize) -> String {
        format!(
            "DELETE FROM {table} WHERE ({key}) IN \
             (SELECT {key} FROM {table} WHERE {old} ORDER BY {key} LIMIT {rows_max})"
        )
    }

    /// Whether a transaction that writes locks the whole database, and not only its rows.
    fn has_one_writer(&self) -> bool {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Integers of 64 bits.
    Integer,
    /// A measure's exact numbers.
    Number,
    /// Text that is part of a primary key and compares byte by byte.
    Key,
    /// Any other text, of any length.
    Text,
}

/// How much fits into a statement, and into a key.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bound parameters.
    pub parameters_max: usize,
    /// Bytes, with the parameters.
    pub statement_bytes_max: usize,
    /// Rows, where more would not be faster.
    pub rows_max: usize,
    /// Bytes of one key, escaped.
    pub key_bytes_max: usize,
}
