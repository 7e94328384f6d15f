//! Lines of nginx formats, whose fields have an order.

use super::*;

fn combined(line: &str) -> Result<Vec<String>, Rejection> {
    let fields = ["remote_addr", "remote_user", "request", "status", "body_bytes_sent", "http_user_agent"];
    read(&LogFormat::combined(), &fields, line.as_bytes())
}

#[test]
fn a_user_name_with_blanks_and_brackets_loses_no_line() {
    for user in
        ["-", "john", "john doe", "a] [b", "- [", "x [10/Oct/2000", "[", " ", "", "x [10/Oct/2000 [", " [ ["]
    {
        let line = format!("127.0.0.1 - {user} [{TIME}] \"GET / HTTP/1.1\" 200 3 \"-\" \"curl\"");
        let expected = ["127.0.0.1", user, "GET / HTTP/1.1", "200", "3", "curl"];
        assert_eq!(combined(&line).unwrap(), expected, "{user:?}");
    }
}

#[test]
fn requests_that_are_none_are_good_lines() {
    let hello = r"\x16\x03\x01\x00\xB5\x01 /x HTTP/1.1";
    for request in [hello, "batman", "", "-", "GET /", "GET /a b HTTP/1.1", r"\x03\x00\x00/*\xE0 [x] 200 5"] {
        let line = format!("::1 - - [{TIME}] \"{request}\" 400 157 \"-\" \"-\"");
        assert_eq!(combined(&line).unwrap()[3..], ["400", "157", "-"], "{request}");
    }
    let line = format!("::1 - - [{TIME}] \"{hello}\" 400 157 \"-\" \"-\"");
    let fields = ["request_method", "uri", "args", "arg_c", "server_protocol"];
    assert_eq!(read(&LogFormat::combined(), &fields, line.as_bytes()).unwrap(), ["-"; 5]);
}

#[test]
fn a_bad_line_says_why_and_where() {
    let good = format!("1.2.3.4 - - [{TIME}] \"GET / HTTP/1.1\" 200 12 \"-\" \"curl\"");
    assert!(combined(&good).is_ok());
    let length = u32::try_from(good.len()).unwrap();
    for (line, expected) in [
        (String::new(), (Reason::Empty, 1)),
        ("1.2.3.4".to_owned(), (Reason::Unterminated, 1)),
        (format!("{good} "), (Reason::Leftover, length + 1)),
        (format!("{good}\r"), (Reason::CarriageReturn, length + 1)),
        (format!("{good}{good}"), (Reason::Leftover, length + 1)),
        (format!("{}{good}", &good[..73]), (Reason::Leftover, 116)),
        (good[7..].to_owned(), (Reason::EmptyField, 1)),
        (format!("x{}", &good[7..]).replace(" - -", " -- -"), (Reason::Literal, 2)),
        (good[..good.len() - 1].to_owned(), (Reason::Unterminated, 71)),
        (good[..50].to_owned(), (Reason::Unterminated, 43)),
        (good.replace("200 12", "200 121.2.3.4"), (Reason::Literal, 68)),
        (good.replace("200 12", "200 "), (Reason::NotANumber, 63)),
        (good.replace("200", "2x0"), (Reason::Literal, 60)),
        (good.replace("200", "+200"), (Reason::NotANumber, 59)),
        (good.replace("21/Nov", "31/Feb"), (Reason::Date, 14)),
        // It is shaped like a time, so the user's name ends there, too.
        (good.replace("21/Nov", "31/Okt"), (Reason::Time, 14)),
        (good.replace("21/Nov", "1/Nov"), (Reason::Time, 14)),
        (good.replace("GET", "say \"GET"), (Reason::Literal, 47)),
    ] {
        assert_eq!(reason(&LogFormat::combined(), line.as_bytes()), Some(expected), "{line}");
    }
}

