//! The cost of the most expensive lines that clients can make, counted in steps and not in time.

use proptest::sample::select;

use super::*;
use crate::format::{LineLimits, work::steps};

/// Names of arguments. Many of them have the same beginning.
fn arguments(count: usize) -> Vec<String> {
    let name = |at: usize| match at % 4 {
        0 => format!("arg_{at}"),
        1 => format!("arg_utm_{at}"),
        2 => format!("arg_a_name_that_is_long_and_begins_as_others_do_{at}"),
        _ => format!("arg_{}", "a".repeat(at)),
    };
    (0..count).map(name).collect()
}

/// The part of a line that a client's text is in.
#[derive(Clone, Copy, Debug)]
enum Where {
    Query,
    Path,
    Agent,
    User,
    Key,
}

fn line(format: &str, place: Where, text: &str) -> String {
    let (mut path, mut query, mut agent, mut user, mut key) = ("/x", "c=1", "curl", "-", "");
    match place {
        Where::Query => query = text,
        Where::Path => path = text,
        Where::Agent => agent = text,
        Where::User => user = text,
        Where::Key => key = text,
    }
    match format {
        "json" => format!(
            "{{\"time\":1,\"request_uri\":\"{path}?{query}\",\"remote_user\":\"{user}\",\"http_user_agent\":\"{agent}\"{key}}}"
        ),
        "ltsv" => format!(
            "time:1\trequest_uri:{path}?{query}\tremote_user:{user}\thttp_user_agent:{agent}{}",
            key.replace(',', "\t").replace(['"', '{', '}'], "")
        ),
        _ => format!("::1 - {user} [{TIME}] \"GET {path}?{query} HTTP/1.1\" 200 3 \"-\" \"{agent}\""),
    }
}

/// The maximum number of steps for each byte of a line.
const STEPS_MAX: usize = 12;
/// The maximum number of further steps for a line: remembered paths of keys (64 of 256 bytes), and the table of names.
const STEPS_OF_A_LINE: usize = 20_000;

/// Asserts that `line` takes no more steps than that, with any number of arguments asked for, on either path.
fn assert_linear(format: &str, line: &str) -> Result<(), TestCaseError> {
    for count in [0, 3, 20, 60] {
        let mut fields = arguments(count);
        fields.extend(["uri", "http_user_agent", "remote_user"].map(str::to_owned));
        let parser = format.parse::<LogFormat>().unwrap().parser(&fields).unwrap();
        for mut parser in [
            BlockParser::new(parser.clone(), Vec::new(), LineLimits::default()),
            BlockParser::without_fast_path(parser, Vec::new(), LineLimits::default()),
        ] {
            let mut columns = Columns::new(fields.len(), 0);
            let taken = steps(|| {
                parser.begin(line.as_bytes());
                while parser.read(line.as_bytes(), &mut columns) {}
            });
            let most = STEPS_MAX * line.len() + STEPS_OF_A_LINE;
            prop_assert!(
                taken <= most,
                "{} steps, {} bytes, {} arguments: {}",
                taken,
                line.len(),
                count,
                line
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn steps_are_linear_in_the_line_however_many_arguments_are_asked_for(
        format in select(vec!["combined", "json", "ltsv", "escape=json $remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\""]),
        place in select(vec![Where::Query, Where::Path, Where::Agent, Where::User, Where::Key]),
        pieces in prop::collection::vec(
            select(vec![
                "&", "=", "=&", "a&", "a=&", "aaa=1&", "4=%41&", "utm_1=1&", "utm_2=&",
                "a_name_that_is_long_and_begins_as_others_do_7=1&", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=&",
                "%41", "%", "+", "%4", "\\x22", "\\\\", "\\u0041", "\\ud83d\\ude00", "\\n", "\\x41=&", "/", "/..", "/a/..", "/.", "a",
                "?", "#", " ", " [", " [21/Nov/2026", " [21/Nov/2026:13:25:22 +0", ",\"k\":1", ",\"k\":{}",
                ",\"a\":[1]", ",\"http_user_agent\":2", ",\"\\u006b\":[[],{}]", ",  \"k\" : null",
            ]),
            1..6,
        ),
        len in 4000_usize..16_000,
    ) {
        let pieces = pieces.concat();
        assert_linear(format, &line(format, place, &pieces.repeat(len / pieces.len())))?;
    }
}

#[test]
fn each_of_the_worst_queries_takes_linear_steps() {
    for piece in [
        "&",
        "=",
        "a=&",
        "4=%41&",
        "%",
        "\\x22",
        "\\x41=&",
        "a_name_that_is_long_and_begins_as_others_do_7=1&",
    ] {
        for format in ["combined", "json", "ltsv"] {
            let query = if format == "json" { piece.replace("\\x", "\\u00") } else { piece.to_owned() };
            assert_linear(format, &line(format, Where::Query, &query.repeat(8000 / piece.len()))).unwrap();
        }
    }
}

#[test]
fn texts_that_look_like_the_ends_of_values_take_linear_steps() {
    for delimiter in ["|", " ", " | ", ", "] {
        let names = ["msec", "remote_user", "request", "status", "http_user_agent", "host", "bytes_sent"];
        let format = names.map(|name| format!("${name}")).join(delimiter);
        for piece in ["D", "200D", "D200", "GET / HTTP/1.1D", "GET / HTTP/1.1D200D", "a", "-D4D", "DD"] {
            let piece = piece.replace('D', delimiter);
            let text = piece.repeat(8000 / piece.len());
            for values in [
                ["1795246822.000", "-", &text, "200", "x", "h", "4"],
                ["1795246822.000", &text, "GET / HTTP/1.1", "200", &text, "h", "4"],
                ["1795246822.000", "-", "GET / HTTP/1.1", "x", &text, &text, "x"],
            ] {
                assert_linear(&format, &values.join(delimiter)).unwrap();
            }
        }
    }
}
