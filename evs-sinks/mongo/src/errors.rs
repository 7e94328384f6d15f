//! Sorts MongoDB's error codes by their meaning for a batch.
//! <https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>
//!
//! The question is always the same: will the same batch succeed later, if nobody does anything? If so, or in doubt,
//! the error is transient and the batch is offered again. To take a permanent error for a transient one costs
//! retries, which are visible in the status. To take a transient one for permanent stops the sink until somebody
//! comes.

use std::error::Error as StdError;

use evs_store::{Failure, StoreError};
use mongodb::{bson::Document, error::ErrorKind};

/// Sorts an error of the driver, as a failure.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn failed(error: mongodb::error::Error) -> Failure {
    sort(&error).into()
}

/// The user lacks a right.
pub(crate) const UNAUTHORIZED: i32 = 13;
/// The index does not exist.
pub(crate) const INDEX_NOT_FOUND: i32 = 27;
/// The collection exists already.
pub(crate) const NAMESPACE_EXISTS: i32 = 48;
/// The server does not know the command.
pub(crate) const COMMAND_NOT_FOUND: i32 = 59;
/// A unique index has the key already.
pub(crate) const DUPLICATE_KEY: i32 = 11000;
const UNKNOWN_REPL_WRITE_CONCERN: i32 = 79;

/// Codes of transient errors: the server's categories of network errors, interruptions, elections, shutdowns, time
/// limits, stale routing and overload. A full disk is among them, because somebody makes room while the batch waits.
const TRANSIENT: &[i32] = &[
    1,     // InternalError: it says nothing of the batch, a full disk is among its causes
    6,     // HostUnreachable
    7,     // HostNotFound
    8,     // UnknownError
    24,    // LockTimeout
    43,    // CursorNotFound
    46,    // LockBusy
    50,    // MaxTimeMSExpired
    64,    // WriteConcernTimeout
    82,    // NoProgressMade
    89,    // NetworkTimeout
    91,    // ShutdownInProgress
    94,    // NotYetInitialized
    100,   // UnsatisfiableWriteConcern
    107,   // LockFailed
    112,   // WriteConflict
    117,   // ConflictingOperationInProgress
    133,   // FailedToSatisfyReadPreference
    134,   // ReadConcernMajorityNotAvailableYet
    145,   // PooledConnectionsDropped
    146,   // ExceededMemoryLimit
    150,   // StaleEpoch
    175,   // QueryPlanKilled
    189,   // PrimarySteppedDown
    202,   // NetworkInterfaceExceededTimeLimit
    203,   // ShardingStateNotInitialized
    206,   // NoSuchSession
    211,   // KeyNotFound: of the cluster's clock, around an election
    215,   // DatabaseDropPending
    216,   // ElectionInProgress
    237,   // CursorKilled
    249,   // StaleDbVersion
    262,   // ExceededTimeLimit
    264,   // TooManyFilesOpen
    276,   // IndexBuildAborted
    279,   // ClientDisconnect
    285,   // IndexBuildAlreadyInProgress
    290,   // TransactionExceededLifetimeLimitSeconds
    314,   // ObjectIsBusy
    317,   // ConnectionPoolExpired
    343,   // ShardCannotRefreshDueToLocksHeld
    355,   // InterruptedDueToStorageChange
    365,   // TemporarilyUnavailable
    371,   // UserWritesBlocked
    384,   // ConnectionError
    391,   // ReauthenticationRequired
    402,   // ResourceExhausted
    406,   // MigrationBlockingOperationCoordinatorCleaningUp
    407,   // PooledConnectionAcquisitionExceededTimeLimit
    412,   // UpdatesStillPending
    433,   // AdmissionQueueOverflow
    449,   // RateLimitExceeded
    9001,  // SocketException
    10058, // LegacyNotPrimary
    10107, // NotWritablePrimary
    11600, // InterruptedAtShutdown
    11601, // Interrupted
    11602, // InterruptedDueToReplStateChange
    13388, // StaleConfig
    13435, // NotPrimaryNoSecondaryOk
    13436, // NotPrimaryOrSecondary
    14031, // OutOfDiskSpace
];

/// Labels by which servers and the driver mark errors after which a retry is enough.
const TRANSIENT_LABELS: &[&str] =
    &["RetryableWriteError", "RetryableError", "SystemOverloadedError", "TransientTransactionError"];

