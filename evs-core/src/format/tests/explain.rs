//! How lines are explained.

use super::*;

#[test]
fn a_line_is_explained_field_by_field() {
    let alb: LogFormat = "aws_alb".parse().unwrap();
    for (format, line, expected) in [
        (
            nginx("$remote_addr [$msec] $status"),
            "::1 [1.000] 200",
            "  remote_addr = ::1\n  msec = 1.000\n  status = 200\naccepted: its time is 1 seconds after 1970\n",
        ),
        (
            nginx("$remote_addr [$msec] $status"),
            "::1 [1.000] OK",
            "  remote_addr = ::1\n  msec = 1.000\nrejected at status: column 13: not a number\n",
        ),
        (
            nginx("$remote_addr [$msec] $status"),
            "::1 [1.000} 200",
            "  remote_addr = ::1\n  msec = 1.000\nrejected after msec: column 11: the format has other text here\n",
        ),
        (
            nginx("$remote_addr [$msec] $status"),
            "::1 [1.000] 200 x",
            "  remote_addr = ::1\n  msec = 1.000\n  status = 200\nrejected after status: column 16: the line goes on after the end of the format\n",
        ),
        (
            nginx("[$msec] $status"),
            "1.000 200",
            "rejected at the beginning: column 1: the format has other text here\n",
        ),
        (
            alb,
            "h2 28/Nov/2026:10:00:20 app/web 192.0.2.1:6 -",
            "rejected at time_iso8601: column 4: not a time\n",
        ),
        (
            LogFormat::syslog(nginx("$msec $status")),
            "Nov  3 00:02:37 h n: 1.000 -",
            "the line in syslog is: 1.000 -\n  msec = 1.000\n  status = -\naccepted: its time is 1 seconds after 1970\n",
        ),
        (
            LogFormat::syslog(nginx("$msec $status")),
            "1.000 -",
            "rejected at the envelope of syslog: column 1: not a line of the container that the format names\n",
        ),
        (
            LogFormat::json().time_key("at"),
            "{}",
            "rejected: column 1: the line has no key for the time: it is looked for as at\n",
        ),
        (
            "caddy".parse().unwrap(),
            r#"{"ts":1.5,"request":{"host":"a","tls":[1]},"status":200}"#,
            "  request.host, also host = a\n  request.tls = [1]\n  status = 200\n  ts = 1.5\naccepted: its time is 1 seconds after 1970\n",
        ),
        (
            LogFormat::ltsv(),
            "time:1\tstatus:200",
            "  time = 1\n  status = 200\naccepted: its time is 1 seconds after 1970\n",
        ),
    ] {
        assert_eq!(
            format.explain(line.as_bytes()),
            format!("{}\n{expected}", line.replace('\t', "\\t")),
            "{line}"
        );
    }
}

#[test]
fn a_format_that_cannot_be_read_is_explained() {
    let found = nginx("$status").explain(b"200");
    assert_eq!(
        found,
        "error: the format has no time: add $time_local, $time_iso8601 or $msec, or tell with LogFormat::time which variable holds it\n"
    );
}

#[test]
fn lines_are_explained_by_those_before_them() {
    let log = "#Version: 1.0\n1 2\n#Fields: date time cs-uri-stem sc-status\n2026-11-21 07:40:22 /a 200\n";
    let lines: Vec<_> = log.lines().collect();
    let expected = format!(
        "{}\na line about the log, which is not counted\n{}\nrejected: column 1: no #Fields line before it names its fields\n\
         {}\na line about the log, which is not counted but names the fields: date_time, uri, status\n\
         {}\n  date_time = 2026-11-21 07:40:22\n  uri = /a\n  status = 200\naccepted: its time is 1795246822 seconds after 1970\n",
        lines[0], lines[1], lines[2], lines[3]
    );
    assert_eq!(LogFormat::w3c().explain(log.as_bytes()), expected);
    let log = "2026-11-21T07:40:22Z stdout P 1.000\n2026-11-21T07:40:22Z stdout F  200";
    let lines: Vec<_> = log.lines().collect();
    let expected = format!(
        "{}\na piece in cri: the line goes on\n{}\nthe line in cri is: 1.000 200\n  msec = 1.000\n  status = 200\n\
         accepted: its time is 1 seconds after 1970\n",
        lines[0], lines[1]
    );
    assert_eq!(LogFormat::cri(nginx("$msec $status")).explain(log.as_bytes()), expected);
}
