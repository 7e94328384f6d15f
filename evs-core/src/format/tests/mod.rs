//! Lines that nginx writes are read back. The modules test what each kind of format accepts and refuses.

use proptest::prelude::*;

use super::{
    log_format::{COMBINED, COMMON},
    *,
};
use crate::number::{Reading, decimal};

mod adjacent;
mod apache;
mod container;
mod explain;
mod formats;
mod hostile;
mod keyed;
mod lines;
mod named;
mod samples;
mod w3c;

const TIME: &str = "21/Nov/2026:13:25:22 +0545";
const SECONDS: i64 = 1_795_246_822;

/// The fields of a line as text, or its rejection.
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
        let mut formats = vec![LogFormat::combined(), LogFormat::json(), LogFormat::ltsv(), LogFormat::w3c()];
        formats.extend(LogFormat::nginx(&format).ok().filter(|format| format.parser::<&str>(&[]).is_ok()));
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
