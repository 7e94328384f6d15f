//! The most expensive lines that clients can make.
//!
//! A client chooses the request, the user, and most headers. Each case fills one of them with the text that costs a
//! reader most: separators, escapes, names that are nearly those asked for. The bench `hostile` shows the cost per
//! byte, which must stay within a small factor of that of an ordinary line.

/// A kind of lines.
pub(crate) struct Case {
    /// The group of the case. Its lines are compared with the case `ordinary` of the group, which comes first.
    pub(crate) group: &'static str,
    /// The name of the case within its group.
    pub(crate) name: &'static str,
    /// The log format of the line.
    pub(crate) format: &'static str,
    /// The fields that the parser is asked for.
    pub(crate) fields: &'static [&'static str],
    /// The line, which is repeated to fill a block.
    pub(crate) line: String,
}

/// Twenty arguments, some of which have the same beginning, and the other parts of a request.
const MANY: &[&str] = &[
    "status",
    "request_method",
    "uri",
    "http_referer",
    "http_user_agent",
    "arg_c",
    "arg_t",
    "arg_v",
    "arg_id",
    "arg_utm_source",
    "arg_utm_medium",
    "arg_utm_campaign",
    "arg_utm_content",
    "arg_utm_term",
    "arg_campaign_identifier_of_the_first_partner",
    "arg_campaign_identifier_of_the_other_partner",
    "arg_session",
    "arg_page",
    "arg_ref",
    "arg_lang",
    "arg_width",
    "arg_height",
    "arg_zone",
    "arg_price",
    "arg_currency",
];
/// The fields that an ad server's statistics use.
const FEW: &[&str] = &["status", "arg_c", "arg_t", "arg_v", "http_user_agent"];
/// The fields of the JSON cases: some are keys, others are derived from the request.
const JSON: &[&str] =
    &["status", "request_uri", "ua", "arg_c", "arg_t", "arg_v", "arg_utm_source", "a.b", "region", "bytes"];
/// The fields of the LTSV cases.
const LTSV: &[&str] = JSON;

/// An ordinary user agent.
const AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
/// An ordinary query.
const QUERY: &str = "c=spring_sale&t=click&v=125&id=81a7c9e2&utm_source=newsletter&page=4&lang=de";

/// A line of `combined` with that user, target and user agent.
fn combined(user: &str, target: &str, agent: &str) -> String {
    format!(
        "203.0.113.77 - {user} [21/Nov/2026:13:25:22 +0545] \"GET {target} HTTP/1.1\" 200 5120 \
         \"https://shop.example/landing/page\" \"{agent}\""
    )
}

/// A line of JSON with that target, user agent, and further keys.
fn json(uri: &str, agent: &str, more: &str) -> String {
    format!(
        "{{\"time\":\"2026-11-21T13:25:22+05:45\",\"status\":200,\"request_uri\":\"{uri}\",\"ua\":\"{agent}\",\
         \"region\":\"eu-west-1\",\"bytes\":5120,\"a\":{{\"b\":\"x\"}}{more}}}"
    )
}

/// A query of `len` bytes that repeats `text`.
fn filled(text: &str, len: usize) -> String {
    text.repeat(len / text.len())
}

/// The special queries, by name.
fn queries() -> Vec<(&'static str, String)> {
    vec![
        ("180 &", filled("&", 180)),
        ("8 KB of &", filled("&", 8000)),
        ("8 KB of =", filled("=", 8000)),
        ("8 KB of =&", filled("=&", 8000)),
        ("8 KB of a&", filled("a&", 8000)),
        ("180 times a=&", filled("a=&", 540)),
        ("8 KB of a=&", filled("a=&", 8000)),
        ("8 KB of c=1&", filled("c=1&", 8000)),
        ("8 KB of other names", filled("utm_sourcf=1&utm_mediun=2&arg_ter=3&zonf=4&", 8000)),
        (
            "8 KB of names as long as those asked for",
            filled(
                "campaign_identifier_of_the_fifth_partner=1&campaign_identifier_of_the_tenth_partner=1&",
                8000,
            ),
        ),
        ("8 KB in one value", format!("c={}", filled("a", 8000))),
        ("8 KB in one name", filled("a", 8000)),
        ("300 % in a value", format!("c={}", filled("%", 300))),
        ("100 %41 in a value", format!("c={}", filled("%41", 300))),
        ("8 KB of %41", format!("c={}", filled("%41", 8000))),
        ("8 KB of %", format!("c={}", filled("%", 8000))),
        ("8 KB of a%41", format!("c={}", filled("a%41", 8000))),
        ("8 KB of +", format!("c={}", filled("+", 8000))),
        (
            "8 KB of encoded arguments",
            ["c", "t", "v", "page", "lang", "zone"]
                .map(|name| format!("{name}={}", filled("%4z%41+", 1300)))
                .join("&"),
        ),
        ("one \\x22", format!("{QUERY}\\x22")),
        ("150 \\x22", format!("c={}", filled("\\x22", 600))),
        ("8 KB of \\x22", format!("c={}", filled("\\x22", 8000))),
        ("8 KB of \\x22=&", filled("\\x22=&", 8000)),
        ("8 KB of \\x25", format!("c={}", filled("\\x2541", 8000))),
    ]
}