#[test]
fn a_line_with_a_nul_byte_is_bad_wherever_it_is() {
    let good = format!("1.2.3.4 - - [{TIME}] \"GET / HTTP/1.1\" 200 12 \"-\" \"curl\"");
    let time_last = format!("::1 [{TIME}] x");
    let combined = LogFormat::combined();
    let loose = nginx("$remote_addr [$time_local] $http_x");
    for (format, line) in [
        (&combined, format!("{}{good}", "\0".repeat(500))),
        (&combined, good.replace("1.2.3.4", "1.2\0.3.4")),
        (&combined, good.replace("curl", "curl\0\0")),
        (&combined, format!("{good}\0")),
        (&combined, good.replace("GET", "\0ET")),
        (&combined, "\0".repeat(500)),
        // The line is bad for other reasons, too.
        (&combined, format!("x {}", good.replace("200", "2\x000"))),
        (&loose, format!("{time_last}\0")),
    ] {
        let column = u32::try_from(line.find('\0').unwrap()).unwrap() + 1;
        assert_eq!(reason(format, line.as_bytes()), Some((Reason::Nul, column)), "{line:?}");
    }
    // An escape is not a NUL byte.
    assert_eq!(combined_agent(&good.replace("curl", r"\x00")), Ok("\0".to_owned()));
}

fn combined_agent(line: &str) -> Result<String, Rejection> {
    combined(line).map(|mut fields| fields.remove(5))
}

#[test]
fn a_line_that_begins_with_a_byte_order_mark_is_bad() {
    let good = format!("1.2.3.4 - - [{TIME}] \"GET / HTTP/1.1\" 200 12 \"-\" \"curl\"");
    let marked = Some((Reason::ByteOrderMark, 1));
    assert_eq!(reason(&LogFormat::combined(), format!("\u{feff}{good}").as_bytes()), marked);
    assert_eq!(reason(&LogFormat::combined(), "\u{feff}".as_bytes()), marked);
    assert_eq!(reason(&LogFormat::combined(), "\u{feff}\0".as_bytes()), marked);
    // Elsewhere a byte order mark is text, and so is half of one.
    assert_eq!(combined_agent(&good.replace("curl", "\u{feff}")), Ok("\u{feff}".to_owned()));
    assert!(combined(&format!("\u{fffd}{good}")).is_ok());
}

#[test]
fn every_cut_and_every_glued_line_is_bad() {
    let good = format!("1.2.3.4 - a b [{TIME}] \"GET / HTTP/1.1\" 200 12 \"-\" \"curl\"");
    let mut parser = LogFormat::combined().parser(&["status"]).unwrap();
    let mut record = Record::new();
    for cut in 0..good.len() {
        let head = &good[..cut];
        assert!(parser.parse(head.as_bytes(), &mut record).is_err(), "{head}");
        // The user's name may be anything. If the cut is before its end, the next line up to its time is read as the
        // rest of the name, since nothing distinguishes the two.
        if cut >= good.find(']').unwrap() {
            let glued = format!("{head}{good}");
            assert!(parser.parse(glued.as_bytes(), &mut record).is_err(), "{glued}");
        }
        parser.parse(good.as_bytes(), &mut record).unwrap();
    }
}

