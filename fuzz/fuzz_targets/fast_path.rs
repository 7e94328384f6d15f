//! The fast path and the reference read the same from any log in any format.
//!
//! A difference is a wrong number that no user would notice, so this is the most important target of all. It runs the
//! fastest instructions of the machine; the property tests compare all of them.
#![no_main]

use evs_core::internals::assert_agreement;
use libfuzzer_sys::fuzz_target;

/// Fields of every kind: whole values, derived ones, lists, and at the end two that are read as numbers.
const FIELDS: &[&str] = &[
    "remote_addr",
    "remote_user",
    "request",
    "request_method",
    "uri",
    "args",
    "arg_c",
    "arg_name",
    "http_user_agent",
    "upstream_response_time",
    "arg_v",
    "status",
    "request_time",
];

/// Formats with different delimiters, escapings and classes of values.
const FORMATS: &[&str] = &[
    "combined",
    "common",
    r#"$time_iso8601 [$remote_addr] "$request" $status $request_time $upstream_response_time"#,
    "$msec\t$host\t$status\t$request_uri\t$http_user_agent",
    "apache_combined",
    r#"%{%F %T}t|%u|"%r"|%>s|"%{User-Agent}i""#,
    r#"escape=json {"time":"$msec","r":"$request","s":$status,"a":"$http_user_agent"}"#,
    "json",
    "w3c",
    // The literals of these are searched.
    "aws_alb",
    "envoy",
    "haproxy_http",
    r#"escape=none [$time_iso8601] "$request" $status "$http_user_agent" $upstream_response_time $host$request_uri"#,
];

// The input is two blocks of lines in the usual formats. If its first line is a format, the rest is a block in it, too.
fuzz_target!(|input: &[u8]| {
    let middle = input.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (first, last) = input.split_at(middle);
    for format in FORMATS {
        assert_agreement(format, FIELDS, &[first, last]).expect("a format");
    }
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    if let (Some(Ok(format)), Some(block)) = (lines.next().map(str::from_utf8), lines.next()) {
        // Any error is fine: most texts are not a format.
        let _ = assert_agreement(format, FIELDS, &[block]);
    }
});
