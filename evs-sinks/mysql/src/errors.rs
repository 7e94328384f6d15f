//! Sorts the server's error numbers by their meaning for a batch.
//! <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>
//!
//! MySQL has thousands of error numbers, and a class for each (SQLSTATE). The class decides, except for the numbers
//! in the two lists below, whose class misleads. For example, 1203
//! (too many connections of a user) has the class of wrong names and missing rights, and passes; 1130 (this host may not
//! connect) has the class of general errors, and does not.

use std::io;

use evs_sql::StoreError;
use sqlx::mysql::MySqlDatabaseError;

/// Numbers of transient errors whose SQLSTATE is that of a permanent one.
const PASSING: [u16; 7] = [
    1060, // the column is there: another evs has just added it
    1062, // duplicate entry: of evs's bookkeeping, hence by another writer
    1203, // too many connections of this user
    1226, // the user's quota of connections or statements per hour is used up
    1461, // too many prepared statements
    1637, // too many transactions
    1792, // the transaction is read-only: a replica, or a failover under way
];

/// Numbers of permanent errors whose SQLSTATE does not tell.
const LASTING: [u16; 19] = [
    1130, // this host may not connect
    1193, // unknown system variable
    1251, // the client does not know the authentication
    1264, // out of range
    1265, // would be truncated
    1364, // no default for a column
    1366, // no value for that type of column
    1524, // the authentication plugin is not there
    1665, // the binary log holds statements, and must hold rows
    1698, // access denied
    1812, // the table's file is gone
    1820, // the password must be changed
    1862, // the password has expired
    1873, // access denied
    3118, // the account is locked
    3159, // secure connections are required
    3819, // a check constraint
    4025, // a check constraint, in MariaDB
    4151, // access denied
];

/// Sorts an error of the driver, and keeps the server's number and message.
pub(crate) fn sort(error: &sqlx::Error) -> StoreError {
    let sqlx::Error::Database(said) = error else {
        return StoreError::sorted(passes(error), error.to_string());
    };
    let said = said.downcast_ref::<MySqlDatabaseError>();
    let (number, state) = (said.number(), said.code().unwrap_or_default());
    let message = format!("{} (error {number}, SQLSTATE {state})", said.message());
    StoreError::sorted(is_transient(number, state), message)
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
fn is_transient(number: u16, state: &str) -> bool {
    // Unknown features and cursors; data; integrity; authentication; syntax, names and rights.
    const LASTING_CLASSES: [&str; 9] = ["0A", "21", "22", "23", "28", "34", "3D", "42", "44"];
    let lasts = LASTING.contains(&number) || LASTING_CLASSES.iter().any(|class| state.starts_with(class));
    PASSING.contains(&number) || !lasts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_whether_they_pass() {
        for (number, state, what) in [
            (1021, "HY000", "disk full"),
            (1030, "HY000", "the engine failed, for example with errno 28"),
            (1040, "08004", "too many connections"),
            (1053, "08S01", "shutdown"),
            (1062, "23000", "duplicate entry"),
            (1077, "08S01", "shutdown"),
            (1114, "HY000", "table full"),
            (1153, "08S01", "packet too large"),
            (1203, "42000", "too many connections of the user"),
            (1205, "HY000", "lock wait timeout"),
            (1213, "40001", "deadlock"),
            (1290, "HY000", "read-only"),
            (1317, "70100", "interrupted"),
            (1615, "HY000", "to be prepared again"),
            (1792, "25006", "read-only transaction"),
            (1836, "HY000", "read-only mode"),
            (1927, "70100", "killed"),
            (3024, "HY000", "took too long"),
            (4031, "HY000", "was idle for too long"),
            (9999, "HY000", "unheard of"),
        ] {
            assert!(is_transient(number, state), "{number} {what}");
        }
        for (number, state, what) in [
            (1044, "42000", "access denied to the database"),
            (1045, "28000", "access denied"),
            (1049, "42000", "unknown database"),
            (1054, "42S22", "unknown column"),
            (1064, "42000", "syntax"),
            (1118, "42000", "row too large"),
            (1130, "HY000", "host not allowed"),
            (1142, "42000", "no right to the table"),
            (1146, "42S02", "no such table"),
            (1264, "22003", "out of range"),
            (1366, "HY000", "incorrect value"),
            (1406, "22001", "too long"),
            (1690, "22003", "sum out of range"),
        ] {
            assert!(!is_transient(number, state), "{number} {what}");
        }
    }
}