/// A full disk takes the first bytes of a line. Once there is room again, the next line is written directly after them.
#[test]
fn of_a_line_cut_by_a_full_disk_and_the_next_one_glued_to_it_no_event_is_made() {
    let line = |client: u8, path: &str| {
        format!("192.0.2.{client} - - [{TIME}] \"GET /{path} HTTP/1.1\" 200 12 \"-\" \"curl\"")
    };
    let (before, cut, glued, behind) =
        (line(1, "before"), line(2, "cut"), line(3, "glued"), line(4, "behind"));
    let fields = ["remote_addr", "remote_user", "uri", "status", "http_user_agent"];
    let parser = LogFormat::combined().parser(&fields).unwrap();
    let limits = LineLimits::default;
    let parsers = [
        BlockParser::new(parser.clone(), Vec::new(), limits()),
        BlockParser::without_fast_path(parser, Vec::new(), limits()),
    ];
    for (mut parser, at) in
        parsers.into_iter().flat_map(|parser| (1..cut.len()).map(move |at| (parser.clone(), at)))
    {
        let block = format!("{before}\n{}{glued}\n{behind}\n", &cut[..at]);
        let mut columns = Columns::new(fields.len(), 0);
        parser.begin(block.as_bytes());
        let (mut rows, mut rejected) = (Vec::new(), 0);
        while parser.read(block.as_bytes(), &mut columns) {
            let text = |column: &Vec<_>, row| {
                String::from_utf8_lossy(columns.text(block.as_bytes(), column[row])).into_owned()
            };
            rows.extend(
                (0..columns.len())
                    .map(|row| columns.fields.iter().map(|column| text(column, row)).collect::<Vec<_>>()),
            );
            rejected += columns.rejected.len();
        }
        rows.sort_by_key(|row| row[2].clone());
        let whole = |client: u8, path: &str| {
            vec![format!("192.0.2.{client}"), "-".into(), path.into(), "200".into(), "curl".into()]
        };
        let (first, last) = (whole(4, "/behind"), whole(1, "/before"));
        if at >= cut.find(" [").unwrap() + " [".len() + TIME.len() {
            assert_eq!((rows, rejected), (vec![last, first], 1), "{block}");
            continue;
        }
        // A line that is cut before the end of its time has lost what it is counted by. The rest of it may be read as
        // an address or a user's name, which may be anything. The event is the second line's, or there is none.
        rows.retain(|row| *row != first && *row != last);
        assert_eq!(rows.len() + rejected, 1, "{block}");
        assert!(rows.iter().all(|row| row[2..] == whole(3, "/glued")[2..]), "{block}");
    }
}

#[test]
fn addresses_lists_and_missing_ports_end_where_they_end() {
    let case = |format: &str, fields: &[&str], line: &str| {
        read(&nginx(format), fields, line.as_bytes()).map_err(|rejection| rejection.reason)
    };
    let strings = |values: &[&str]| Ok(values.iter().map(|value| (*value).to_owned()).collect());
    let port = "$remote_addr:$remote_port $msec";
    assert_eq!(case(port, &["remote_addr", "remote_port"], "::1:5000 1.000"), strings(&["::1", "5000"]));
    assert_eq!(case(port, &["remote_addr", "remote_port"], "unix:: 1.000"), strings(&["unix:", ""]));
    let port = "$msec $remote_addr $remote_port";
    assert_eq!(case(port, &["remote_addr", "remote_port"], "1.000 unix: "), strings(&["unix:", ""]));
    assert_eq!(case(port, &["remote_port"], "1.000 unix: x"), Err(Reason::Leftover));

    let list = "$msec $upstream_response_time $upstream_status";
    let fields = ["upstream_response_time", "upstream_status"];
    assert_eq!(case(list, &fields, "1.000 - -"), strings(&["-", "-"]));
    assert_eq!(
        case(list, &fields, "1.000 0.001, - : 0.002 502, - : 200"),
        strings(&["0.001, - : 0.002", "502, - : 200"])
    );
    for line in [
        "1.000 0.001 502, ",
        "1.000 0.001, 502",
        "1.000 0.1,  0.2 502",
        "1.000 0.1 502 ",
        "1.000 0.1 50 2",
        "1.000  502",
    ] {
        assert!(case(list, &fields, line).is_err(), "{line}");
    }
    let list = "$msec a:$upstream_addr, rt=$upstream_response_time;";
    let fields = ["upstream_addr", "upstream_response_time"];
    assert_eq!(
        case(list, &fields, "1.000 a:[::1]:80, unix:/s, rt=0.1, 0.2;"),
        strings(&["[::1]:80, unix:/s", "0.1, 0.2"])
    );
}

