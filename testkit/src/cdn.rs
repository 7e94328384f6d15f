use std::io::Write;

use crate::{
    Random,
    combined::{AGENTS, Counted, address},
    iso_time,
};

/// 22 fields, as a content delivery network logs them.
pub(crate) const FORMAT: &str = "$time_iso8601 $msec \"$host\" $remote_addr $request_method \"$request_uri\" \
     $server_protocol $status $body_bytes_sent $request_time $upstream_response_time $upstream_cache_status \
     $pop $node $geoip_country_code \"$sent_http_content_type\" $ssl_protocol $ssl_cipher \"$http_referer\" \
     \"$http_user_agent\" \"$http_range\" $request_id";

struct Line<'l> {
    host: &'l str,
    uri: &'l str,
    bytes: &'l str,
    upstream_time: &'l str,
}

pub(crate) fn good(random: &mut Random, second: i64, log: &mut Vec<u8>) -> Counted {
    let host = format!("cdn{}.example.net", random.skewed(300));
    let uri = format!("/assets/v{}/chunk-{:05}.js", random.below(9), random.skewed(20_000));
    let bytes = random.below(3_000_000) as i64;
    let line = Line { host: &host, uri: &uri, bytes: &bytes.to_string(), upstream_time: "0.012" };
    write(random, second, &line, log);
    (vec![host.into()], Some(bytes))
}

/// Escaped hosts, several upstreams, sizes that are missing.
pub(crate) fn odd(random: &mut Random, second: i64, log: &mut Vec<u8>) -> Counted {
    let hosts: [(&str, &[u8]); 6] = [
        (r"a\x22b", b"a\"b"),
        (r"\xFF\xFE", b"\xFF\xFE"),
        ("", b""),
        ("-", b"-"),
        (r"c\x5Cd e", b"c\\d e"),
        ("[2001:db8::1]", b"[2001:db8::1]"),
    ];
    let (host, key) = hosts[random.below(hosts.len() as u64) as usize];
    let bytes = random.below(1 << 45) as i64;
    let (shown, bytes) =
        if random.below(3) == 0 { ("-".to_owned(), None) } else { (bytes.to_string(), Some(bytes)) };
    let upstream_time = random.pick(&["-", "0.001, 0.002", "0.000, 0.001 : 0.300", "-, 0.301"]);
    write(random, second, &Line { host, uri: r"/a b?\x22", bytes: &shown, upstream_time }, log);
    (vec![key.into()], bytes)
}

fn write(random: &mut Random, second: i64, line: &Line<'_>, log: &mut Vec<u8>) {
    let Line { host, uri, bytes, upstream_time } = line;
    let (time, address, agent) = (iso_time(second), address(random), random.pick(&AGENTS));
    let status = random.pick(&["200", "200", "200", "206", "304", "404"]);
    let cache = random.pick(&["HIT", "HIT", "HIT", "MISS", "EXPIRED", "-"]);
    let (pop, node) = (random.pick(&["fra1", "ams2", "iad3", "nrt1"]), random.below(40));
    let country = random.pick(&["DE", "NL", "US", "JP", "-"]);
    let mime = random.pick(&["application/javascript", "text/css", "image/webp", "video/mp2t"]);
    let range = random.pick(&["-", "-", "-", "bytes=0-1023"]);
    let (millis, request_time) = (random.below(1000), random.below(900));
    write!(
        log,
        "{time} {second}.{millis:03} \"{host}\" {address} GET \"{uri}\" HTTP/2.0 {status} {bytes} \
         0.{request_time:03} {upstream_time} {cache} {pop} node{node} {country} \"{mime}\" TLSv1.3 \
         TLS_AES_128_GCM_SHA256 \"https://www.example.com/\" \"{agent}\" \"{range}\" {:016x}{:016x}",
        random.number(),
        random.number()
    )
    .expect("memory");
}