/// All cases. Those of a group have the same format and fields.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (group, fields) in [("20 arguments", MANY), ("3 arguments", FEW)] {
        let mut add = |name, line| cases.push(Case { group, name, format: "combined", fields, line });
        add("ordinary", combined("-", &format!("/ad?{QUERY}"), AGENT));
        for (name, query) in queries() {
            add(name, combined("-", &format!("/ad?{query}"), AGENT));
        }
        for (name, path) in [
            ("8 KB of / in the path", filled("/", 8000)),
            ("8 KB of a/../ in the path", filled("/a/..", 8000)),
            ("8 KB of /a/a, then /..", format!("{}{}", filled("/a", 3000), filled("/..", 4500))),
            ("8 KB of %2f in the path", format!("/{}", filled("%2f%61", 8000))),
            ("8 KB of ?", format!("/{}", filled("?", 8000))),
        ] {
            add(name, combined("-", &path, AGENT));
        }
        add("one \\x22 in the agent", combined("-", &format!("/ad?{QUERY}"), &format!("{AGENT}\\x22")));
        add("150 \\x22 in the agent", combined("-", "/ad", &filled("\\x22", 600)));
        add("8 KB of \\x22 in the agent", combined("-", "/ad", &filled("\\x22", 8000)));
        add("8 KB of \\ in the agent", combined("-", "/ad", &filled("\\", 8000)));
        add("8 KB of blanks in the agent", combined("-", "/ad", &filled(" ", 8000)));
        add("a user of two words", combined("john doe", &format!("/ad?{QUERY}"), AGENT));
        add("8 KB of [ in the user", combined(&filled(" [", 8000), "/ad", AGENT));
        add("8 KB of times in the user", combined(&filled(" [21/Nov/2026", 8000), "/ad", AGENT));
    }
    let mut add = |name, line| {
        cases.push(Case { group: "JSON", name, format: "json", fields: JSON, line });
    };
    let uri = format!("/ad?{QUERY}");
    add("ordinary", json(&uri, AGENT, ""));
    for (name, query) in queries().into_iter().filter(|(_, query)| !query.contains('\\')) {
        add(name, json(&format!("/ad?{query}"), AGENT, ""));
    }
    for (name, text) in [
        ("8 KB of \\\"", "\\\""),
        ("8 KB of \\\\", "\\\\"),
        ("8 KB of \\u0001", "\\u0001"),
        ("8 KB of \\ud83d\\ude00", "\\ud83d\\ude00"),
        ("8 KB of a\\n", "a\\n"),
    ] {
        add(name, json(&uri, &filled(text, 8000), ""));
    }
    add(
        "8 KB of escapes in the query",
        json(&format!("/ad?c={}", filled("\\u0025\\u0034\\u0031", 8000)), AGENT, ""),
    );
    let more = |text: &str| json(&uri, AGENT, &filled(text, 8000));
    add("8 KB of keys", more(",\"k\":1"));
    add("8 KB of asked keys", more(",\"ua\":1"));
    add("8 KB of escaped keys", more(",\"\\u006b\":1"));
    add("8 KB of empty objects", more(",\"\":{}"));
    let array = |text: &str, end: &str| json(&uri, AGENT, &format!(",\"k\":[{}{end}]", filled(text, 8000)));
    add("8 KB of [],", array("[],", "1"));
    add("8 KB of 1,", array("1,", "1"));
    add("8 KB of -1e1,", array("-1e1,", "1"));
    add("8 KB of blanks", array(" ", "1"));
    let deep = format!(",\"k\":{}1{}", filled("{\"key\":", 120 * 7), filled("}", 120));
    add("objects in objects", json(&uri, AGENT, &deep.repeat(8)));
    let mut add = |name, line| {
        cases.push(Case { group: "LTSV", name, format: "ltsv", fields: LTSV, line });
    };
    let ltsv = |uri: &str, more: &str| {
        format!(
            "time:2026-11-21T13:25:22+05:45\tstatus:200\trequest_uri:{uri}\tua:{AGENT}\tregion:eu\tbytes:5120{more}"
        )
    };
    add("ordinary", ltsv(&uri, ""));
    add("8 KB of labels", ltsv(&uri, &filled("\tk:", 8000)));
    add("8 KB of asked labels", ltsv(&uri, &filled("\tua:", 8000)));
    add("8 KB of &", ltsv(&format!("/ad?{}", filled("&", 8000)), ""));
    cases
}
