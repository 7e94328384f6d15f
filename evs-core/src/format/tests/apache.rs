//! Lines that Apache writes are read back.

use super::*;

/// A value as Apache writes it: `ap_escape_logitem`.
fn escaped(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            8 => out.extend_from_slice(b"\\b"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            11 => out.extend_from_slice(b"\\v"),
            0..0x20 | 0x7F.. => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_apache_writes_is_read_back(
        user in "[-\\[\\] \"a\\\\\n]{1,12}",
        request: Vec<u8>,
        agent: Vec<u8>,
        tricky in "[\\\\\"a ]{0,9}",
    ) {
        for agent in [&agent[..], tricky.as_bytes()] {
            let mut line = b"::1 - ".to_vec();
            line.extend(escaped(user.as_bytes()));
            line.extend_from_slice(format!(" [{TIME}] \"").as_bytes());
            line.extend(escaped(&request));
            line.extend_from_slice(b"\" 200 - \"-\" \"");
            line.extend(escaped(agent));
            line.push(b'"');
            for format in [LogFormat::combined(), LogFormat::apache_combined()] {
                let mut record = Record::new();
                let fields = ["remote_user", "request", "http_user_agent", "status", "body_bytes_sent"];
                format.parser(&fields).unwrap().parse(&line, &mut record).unwrap();
                prop_assert_eq!(record.seconds(), SECONDS);
                let expected = [user.as_bytes(), &request, agent, b"200", b"-"];
                for (index, expected) in expected.iter().enumerate() {
                    prop_assert_eq!(record.field(index, &line), *expected);
                }
            }
        }
    }
}

fn apache(format: &str) -> LogFormat {
    LogFormat::apache(format).unwrap()
}

/// The seconds of a line.
fn seconds(format: &LogFormat, line: &str) -> Result<i64, Reason> {
    let mut record = Record::new();
    let mut parser = format.parser::<&str>(&[]).unwrap();
    parser.parse(line.as_bytes(), &mut record).map_err(|rejection| rejection.reason)?;
    Ok(record.seconds())
}

#[test]
fn directives_have_the_names_of_nginx() {
    for (directive, field, value) in [
        ("%h", "remote_addr", "host.example.net"),
        ("%a", "remote_addr", "2001:db8::1"),
        ("%{c}a", "realip_remote_addr", "::1"),
        ("%l", "remote_logname", "-"),
        ("%u", "remote_user", "a b"),
        ("%r", "request", "GET /a HTTP/1.1"),
        ("%s", "status", "200"),
        ("%>s", "status", "304"),
        ("%b", "body_bytes_sent", "-"),
        ("%B", "body_bytes_sent", "0"),
        ("%I", "request_length", "5"),
        ("%O", "bytes_sent", "6"),
        ("%S", "bytes_transferred", "11"),
        ("%T", "request_time", "2"),
        ("%{s}T", "request_time", "2"),
        ("%{ms}T", "request_time_ms", "2000"),
        ("%{us}T", "request_time_us", "2000000"),
        ("%D", "request_time_us", "2000000"),
        ("%m", "request_method", "GET"),
        ("%U", "uri", "/a"),
        ("%H", "server_protocol", "HTTP/2.0"),
        ("%v", "server_name", "www.example.net"),
        ("%V", "host", "www.example.net"),
        ("%p", "server_port", "443"),
        ("%{local}p", "server_port", "443"),
        ("%{remote}p", "remote_port", "50000"),
        ("%k", "connection_requests", "0"),
        ("%P", "pid", "7"),
        ("%{tid}P", "tid", "140"),
        ("%X", "connection_status", "+"),
        ("%L", "log_id", "-"),
        ("%R", "handler", "proxy-server"),
        ("%f", "request_filename", "/var/www/a b"),
        ("%A", "server_addr", "::1"),
        ("%{X-Forwarded-For}i", "http_x_forwarded_for", "::1, ::2"),
        ("%400,501{User-agent}i", "http_user_agent", "-"),
        ("%!200{Content-Type}o", "sent_http_content_type", "text/html; charset=utf-8"),
        ("%{Session}C", "cookie_Session", "x"),
        ("%{UNIQUE_ID}e", "env_UNIQUE_ID", "x"),
        ("%{cache-status}n", "note_cache-status", "hit"),
        ("%q", "args", "c=1"),
        ("%q", "arg_c", "1"),
    ] {
        let format = apache(&format!(r#"a%%\t%t {directive} |"#));
        let written = if directive == "%q" { "?c=1" } else { value };
        let line = format!("a%\t[{TIME}] {written} |");
        let found = read(&format, &[field], line.as_bytes());
        assert_eq!(found, Ok(vec![value.to_owned()]), "{directive}");
    }
    assert_eq!(read(&apache("%{sec}t %q"), &["args"], b"1795246822 "), Ok(vec!["-".to_owned()]));
}

#[test]
fn times_may_have_any_shape_and_come_in_parts() {
    for (format, line) in [
        ("%t", "[21/Nov/2026:13:25:22 +0545]"),
        ("[%{%d/%b/%Y:%H:%M:%S %z}t]", "[21/Nov/2026:13:25:22 +0545]"),
        ("%{sec}t", "1795246822"),
        ("%{begin:msec}t", "1795246822707"),
        ("%{end:usec}t", "1795246822707123"),
        ("%{sec}t.%{usec_frac}t", "1795246822.707123"),
        ("%{%Y-%m-%dT%H:%M:%S}t.%{msec_frac}t%{%z}t", "2026-11-21T13:25:22.707+0545"),
        ("%{%Y-%m-%d}t %{%T}t", "2026-11-21 07:40:22"),
        ("%t %{msec_frac}t", "[21/Nov/2026:13:25:22 +0545] 707"),
        ("%{%T}t 100%% %{%F}t", "07:40:22 100% 2026-11-21"),
    ] {
        assert_eq!(seconds(&apache(format), line), Ok(SECONDS), "{format}");
    }
    assert!(matches!(LogFormat::apache("%{%T}t %s"), Err(FormatError::TimeShape { .. })));
}

#[test]
fn named_formats_read_the_lines_of_their_documentation() {
    // From https://httpd.apache.org/docs/2.4/logs.html, and a line of a virtual host.
    let combined = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)""#;
    let common = combined.split(" \"http:").next().unwrap();
    let vhost = format!("[2001:db8::5]:443 {combined}");
    for (name, line, size) in [
        ("apache_combined", combined, "body_bytes_sent"),
        ("apache_common", common, "body_bytes_sent"),
        ("apache_vhost", &vhost, "bytes_sent"),
    ] {
        let format: LogFormat = name.parse().unwrap();
        let found = read(&format, &["remote_user", "uri", "status", size], line.as_bytes());
        assert_eq!(found.unwrap(), ["frank", "/apache_pb.gif", "200", "2326"], "{name}");
        assert_eq!(seconds(&format, line), Ok(971_211_336));
    }
    let found = read(&LogFormat::apache_vhost(), &["server_name", "server_port"], vhost.as_bytes());
    assert_eq!(found.unwrap(), ["[2001:db8::5]", "443"]);
}

#[test]
fn what_is_no_format_of_apache_is_refused_with_its_place() {
    for (format, expected) in [
        ("%t %y", FormatError::Directive { offset: 3, directive: "%y".to_owned() }),
        ("%t %", FormatError::Directive { offset: 3, directive: "%".to_owned() }),
        ("%t %{x", FormatError::Directive { offset: 3, directive: "%{".to_owned() }),
        ("%t %{ns}T", FormatError::Directive { offset: 3, directive: "%{ns}T".to_owned() }),
        ("%t\\", FormatError::Backslash { offset: 2 }),
        ("%t\\n%s", FormatError::LineFeed { offset: 2 }),
        (
            "%t %U%q",
            FormatError::SideBySide { offset: 5, first: "uri".to_owned(), second: "apache_query".to_owned() },
        ),
    ] {
        assert_eq!(LogFormat::apache(format).map(|_| ()), Err(expected), "{format}");
    }
    assert_eq!(apache("%h %s").parser(&["status"]).unwrap_err(), FormatError::NoTime);
}

#[test]
fn a_format_in_the_wrong_language_names_the_right_constructor() {
    let error = LogFormat::nginx(r#"%h %l %u %t "%r" %>s %b"#).unwrap_err();
    assert_eq!(error.to_string(), "this is a format of Apache: use LogFormat::apache for it");
    let error = LogFormat::apache("$remote_addr [$time_local] 100%").unwrap_err();
    assert_eq!(error.to_string(), "this is a format of nginx: use LogFormat::nginx for it");
    // A text decides by itself.
    for text in [r#"%h %l %u %t "%r" %>s %b"#, "$remote_addr 100%h [$time_local]"] {
        assert!(text.parse::<LogFormat>().unwrap().parser(&["remote_addr"]).is_ok(), "{text}");
    }
}

#[test]
fn a_list_of_addresses_does_not_end_after_a_comma() {
    let apache = LogFormat::apache("%{X-Forwarded-For}i %l %u %t %s").unwrap();
    let fields = ["http_x_forwarded_for", "remote_user", "status"];
    for (addresses, expected) in
        [("1.1.1.1, 2.2.2.2", "1.1.1.1, 2.2.2.2"), ("1.1.1.1", "1.1.1.1"), ("-", "-")]
    {
        let line = format!("{addresses} - frank [{TIME}] 200");
        assert_eq!(read(&apache, &fields, line.as_bytes()).unwrap(), [expected, "frank", "200"], "{line}");
    }
}
