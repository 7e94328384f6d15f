use std::{fs, path::Path};

use proptest::prelude::*;

use super::*;
use crate::number::decimal;

const TIME: &str = "21/Nov/2026:13:25:22 +0545";
const SECONDS: i64 = 1_795_246_822;

/// The fields of one line, as text, or why it is bad.
fn read(format: &LogFormat, fields: &[&str], line: &[u8]) -> Result<Vec<String>, Rejection> {
    let mut parser = format.parser(fields).unwrap();
    let mut record = Record::new();
    parser.parse(line, &mut record)?;
    let text = |index| String::from_utf8_lossy(record.field(index, line)).into_owned();
    Ok((0..fields.len()).map(text).collect())
}

fn nginx(format: &str) -> LogFormat {
    LogFormat::nginx(format).unwrap()
}

fn reason(format: &LogFormat, line: &[u8]) -> Option<(Reason, u32)> {
    read(format, &[], line).err().map(|rejection| (rejection.reason, rejection.column))
}

mod formats {
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
            ("$status", FormatError::NoTime),
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
}

mod lines {
    use super::*;

    fn combined(line: &str) -> Result<Vec<String>, Rejection> {
        let fields =
            ["remote_addr", "remote_user", "request", "status", "body_bytes_sent", "http_user_agent"];
        read(&LogFormat::combined(), &fields, line.as_bytes())
    }

    #[test]
    fn a_user_name_with_blanks_and_brackets_loses_no_line() {
        for user in [
            "-",
            "john",
            "john doe",
            "a] [b",
            "- [",
            "x [10/Oct/2000",
            "[",
            " ",
            "",
            "x [10/Oct/2000 [",
            " [ [",
        ] {
            let line = format!("127.0.0.1 - {user} [{TIME}] \"GET / HTTP/1.1\" 200 3 \"-\" \"curl\"");
            let expected = ["127.0.0.1", user, "GET / HTTP/1.1", "200", "3", "curl"];
            assert_eq!(combined(&line).unwrap(), expected, "{user:?}");
        }
    }

    #[test]
    fn requests_that_are_none_are_good_lines() {
        let hello = r"\x16\x03\x01\x00\xB5\x01 /x HTTP/1.1";
        for request in
            [hello, "batman", "", "-", "GET /", "GET /a b HTTP/1.1", r"\x03\x00\x00/*\xE0 [x] 200 5"]
        {
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
            (format!("{good}\r"), (Reason::Leftover, length + 1)),
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
            // Shaped like a time, so that the user's name ends there all the same.
            (good.replace("21/Nov", "31/Okt"), (Reason::Time, 14)),
            (good.replace("21/Nov", "1/Nov"), (Reason::Unterminated, 11)),
            (good.replace("GET", "say \\\"GET"), (Reason::Literal, 48)),
        ] {
            assert_eq!(reason(&LogFormat::combined(), line.as_bytes()), Some(expected), "{line}");
        }
    }