#[test]
fn a_loose_value_ends_where_the_rest_goes_on_as_the_format_does() {
    for (format, field, line, expected) in [
        ("$http_x $status \"$request\" $msec", "http_x", "a 1 b 200 \"GET /\" 1.000", "a 1 b"),
        ("$http_x $status $msec", "http_x", "200 200 200 1.000", "200 200"),
        ("$msec $http_x $status", "http_x", "1.000 1 2 3", "1 2"),
        ("$msec ${duration}ms", "duration", "1.000 12ms5ms", "12ms5"),
        ("$msec $http_x", "http_x", "1.000 anything at all", "anything at all"),
        (
            "$msec $remote_user $host [$time_local]",
            "remote_user",
            "1.000 a b h [21/Nov/2026:13:25:22 +0545]",
            "a b",
        ),
        ("escape=none $msec \"$http_x\" $status", "http_x", "1.000 \"a\" b\" 200", "a\" b"),
    ] {
        assert_eq!(
            read(&nginx(format), &[field], line.as_bytes()).as_deref(),
            Ok(&[expected.to_owned()][..]),
            "{format}: {line}"
        );
    }
}

#[test]
fn escapes_are_undone_as_the_format_says() {
    let body = r#"{"t":$msec,"u":"$http_user_agent","rt":$upstream_response_time,"n":"$request_time"}"#;
    let fields = ["http_user_agent", "upstream_response_time", "request_time"];
    let json = nginx(&format!("escape=json {body}"));
    let line = r#"{"t":1.000,"u":"say \"hi\" \\ \u0001é","rt":,"n":"0.301"}"#;
    assert_eq!(read(&json, &fields, line.as_bytes()).unwrap(), ["say \"hi\" \\ \u{1}é", "", "0.301"]);
    let line = r#"{"t":1.000,"u":"","rt":0.000, 0.000,"n":"0.301"}"#;
    assert_eq!(read(&json, &fields, line.as_bytes()).unwrap(), ["", "0.000, 0.000", "0.301"]);
    let line = r#"{"t":1.000,"u":"\x22\x5C é","rt":-,"n":"0.301"}"#;
    assert_eq!(read(&nginx(body), &fields, line.as_bytes()).unwrap(), ["\"\\ é", "-", "0.301"]);
    let line = r#"{"t":1.000,"u":"\x22","rt":-,"n":"0.301"}"#;
    assert_eq!(
        read(&nginx(&format!("escape=none {body}")), &fields, line.as_bytes()).unwrap(),
        ["\\x22", "-", "0.301"]
    );
}

