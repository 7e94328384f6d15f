//! What a store keeps for evs: positions, definitions, epochs, keys and rows. Any text is read, or is refused. What is
//! read is written again and read as the same, and positions follow the laws by which evs joins and compares them.
//!
//! The first byte of the input chooses one of them.
#![no_main]

use std::collections::HashSet;

use evs_core::{Epoch, Frontier, MeasureColumn, Rows, Schema, escape, unescape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    if choice % 5 == 0 {
        return rows(bytes);
    }
    let escaped = escape(bytes);
    assert_eq!(unescape(&escaped).as_deref(), Some(bytes));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match choice % 5 {
        1 => position(text),
        2 => definition(text),
        3 => {
            if let Ok(epoch) = text.parse::<Epoch>() {
                assert_eq!(epoch.to_string(), text.to_ascii_lowercase());
                assert_eq!(Epoch::from_bytes(epoch.to_bytes()), epoch);
            }
        }
        // A store may escape more than `escape` does.
        _ => match unescape(text) {
            Some(key) => assert_eq!(unescape(&escape(&key)).as_deref(), Some(&*key)),
            None => assert!(text.contains('\\')),
        },
    }
});

/// Two positions, one a line.
fn position(text: &str) {
    let (one, other) = text.split_once('\n').unwrap_or((text, text));
    let (Ok(one), Ok(other)) = (Frontier::from_json(one), Frontier::from_json(other)) else { return };
    for position in [&one, &other] {
        let json = position.to_json();
        let again = Frontier::from_json(&json).expect("what was written is read");
        assert_eq!((&again, again.to_json()), (position, json));
        assert!(!position.to_string().is_empty() && position.covers(0, 0) == position.covers(0, 0));
    }
    let is_ascending =
        |position: &Frontier| position.files.windows(2).all(|pair| pair[0].number < pair[1].number);
    if !is_ascending(&one) || !is_ascending(&other) {
        return;
    }
    assert_eq!(one.join(&one), one);
    let joined = one.join(&other);
    assert!(is_ascending(&joined));
    for mark in one.files.iter().chain(&other.files) {
        for number in [mark.number.saturating_sub(1), mark.number, mark.number.saturating_add(1)] {
            for end in [1, mark.offset, mark.offset.saturating_add(1)] {
                let either = one.covers(number, end) || other.covers(number, end);
                assert_eq!(joined.covers(number, end), either, "file {number} to {end}");
            }
        }
    }
}

/// Two definitions, one a line.
fn definition(text: &str) {
    let (one, other) = text.split_once('\n').unwrap_or((text, text));
    let (Ok(one), Ok(other)) = (Schema::from_json(one), Schema::from_json(other)) else { return };
    let json = one.to_json();
    let again = Schema::from_json(&json).expect("what was written is read");
    assert_eq!((&again, again.to_json()), (&one, json));
    assert_eq!(one.difference(&again), None);
    // No definition that evs writes has a name twice.
    let name = |measure: &MeasureColumn| measure.name.to_ascii_lowercase();
    let has_names = |schema: &Schema| {
        let names: HashSet<_> = schema.measures.iter().map(name).collect();
        names.len() == schema.measures.len()
    };
    if !has_names(&one) || !has_names(&other) {
        return;
    }
    assert_eq!(one.union(&other).is_ok(), other.union(&one).is_ok(), "one table for both, or none");
    if let Ok(union) = one.union(&other) {
        assert_eq!(union.union(&other).as_ref(), Ok(&union));
        assert!(one.measures.iter().chain(&other.measures).all(|measure| union.measures.contains(measure)));
    }
}

/// Encoded rows, after bytes for their number and that of their columns.
fn rows(bytes: &[u8]) {
    let [len, keys, measures, encoded @ ..] = bytes else { return };
    let (len, keys, measures) = (usize::from(*len), usize::from(keys % 8), usize::from(measures % 8));
    match Rows::from_bytes(encoded.to_vec(), len, keys, measures) {
        Ok(rows) => {
            assert_eq!((rows.len(), rows.iter().count()), (len, len));
            let mut again = Rows::new(keys, measures);
            let mut cursor = rows.cursor();
            while let Some(row) = cursor.next_row() {
                again.push(row.window_start, row.keys.iter().copied(), row.values);
            }
            assert!(again.iter().eq(rows.iter()));
            assert!(again.as_bytes().len() <= encoded.len(), "evs writes the shortest form");
        }
        Err(invalid) => assert!(invalid.row <= len && invalid.offset <= encoded.len()),
    }
}