    #[test]
    fn every_cut_and_every_glued_line_is_bad() {
        let good = format!("1.2.3.4 - a b [{TIME}] \"GET / HTTP/1.1\" 200 12 \"-\" \"curl\"");
        let mut parser = LogFormat::combined().parser(&["status"]).unwrap();
        let mut record = Record::new();
        for cut in 0..good.len() {
            let head = &good[..cut];
            assert!(parser.parse(head.as_bytes(), &mut record).is_err(), "{head}");
            // The user's name may hold anything. If the cut is before its end, the next line up to its
            // time is taken as the rest of the name, and there is nothing to tell them apart by.
            if cut >= good.find(']').unwrap() {
                let glued = format!("{head}{good}");
                assert!(parser.parse(glued.as_bytes(), &mut record).is_err(), "{glued}");
            }
            parser.parse(good.as_bytes(), &mut record).unwrap();
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
        assert_eq!(
            read(&nginx("$msec $request_uri"), &fields, line).unwrap(),
            ["/a/b/c", "x=1&C=%zz+", "%zz "]
        );
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
        // A mebibyte each: anything quadratic would take minutes.
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
}

mod keyed {
    use super::*;

    fn json(fields: &[&str], line: &str) -> Result<Vec<String>, Reason> {
        read(&LogFormat::json(), fields, line.as_bytes()).map_err(|rejection| rejection.reason)
    }

    #[test]
    fn json_values_are_found_by_path() {
        let line = r#" {"time":"2026-11-21T13:25:22+05:45","a":{"b":{"c":1.0e2}},"x.y":2,"x":{"y":3,"z":[1,{"y":4}]},
            "s":"\u00e9\n\"","t":true,"n":null,"big":9007199254740993,"a":5, "e":{} } "#;
        let fields = ["a.b.c", "a.b", "a", "x.y", "x.z", "s", "t", "n", "big", "e", "missing", "x.z.y"];
        let expected = [
            "1.0e2",
            "{\"c\":1.0e2}",
            "{\"b\":{\"c\":1.0e2}}",
            "2",
            "[1,{\"y\":4}]",
            "é\n\"",
            "true",
            "-",
            "9007199254740993",
            "{}",
            "-",
            "-",
        ];
        assert_eq!(json(&fields, line).unwrap(), expected);
    }

    #[test]
    fn json_that_is_not_one_whole_object_is_refused() {
        let deep = |depth: usize| format!(r#"{{"time":1,"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(json(&[], &deep(127)).is_ok());
        assert_eq!(json(&[], &deep(128)), Err(Reason::JsonDepth));
        assert_eq!(json(&[], &"[".repeat(100_000)), Err(Reason::Json));
        assert_eq!(json(&[], &r#"{"a":"#.repeat(100_000)), Err(Reason::JsonDepth));
        for (line, expected) in [
            ("{}", Reason::NoTime),
            (r#"{"time":null}"#, Reason::NoTime),
            (r#"{"time":true}"#, Reason::Time),
            (r#"{"time":1e400}"#, Reason::Time),
            (r#"{"time":1795246822000}"#, Reason::Date),
            (r#"{"time":1,}"#, Reason::Json),
            (r#"{"time":1"#, Reason::Json),
            (r#"{"time":1}}"#, Reason::Leftover),
            (r#"{"time":1}{"time":1}"#, Reason::Leftover),
            (r#"{"time":1,"x":,"y":2}"#, Reason::Json),
            (r#"{"time":01}"#, Reason::Json),
            (r#"{"time":1.}"#, Reason::Json),
            (r#"{"time":1 2}"#, Reason::Json),
            (r#"{"time":1,"a":[1,]}"#, Reason::Json),
            (r#"{"time":1,"a":[1}}"#, Reason::Json),
            (r#"{"time":1,"a":tru}"#, Reason::Json),
            (r#"{"time":1,a:2}"#, Reason::Json),
            (r#"{"time" 1}"#, Reason::Json),
            (r#"{,"time":1}"#, Reason::Json),
            (r#"{"time":1,"a":"\x22"}"#, Reason::JsonString),
            (r#"{"time":1,"a":"\ud800"}"#, Reason::JsonString),
            (r#"{"time":1,"a":"\u12"}"#, Reason::JsonString),
            ("{\"time\":1,\"a\":\"\t\"}", Reason::JsonString),
            (r#"{"time":1,"a":"b}"#, Reason::Unterminated),
            ("[1]", Reason::Json),
            ("nul", Reason::Json),
            ("", Reason::Empty),
        ] {
            assert_eq!(json(&[], line), Err(expected), "{line}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept() {
        let line = b"{\"time\":1,\"a\":\"\xff\\u0000\xc0\xaf\"}";
        let mut record = Record::new();
        LogFormat::json().parser(&["a"]).unwrap().parse(line, &mut record).unwrap();
        assert_eq!(record.field(0, line), b"\xff\0\xc0\xaf");
    }

    #[test]
    fn the_time_is_the_named_key_or_the_first_known_one() {
        let seconds = |format: LogFormat, line: &str| {
            let mut record = Record::new();
            format.parser::<&str>(&[]).unwrap().parse(line.as_bytes(), &mut record).map(|()| record.seconds())
        };
        let line = r#"{"timestamp":1,"time":2,"msec":"3.5","when":{"at":"4"},"time_local":null}"#;
        assert_eq!(seconds(LogFormat::json(), line), Ok(3));
        assert_eq!(seconds(LogFormat::json().time_key("when.at"), line), Ok(4));
        assert_eq!(seconds(LogFormat::json().time_key("x"), line).unwrap_err().reason, Reason::NoTime);
        let line = r#"{"time":"21\/Nov\/2026:13:25:22 +0545"}"#;
        assert_eq!(seconds(LogFormat::json(), line), Ok(SECONDS));
        assert_eq!(seconds(LogFormat::ltsv(), "a:b\ttime:21/Nov/2026:13:25:22 +0545"), Ok(SECONDS));
        assert_eq!(seconds(LogFormat::ltsv().time_key("t"), "t:5\ttime:6"), Ok(5));
    }

    #[test]
    fn fields_are_derived_from_the_keys_that_a_line_has() {
        let fields = ["arg_c", "uri", "args", "request_method"];
        for (line, expected) in [
            (r#"{"time":1,"request":"POST /a%20b?c=%31 HTTP/1.1"}"#, ["1", "/a b", "c=%31", "POST"]),
            (r#"{"time":1,"request_uri":"/a/./b?c=1"}"#, ["1", "/a/b", "c=1", "-"]),
            (r#"{"time":1,"uri":"/a?c=1","method":"GET"}"#, ["1", "/a?c=1", "c=1", "-"]),
            (r#"{"time":1,"args":"c=2","request":"GET /?c=1 HTTP/1.1"}"#, ["2", "/", "c=2", "GET"]),
            (r#"{"time":1,"arg_c":"%41","request":"GET /?c=1 HTTP/1.1"}"#, ["A", "/", "c=1", "GET"]),
            (r#"{"time":1,"arg_c":null,"request":"GET \/?c=\u0031"}"#, ["1", "/", "c=1", "GET"]),
            (r#"{"time":1}"#, ["-", "-", "-", "-"]),
        ] {
            assert_eq!(json(&fields, line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn ltsv_lines_are_labels_and_values() {
        let ltsv = |line: &str| read(&LogFormat::ltsv(), &["a", "b", "arg_c"], line.as_bytes());
        let strings = |values: [&str; 3]| Ok(values.map(str::to_owned).to_vec());
        assert_eq!(ltsv("time:1\ta:x:y z\tb:\ta:2\turi:/?c=%20"), strings(["x:y z", "", " "]));
        assert_eq!(ltsv("time:1"), strings(["-", "-", "-"]));
        for line in ["time:1\t", "time:1\ta", "time:1\t\ta:1", "time:1\t:x", "time"] {
            assert_eq!(ltsv(line).unwrap_err().reason, Reason::Label, "{line:?}");
        }
    }

    /// Whatever JSON may be made of, and bits of it out of place.
    fn json_like() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
            "-?[0-9]{0,3}\\.?[0-9]{0,2}[eE]?[+-]?",
            r#""([a-z\\"é/]|\\[nrtbfux"/\\]|\\u[0-9a-fA-F]{4}|\\ud8[0-9]{2}\\ud[cd][0-9]{2}){0,4}""#,
        ];
        let tree = leaf.prop_recursive(4, 24, 4, |inner| {
            let pair = (r#""[a-z.]{0,2}""#, inner.clone()).prop_map(|(key, value)| format!("{key} :{value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|items| format!("[ {}]", items.join(", "))),
                prop::collection::vec(pair, 0..4).prop_map(|pairs| format!("{{{} }}", pairs.join(","))),
            ]
        });
        let damage = prop_oneof![4 => Just(None), 1 => any::<(prop::sample::Index, char)>().prop_map(Some)];
        (tree, damage).prop_map(|(tree, damage)| {
            let mut text = format!("{{\"time\":1,\"v\":{tree}}}");
            if let Some((index, c)) = damage {
                let at = index.index(text.len());
                if text.is_char_boundary(at) {
                    text.insert(at, c);
                }
            }
            text
        })
    }

    /// Lines with few keys, in few orders, as a parser remembers them from one line to the next.
    fn json_of_few_keys() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec![
            r#""a":"#,
            r#""a" :"#,
            r#""b":"#,
            r#""a.b":"#,
            r#""\u0061":"#,
            r#""ab":"#,
            r#""":"#,
            r#""a":{"b":"#,
            r#""a":{"a":{"b":"#,
            r#""b":["#,
        ]);
        let value = prop_oneof!["[0-9]", "\"[xy]{0,2}\"", Just("{\"b\":7}".to_owned())];
        let closing = |c| match c {
            '{' => Some('}'),
            '[' => Some(']'),
            _ => None,
        };
        let pair = (key, value).prop_map(move |(key, value)| {
            let behind = key.chars().rev().filter_map(closing).collect::<String>();
            format!("{key}{value}{behind},")
        });
        prop::collection::vec(pair, 0..5).prop_map(|pairs| format!("{{{}\"time\":1}}", pairs.concat()))
    }

    proptest! {
        #[test]
        fn what_json_lines_were_before_changes_nothing(
            lines in prop::collection::vec(json_of_few_keys(), 1..12),
        ) {
            let (format, fields) = (LogFormat::json(), ["a", "b", "a.b", "a.a.b", ""]);
            let mut parser = format.parser(&fields).unwrap();
            let mut record = Record::new();
            for line in &lines {
                parser.parse(line.as_bytes(), &mut record).unwrap();
                let text = |field| String::from_utf8_lossy(record.field(field, line.as_bytes())).into_owned();
                let found: Vec<_> = (0..fields.len()).map(text).collect();
                prop_assert_eq!(found, read(&format, &fields, line.as_bytes()).unwrap(), "{}", line);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        // No difference is allowed here. Outside of what is generated there is one: serde_json refuses
        // numbers beyond the range of a float, which are kept as text here.
        #[test]
        fn json_is_valid_when_serde_says_so(text in json_like()) {
            let valid = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
            let found = read(&LogFormat::json().time_key("time"), &["v"], text.as_bytes());
            let readable = match &found {
                // The damage may have hit the time.
                Err(rejection) => matches!(rejection.reason, Reason::NoTime | Reason::Time | Reason::Date),
                Ok(_) => true,
            };
            prop_assert_eq!(readable, valid.is_ok(), "{:?} {:?}", found, valid);
            if let (Ok(found), Ok(valid)) = (&found, &valid)
                && let Some(value) = valid.get("v")
                && text.matches("\"v\"").count() == 1
            {
                match value {
                    serde_json::Value::String(expected) => prop_assert_eq!(&found[0], expected),
                    serde_json::Value::Null => prop_assert_eq!(&found[0], "-"),
                    _ => prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&found[0]).unwrap(), value),
                }
            }
        }
    }
}

mod samples {
    use super::*;

    /// (lines, good ones, the sum of body_bytes_sent, lines of each status), as their README has them.
    fn totals(file: &str, format: &str) -> (usize, usize, i64, Vec<(String, usize)>) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/samples").join(file);
        let bytes = fs::read(path).unwrap();
        let mut parser = format.parse::<LogFormat>().unwrap().parser(&["status", "body_bytes_sent"]).unwrap();
        let mut record = Record::new();
        let (mut lines, mut good, mut sum) = (0, 0, 0);
        let mut statuses = std::collections::BTreeMap::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n")) {
            lines += 1;
            if parser.parse(line, &mut record).is_ok() {
                good += 1;
                sum += decimal(record.field(1, line), 0).unwrap().unwrap_or(0);
                *statuses.entry(String::from_utf8_lossy(record.field(0, line)).into_owned()).or_insert(0) +=
                    1;
            }
        }
        (lines, good, sum, statuses.into_iter().collect())
    }

    #[test]
    fn give_the_counts_and_sums_of_their_readme() {
        let forwarded = format!("{COMBINED} \"$http_x_forwarded_for\"");
        let timed = format!("{forwarded} $request_time");
        let traefik = format!("{COMBINED} $requests \"$router\" \"$server\" ${{duration}}ms");
        let extended = format!("{COMMON} $request_length \"$http_referer\" \"$http_user_agent\"");
        let thumbnails = r#"$remote_addr [$time_local] "$request" $status $request_length $body_bytes_sent $request_time "$t_size" $read_time $gen_time"#;
        for (file, format, lines, good, sum, statuses) in [
            (
                "apache-combined.log",
                "combined",
                150,
                150,
                6_357_034,
                &[("200", 147), ("301", 1), ("304", 1), ("404", 1)][..],
            ),
            ("beats-apache-access.log", "combined", 7, 2, 651, &[("404", 1), ("408", 1)]),
            ("beats-apache-access.log", "common", 7, 2, 209, &[("404", 1), ("408", 1)]),
            ("nginx-malformed-requests.log", "combined", 11, 11, 1727, &[("400", 11)]),
            ("traefik-clf.log", &traefik, 9, 7, 2325, &[("-", 1), ("200", 6)]),
            ("mtail-apache-combined.log", "combined", 5, 5, 2602, &[("200", 4), ("304", 1)]),
            ("mtail-apache-common-ext.log", &extended, 3, 3, 1899, &[("200", 1), ("304", 1), ("404", 1)]),
            ("nginx-main-shop.log", &forwarded, 100, 100, 1_477_839, &[("200", 96), ("302", 1), ("404", 3)]),
            ("nginx-custom-thumbnails.log", thumbnails, 60, 60, 1_143_328, &[("200", 58), ("404", 2)]),
            ("alp-combined-time.log", &timed, 14, 13, 362, &[("200", 10), ("400", 2), ("504", 1)]),
        ] {
            let expected = statuses.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect();
            assert_eq!(totals(file, format), (lines, good, sum, expected), "{file} as {format}");
        }
        for (file, format) in [("alp-json.log", "json"), ("alp-ltsv.log", "ltsv")] {
            let (lines, good, ..) = totals(file, format);
            assert_eq!((lines, good), (14, 14), "{file}");
        }
    }
}

/// A value as nginx writes it in its default mode.
fn escaped(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in value {
        match byte {
            b'"' | b'\\' | 0..0x20 | 0x7F.. => out.extend_from_slice(format!("\\x{byte:02X}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out
}

/// A value as nginx writes it with `escape=json`.
fn json_escaped(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04X}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_nginx_writes_is_read_back(
        // Any byte but the colon can be in a user's name.
        user in prop::collection::vec(any::<u8>().prop_filter("colon", |byte| *byte != b':'), 1..20),
        tricky in "[-\\[\\] \"a]{1,12}",
        request: Vec<u8>,
        agent: Vec<u8>,
        status in 0_u16..1000,
        size: u64,
    ) {
        for user in [&user[..], tricky.as_bytes()] {
            let mut line = b"127.0.0.1 - ".to_vec();
            line.extend(escaped(user));
            line.extend_from_slice(format!(" [{TIME}] \"").as_bytes());
            line.extend(escaped(&request));
            line.extend_from_slice(format!("\" {status:03} {size} \"-\" \"").as_bytes());
            line.extend(escaped(&agent));
            line.push(b'"');
            let fields = ["remote_user", "request", "http_user_agent", "status", "body_bytes_sent"];
            let mut parser = LogFormat::combined().parser(&fields).unwrap();
            let mut record = Record::new();
            parser.parse(&line, &mut record).unwrap();
            prop_assert_eq!(record.seconds(), SECONDS);
            let (status, size) = (format!("{status:03}"), size.to_string());
            let expected = [user, &request, &agent, status.as_bytes(), size.as_bytes()];
            for (index, expected) in expected.iter().enumerate() {
                prop_assert_eq!(record.field(index, &line), *expected);
            }
        }
    }

    #[test]
    fn what_nginx_writes_as_json_is_read_back(agent: Vec<u8>, request: Vec<u8>) {
        let format = nginx(r#"escape=json {"time":"$msec","ua":"$http_user_agent","r":"$request"}"#);
        let mut line = br#"{"time":"1795246822.000","ua":""#.to_vec();
        line.extend(json_escaped(&agent));
        line.extend_from_slice(br#"","r":""#);
        line.extend(json_escaped(&request));
        line.extend_from_slice(br#""}"#);
        for (format, fields) in [(format, ["http_user_agent", "request"]), (LogFormat::json(), ["ua", "r"])] {
            let mut record = Record::new();
            format.parser(&fields).unwrap().parse(&line, &mut record).unwrap();
            prop_assert_eq!(record.seconds(), SECONDS);
            prop_assert_eq!(record.field(0, &line), &agent[..]);
            prop_assert_eq!(record.field(1, &line), &request[..]);
        }
    }

    #[test]
    fn parsing_is_total(
        format in "(escape=(json|none) )?([$]([a-z]{1,3}|status|host|upstream_addr|remote_user|request|args|msec)[ \"\\[:,-]{1,2}){0,5}[$]msec.{0,2}",
        line in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "[-0-9. \\[\"%:,&=/a\t\\\\{}x]{0,60}".prop_map(String::into_bytes),
        ],
    ) {
        let mut formats = vec![LogFormat::combined(), LogFormat::json(), LogFormat::ltsv()];
        formats.extend(LogFormat::nginx(&format));
        for format in formats {
            let fields: Vec<_> = ["status", "arg_a", "uri", "args", "request"]
                .into_iter()
                .filter(|field| format.parser(&[field]).is_ok())
                .collect();
            let mut record = Record::new();
            if let Err(rejection) = format.parser(&fields).unwrap().parse(&line, &mut record) {
                prop_assert!(rejection.column as usize <= line.len() + 1);
            } else {
                for index in 0..fields.len() {
                    record.field(index, &line);
                    prop_assert!(record.column(index) as usize <= line.len() + 1);
                }
            }
        }
    }
}