/// True if an error with that code is transient. An unknown code is permanent, so that a person sees it.
pub(crate) fn is_transient(code: i32) -> bool {
    TRANSIENT.contains(&code)
}

/// The server's code of an error, if the error came from the server.
pub(crate) fn code(error: &mongodb::error::Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Authentication { .. } => source(error).and_then(code),
        _ => None,
    }
}

/// The error inside an error of the driver, which keeps it in a box.
fn source(error: &mongodb::error::Error) -> Option<&mongodb::error::Error> {
    let source = error.source()?;
    source.downcast_ref::<Box<_>>().map(|boxed| &**boxed).or_else(|| source.downcast_ref())
}

/// Sorts an error of the driver, and keeps the server's code and message.
pub(crate) fn sort(error: &mongodb::error::Error) -> StoreError {
    let labelled = TRANSIENT_LABELS.iter().any(|label| error.contains_label(label));
    let (is_transient, message) = match &*error.kind {
        ErrorKind::Command(command) => {
            let message = told(&command.message, command.code, Some(&command.code_name));
            (is_transient(command.code), message)
        }
        // A server that is shutting down also refuses logins.
        ErrorKind::Authentication { message, .. } => match code(error) {
            Some(code) => (is_transient(code), told(message, code, None)),
            None => (false, message.clone()),
        },
        ErrorKind::Io(error) => (true, error.to_string()),
        ErrorKind::ServerSelection { message, .. }
        | ErrorKind::ConnectionPoolCleared { message, .. }
        | ErrorKind::DnsResolve { message, .. }
        | ErrorKind::InvalidResponse { message, .. }
        | ErrorKind::Internal { message, .. } => (true, message.clone()),
        ErrorKind::InvalidArgument { message, .. } | ErrorKind::InvalidTlsConfig { message, .. } => {
            (false, message.clone())
        }
        kind => (false, kind.to_string()),
    };
    StoreError::sorted(is_transient || labelled, message)
}

fn told(message: &str, code: i32, name: Option<&str>) -> String {
    match name.filter(|name| !name.is_empty()) {
        Some(name) => format!("{message} (MongoDB code {code}, {name})"),
        None => format!("{message} (MongoDB code {code})"),
    }
}

/// Sorts an entry of `writeErrors`, in a reply that says Ok.
pub(crate) fn of_write(error: &Document) -> StoreError {
    let code = integer(error, "code").and_then(|code| i32::try_from(code).ok()).unwrap_or_default();
    let message = told(error.get_str("errmsg").unwrap_or("no message"), code, error.get_str("codeName").ok());
    StoreError::sorted(is_transient(code), message)
}

/// Sorts the `writeConcernError` of a reply that says Ok: the write may be lost again.
pub(crate) fn of_write_concern(reply: &Document) -> Option<StoreError> {
    let error = reply.get_document("writeConcernError").ok()?;
    let StoreError { message, .. } = of_write(error);
    // Of all reasons why other members do not confirm, only an undefined write concern is permanent.
    let is_transient = integer(error, "code") != Some(UNKNOWN_REPL_WRITE_CONCERN.into());
    Some(StoreError::sorted(is_transient, format!("not confirmed by the majority: {message}")))
}

/// An integer field, whatever numeric type the server used.
pub(crate) fn integer(document: &Document, name: &str) -> Option<i64> {
    use mongodb::bson::Bson;

    match document.get(name)? {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) if number.fract() == 0.0 && number.abs() < 1e15 => Some(*number as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn codes_are_sorted_by_whether_they_pass() {
        for code in [6, 64, 89, 91, 112, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436, 14031] {
            assert!(is_transient(code), "{code}");
        }
        let (bad_value, unauthorized, authentication_failed, validation, duplicate_key, atlas) =
            (2, 13, 18, 121, 11000, 8000);
        for code in [bad_value, unauthorized, authentication_failed, validation, duplicate_key, atlas, 0, 20]
        {
            assert!(!is_transient(code), "{code}");
        }
        let mut sorted = TRANSIENT.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, TRANSIENT);
    }

    #[test]
    fn the_servers_code_and_words_are_kept() {
        let told =
            of_write(&doc! { "code": 121, "codeName": "DocumentValidationFailure", "errmsg": "failed" });
        assert_eq!(told.to_string(), "failed (MongoDB code 121, DocumentValidationFailure)");
        assert!(!told.is_transient());
    }
}
