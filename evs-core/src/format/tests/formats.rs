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
    let error = without.clone().time_key("at").parser::<&str>(&[]).unwrap_err();
    assert_eq!(error, FormatError::NoTimeShape { field: "at".to_owned() });
    let error = without.clone().time_key("when").parser::<&str>(&[]).unwrap_err();
    assert!(matches!(error, FormatError::NoField { field, .. } if field == "when"));
    let error = without.time("at", "ms").unwrap_err();
    assert!(
        error.to_string().starts_with("the time cannot have the shape \"ms\": it lacks the month"),
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

#[test]
fn a_key_of_the_time_chooses_among_the_times_of_a_format() {
    let format = nginx("$msec [$time_local] $status").time_key("time_local");
    let mut record = Record::new();
    let line = format!("1.000 [{TIME}] 200");
    format.parser(&["status"]).unwrap().parse(line.as_bytes(), &mut record).unwrap();
    assert_eq!(record.seconds(), SECONDS);
}

#[test]
fn a_time_without_a_year_is_near_the_clock() {
    let format = nginx("$at $sender nginx: $status").time("at", "%b %e %T").unwrap();
    let mut parser = format.parser(&["status"]).unwrap();
    let mut record = Record::new();
    parser.parse(b"Nov 21 07:40:22 web1 nginx: 200", &mut record).unwrap();
    let now = crate::clock::unix_now();
    assert!((now - 367 * 86_400..now + 2 * 86_400).contains(&record.seconds()), "{record:?}");
    parser.last_time.set_now(SECONDS);
    parser.parse(b"Nov 21 07:40:22 web1 nginx: 200", &mut record).unwrap();
    assert_eq!(record.seconds(), SECONDS);
    parser.parse(b"Nov 23 00:00:00 web1 nginx: 200", &mut record).unwrap();
    assert_eq!(record.seconds(), 1_795_392_000 - 365 * 86_400, "after tomorrow");
    let rejection = parser.parse(b"Nov 31 00:00:00 web1 nginx: 200", &mut record).unwrap_err();
    assert_eq!(rejection.reason, Reason::Date);
}

#[test]
fn lines_of_windows_are_read_if_the_format_says_so() {
    let line = format!("::1 - - [{TIME}] \"GET / HTTP/1.1\" 200 12\r");
    for (format, line) in [
        (LogFormat::common(), &*line),
        ("apache_common".parse().unwrap(), &line),
        (nginx("$msec $status"), "1.000 200\r"),
        (nginx("$msec $status $http_x"), "1.000 200 x\r"),
        (nginx("$at $status").time("at", "seconds").unwrap(), "1 200\r"),
        (LogFormat::ltsv(), "time:1\tstatus:200\r"),
        (LogFormat::syslog(nginx("$msec $status")), "Nov  3 00:02:37 h n: 1.000 200\r"),
    ] {
        let rejection = (Reason::CarriageReturn, u32::try_from(line.len()).unwrap());
        assert_eq!(reason(&format, line.as_bytes()), Some(rejection), "{line:?}");
        assert_eq!(read(&format.clone().crlf(), &["status"], line.as_bytes()).unwrap(), ["200"], "{line:?}");
        assert_eq!(read(&format.crlf().crlf(), &["status"], line.as_bytes()).unwrap(), ["200"], "{line:?}");
    }
    let json = "{\"time\":1,\"status\":200}\r";
    assert_eq!(read(&LogFormat::json(), &["status"], json.as_bytes()).unwrap(), ["200"]);
    assert_eq!(read(&nginx("escape=none $msec $http_x"), &["http_x"], b"1.000 x\r").unwrap(), ["x\r"]);
}
