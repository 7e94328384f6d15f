//! Sorts SQLite's result codes by their meaning for a batch. <https://www.sqlite.org/rescode.html>
//!
//! There is no server to wait for, so most errors are about the file: another process holds the lock (passes), the
//! disk is full (passes, as somebody makes room), the file is no database (does not pass). A failed fsync is
//! permanent, so that somebody looks at the disk.

use evs_sql::StoreError;

// Primary result codes: the low byte of what SQLite answers.
const ABORT: i32 = 4;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const NOMEM: i32 = 7;
const INTERRUPT: i32 = 9;
const IOERR: i32 = 10;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const PROTOCOL: i32 = 15;
// Extended result codes.
const IOERR_FSYNC: i32 = IOERR | 4 << 8;
const IOERR_DIR_FSYNC: i32 = IOERR | 5 << 8;
const IOERR_CORRUPTFS: i32 = IOERR | 33 << 8;

/// Sorts an error of the driver, and keeps SQLite's code and message.
pub(crate) fn sort(error: &sqlx::Error) -> StoreError {
    let sqlx::Error::Database(said) = error else {
        let is_transient =
            matches!(error, sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_));
        return StoreError::sorted(is_transient, error.to_string());
    };
    let code = said.code().and_then(|code| code.parse().ok());
    let message = format!("{} (SQLite code {})", said.message(), said.code().unwrap_or_default());
    StoreError::sorted(code.is_some_and(is_transient), message)
}

/// True if a function of SQL got an integer for which it has no result. Most errors have the same code, 1, so
/// SQLite's words have to decide. They are those of the release that is built in.
pub(crate) fn is_integer_overflow(error: &StoreError) -> bool {
    error.message == "integer overflow (SQLite code 1)"
}

/// True if another connection was writing. The switch of a file to a write-ahead log does not wait for it.
pub(crate) fn is_busy(error: &StoreError) -> bool {
    const BUSY_RECOVERY: i32 = BUSY | 1 << 8;
    const BUSY_SNAPSHOT: i32 = BUSY | 2 << 8;
    let codes = [BUSY, BUSY_RECOVERY, BUSY_SNAPSHOT, LOCKED];
    codes.iter().any(|code| error.message.ends_with(&format!("(SQLite code {code})")))
}

fn is_transient(code: i32) -> bool {
    // After a failed fsync the kernel may have dropped the pages and yet report them as written. Another attempt
    // would find the batch applied, though it is not on the disk.
    if matches!(code, IOERR_FSYNC | IOERR_DIR_FSYNC | IOERR_CORRUPTFS) {
        return false;
    }
    let primary = code & 0xFF;
    // A process without free file descriptors gets CANTOPEN, too.
    matches!(primary, ABORT | BUSY | LOCKED | NOMEM | INTERRUPT | IOERR | FULL | CANTOPEN | PROTOCOL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_whether_they_pass() {
        let busy_snapshot = 517;
        for code in [BUSY, busy_snapshot, LOCKED, FULL, CANTOPEN, IOERR | 3 << 8] {
            assert!(is_transient(code), "{code}");
        }
        let (read_only, corrupt, constraint_datatype, not_a_database) = (8, 11, 3091, 26);
        for code in [read_only, corrupt, constraint_datatype, not_a_database, IOERR_FSYNC, 1, 23] {
            assert!(!is_transient(code), "{code}");
        }
    }
}
