//! Any line is accepted, or is rejected with a column inside of it. Reading it again gives the same: a parser remembers
//! earlier lines, but that never changes a result. Formats whose lines do depend on earlier ones (W3C, and the pieces of lines
//! in containers) give the same for the same lines.
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
        r#"$remote_user/$host $remote_addr:$remote_port [$time_local] $status "$request""#,
    ];
    let parser = |format: &str| format.parse::<LogFormat>().and_then(|format| format.parser(FIELDS));
    formats.map(|format| parser(format).expect("a good format")).into()
});

/// A parser of each kind of format in which a line may depend on the lines before it.
static DEPENDENT: LazyLock<Vec<LineParser>> = LazyLock::new(|| {
    const INNER: &str = r#"$remote_user [$msec] "$request" $status"#;
    let formats = ["w3c".to_owned(), format!("$t $s F {INNER}")].into_iter();
    let contained = ["docker", "cri", "syslog", "journald"].map(|container| format!("{container}:{INNER}"));
    let parser = |format: String| format.parse::<LogFormat>().and_then(|format| format.parser(FIELDS));
    formats.chain(contained).map(|format| parser(format).expect("a good format")).collect()
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
    for parser in DEPENDENT.iter() {
        let (mut one, mut other) = (parser.clone(), parser.clone());
        for line in input.split(|byte| *byte == b'\n') {
            let seen = read(&mut one, line);
            assert_eq!(seen, read(&mut other, line));
            if let Err(rejection) = seen {
                // The column of a line that was put together is that in the whole.
                assert!(rejection.column as usize <= input.len() + 1);
            }
        }
    }
});
