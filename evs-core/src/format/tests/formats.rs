//! Format strings: the accepted ones, and the refused ones.

use super::*;

#[test]
fn the_built_in_ones_compile_and_show_what_they_are() {
    for text in ["combined", "common", "json", "ltsv"] {
        text.parse::<LogFormat>().unwrap();
    }
    assert_eq!(LogFormat::json().to_string(), "json");
    assert_eq!(LogFormat::combined().to_string(), COMBINED);
    assert!(!LogFormat::combined().is_forgeable());
    assert!(nginx("escape=none $msec").is_forgeable());
}

#[test]
fn what_cannot_be_parsed_without_guessing_is_refused_with_its_place() {
    let owned = str::to_owned;
    for (format, expected) in [
        ("combine", FormatError::Unknown { name: owned("combine") }),
        ("", FormatError::Unknown { name: owned("") }),
        (
            "$msec $host$uri",
            FormatError::SideBySide { offset: 11, first: owned("host"), second: owned("uri") },
        ),
        (
            "escape=json $msec${host}",
            FormatError::SideBySide { offset: 17, first: owned("msec"), second: owned("host") },
        ),
        ("$msec ${host", FormatError::Brace { offset: 6 }),
        ("$msec ${}", FormatError::Brace { offset: 6 }),
        ("$msec ${a-b}", FormatError::Brace { offset: 6 }),
        ("$msec $", FormatError::NoName { offset: 6 }),
        ("$msec $$host", FormatError::NoName { offset: 6 }),
        ("$msec $-", FormatError::NoName { offset: 6 }),
        ("escape=xml $msec", FormatError::Escape { offset: 0, found: owned("xml") }),
        ("$msec\n$status", FormatError::LineFeed { offset: 5 }),
        (
            "$msec $upstream_addr, $upstream_status",
            FormatError::ListSeparator { offset: 20, name: owned("upstream_addr"), text: owned(", ") },
        ),
    ] {
        assert_eq!(format.parse::<LogFormat>().map(|_| ()), Err(expected), "{format:?}");
    }
}

#[test]
fn a_format_without_a_time_is_refused_unless_a_field_is_named_as_its_time() {
    let without = nginx("$at $status");
    assert_eq!(without.parser(&["status"]).unwrap_err(), FormatError::NoTime);
    assert!(without.clone().time("at", "milliseconds").unwrap().parser(&["status"]).is_ok());
    let error = without.clone().time("when", "epoch").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the format has no $when and nothing to derive it from; it has $at, $status"
    );
    let error = without.time("at", "ms").unwrap_err();
    assert!(
        error.to_string().starts_with("the time cannot have the shape \"ms\": it lacks the year"),
        "{error}"
    );
}

#[test]
fn a_field_that_is_not_there_is_refused_and_the_others_named() {
    let error = nginx("$msec $status").parser(&["status", "arg_c"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the format has no $arg_c and nothing to derive it from; it has $msec, $status"
    );
    assert!(nginx("$msec $uri").parser(&["arg_c"]).is_err(), "nginx's $uri has no query");
    assert!(nginx("$msec $args").parser(&["query_string", "arg_c"]).is_ok());
    assert!(LogFormat::json().parser(&["anything"]).is_ok());
}

#[test]
fn the_best_time_and_the_first_of_equal_variables_count() {
    let format = nginx("[$time_local] $status $msec $status $time_iso8601");
    let mut parser = format.parser(&["status"]).unwrap();
    let mut record = Record::new();
    let line = format!("[{TIME}] 200 5.999 404 2026-11-21T13:25:22+05:45");
    parser.parse(line.as_bytes(), &mut record).unwrap();
    assert_eq!((record.seconds(), record.field(0, line.as_bytes())), (5, &b"200"[..]));
    assert_eq!(record.column(0), 30);
    // The other times must still look like some.
    let line = line.replace("2026-11", "2026/11");
    assert_eq!(parser.parse(line.as_bytes(), &mut record).unwrap_err().reason, Reason::Time);
}
