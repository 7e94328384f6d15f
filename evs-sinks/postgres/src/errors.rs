//! Sorts the server's error codes by their meaning for a batch.
//! <https://www.postgresql.org/docs/current/errcodes-appendix.html>
//!
//! PostgreSQL's codes have classes of two characters: 08 (connection), 40 (transaction rollback), 53 (insufficient
//! resources) and 57 (operator intervention) pass by themselves. 42 (syntax or access) and 22 (data) do not.

use std::io;

use evs_sql::StoreError;
use sqlx::postgres::PgDatabaseError;

/// Classes of permanent errors: unknown features; numbers of rows; data; integrity; authentication; names of
/// databases, schemas and cursors; syntax, names and rights; views; the program's limits.
const LASTING_CLASSES: [&str; 11] = ["0A", "21", "22", "23", "28", "34", "3D", "3F", "42", "44", "54"];

/// Errors of those classes that are transient: another session made the same table or column at the same moment.
const PASSING: [&str; 3] = ["42P07", "42710", "42701"];

const UNIQUE_VIOLATION: &str = "23505";

/// The number of characters of the error's detail that are shown: it may quote a whole key.
const DETAIL_CHARS_MAX: usize = 200;

/// Sorts an error of the driver, and keeps the server's code and message.
pub(crate) fn sort(error: &sqlx::Error) -> StoreError {
    let sqlx::Error::Database(said) = error else {
        return StoreError::sorted(passes(error), error.to_string());
    };
    let said = said.downcast_ref::<PgDatabaseError>();
    let detail = said.detail().map(|detail| detail.chars().take(DETAIL_CHARS_MAX).collect::<String>());
    let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
    let message = format!("{}{detail} (SQLSTATE {})", said.message(), said.code());
    StoreError::sorted(is_transient(said.code(), said.table()), message)
}

/// True if an error that is not the server's answer is transient. In doubt it is: the batch is offered again.
fn passes(error: &sqlx::Error) -> bool {
    match error {
        // The kind of error for a certificate that is not trusted.
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
        sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// True if the server's error is transient. In doubt it is: the batch is offered again.
fn is_transient(code: &str, table: Option<&str>) -> bool {
    if code == UNIQUE_VIOLATION {
        // In evs's own tables, and in the server's while tables are created, another writer caused the duplicate.
        return table.is_some_and(|table| table.starts_with("evs_") || table.starts_with("pg_"));
    }
    PASSING.contains(&code) || !LASTING_CLASSES.iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_whether_they_pass() {
        for (code, what) in [
            ("08006", "connection failure"),
            ("25006", "read-only transaction"),
            ("25P02", "in a failed transaction"),
            ("25P03", "idle in transaction for too long"),
            ("26000", "no such prepared statement"),
            ("40001", "serialization failure"),
            ("40P01", "deadlock"),
            ("42P07", "the table is there already"),
            ("53100", "disk full"),
            ("53200", "out of memory"),
            ("53300", "too many connections"),
            ("55006", "object in use"),
            ("55P03", "lock not available"),
            ("57014", "canceled"),
            ("57P01", "shutdown"),
            ("57P02", "crash"),
            ("57P03", "starting up"),
            ("58030", "I/O error"),
            ("XX000", "internal error"),
            ("99999", "unheard of"),
        ] {
            assert!(is_transient(code, None), "{code} {what}");
        }
        for (code, what) in [
            ("0A000", "not supported"),
            ("21000", "a row affected twice"),
            ("22003", "out of range"),
            ("22P05", "no such character in the database's encoding"),
            ("23502", "not null"),
            ("23514", "check"),
            ("28000", "not allowed by pg_hba.conf"),
            ("28P01", "wrong password"),
            ("3D000", "no such database"),
            ("3F000", "no such schema"),
            ("42501", "missing rights"),
            ("42601", "syntax"),
            ("42703", "no such column"),
            ("42P01", "no such table"),
            ("54000", "too large for an index"),
        ] {
            assert!(!is_transient(code, Some("evs_progress")), "{code} {what}");
        }
        for (table, passes) in [
            (Some("evs_progress"), true),
            (Some("evs_statistics"), true),
            (Some("pg_type"), true),
            (Some("ads"), false),
            (None, false),
        ] {
            assert_eq!(is_transient(UNIQUE_VIOLATION, table), passes, "{table:?}");
        }
    }
}
