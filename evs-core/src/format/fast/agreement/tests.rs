//! The fast path against the reference, on random lines of random formats and on all short lines of some.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

mod haproxy;
mod headed;

/// The number of pieces up to which all lines are tried.
const SHORT: usize = 6;

const FIELDS: &[&str] = &[
    "remote_addr",
    "remote_user",
    "host",
    "request",
    "request_method",
    "uri",
    "args",
    "arg_c",
    "arg_long_name",
    "arg_x-Y",
    "server_protocol",
    "http_user_agent",
    "http_x",
    "upstream_response_time",
    "arg_v",
    "status",
    "request_time",
];

/// Fields without the one whose name is too long to be compared as eight bytes. Arguments are then compared as words.
const FIELDS_OF_SHORT_NAMES: &[&str] = &["request_method", "uri", "arg_c", "arg_x-Y", "arg_v", "status"];

/// Compares all blocks with both sets of fields. Returns `true` if the format has a fast path.
fn assert_all_agree(format: &str, blocks: &[&[u8]]) -> Result<bool, FormatError> {
    if format.contains("${at}") {
        for shape in SHAPES {
            let format = format.parse::<LogFormat>()?.time("at", shape)?.utc_offset_minutes(-90);
            assert_agreement_of(&format, FIELDS_OF_SHORT_NAMES, blocks)?;
        }
    }
    assert_agreement(format, FIELDS_OF_SHORT_NAMES, blocks)?;
    assert_agreement(format, FIELDS, blocks)
}

/// Shapes of the variable `$at`.
const SHAPES: &[&str] = &[
    "iso8601",
    "milliseconds",
    "%Y-%m-%d %H:%M:%S.%f",
    "%b %e %H:%M:%S %Y",
    "%d/%b/%Y:%H:%M:%S %Z",
    "%b %e %T",
];

const VARIABLES: &[&str] = &[
    "remote_addr",
    "remote_user",
    "host",
    "scheme",
    "request",
    "status",
    "body_bytes_sent",
    "request_time",
    "remote_port",
    "http_user_agent",
    "http_x",
    "upstream_response_time",
    "upstream_addr",
    "request_uri",
    "uri",
    "server_protocol",
    "ssl_server_name",
    "connection",
    "gzip_ratio",
    "upstream_status",
    "arg_c",
    "args",
    "at",
    "time_local",
    "time_iso8601",
    "msec",
];

const TEXTS: &[&str] = &[
    " ",
    " ",
    " ",
    "\" \"",
    "\" ",
    " \"",
    "] ",
    " [",
    "[",
    " - ",
    "\"",
    "\t",
    "|",
    ",",
    "; ",
    " x=\"",
    "\",\"y\":\"",
    ":",
    ": ",
    "\" \"a",
    ", ",
    " : ",
    "=",
    "1",
    "ms ",
    "-",
    "- ",
    " -",
    ".",
    "/",
    "+",
    " \" \" ",
    "\"\" ",
    "é",
];

