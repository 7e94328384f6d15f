use std::io::Write;

use crate::{Random, local_time};

const STATUSES: [&str; 16] = [
    "200", "200", "200", "200", "200", "200", "200", "200", "200", "304", "304", "206", "301", "404", "499",
    "502",
];
pub(crate) const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (compatible; AhrefsBot/6.1; +http://ahrefs.com/robot/)",
];

/// Keys and value of a line, as they must be counted.
pub(crate) type Counted = (Vec<Vec<u8>>, Option<i64>);

pub(crate) fn address(random: &mut Random) -> String {
    let at = random.skewed(50_000);
    format!("{}.{}.{}.{}", 20 + at % 180, at / 180 % 256, at * 7 % 256, at * 13 % 256)
}

// Writing into a vector cannot fail.
pub(crate) fn good(random: &mut Random, second: i64, log: &mut Vec<u8>) -> Counted {
    let (status, bytes) = (random.pick(&STATUSES), random.below(100_000) as i64);
    let (address, page, agent) = (address(random), random.skewed(20_000), random.pick(&AGENTS));
    let time = String::from_utf8(local_time(second)).expect("ASCII");
    write!(
        log,
        "{address} - - [{time}] \"GET /catalogue/item-{page}/view.html HTTP/1.1\" {status} {bytes} \
         \"https://www.example.com/catalogue/{page}\" \"{agent}\""
    )
    .expect("memory");
    (vec![status.into()], Some(bytes))
}

/// What is unusual, and yet what nginx writes.
pub(crate) fn odd(random: &mut Random, second: i64, log: &mut Vec<u8>) -> Counted {
    let time = String::from_utf8(local_time(second)).expect("ASCII");
    let user = random.pick(&["john doe", "a] [b", "- [", "x [10/Oct/2000", "\u{1F600}", "-"]);
    let long = format!("GET /{} HTTP/1.1", "x".repeat(65_000));
    let request = match random.below(40) {
        0 => long.as_str(),
        _ => random.pick(&[
            "",
            "-",
            r"\x16\x03\x01\x00\xB5\x01\x00\x00\xB1\x03\x03",
            "batman",
            "GET /",
            "GET /a b HTTP/1.1",
            r"GET /say\x22hi\x22?q=[1] HTTP/1.1",
            "GET http://example.com/p?x=1 HTTP/1.1",
        ]),
    };
    let (status, bytes) = (random.pick(&["400", "408", "009", "200"]), random.below(1 << 40) as i64);
    let (shown, bytes) = match random.below(4) {
        0 => ("-".to_owned(), None),
        _ => (bytes.to_string(), Some(bytes)),
    };
    let agent = random.pick(&["", "-", r"\xFF\xFE", "a [21/Nov/2026:13:25:22 +0000] b", "日本語"]);
    write!(log, "2001:db8::1 - {user} [{time}] \"{request}\" {status} {shown} \"\" \"{agent}\"")
        .expect("memory");
    (vec![status.into()], bytes)
}