#[test]
fn fields_are_derived_from_the_best_variable_there_is() {
    let request = r#""GET http://h/a%20b/../c?C=1%2B+2&t=\x22&c=3 HTTP/1.1""#;
    let fields = [
        "request_method",
        "request_uri",
        "uri",
        "args",
        "query_string",
        "arg_c",
        "arg_T",
        "arg_x",
        "server_protocol",
    ];
    let expected = [
        "GET",
        "/a%20b/../c?C=1%2B+2&t=\"&c=3",
        "/c",
        "C=1%2B+2&t=\"&c=3",
        "C=1%2B+2&t=\"&c=3",
        "1+ 2",
        "\"",
        "-",
        "HTTP/1.1",
    ];
    let line = format!("1.000 {request}");
    assert_eq!(read(&nginx(r#"$msec "$request""#), &fields, line.as_bytes()).unwrap(), expected);

    let format = nginx(r#"$msec "$request" "$args" "$uri" "$arg_d""#);
    let line = r#"1.000 "GET /x?c=old HTTP/1.1" "added=1&c=new" "/internal/p q" "%41%zz""#;
    let fields = ["arg_c", "args", "uri", "document_uri", "arg_d", "request_uri"];
    let expected = ["new", "added=1&c=new", "/internal/p q", "/internal/p q", "A%zz", "/x?c=old"];
    assert_eq!(read(&format, &fields, line.as_bytes()).unwrap(), expected);

    let fields = ["uri", "args", "arg_c"];
    let line = b"1.000 /a%2Fb//c?x=1&C=%zz+#f c=2";
    assert_eq!(read(&nginx("$msec $request_uri"), &fields, line).unwrap(), ["/a/b/c", "x=1&C=%zz+", "%zz "]);
    assert_eq!(read(&nginx("$msec $request_uri"), &fields, b"1.000 -").unwrap(), ["-", "-", "-"]);
    assert_eq!(read(&nginx("$msec $query_string"), &fields[1..], b"1.000 C=1").unwrap(), ["C=1", "1"]);

    let line = r#"1.000 "GET /e? HTTP/1.1" "-" "/e" "-""#;
    assert_eq!(read(&format, &["arg_c", "args", "arg_d"], line.as_bytes()).unwrap(), ["-", "-", "-"]);
}

#[test]
fn a_record_tells_the_column_that_a_value_comes_from() {
    let format = nginx(r#"$msec "$request""#);
    let mut parser = format.parser(&["request", "arg_a", "arg_b", "arg_c"]).unwrap();
    let line = br#"1.000 "GET /?a=1&b=%31 HTTP/1.1""#;
    let mut record = Record::new();
    parser.parse(line, &mut record).unwrap();
    assert_eq!([0, 1, 2, 3].map(|index| record.column(index)), [8, 16, 20, 1]);
}

#[test]
fn hostile_lines_take_linear_time() {
    let formats = [
        LogFormat::combined(),
        nginx("$http_a-$status-$http_b-$msec"),
        nginx("$http_x 1$status 2$status $host $msec"),
        nginx("$host-$server_name-$upstream_addr;$msec"),
        LogFormat::json(),
        LogFormat::ltsv(),
    ];
    // Each line has a mebibyte: anything quadratic would take minutes.
    for pattern in
        [" [", "-1", "1", " 1 2", "- - - [", "[[[[", "{\"a\":", "a:\t", "\\", "\"", " : ", ", ", "\"\\"]
    {
        let line = pattern.repeat((1 << 20) / pattern.len());
        for format in &formats {
            let _ = reason(format, line.as_bytes());
            let _ = reason(format, format!("1 - {line}").as_bytes());
        }
    }
}

#[test]
fn the_day_of_a_syslog_header_may_be_padded() {
    let format = nginx("$month $day $clock $sender nginx: $msec $status");
    for (line, expected) in [
        ("Nov 28 10:00:02 web1 nginx: 1.000 200", Ok(["Nov", "28", "10:00:02", "web1", "200"])),
        ("Nov  3 10:00:02 web1 nginx: 1.000 200", Ok(["Nov", "3", "10:00:02", "web1", "200"])),
        // It is no time of syslog.
        ("Nov  x 10:00:02 web1 nginx: 1.000 200", Ok(["Nov", "", "x", "10:00:02 web1", "200"])),
        ("Nov  3 10:00:02 nginx: 1.000 200", Err((Reason::Unterminated, 17))),
    ] {
        let with_priority = nginx("<$priority>$month $day $clock $sender nginx: $msec $status");
        let other = read(
            &with_priority,
            &["month", "day", "clock", "sender", "status"],
            format!("<190>{line}").as_bytes(),
        );
        let other = other.map_err(|rejection| (rejection.reason, rejection.column - 5));
        assert_eq!(other, expected.map(|fields| fields.map(str::to_owned).to_vec()), "{line}");
        let fields = ["month", "day", "clock", "sender", "status"];
        let found = read(&format, &fields, line.as_bytes());
        let found = found.map_err(|rejection| (rejection.reason, rejection.column));
        assert_eq!(found, expected.map(|fields| fields.map(str::to_owned).to_vec()), "{line}");
    }
}

#[test]
fn a_date_and_a_time_side_by_side_are_the_time() {
    for format in ["$host $date $time $status", "$host\t$date\t$time\t$status"] {
        let line =
            if format.contains('\t') { "h\t2026-11-21\t07:40:22\t200" } else { "h 2026-11-21 07:40:22 200" };
        let mut record = Record::new();
        nginx(format).parser(&["status"]).unwrap().parse(line.as_bytes(), &mut record).unwrap();
        assert_eq!((record.seconds(), record.field(0, line.as_bytes())), (SECONDS, &b"200"[..]));
        assert!(reason(&nginx(format), b"#Fields: date time status").is_some());
    }
    // Another time, or none that is certain.
    assert_eq!(
        read(&nginx("$date $time $msec"), &["date", "time"], b"a b 1795246822.000").unwrap(),
        ["a", "b"]
    );
    assert!(matches!(nginx("$date, $time").parser(&["date"]), Err(FormatError::NoTime)));
    let named = nginx("$date $time $at").time("at", "epoch").unwrap();
    assert_eq!(read(&named, &["date"], b"a b 1795246822").unwrap(), ["a"]);
}

#[test]
fn clients_move_no_values_that_are_certain() {
    let format = nginx("$msec|$request|$status|$remote_addr|$http_x|$host|$bytes_sent|$id");
    let fields = ["request", "status", "http_x", "host", "bytes_sent"];
    for (line, expected) in [
        ("1.000|GET /a HTTP/1.1|200|::1|x|h|4|i", ["GET /a HTTP/1.1", "200", "x", "h", "4"]),
        ("1.000|GET /a|200|- HTTP/1.1|404|::1|x|h|4|i", ["GET /a|200|- HTTP/1.1", "404", "x", "h", "4"]),
        (
            "1.000|GET /a HTTP/1.1|404|::1|x HTTP/1.1|200|::1|h|4|i",
            ["GET /a HTTP/1.1", "404", "x HTTP/1.1|200|::1", "h", "4"],
        ),
        ("1.000|GET /a HTTP/1.1|404|::1|x|h|9|y|h|4|i", ["GET /a HTTP/1.1", "404", "x|h|9|y", "h", "4"]),
        ("1.000|GET /a|400|::1|-|-|4|i", ["GET /a", "400", "-", "-", "4"]),
    ] {
        assert_eq!(read(&format, &fields, line.as_bytes()).unwrap(), expected, "{line}");
    }
    let wide = nginx("$msec | $http_x | $status | $id");
    let found = read(&wide, &["http_x", "status", "id"], b"1.000 | x | 200 |y | 404 | i|j").unwrap();
    assert_eq!(found, ["x | 200 |y", "404", "i|j"]);
    let blanks = nginx("$msec $http_x $status $bytes_sent");
    let found = read(&blanks, &["http_x", "status"], b"1.000 x 200 7 404 4").unwrap();
    assert_eq!(found, ["x 200 7", "404"]);
}

#[test]
fn a_format_is_forgeable_if_a_client_can_write_what_ends_its_value() {
    for (format, forgeable) in [
        ("combined", None),
        ("common", None),
        ("haproxy_http", None),
        ("aws_alb", None),
        ("ingress_nginx", Some("req_id")),
        ("$msec\t$request\t$http_x\t$status", None),
        ("$msec|$status|$http_x", None),
        ("$msec|$http_x|$status", None),
        ("$msec|$request|$status|$http_x|$host", Some("request")),
        ("$msec $http_x, $status", Some("http_x")),
        ("$remote_user [$time_local] $status", None),
        ("$remote_user [$status] $time_local", Some("remote_user")),
        ("$remote_user [$msec] $status", Some("remote_user")),
        ("$remote_addr|$remote_user|$msec|$status|$request", Some("remote_user")),
        ("$time_iso8601,$host,$status,$upstream_cache_status", Some("host")),
        ("$time_iso8601 $host $status $upstream_cache_status", None),
        ("$time_iso8601\t$host\t$status", None),
        ("$msec|$request|$status|$host", Some("host")),
        ("$msec|$request|$status|$content_type", Some("request")),
        ("$msec $content_type $status $body_bytes_sent $backend_name", Some("content_type")),
        ("$msec $status $upstream_response_time $http_x", Some("http_x")),
        ("$msec $status $upstream_response_time \"$http_x\"", None),
        ("$msec $status $upstream_response_time $backend_name", None),
        ("escape=none $msec $status", Some("escape=none")),
        ("cri:$msec|$request|$status|$http_x", Some("request")),
    ] {
        let found = format.parse::<LogFormat>().unwrap().forgery();
        let is_it = forgeable.is_none_or(|name| found.as_ref().is_some_and(|found| found.contains(name)));
        assert!(is_it && found.is_some() == forgeable.is_some(), "{format}: {found:?}");
    }
}
