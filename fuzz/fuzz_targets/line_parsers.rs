//! Any line is accepted, or is rejected with a column inside of it. Reading it again gives the same: a parser remembers
//! earlier lines, but that never changes a result.
#![no_main]

use std::sync::LazyLock;

use evs_core::{LineParser, LogFormat, Record, Rejection};
use libfuzzer_sys::fuzz_target;

/// Whole values and derived ones.
const FIELDS: &[&str] = &["request", "status", "uri", "args", "arg_a", "request_method", "remote_user"];

/// A parser of each kind of format.
static PARSERS: LazyLock<Vec<LineParser>> = LazyLock::new(|| {
    let formats = [
        "combined",
        "json",
        "ltsv",
        r#"escape=json {"t":$msec,"r":"$request","u":"$remote_user","s":$status,"a":$upstream_addr}"#,
        r#"escape=none $remote_user $status [$time_iso8601] "$request" $upstream_response_time $host"#,
        "apache_vhost",
        r#"%{%d/%b/%Y %T}t.%{msec_frac}t %u "%r" %>s"#,
        r#"$remote_addr:$remote_port,$remote_user,$upstream_addr;$msec-$status-$request"#,
    ];
    let parser = |format: &str| format.parse::<LogFormat>().and_then(|format| format.parser(FIELDS));
    formats.map(|format| parser(format).expect("a good format")).into()
});

/// The time and fields of a line, or its rejection.
type Seen = Result<(i64, Vec<Vec<u8>>), Rejection>;

/// Reads a line, and copies everything that was found.
fn read(parser: &mut LineParser, line: &[u8]) -> Seen {
    let mut record = Record::new();
    parser.parse(line, &mut record)?;
    Ok((record.seconds(), (0..FIELDS.len()).map(|index| record.field(index, line).to_vec()).collect()))
}

fuzz_target!(|input: &[u8]| {
    for parser in PARSERS.iter() {
        let mut used = parser.clone();
        for line in input.split(|byte| *byte == b'\n') {
            let seen = read(&mut used, line);
            assert_eq!(seen, read(&mut parser.clone(), line));
            if let Err(rejection) = seen {
                assert!(rejection.column as usize <= line.len() + 1);
            }
        }
    }
});
