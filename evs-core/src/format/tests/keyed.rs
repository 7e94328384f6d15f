//! Lines of formats that name their fields: JSON and LTSV.

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
        (r#"{"time":9999999999999999999999}"#, Reason::Date),
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
fn lines_with_a_nul_byte_or_behind_a_byte_order_mark_are_refused_as_such() {
    for (format, good) in [
        (LogFormat::json(), r#" {"time":1,"a":"b","n":12,"o":[null, {}],"\"":"\\"}"#),
        (LogFormat::ltsv(), "time:1\ta:b\tn:12"),
    ] {
        assert_eq!(reason(&format, good.as_bytes()), None);
        for at in 0..=good.len() {
            let (before, after) = good.split_at(at);
            for nuls in [1, 500] {
                let line = format!("{before}{}{after}", "\0".repeat(nuls));
                let expected = Some((Reason::Nul, at as u32 + 1));
                assert_eq!(reason(&format, line.as_bytes()), expected, "{line:?}");
            }
        }
        for line in [format!("\u{feff}{good}"), "\u{feff}".to_owned(), format!("\u{feff}{good}\0")] {
            assert_eq!(reason(&format, line.as_bytes()), Some((Reason::ByteOrderMark, 1)), "{line:?}");
        }
    }
    // Within a text it is an ordinary character.
    assert_eq!(json(&["a"], "{\"time\":1,\"a\":\"\u{feff}\"}").unwrap(), ["\u{feff}"]);
    // A parser remembers the text of keys, but not of damaged ones.
    let mut parser = LogFormat::json().parser(&["a"]).unwrap();
    let mut record = Record::new();
    let line = "{\"time\":1,\"a\0\":2}";
    for line in [line, line, &line.replace('\0', ""), line] {
        let found = parser.parse(line.as_bytes(), &mut record).map_err(|rejection| rejection.reason);
        assert_eq!(found, if line.contains('\0') { Err(Reason::Nul) } else { Ok(()) });
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

#[test]
fn numbers_of_json_may_have_exponents_and_noise_and_those_of_other_formats_may_not() {
    let reading = Reading { scale: 9, ..Reading::default() };
    let number = Number {
        field: 0,
        reading,
        is_list: false,
        is_lenient: false,
        is_deferred: false,
        is_of_client: false,
        may_be_list: true,
        is_summed: true,
        range: i64::MIN..=i64::MAX,
    };
    for (format, line, expected) in [
        (LogFormat::json(), r#"{"time":1,"v":2.4323e-05}"#, Some(24_323)),
        (LogFormat::json(), r#"{"time":1,"v":2.4323e-06}"#, None),
        (LogFormat::json(), r#"{"time":1,"v":3.5127174329999997}"#, Some(3_512_717_433)),
        (LogFormat::ltsv(), "time:1\tv:3.5127174329999997", None),
        (LogFormat::json(), r#"{"time":1,"v":"0.518 : 0.009"}"#, Some(527_000_000)),
        (nginx("$msec \"$v\""), "1795246822.000 \"0.001, -\"", Some(1_000_000)),
        (LogFormat::json(), r#"{"time":1,"v":"1,5"}"#, None),
        (LogFormat::ltsv(), "time:1\tv:2e3", None),
        (nginx("$msec $v"), "1795246822.000 2e3", None),
    ] {
        let (parser, limits) = (format.parser(&["v"]).unwrap(), LineLimits::default());
        let mut parser = BlockParser::new(parser, vec![number.clone()], limits);
        let mut columns = Columns::new(1, 1);
        parser.begin(line.as_bytes());
        assert!(parser.read(line.as_bytes(), &mut columns));
        assert_eq!(columns.numbers[0].values.first().copied(), expected, "{line}");
    }
}

/// All tokens of JSON, and some that are out of place.
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

/// Lines with few keys in few orders, which a parser remembers from one line to the next.
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
        let after = key.chars().rev().filter_map(closing).collect::<String>();
        format!("{key}{value}{after},")
    });
    prop::collection::vec(pair, 0..5).prop_map(|pairs| format!("{{{}\"time\":1}}", pairs.concat()))
}

/// The same, perhaps cut, or with a byte more.
fn damaged_json() -> impl Strategy<Value = String> {
    let byte = prop::sample::select(vec!['{', '}', '[', ']', ',', ':', '"', ' ', '1', '\\', 'n']);
    let damage =
        prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(|at| Some((at, None)))];
    let more = (any::<prop::sample::Index>(), byte).prop_map(|(at, byte)| Some((at, Some(byte))));
    (json_of_few_keys(), prop_oneof![2 => damage, 1 => more]).prop_map(|(mut line, damage)| {
        match damage.map(|(at, byte)| (at.index(line.len()), byte)) {
            Some((at, Some(byte))) => line.insert(at, byte),
            Some((at, None)) => line.truncate(at),
            None => {}
        }
        line
    })
}

proptest! {
    #[test]
    fn nor_does_it_change_why_one_is_rejected(
        lines in prop::collection::vec(damaged_json(), 1..20),
        fields in prop::sample::select(vec![&["a.b", "b"][..], &["a", "a.a"], &["a.a.b", ""]]),
    ) {
        let format = LogFormat::json();
        let mut parser = format.parser(fields).unwrap();
        let mut record = Record::new();
        for line in &lines {
            let line = line.as_bytes();
            let found = parser.parse(line, &mut record).map(|()| {
                (0..fields.len()).map(|at| String::from_utf8_lossy(record.field(at, line)).into_owned()).collect()
            });
            prop_assert_eq!(found, read(&format, fields, line), "{}", String::from_utf8_lossy(line));
        }
    }

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

    // The generated lines allow no difference. Beyond them there is one: serde_json refuses numbers beyond the range of
    // a float, which are kept as text here.
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
