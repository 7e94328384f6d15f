//! Identities of documents, and of the streams that add to them.
//!
//! The row (1795872300, `spring`, `click`) has the `_id` `1795872300|spring|click`. With a key of 300 bytes it is
//! `1795872300#` and 64 hexadecimal digits.

use std::fmt::Write;

use evs_core::{Epoch, escape};
use sha2::{Digest, Sha256};

/// Longer identities are hashed, because every index entry and every command contains them.
const PLAIN_BYTES_MAX: usize = 120;

/// The `_id` of a row: `WINDOW|KEY|KEY`, or `WINDOW#` and the SHA-256 of that if it is long.
///
/// Different rows have different texts. [`escape`] gives different keys different texts in which a backslash is
/// always followed by `x`, and a `|` within a key becomes `\|`. The two forms differ in the character after the
/// number. Clients choose keys, so the hash is one for which nobody can find a collision.
///
/// It is a string, because servers differ in how fast they find other types. The window comes first, so that the rows
/// of a window are neighbours in the index.
pub(crate) fn document(window: i64, keys: &[&[u8]]) -> String {
    let mut id = window.to_string();
    let hash_from = id.len();
    for key in keys {
        id.push('|');
        let mut parts = escape(key);
        if parts.contains('|') {
            parts = parts.replace('|', "\\|").into();
        }
        id.push_str(&parts);
    }
    if id.len() > PLAIN_BYTES_MAX {
        let hash = Sha256::digest(id.as_bytes());
        id.truncate(hash_from);
        id.push('#');
        push_hex(&mut id, &hash);
    }
    id
}

/// The name of a stream's mark in a document. It depends on source and epoch only, since each statistic has a
/// collection of its own. Names of sources may have dots and dollars, but the mark has neither, and is not a number.
///
/// Twelve bytes of the hash are enough: sources are named by the operator, not by clients, and there are few.
pub(crate) fn mark(source: &str, epoch: Epoch) -> String {
    let hash = Sha256::new().chain_update(epoch.to_bytes()).chain_update(source).finalize();
    let mut mark = "m".to_owned();
    push_hex(&mut mark, &hash[..12]);
    mark
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn short_rows_can_be_read_and_long_ones_are_hashed() {
        assert_eq!(document(60, &[]), "60");
        assert_eq!(document(-60, &[b"c1", b"view"]), "-60|c1|view");
        assert_eq!(document(60, &[b"a|b", b"\\|\xff"]), r"60|a\|b|\x5C\|\xFF");
        let long = document(60, &[&[b'x'; 118]]);
        assert_eq!(long.len(), "60#".len() + 64);
        assert!(long.starts_with("60#"), "{long}");
        assert_eq!(document(60, &[&[b'x'; 117]]).len(), PLAIN_BYTES_MAX);
        assert_ne!(long, document(60, &[&[b'y'; 118]]));
    }

    #[test]
    fn different_rows_have_different_identities() {
        let parts: &[&[u8]] =
            &[b"", b"|", b"\\", b"\\|", b"||", b"a", b"|a", b"a|", b"x7C", b"#", b"\0", b"\\x5C", b"1|1"];
        let mut seen = HashMap::new();
        for window in [1, 11, -1] {
            let mut add = |keys: Vec<&'static [u8]>| {
                let id = document(window, &keys);
                assert_eq!(seen.insert(id, (window, keys.clone())), None, "{window} {keys:?}");
            };
            add(vec![]);
            for &first in parts {
                add(vec![first]);
                for &second in parts {
                    add(vec![first, second]);
                    parts.iter().for_each(|&third| add(vec![first, second, third]));
                }
            }
        }
    }

    #[test]
    fn streams_have_marks_of_their_own_that_are_plain_names() {
        let epoch = |byte| Epoch::from_bytes([byte; 16]);
        let one = mark("web.$1", epoch(1));
        assert_eq!(one.len(), 25);
        assert!(one.starts_with('m') && one.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{one}");
        assert_ne!(one, mark("web.$1", epoch(2)));
        assert_ne!(one, mark("web.$2", epoch(1)));
    }
}
