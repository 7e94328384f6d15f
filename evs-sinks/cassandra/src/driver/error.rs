//! Sorts a node's error codes by their meaning for a batch.

use evs_store::{Kind, StoreError};

/// Sorts a node's error by its code in the native protocol.
///
/// The codes are those of section 9 of the protocol's specification.
pub(crate) fn server_error(code: i32, message: &str) -> StoreError {
    let name = match code {
        0x0000 => "server error",
        0x000A => "protocol error",
        0x0100 => "authentication error",
        0x1000 => "unavailable",
        0x1001 => "overloaded",
        0x1002 => "is bootstrapping",
        0x1003 => "truncate error",
        0x1100 => "write timeout",
        0x1200 => "read timeout",
        0x1300 => "read failure",
        0x1400 => "function failure",
        0x1500 => "write failure",
        0x2000 => "syntax error",
        0x2100 => "unauthorized",
        0x2200 => "invalid",
        0x2300 => "configuration error",
        0x2400 => "already exists",
        0x2500 => "unprepared",
        _ => "error",
    };
    let permanent = match code {
        // A node that cannot reach its own table of roles uses the same codes as for a wrong password. The C++ driver
        // puts its own words before those of the node.
        0x0100 | 0x2100 => !message.contains("Unable to perform auth"),
        0x000A | 0x1400 | 0x2000 | 0x2200 | 0x2300 => true,
        // The others are transient, or in doubt. A table that already exists was just created by another evs.
        _ => false,
    };
    let kind = if permanent { Kind::Permanent } else { Kind::Busy };
    StoreError::new(kind, format!("{message} (Cassandra: {name}, code 0x{code:04X})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_whether_they_pass() {
        for code in [0, 0x1000, 0x1001, 0x1002, 0x1003, 0x1100, 0x1200, 0x1300, 0x1500, 0x2400, 0x2500] {
            assert_eq!(server_error(code, "no").kind, Kind::Busy, "{code:04x}");
        }
        for code in [0x000A, 0x0100, 0x1400, 0x2000, 0x2100, 0x2200, 0x2300] {
            assert_eq!(server_error(code, "no").kind, Kind::Permanent, "{code:04x}");
        }
        let starting = "Unable to perform authentication: Cannot achieve consistency level QUORUM";
        assert_eq!(server_error(0x0100, starting).kind, Kind::Busy);
    }

    #[test]
    fn the_stores_code_and_words_are_shown() {
        let error = server_error(0x1100, "Operation timed out - received only 1 responses.");
        let said = "Operation timed out - received only 1 responses. (Cassandra: write timeout, code 0x1100)";
        assert_eq!(error.to_string(), said);
    }
}