/// Values of a variable, most of them valid.
fn value(name: &str) -> BoxedStrategy<String> {
    let any = select(vec![
        "-", "", "a", "a b", "+5", "12ms", "2m3s", "\"", "\\x22", "\\\"", "[x] ", "200", "1.5", ", ", " : ",
        "é", "a\tb", "|", "\0", "\u{feff}", "\r", "--", "-5", "\"\"", "\" \"", "a\"b", "\\", "] \"", "[2",
        "0.", "a:b", " - ",
    ]);
    // Longer than masks, than the heads of literals, and than the reference's lookahead.
    let long = (select(vec!["a", "a b ", "1", "\"", "/", "&c=", "%2"]), 1_usize..1100)
        .prop_map(|(text, len)| text.repeat(len.div_ceil(text.len())));
    let good: BoxedStrategy<String> = match name {
        "time_local" => prop_oneof![
            6 => "2[0-9]/(Nov|Dec)/2026:13:25:2[0-9] [+-]0[05]45",
            1 => "(31|21)/Nov/2026:13:25:2[0-9](\\.[0-9]{1,6})?( \\+0545)?",
        ].boxed(),
        "time_iso8601" => prop_oneof![
            6 => "2026-11-2[0-9]T13:25:2[0-9][+-]05:45",
            1 => "2026-1[13]-21T13:25:2[0-9](\\.[0-9]{1,6})?(Z|-05:?45)?",
        ].boxed(),
        "msec" => prop_oneof![
            6 => "179524676[0-9]\\.[0-9]{3}",
            1 => "179524676[0-9]([0-9]{3}){0,3}(\\.[0-9]{1,4})?",
        ].boxed(),
        "at" => prop_oneof![
            "2026-11-2[0-9][T ]13:25:2[0-9]\\.[0-9]{1,6}Z?",
            "179524676[0-9]{4}(\\.[0-9])?",
            "(Nov|Feb) ([ 1-3][0-9]) 13:25:2[0-9] 2026",
            "21/Nov/2026:13:25:2[0-9] (UTC|GMT|CET|U?T?)",
        ].boxed(),
        "remote_port" => "[0-9]{0,5}".boxed(),
        "status" | "body_bytes_sent" | "connection" | "gzip_ratio" => "[0-9]{1,20}|-|[-+]?[0-9]{1,4}".boxed(),
        "request_time" => "[0-9]{1,3}\\.[0-9]{3}|[0-9]{1,10}(\\.[0-9]{1,9})?".boxed(),
        "upstream_response_time" => "[0-9]\\.[0-9]{3}(( : |, |,)[0-9]\\.[0-9]{3})?|-".boxed(),
        "upstream_addr" => "[0-9.]{3}:80(, [0-9.]{3}:80)?|-".boxed(),
        "request" => prop_oneof![
            "GET /[ab/.%]{0,5}(\\?[cCvx]=[a0-9%+]{0,9}(&[cvx&=\\-#YyLlong_name]{0,15}=?[0-9]{0,12}){0,9})? HTTP/[12]\\.[01]",
            "GET /[a-z]{1,9}\\?(long_name|x-y|c|v)=[0-9]{1,50}&(v|c|x-Y|V)=[0-9]{1,50}&v=[0-9] HTTP/1.1",
            "[A-Z]{0,9} {0,2}[/?#]{0,2}[a-z?&=c%]{0,9} {0,2}(HTTP/[0-9](\\.[0-9])?)?",
            Just("GET http://h/p?c=1 HTTP/1.1".to_owned()),
        ].boxed(),
        "request_uri" => "/[ab/.%]{0,5}(\\?[cv]=[a0-9%+]{0,9})?".boxed(),
        "arg_c" | "args" => "[cv]=[a0-9%+&=]{0,9}".boxed(),
        _ => "[a-z0-9.:/]{1,12}".boxed(),
    };
    prop_oneof![30 => good, 3 => any.prop_map(str::to_owned), 1 => long].boxed()
}

