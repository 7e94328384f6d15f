//! JSON lines and LTSV lines have the values that a plain reader finds in them. A JSON line that is accepted is JSON for
//! `serde_json`, too, and one that is rejected is not, or has a reason beyond the syntax.
//!
//! Bytes that are not UTF-8 are left to `line_parsers`, since `serde_json` takes none.
#![no_main]

use std::{borrow::Cow, fmt, sync::LazyLock};

use evs_core::{LineParser, LogFormat, Reason, Record, Rejection};
use libfuzzer_sys::fuzz_target;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Keys at every depth, a key with a point in it, and one without a name.
const FIELDS: [&str; 6] = ["a", "b", "a.b", "a.b.c", "", "t"];

fn parser(format: LogFormat) -> LineParser {
    let timed = format.time("t", "seconds").expect("a shape");
    timed.parser(&FIELDS).expect("any field")
}

static JSON: LazyLock<LineParser> = LazyLock::new(|| parser(LogFormat::json()));
static LTSV: LazyLock<LineParser> = LazyLock::new(|| parser(LogFormat::ltsv()));

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (mut json, mut ltsv) = (JSON.clone(), LTSV.clone());
    // Each line is read after the one before, whose keys the parser remembers.
    for line in text.split('\n') {
        check_json(line, read(&mut json, line));
        check_ltsv(line, read(&mut ltsv, line));
    }
});

/// The fields of a line, or its rejection.
fn read(parser: &mut LineParser, line: &str) -> Result<Vec<Vec<u8>>, Rejection> {
    let mut record = Record::new();
    parser.parse(line.as_bytes(), &mut record)?;
    Ok((0..FIELDS.len()).map(|index| record.field(index, line.as_bytes()).to_vec()).collect())
}

fn check_json(line: &str, seen: Result<Vec<Vec<u8>>, Rejection>) {
    let object = serde_json::from_str::<Object<'_>>(line);
    match seen {
        Ok(seen) => {
            let mut found = vec![None; FIELDS.len()];
            walk(object.expect("JSON"), "", &mut found);
            assert_eq!(seen, found.into_iter().map(or_absent).collect::<Vec<_>>(), "{line:?}");
        }
        Err(Rejection { reason: Reason::Json | Reason::Leftover | Reason::Unterminated, .. }) => {
            assert!(object.is_err(), "{line:?} is JSON");
        }
        Err(_) => {}
    }
}

fn check_ltsv(line: &str, seen: Result<Vec<Vec<u8>>, Rejection>) {
    let pairs: Option<Vec<(&str, &str)>> = line.split('\t').map(|field| field.split_once(':')).collect();
    let pairs = pairs.filter(|pairs| pairs.iter().all(|(label, _)| !label.is_empty()));
    match seen {
        Ok(seen) => {
            let pairs = pairs.expect("labels");
            let value =
                |field: &str| pairs.iter().find(|(label, _)| *label == field).map(|(_, value)| *value);
            let found = FIELDS.map(|field| or_absent(value(field).map(|value| value.as_bytes().to_vec())));
            assert_eq!(seen, found, "{line:?}");
        }
        Err(Rejection { reason: Reason::Label, .. }) => assert!(pairs.is_none(), "{line:?} has labels"),
        Err(_) => {}
    }
}

/// The value of a field, which is `-` if the line does not have it.
fn or_absent(value: Option<Vec<u8>>) -> Vec<u8> {
    value.unwrap_or_else(|| b"-".to_vec())
}

/// Notes the values of the fields in an object under `path`, unless they have one already.
fn walk(object: Object<'_>, path: &str, found: &mut [Option<Vec<u8>>]) {
    for (key, value) in object.0 {
        let path = format!("{path}{key}");
        let text = value.get();
        // `null` is the absence of a value.
        let own = match text.as_bytes()[0] {
            b'n' => None,
            b'"' => Some(serde_json::from_str::<String>(text).expect("a string").into_bytes()),
            _ => Some(text.as_bytes().to_vec()),
        };
        if let Some(slot) =
            FIELDS.iter().position(|field| *field == path).filter(|slot| found[*slot].is_none())
        {
            found[slot] = own;
        }
        if text.starts_with('{') && FIELDS.iter().any(|field| field.starts_with(&format!("{path}."))) {
            walk(serde_json::from_str(text).expect("an object"), &format!("{path}."), found);
        }
    }
}

/// The entries of an object, in their order, with those that occur twice.
struct Object<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Object<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    entries.push((key, map.next_value().map_err(A::Error::custom)?));
                }
                Ok(Object(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A key, which may have escapes.
#[derive(Deserialize)]
struct Key<'t>(#[serde(borrow)] Cow<'t, str>);
