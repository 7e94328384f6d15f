//! Tests of keys: a key is a sequence of bytes, and no two keys are equal unless all their bytes are.
//!
//! Stores compare texts by collations, cut trailing blanks, normalise Unicode, or read texts as numbers, and each of
//! these merges rows that must stay apart. Clients choose keys, so every such pair occurs sooner or later.

use crate::conformance::{
    fixture::{Fixture, Store},
    support::{Stream, apply_all, assert_holds, assert_refused, held, row, schema},
};

/// Keys that stores tend to confuse with each other, or to take for something other than data: blanks, capitals,
/// accents, equal characters of Unicode, numbers, invalid UTF-8, and text with a meaning in a query language.
const KEYS: &[&[u8]] = &[
    b"",
    b" ",
    b"  ",
    b"\t",
    b"\n",
    b"\0",
    b"\0\0",
    b"a\0",
    b"a\0b",
    b"a",
    b"A",
    b"a ",
    b" a",
    b"a\n",
    b"aa",
    "ä".as_bytes(),
    "Ä".as_bytes(),
    "a\u{308}".as_bytes(),
    "å".as_bytes(),
    "\u{212b}".as_bytes(),
    "ß".as_bytes(),
    "ẞ".as_bytes(),
    b"ss",
    b"SS",
    "æ".as_bytes(),
    b"ae",
    "ı".as_bytes(),
    "İ".as_bytes(),
    b"i",
    b"I",
    "ﬁ".as_bytes(),
    b"fi",
    "１".as_bytes(),
    b"1",
    b"01",
    b"1.0",
    b"+1",
    b"1e0",
    b"-0",
    b"0",
    b"0x0",
    b"9223372036854775808",
    b"NULL",
    b"null",
    b"NaN",
    b"true",
    "😀".as_bytes(),
    "👩\u{200d}💻".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{ffff}".as_bytes(),
    "\u{10ffff}".as_bytes(),
    "\u{e000}".as_bytes(),
    "\u{fffd}".as_bytes(),
    b"\xff",
    b"\xfe",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"ok\xffok",
    b"\xc3",
    b"\xff\xff",
    b"'",
    b"''",
    b"\"",
    b"`",
    b"\\",
    b"\\\\",
    b"\\'",
    b"\\x00",
    b"\\x5C",
    b"\\xFF",
    b"\\xff",
    b"\\n",
    b"%",
    b"_",
    b"?",
    b"?1",
    b"$1",
    b":name",
    b"@name",
    b"'; DROP TABLE ad_events; --",
    b"\" OR \"\"=\"",
    b"1); DELETE FROM evs_progress; --",
    b"{\"$gt\":\"\"}",
    b"$set",
    b"a.b",
    b"$",
    b".",
    b"[1]",
    b"<script>",
];

/// Keys with quotes, NULs, accents, capitals, blanks, invalid UTF-8 and SQL all stay different, and are read back
/// byte for byte.
pub async fn keys_that_differ_in_a_byte_stay_apart(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = Stream::new("web1", schema("ad_events", &["campaign"]));
    let every_byte = (0..=u8::MAX).map(|byte| vec![b'k', byte]).collect::<Vec<_>>();
    let mut keys = KEYS.iter().map(|key| key.to_vec()).chain(every_byte).collect::<Vec<_>>();
    keys.sort_unstable();
    keys.dedup();
    let rows = keys.iter().zip(1..).map(|(key, n)| row(60, &[key.as_slice()], n)).collect::<Vec<_>>();
    let sink = store.open().await;
    // The first batch inserts the rows and the second one finds them.
    let batches = [stream.batch(1, &rows), stream.batch(2, &rows)];
    apply_all(&*sink, &batches).await;
    drop(sink);
    let found = held(&*store.open().await, &stream.schema).await;
    assert_eq!(found.len(), keys.len());
    assert_holds(&found, &batches);
}

/// A key belongs to its column: `("a", "b")`, `("ab", "")` and `("b", "a")` are three rows.
///
/// A sink that joins keys to one text, or hashes them so, must make their lengths part of it.
pub async fn the_same_key_in_different_columns_stays_apart(fixture: &impl Fixture) {
    let store = fixture.fresh().await;
    let stream = Stream::new("web1", schema("ad_events", &["campaign", "kind", "site"]));
    let parts: [&[u8]; 6] = [b"", b"a", b"b", b"ab", b"\0", b"a\0b"];
    let mut rows = Vec::new();
    for first in parts {
        for second in parts {
            rows.extend(parts.iter().map(|third| row(60, &[first, second, third], 1)));
        }
    }
    let sink = store.open().await;
    let batches = [stream.batch(1, &rows), stream.batch(2, &rows)];
    apply_all(&*sink, &batches).await;
    let found = held(&*sink, &stream.schema).await;
    assert_eq!(found.len(), parts.len().pow(3));
    assert_holds(&found, &batches);
}

/// Keys up to the store's limit, or 10 KiB, are kept and differ in their last byte. Longer keys are refused and not
/// cut.
///
/// An index over the first bytes of a column takes such keys for the same.
pub async fn long_keys_are_kept_or_refused(fixture: &impl Fixture) {
    const KEY_BYTES: usize = 10 * 1024;
    let limit = fixture.limits().key_bytes_max;
    let store = fixture.fresh().await;
    let stream = Stream::new("web1", schema("ad_events", &["campaign"]));
    let key = |len: usize, last: u8| [vec![b'x'; len - 1], vec![last]].concat();
    let rows = [b'1', b'2', 0xFF].map(|last| row(60, &[&key(KEY_BYTES.min(limit), last)], 1));
    let sink = store.open().await;
    let batches = [stream.batch(1, &rows), stream.batch(2, &rows)];
    apply_all(&*sink, &batches).await;
    if limit < KEY_BYTES {
        let beyond = stream.batch(3, &[row(60, &[&key(limit + 1, b'1')], 1)]);
        assert_refused(sink.apply(&beyond).await);
    }
    assert_holds(&held(&*sink, &stream.schema).await, &batches);
}