fn line(variables: &[&'static str], texts: Vec<&'static str>) -> BoxedStrategy<Vec<u8>> {
    let values: Vec<_> = variables.iter().map(|name| value(name)).collect();
    let damage = prop_oneof![
        6 => Just(None),
        1 => (any::<prop::sample::Index>(), 0_usize..3, select(b" \"\\\"-[]x\t,|0.\n\r\0:/+\xff".to_vec())).prop_map(Some),
    ];
    let before = prop_oneof![
        30 => Just(""),
        1 => select(vec!["\u{feff}", "\u{fffd}", "\0", "\0\0\0\0\0\0\0\0\0", "\0\u{feff}", "\u{feff}\0"]),
    ];
    (before, values, damage)
        .prop_map(move |(before, values, damage)| {
            let mut line = format!("{before}{}", texts[0]);
            for (value, text) in values.iter().zip(&texts[1..]) {
                line.push_str(value);
                line.push_str(text);
            }
            let mut line = line.into_bytes();
            if let Some((index, kind, byte)) = damage {
                let at = index.index(line.len() + 1);
                match kind {
                    0 => line.insert(at, byte),
                    1 => line.truncate(at),
                    _ if at < line.len() => drop(line.remove(at)),
                    _ => line.push(byte),
                }
            }
            line
        })
        .boxed()
}

/// A format and lines, most of which have that format.
fn format_and_lines(
    variables: impl Strategy<Value = Vec<&'static str>>,
    texts: impl Strategy<Value = Vec<&'static str>>,
) -> impl Strategy<Value = (String, Vec<Vec<u8>>)> {
    (variables, texts).prop_flat_map(|(variables, mut texts)| {
        texts.resize(variables.len() + 1, " ");
        let mut format = texts[0].to_owned();
        for (variable, text) in variables.iter().zip(&texts[1..]) {
            format.push_str(&format!("${{{variable}}}{text}"));
        }
        let escape = select(vec!["", "", "", "escape=json ", "escape=none "]);
        let lines = vec(line(&variables, texts), 1..40);
        (escape.prop_map(move |escape| format!("{escape}{format}")), lines)
    })
}

fn random() -> impl Strategy<Value = (String, Vec<Vec<u8>>)> {
    let variables = vec(select(VARIABLES.to_vec()), 0..8);
    let variables =
        (variables, select(vec!["time_local", "msec", "time_iso8601", "at"]), any::<prop::sample::Index>())
            .prop_map(|(mut variables, time, index)| {
                variables.insert(index.index(variables.len() + 1), time);
                variables
            });
    let first = prop_oneof![4 => Just(""), 1 => select(TEXTS.to_vec())];
    let texts = (first, vec(select(TEXTS.to_vec()), 0..10))
        .prop_map(|(first, others)| std::iter::once(first).chain(others).collect());
    format_and_lines(variables, texts)
}

/// Formats as people write them.
fn usual() -> impl Strategy<Value = (String, Vec<Vec<u8>>)> {
    let combined = || {
        let variables = vec![
            "remote_addr",
            "remote_user",
            "time_local",
            "request",
            "status",
            "body_bytes_sent",
            "http_x",
            "http_user_agent",
        ];
        (variables, vec!["", " - ", " [", "] \"", "\" ", " ", " \"", "\" \"", "\""])
    };
    let other_order = || {
        let variables = vec![
            "time_iso8601",
            "status",
            "request",
            "host",
            "remote_addr",
            "request_time",
            "upstream_response_time",
            "http_user_agent",
        ];
        (variables, vec!["", " ", " \"", "\" [", "] ", " rt=", " ", " \"", "\""])
    };
    let bracket = || {
        let variables = vec!["remote_addr", "remote_user", "time_local", "request", "status", "http_x"];
        (variables, vec!["", " - ", "[", "] \"", "\" ", " \"", "\""])
    };
    let tabs =
        || (vec!["msec", "host", "request_time", "status", "http_x"], vec!["", "\t", "\t", "\t", "\t", ""]);
    let json = || {
        (
            vec!["msec", "request", "status", "http_x"],
            vec!["{\"t\":\"", "\",\"r\":\"", "\",\"s\":", ",\"x\":\"", "\"}"],
        )
    };
    let adjacent = || {
        let variables =
            vec!["scheme", "host", "request_uri", "remote_addr", "remote_port", "msec", "request", "status"];
        (variables, vec!["", "://", "", " ", ":", " ", " \"", "\" ", ""])
    };
    let slashes = || {
        let variables = vec![
            "http_x",
            "remote_addr",
            "remote_port",
            "time_local",
            "host",
            "ssl_server_name",
            "request_time",
            "connection",
            "status",
            "uri",
            "request",
        ];
        (variables, vec!["", ": ", ":", " [", "] ", "/", " ", "/", " ", " ", "\"", "\""])
    };
    let formats = prop_oneof![
        2 => Just(adjacent()),
        2 => Just(slashes()),
        4 => Just(combined()),
        2 => Just(other_order()),
        2 => Just(bracket()),
        1 => Just(tabs()),
        1 => Just(json()),
    ];
    formats.prop_flat_map(|(variables, texts)| format_and_lines(Just(variables), Just(texts)))
}

fn check(format: &str, lines: &[Vec<u8>], cut: &prop::sample::Index) -> Result<(), TestCaseError> {
    // Blocks end after a line, and the last one may lack its newline.
    let cut = cut.index(lines.len() + 1);
    let mut first: Vec<u8> = lines[..cut].join(&b'\n');
    if !first.is_empty() {
        first.push(b'\n');
    }
    let last: Vec<u8> = lines[cut..].join(&b'\n');
    let _ = assert_all_agree(format, &[&first, &last, &lines[0]]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_fast_path_reads_what_the_reference_reads((format, lines) in usual(), cut: prop::sample::Index) {
        check(&format, &lines, &cut)?;
    }

    #[test]
    fn and_so_it_does_with_any_format((format, lines) in random(), cut: prop::sample::Index) {
        check(&format, &lines, &cut)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn and_so_it_does_with_escaped_quotes(
        format in select(vec![
            "combined",
            "apache_combined",
            "apache_vhost",
            r#"%h %u %t "%r" %>s "%{X}i" %{%F %T}t"#,
            r#"%{X}i|%t|"%r"|%D"#,
        ]),
        lines in vec(apache_line(), 1..40),
        cut: prop::sample::Index,
    ) {
        check(format, &lines, &cut)?;
    }
}

/// A line like those of Apache.
fn apache_line() -> impl Strategy<Value = Vec<u8>> {
    let value = || {
        let pieces =
            vec(select(vec!["a", "\\\"", "\\\\", "\\n", "\\x41", "\\", "\"", " ", "é", "?c=1&v=2"]), 0..4);
        prop_oneof![3 => select(vec!["-", "a", "curl/8.5"]).prop_map(str::to_owned), 1 => pieces.prop_map(|p| p.concat())]
    };
    let shape = select(vec![
        "1.2.3.4 - {} [21/Nov/2026:13:25:22 +0545] \"GET /{} HTTP/1.1\" 200 12 \"{}\" \"{}\"",
        "h:443 1.2.3.4 - {} [21/Nov/2026:13:25:22 +0545] \"GET /{} HTTP/1.1\" 200 - \"{}\" \"{}\"",
        "::1 {} [21/Nov/2026:13:25:22 +0545] \"GET /{} HTTP/1.1\" 200 \"{}\" 2026-11-21 13:25:22",
        "{}|[21/Nov/2026:13:25:22 +0545]|\"GET /{} HTTP/1.1\"|5",
    ]);
    (shape, vec(value(), 4)).prop_map(|(shape, values)| {
        let fill = |line: String, value: &String| line.replacen("{}", value, 1);
        values.iter().fold(shape.to_owned(), fill).into_bytes()
    })
}

/// Lines that the fast path once read differently from the reference.
#[test]
fn they_agree_on_what_they_disagreed_on() {
    let zeros = "\0".repeat(26);
    for (format, line) in [
        // Bytes that were never written, as a crash leaves them.
        ("$remote_addr [$time_local] $status", format!("1 [{zeros}] 200")),
        ("$remote_addr [$time_iso8601] $status", format!("1 [{}] 200", &zeros[1..])),
        ("$msec $time_local $status", format!("1795246765.707 {zeros} 200")),
        // The `-` after a number that may be missing is the number itself.
        ("$msec $remote_port- $status", "1795246765.707 - 200".to_owned()),
        ("escape=json $msec $connection-x $status", "1795246765.707 -x 200".to_owned()),
        ("$msec $remote_port-", "1795246765.707 -".to_owned()),
        ("$msec $remote_port+$status", "1795246765.707 +200".to_owned()),
        ("$msec $remote_port+$status", "1795246765.707 +5+200".to_owned()),
        // The text after a time may belong to it.
        ("$time_iso8601.$connection", "2026-11-21T13:25:22.5".to_owned()),
        ("$time_iso8601.$connection", "2026-11-21T13:25:22.5.6".to_owned()),
        ("$time_iso8601-$connection", "2026-11-21T13:25:22-0500".to_owned()),
        ("$time_local $connection", "21/Nov/2026:13:25:22 +0545 +0545".to_owned()),
        ("$time_local|$host $connection", "21/Nov/2026:13:25:22|h 5".to_owned()),
        ("$msec.$connection", "1795246765.5".to_owned()),
        ("${msec}1$connection", "179524676515".to_owned()),
        ("${at}5 $connection", "2026-11-21 13:25:22.55 7".to_owned()),
        ("${at}U $connection", "21/Nov/2026:13:25:22 UTCU 7".to_owned()),
    ] {
        let agree = assert_all_agree(format, &[line.as_bytes()]);
        assert!(matches!(agree, Ok(_) | Err(FormatError::NoTime)), "{format}");
    }
}

#[test]
fn they_agree_on_nuls_and_byte_order_marks_anywhere() {
    const TIME: &str = "21/Nov/2026:13:25:22 +0545";
    let combined = format!("1.2.3.4 - - [{TIME}] \"GET / HTTP/1.1\" 200 12 \"-\" \"curl é\"");
    let json =
        format!("{{\"time\":1,\"status\":200,\"uri\":\"/a\",\"o\":{{\"a\":[1,null]}},\"t\":\"{TIME}\"}}");
    let ltsv = format!("time:{TIME}\tstatus:200\turi:/a\thttp_x:");
    for (format, line, is_fast) in [
        ("combined", &combined, true),
        ("json", &json, false),
        ("ltsv", &ltsv, false),
        ("escape=none $msec $http_x", &"1.000 some text".to_owned(), true),
        ("$msec $remote_addr:$remote_port", &"1.000 ::1:443".to_owned(), true),
        // The literals of these formats are damage, so every line is bad.
        ("$msec\0$status", &"1.000\x00200".to_owned(), true),
        ("\u{feff}$msec $status", &"\u{feff}1.000 200".to_owned(), true),
    ] {
        for nuls in ["\0", "\u{feff}", &"\0".repeat(500)] {
            let damaged = |at: usize| {
                let (before, after) = (line.get(..at)?, line.get(at..)?);
                Some(format!("{line}\n{before}{nuls}{after}\n{line}\n"))
            };
            for block in (0..=line.len()).filter_map(damaged) {
                assert_eq!(assert_all_agree(format, &[block.as_bytes()]), Ok(is_fast), "{format}");
            }
        }
    }
}

#[test]
fn they_agree_on_requests_of_every_length() {
    for len in 0..140 {
        for end in ["", "?", "?c", "?c=1", "?v=2&c=%41", "%41", "#c", "//", "?c=1&"] {
            let target = format!("/{}{end}", "a".repeat(len));
            for (format, line) in [
                ("$msec $request_uri", format!("1795246765.707 {target}")),
                ("$msec \"$request\"", format!("1795246765.707 \"GET {target} HTTP/1.1\"")),
                // A `=` after the query is not part of it.
                ("$msec=$request_uri=$status", format!("1795246765.707={target}=200")),
            ] {
                // The bytes of the second line may be loaded with the first one.
                let lines = format!("{line}\n{line}");
                assert!(assert_all_agree(format, &[lines.as_bytes()]).is_ok(), "{line}");
            }
        }
    }
}

/// All lines made of up to `pieces_max` consecutive pieces.
fn all_lines(pieces: &[&str], pieces_max: usize) -> String {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..pieces_max {
        let to = all.len();
        for at in from..to {
            for piece in pieces {
                let line = format!("{}{piece}", all[at]);
                all.push(line);
            }
        }
        from = to;
    }
    all.join("\n")
}

#[test]
fn they_agree_on_every_short_line() {
    const TIME: &str = "1795246765.707";
    const ISO8601: &str = "2026-11-21T13:25:22+05:45";
    for (format, pieces) in [
        (r#"$host "$http_x" $msec"#, &[TIME, " ", "\"", "a", "-", "\\"][..]),
        (r#""$http_x" "$msec""#, &[TIME, " ", "\"", "a", "\" \"", "\0"]),
        ("$msec $remote_port- $status", &[TIME, " ", "-", "1", "- "]),
        (r#"$http_x $status $msec"#, &[TIME, " ", "\"", "1", "-", "."]),
        (r#"$remote_user [$msec] "$http_x""#, &["a", " [", TIME, "] \"", "\"", " "]),
        (r#"$remote_user[$time_iso8601] "$http_x""#, &["a", "[", ISO8601, "] \"", "\"", " "]),
        ("$msec $http_x;[$time_iso8601]", &[TIME, " ", ";[", "[", ISO8601, "]"]),
        (r#"x="$http_x";y="$status" $msec"#, &["x=\"", "\";y=\"", "\"", "1", "\" ", TIME]),
        (r#""$http_x";$host;$msec"#, &["\"", ";", "a", TIME, "\";", " "]),
        ("$msec-$http_x-$remote_port", &[TIME, "-", "a", "1", "\"", "--"]),
        ("$msec $host$request_uri|$server_port", &[TIME, " ", "|", "a", "/", "-"]),
        ("$msec|$host|$upstream_addr", &[TIME, "|", "a", ", ", " : ", "\""]),
        ("$msec $upstream_addr $status", &[TIME, " ", "a", ",", ":", "1"]),
        ("escape=json \"$http_x\" $msec", &["\"", "\\", " ", TIME, "a", "\" "]),
        ("\"%{X}i\" %{sec}t", &["\"", "\\", " ", "1795246765", "a", "\" "]),
        ("%u \"%{X}i\" %{sec}t", &["\"", "\\", " ", "1795246765", "a", " \""]),
        ("$a $b $c $d nginx: $msec", &["Nov ", " 3 10:00:02 ", "a", " ", "nginx: ", TIME]),
        ("$msec | $http_x | $status | $a", &[TIME, " | ", "|", "1", " "]),
        ("$msec|$request|$status|$http_x|$a", &[TIME, "|", "1", " HTTP/1.1", "a"]),
        // The literals of these are searched.
        (r#"escape=none "$request" $msec $host"#, &["\"", "a HTTP/1.1", "\" ", "/2", TIME, " "]),
        (r#"escape=none $msec "$http_x" "$host" $status"#, &[TIME, " \"", "\" \"", "\" ", "a", "1"]),
        (r#"escape=none $msec "$host" "$remote_addr""#, &[TIME, " \"", "\" \"", "\"", "a", " "]),
        (r#"$syslog: $msec $a/$b $c"$request""#, &["Nov  3 ", ": ", TIME, " a/", "a", "\""]),
        ("$a $b $c $d:$e $msec", &["Nov ", " 3 10:00:02 ", "a", " ", ":", TIME]),
        ("$remote_addr:$remote_port $msec", &["1", ":", "a", " ", TIME, "::"]),
        ("$status/$connection/$remote_port $msec", &["1", "/", "-", "1.", " ", TIME]),
        ("$msec:$upstream_addr:$host", &[TIME, ":", "a", ", ", " : ", " "]),
        (r#"escape=json $msec:"$http_x":$host"#, &[TIME, ":\"", "\\", "\":", "a", "\""]),
        ("$msec $host$request_uri $status", &[TIME, " ", "*", "a", "/", "1"]),
        ("$msec $server_port$request_uri;$status", &[TIME, " ", "-", "1", "/", ";"]),
        ("$http_x=$host=$msec ", &["a", "=", "==", TIME, " ", "\""]),
        ("$msec $a: $http_x: $status: $b", &[TIME, " a", ": ", ":", "1", " "]),
        ("$msec $a: $http_x|| $b|| $c", &[TIME, " a", ": ", "|", "|| ", "b"]),
        ("$scheme://$host$request_uri [$time_iso8601]", &["a", "://", "/", " [", ISO8601, "]"]),
        ("$msec", &[TIME, " ", "\"", "\r"]),
        ("$host $msec", &[TIME, " ", "a", "\u{feff}", "\0"]),
    ] {
        let lines = all_lines(pieces, SHORT);
        assert!(assert_all_agree(format, &[lines.as_bytes()]).is_ok(), "{format}");
    }
}

#[test]
fn they_agree_on_every_short_request() {
    let pieces = ["GET ", " ", "/", "?", "c=", "C", "&", "#", "%2f+", ".", " HTTP/1.1"];
    let requests = all_lines(&pieces, 4);
    for (format, before, after) in [
        (r#"$msec "$request""#, "", ""),
        (r#"$msec "$request""#, "GET /", " HTTP/1.1"),
        (r#"$msec "$request""#, "GET /?long_name=1&", " HTTP/2.0"),
        (r#"$msec "$request_uri""#, "/", ""),
        (r#"$msec "$args""#, "c=", "&v=1"),
    ] {
        let line = |request: &str| format!("1795246765.707 \"{before}{request}{after}\"\n");
        let lines: String = requests.lines().map(line).collect();
        assert_eq!(assert_all_agree(format, &[lines.as_bytes()]), Ok(true));
    }
}

#[test]
fn the_formats_that_people_use_have_a_fast_path() {
    for format in [
        "combined",
        "common",
        "apache_combined",
        "apache_common",
        r#"$time_iso8601 [$remote_addr] "$request" $status $request_time $upstream_response_time"#,
        r#"$remote_addr - [$time_local] "$request_time" "$http_x" rt=$request_time cs="$host""#,
        r#"$remote_addr - $remote_user[$time_local] "$request" $status"#,
        "$msec\t$host\t$status\t$request_uri\t$http_user_agent",
        "$msec|$host|$status|$http_x",
        r#"escape=json {"time":"$msec","r":"$request","s":$status,"a":"$http_user_agent"}"#,
        r#"${at} $status "$http_x""#,
        r#"$host [${at}] "$http_x" $status"#,
        "escape=none $msec $status",
        "$msec $host$request_uri",
        "$msec $remote_addr:$remote_port",
        "apache_vhost",
        "aws_alb",
        "envoy",
        "haproxy_http",
        "ingress_nginx",
        "lighttpd",
        "traefik",
        "varnish",
    ] {
        let is_fast = match LogFormat::nginx(format).and_then(|format| format.time("at", SHAPES[2])) {
            Ok(timed) => assert_agreement_of(&timed, FIELDS, &[]),
            Err(_) => assert_all_agree(format, &[]),
        };
        assert_eq!(is_fast, Ok(true), "{format}");
    }
    for format in ["${msec}1$status", "$msec $upstream_addr,$host", "json", "ltsv"] {
        assert_eq!(assert_all_agree(format, &[]), Ok(false), "{format}");
    }
}
/// `2026` in the last line is no `$msec`, although it was the line's time in the first one, in milliseconds.
#[test]
fn the_time_of_a_line_is_no_other_time_of_the_next() {
    let format = "${request_uri} ${msec} ${at} ${request_time} ";
    let block: &[u8] =
        b"/ 1795246760.000 2026-11-20 13:25:20.0 0.000 \n/ 1795246760.000 1795246760000 0.000 \n/ - Nov  0 13:25:20 2026 0.000 ";
    assert_all_agree(format, &[block]).unwrap();
}
