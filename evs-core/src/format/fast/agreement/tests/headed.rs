//! Logs that name their fields themselves.

use super::*;

/// A line of a log with `#Fields:` lines.
fn w3c_line() -> impl Strategy<Value = Vec<u8>> {
    let value = || {
        let usual = select(vec!["-", "200", "12", "/a", "/a?c=1", "c=%41&v=2", "curl/8%20b", "GET", "0.25"]);
        let odd = select(vec!["", "a\\x41", "\\", "\"", "é", "%", "%zz", "\r", " ", "\t", "#", "-5", "a b"]);
        let quoted = select(vec![
            "\"a b\"",
            "\"a\tb\"",
            "\"a\"",
            "\"\"",
            "\"\"\"\"",
            "\"a \"\"b\"\"\"",
            "\"a",
            "b\"",
            "\"a\"b",
            "\"200\"",
        ]);
        prop_oneof![12 => usual, 1 => odd, 1 => quoted]
    };
    let time = prop_oneof![
        8 => "2026-11-2[0-9]D13:25:2[0-9]",
        2 => "2026-11-2[0-9]D13:25:2[0-9][.][0-9]{0,6}",
        1 => "2026-1[13]-21 13:25:2[0-9]",
        1 => "2026-11-21|179524676[0-9]",
    ];
    let line = (select(vec![" ", "\t"]), time, vec(value(), 0..6), 0_usize..3, select(vec!["", "", "\r"]));
    let line = line.prop_map(|(delimiter, time, mut values, at, end)| {
        let time = time.replace('D', delimiter);
        values.insert(at.min(values.len()), &time);
        values.join(delimiter) + end
    });
    let directive = select(vec![
        "#Fields: date time cs-uri-stem sc-status",
        "#Fields: date time cs-uri-stem sc-status\r",
        "#Fields: cs-method date time x-edge-location cs(X) cs-uri-query sc-status",
        "#Fields: cs(User-Agent) date time cs(X)",
        "#Fields: sc-bytes sc-status date time",
        "#Fields: timestamp cs-uri cs(X)",
        "#Fields: date",
        "#Fields:",
        "#Version: 1.0",
        "#",
    ]);
    prop_oneof![6 => line, 1 => directive.prop_map(str::to_owned)].prop_map(String::into_bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn and_so_it_does_with_fields_that_the_log_names(
        lines in vec(w3c_line(), 1..60),
        delimiter in select(vec![None, Some(" "), Some("\t")]),
        cut: prop::sample::Index,
    ) {
        // Most logs have one delimiter.
        let of_one = |line: &Vec<u8>| delimiter.is_none_or(|delimiter| {
            line.starts_with(b"#") || memchr::memmem::find(line, delimiter.as_bytes()).is_some()
        });
        let mut lines: Vec<_> = lines.into_iter().filter(of_one).collect();
        lines.insert(0, b"#Fields: date time cs-uri-stem sc-status".to_vec());
        check("w3c", &lines, &cut)?;
    }
}
