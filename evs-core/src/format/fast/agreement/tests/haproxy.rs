//! Lines of HAProxy, whose escapes begin with another byte, and whose cookies may have blanks.

use super::*;

const FIELDS: &[&str] = &[
    "request_cookie",
    "response_cookie",
    "termination_state",
    "captured",
    "request",
    "request_method",
    "uri",
    "arg_c",
    "status",
    "connect_time",
    "bytes_sent",
];

/// Lines of `option httplog`, some of which have bytes that are none of theirs.
fn haproxy_line() -> impl Strategy<Value = Vec<u8>> {
    let time = select(vec!["-1", "0", "12", "+3", "x", ""]);
    let cookie = "(-|A=[a ]{0,5}|[-/0-9# ]{0,9}|- ---- 1/1/1/1/0 0/0)";
    let captured = select(vec!["", "{} ", "{a#22b|#7B} {} ", "{#4} ", "#"]);
    let request = "GET /[ab#?]{0,5}(\\?c=[a#0-9%CA]{0,9})?( HTTP/1.1)?|<BADREQ>|#[0-9A-F]{0,3}";
    let damage = (any::<prop::sample::Index>(), select(b" \"\\#-/{}\r".to_vec()));
    ((time.clone(), time), cookie, captured, request, prop::option::weighted(0.3, damage)).prop_map(
        |((connect, bytes), cookie, captured, request, damage)| {
            let mut line = format!(
                "10.0.1.2:33 [06/Feb/2009:12:14:14.655] in~ b/s 1/0/{connect}/2/3 200 {bytes} {cookie} - ---- \
                 1/1/1/1/0 0/0 {captured}\"{request}\""
            )
            .into_bytes();
            if let Some((index, byte)) = damage {
                line.insert(index.index(line.len() + 1), byte);
            }
            line
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn fast_path_and_reference_agree_on_lines_of_haproxy(lines in vec(haproxy_line(), 1..40)) {
        let block = lines.join(&b'\n');
        prop_assert_eq!(assert_agreement("haproxy_http", FIELDS, &[&block]), Ok(true));
    }
}
