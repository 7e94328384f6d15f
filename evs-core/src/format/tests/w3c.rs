//! The extended log file format of the W3C.

use super::*;

/// The first lines of a log of IIS, from its documentation.
const IIS: &str = "#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2026-11-28 10:00:01
#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status sc-substatus sc-win32-status time-taken
";
/// A line of it.
const IIS_LINE: &str = "2026-11-28 10:00:01 198.51.100.48 GET /website/example c=%31&d=2 80 - 192.0.2.1 Trader/316+(X11) 200 0 0 36\n";

/// The fields of the lines of a log and their times, or the reasons why they are rejected.
fn lines(fields: &[&str], log: &str) -> Vec<Result<(i64, Vec<String>), Reason>> {
    let mut parser = LogFormat::w3c().parser(fields).unwrap();
    let mut record = Record::new();
    let mut found = Vec::new();
    for line in log.split_terminator('\n').map(str::as_bytes) {
        let text = |record: &Record, at| String::from_utf8_lossy(record.field(at, line)).into_owned();
        match parser.parse(line, &mut record) {
            Err(Rejection { reason: Reason::Directive, .. }) => {}
            Err(rejection) => found.push(Err(rejection.reason)),
            Ok(()) => {
                let values = (0..fields.len()).map(|at| text(&record, at)).collect();
                found.push(Ok((record.seconds(), values)));
            }
        }
    }
    found
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn lines_of_iis_are_read_by_their_names_and_by_those_of_nginx() {
    let fields =
        ["cs-uri-stem", "uri", "arg_c", "remote_user", "cs(User-Agent)", "http_user_agent", "time-taken"];
    let agent = "Trader/316+(X11)";
    let expected = strings(&["/website/example", "/website/example", "1", "-", agent, agent, "36"]);
    let log = [IIS, IIS_LINE].concat();
    assert_eq!(lines(&fields, &log), [Ok((1_795_860_001, expected.clone()))]);
    assert_eq!(lines(&fields, &log.replace('\n', "\r\n")), [Ok((1_795_860_001, expected))]);
}

#[test]
fn lines_of_cloudfront_have_tabs_and_percent_encoded_headers() {
    // https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html
    let log = "#Version: 1.0
#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query
2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index%20a.html\t200\t-\tMozilla/5.0%20(Windows%20NT+10%25)\tc=a%2520b
";
    let fields = ["x_edge_location", "http_host", "http_user_agent", "bytes_sent", "uri", "arg_c"];
    let agent = "Mozilla/5.0 (Windows NT+10%)";
    let values =
        strings(&["LAX1", "d111111abcdef8.cloudfront.net", agent, "392", "/index%20a.html", "a%20b"]);
    assert_eq!(lines(&fields, log), [Ok((1_575_493_351, values))]);
}

#[test]
fn the_last_fields_line_holds_and_without_one_no_line_is_read() {
    let log = "2026-11-28 10:00:01 200
#Fields: date time sc-status
2026-11-28 10:00:02 200
2026-11-28 10:00:02 200 5
2026-11-28 10:00:02
#Remark: sc-bytes is new
#Fields: sc-bytes date time sc-status
7 2026-11-28 10:00:03 404
#Fields: date sc-status
2026-11-28 200
#Fields:
2026-11-28 200
#Fields: timestamp sc-status
1795860004\t200
";
    let read = |seconds, values: &[&str]| Ok((seconds, strings(values)));
    assert_eq!(
        lines(&["status", "sc-bytes"], log),
        [
            Err(Reason::NoFields),
            read(1_795_860_002, &["200", "-"]),
            Err(Reason::Leftover),
            Err(Reason::Literal),
            read(1_795_860_003, &["404", "7"]),
            Err(Reason::NoTime),
            Err(Reason::NoFields),
            read(1_795_860_004, &["200", "-"]),
        ]
    );
    let format = LogFormat::w3c().utc_offset_minutes(60);
    let mut parser = format.parser::<&str>(&[]).unwrap();
    let mut record = Record::new();
    parser.parse(b"#Fields: date time", &mut record).unwrap_err();
    parser.parse(b"2026-11-28 10:00:02", &mut record).unwrap();
    assert_eq!(record.seconds(), 1_795_856_402);
}

#[test]
fn what_a_client_sends_is_no_delimiter_of_another_kind() {
    let log = "#Fields: date time cs-uri-stem cs(User-Agent) sc-status
2026-11-28 10:00:02 /a\tb c\td 200
2026-11-28\t10:00:02\t/a b\tc\\x20\"d\t200
2026-11-28 10:00:02 /a b c 200
2026-11-28 10:00:02  c 200
";
    let read = |values: &[&str]| Ok((1_795_860_002, strings(values)));
    assert_eq!(
        lines(&["uri", "http_user_agent", "status"], log),
        [
            read(&["/a\tb", "c\td", "200"]),
            read(&["/a b", "c\\x20\"d", "200"]),
            Err(Reason::NotANumber),
            Err(Reason::EmptyField),
        ]
    );
}

#[test]
fn a_value_in_quotes_may_have_delimiters_and_doubled_quotes() {
    let log = "#Fields: date time cs-uri-stem cs(User-Agent) x-note sc-status
2026-11-28 10:00:02 /a \"Mozilla/5.0 (X11; Linux)\" - 200
2026-11-28 10:00:02 \"/a b\" \"say \"\"x y\"\"\" \"\" 200
2026-11-28 10:00:02 /a \"curl\" \"a\"\"\"\"b\" 200
2026-11-28\t10:00:02\t/a\t\"a\tb\"\t\"c d\"\t200
2026-11-28 10:00:02 /a \"Mozilla/5.0 (X11; Linux) - 200
2026-11-28 10:00:02 /a \"Mozilla/5.0 (X11;\" Linux) - 200
2026-11-28 10:00:02 /a \"a b\"c - 200
";
    let read = |values: &[&str]| Ok((1_795_860_002, strings(values)));
    let expected = [
        read(&["/a", "Mozilla/5.0 (X11; Linux)", "-", "200"]),
        read(&["/a b", "say \"x y\"", "", "200"]),
        read(&["/a", "curl", "a\"\"b", "200"]),
        read(&["/a", "a\tb", "c d", "200"]),
        Err(Reason::Unterminated),
        Err(Reason::Leftover),
        Err(Reason::Literal),
    ];
    let fields = ["uri", "http_user_agent", "x-note", "status"];
    assert_eq!(lines(&fields, log), expected);
    assert_eq!(lines(&fields, &log.replace('\n', "\r\n")), expected);
}

/// IIS writes quotes as they come, and a client sends as many as it likes.
#[test]
fn quotes_of_clients_move_no_value_of_a_line_without_delimiters_in_values() {
    let log = "#Fields: date time cs(User-Agent) cs(Referer) cs-uri-stem sc-status
2026-11-28 10:00:02 \"a b\" /c 200
2026-11-28 10:00:02 \" \" \" 200
2026-11-28 10:00:02 a\"b \"\"c\" /c 200
2026-11-28 10:00:02 \"a\"b\" \" \"/c 200
2026-11-28 10:00:02 \"a\" \"b /c 200
";
    let read = |values: &[&str]| Ok((1_795_860_002, strings(values)));
    assert_eq!(
        lines(&["http_user_agent", "http_referer", "uri", "status"], log),
        [
            read(&["\"a", "b\"", "/c", "200"]),
            read(&["\"", "\"", "\"", "200"]),
            read(&["a\"b", "\"\"c\"", "/c", "200"]),
            read(&["\"a\"b\"", "\"", "\"/c", "200"]),
            read(&["a", "\"b", "/c", "200"]),
        ]
    );
}

#[test]
fn a_log_of_iis_and_one_of_cloudfront_have_a_fast_path() {
    let tabs = IIS.replace("s-ip", "x-edge-location") + &IIS_LINE.replace(' ', "\t");
    for log in [[IIS, IIS_LINE].concat(), [IIS, IIS_LINE].concat().replace('\n', "\r\n"), tabs] {
        let fields = ["uri", "arg_c", "http_user_agent", "missing", "status", "time_taken"];
        assert_eq!(agreement::assert_agreement("w3c", &fields, &[log.as_bytes()]), Ok(true), "{log}");
    }
}

#[test]
fn a_time_may_have_a_fraction() {
    let mut parser = LogFormat::w3c().parser(&["status"]).unwrap();
    let mut record = Record::new();
    let _ = parser.parse(b"#Fields: date time sc-status", &mut record);
    for (line, expected) in [
        ("2026-11-21 07:40:22 200", Ok(SECONDS)),
        ("2026-11-21 07:40:22.7 200", Ok(SECONDS)),
        ("2026-11-21 07:40:22.707001 200", Ok(SECONDS)),
        ("2026-11-21 07:40:22. 200", Err(Reason::Literal)),
        ("2026-11-21 07:40:22,7 200", Err(Reason::Literal)),
    ] {
        let read = parser.parse(line.as_bytes(), &mut record).map(|()| record.seconds());
        assert_eq!(read.map_err(|rejection| rejection.reason), expected, "{line}");
    }
}

#[test]
fn another_field_may_hold_the_time() {
    let format = LogFormat::w3c().time("x-time", "milliseconds").unwrap();
    let mut parser = format.parser(&["sc-status"]).unwrap();
    let mut record = Record::new();
    parser.parse(b"#Fields: date time x-time sc-status", &mut record).unwrap_err();
    let line = b"2026-11-21 07:40:22 1000 200";
    parser.parse(line, &mut record).unwrap();
    assert_eq!((record.seconds(), record.field(0, line)), (1, &b"200"[..]));
    parser.parse(b"#Fields: date time sc-status", &mut record).unwrap_err();
    assert_eq!(parser.parse(b"2026-11-21 07:40:22 200", &mut record).unwrap_err().reason, Reason::NoTime);
    let error = LogFormat::w3c().time_key("x-time").parser::<&str>(&[]).unwrap_err();
    assert_eq!(error, FormatError::NoTimeShape { field: "x-time".to_owned() });
}
