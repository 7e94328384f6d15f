//! The log of a content delivery network: 22 fields of all classes, with quotes, lists and escapes.
//!
//! Hosts, pages and referrers are skewed, as in real logs: a few are in most lines. That matters for benches, since a
//! cache of keys that are all equally likely would look worse than it is.
//!
//! A line (shortened):
//!
//! ```text
//! 2026-11-28T13:25:22+00:00 1795872322.123 "www.example" 192.0.2.7 GET "/page/17" HTTP/1.1 200 5120 0.301 … MISS fra1 …
//! ```

use super::{
    Column, Counted, Digits, Number, Shape, hex, push,
    words::{addresses, agents, any, one_of, popular},
};
use crate::{Random, clock::Time};

/// The `log_format` of the lines.
const FORMAT: &str = "$time_iso8601 $msec \"$host\" $remote_addr $request_method \"$request_uri\" \
     $server_protocol $status $body_bytes_sent $request_time $upstream_response_time $upstream_cache_status \
     $pop $node $geoip_country_code \"$sent_http_content_type\" $ssl_protocol $ssl_cipher \"$http_referer\" \
     \"$http_user_agent\" \"$http_range\" $request_id";

/// The number of usual hosts.
const HOSTS: usize = 1000;
/// The number of usual pages. With a thousand hosts they make two million rows.
const URIS: usize = 20_000;
/// The points of presence, by the code of an airport.
const POPS: [&str; 16] = [
    "fra1", "ams2", "iad3", "nrt1", "lhr1", "cdg2", "sin1", "syd1", "gru1", "ord2", "sjc1", "waw1", "mad1",
    "mil2", "sto1", "jnb1",
];
/// The number of servers in each of them.
const NODES_OF_POP: usize = 10;
/// Hosts are escaped in the log.
const ODD_HOSTS: [(&str, &[u8]); 6] = [
    (r"a\x22b", b"a\"b"),
    (r"\xFF\xFE", b"\xFF\xFE"),
    ("", b""),
    ("-", b"-"),
    (r"c\x5Cd e", b"c\\d e"),
    ("[2001:db8::1]", b"[2001:db8::1]"),
];
/// The times of several upstreams are added up.
const ODD_UPSTREAM_TIMES: [(&str, Number); 4] =
    [("-", None), ("0.001, 0.002", Some(3)), ("0.000, 0.001 : 0.300", Some(301)), ("-, 0.301", Some(301))];

/// 22 fields, as a content delivery network logs them.
#[derive(Debug)]
pub(crate) struct Cdn {
    /// All columns, in the order of the positions below.
    keys: [Column; 17],
}

/// The position of a column among the keys.
const HOST: usize = 0;
const ADDRESS: usize = 1;
const METHOD: usize = 2;
const URI: usize = 3;
const PROTOCOL: usize = 4;
const STATUS: usize = 5;
const CACHE: usize = 6;
const POP: usize = 7;
const NODE: usize = 8;
const COUNTRY: usize = 9;
const CONTENT_TYPE: usize = 10;
const TLS: usize = 11;
const CIPHER: usize = 12;
const REFERER: usize = 13;
const AGENT: usize = 14;
const RANGE: usize = 15;
/// The request time is a key, too, for a histogram.
const REQUEST_TIME: usize = 16;

impl Cdn {
    /// The log with all its values.
    pub(crate) fn new() -> Self {
        let uri = |at: usize| match at % 10 {
            0 => format!("/p/{at}"),
            kind => format!("/assets/v{kind}/static/chunk-{at:05}.js"),
        };
        let node = |at: usize| format!("{}-n{}", POPS[at / NODES_OF_POP], at % NODES_OF_POP);
        let country = |at: usize| [b'A' + (at / 8) as u8, b'B' + (at % 8 * 3) as u8];
        Self {
            keys: [
                Column::new("host", (0..HOSTS).map(|at| format!("cdn{at}.static.example.net")))
                    .with_odd(&ODD_HOSTS),
                addresses(),
                Column::new("request_method", ["GET", "HEAD", "POST", "OPTIONS"]),
                Column::new("request_uri", (0..URIS).map(uri)).with_odd(&[(r"/a b?\x22", b"/a b?\"")]),
                Column::new("server_protocol", ["HTTP/2.0", "HTTP/1.1", "HTTP/3.0"]),
                Column::new(
                    "status",
                    ["200", "206", "304", "404", "301", "302", "403", "499", "500", "502", "504"],
                ),
                Column::new(
                    "upstream_cache_status",
                    ["HIT", "MISS", "EXPIRED", "STALE", "REVALIDATED", "BYPASS", "-"],
                ),
                Column::new("pop", POPS),
                Column::new("node", (0..POPS.len() * NODES_OF_POP).map(node)),
                Column::new("geoip_country_code", (0..64).map(country)),
                Column::new("sent_http_content_type", CONTENT_TYPES),
                Column::new("ssl_protocol", ["TLSv1.3", "TLSv1.2"]),
                Column::new("ssl_cipher", CIPHERS),
                Column::new(
                    "http_referer",
                    (0..300).map(|at| format!("https://www{at}.example.com/watch/live/season-4/episode-12")),
                ),
                agents(),
                Column::new("http_range", ["-", "bytes=0-1023", "bytes=0-65535", "bytes=65536-"]),
                Column::new("request_time", (0..1000).map(|millis| format!("0.{millis:03}"))),
            ],
        }
    }

    /// The values of all fields for which odd lines have no values of their own.
    fn usual_keys(&self, random: &mut Random) -> [usize; 17] {
        let mut keys = [0; 17];
        keys[HOST] = random.steep(HOSTS as u64) as usize;
        keys[URI] = random.steep(URIS as u64) as usize;
        keys[METHOD] = one_of(random, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
        keys[PROTOCOL] = one_of(random, &[0, 0, 0, 0, 1, 1, 2, 2]);
        keys[TLS] = one_of(random, &[0, 0, 0, 0, 0, 0, 0, 1]);
        keys[RANGE] = one_of(random, &[0, 0, 0, 0, 0, 1, 2, 3]);
        for column in [ADDRESS, STATUS, CACHE, COUNTRY, CONTENT_TYPE, CIPHER, REFERER] {
            keys[column] = popular(random, &self.keys[column]);
        }
        for column in [NODE, AGENT, REQUEST_TIME] {
            keys[column] = any(random, &self.keys[column]);
        }
        keys[POP] = keys[NODE] / NODES_OF_POP;
        keys
    }

    /// Appends a line with the values at the positions `keys`. `bytes` and `upstream` are written as they are.
    #[rustfmt::skip]
    fn write(
        &self, random: &mut Random, time: &Time, keys: &[usize; 17], bytes: &[u8], upstream: &[u8],
        log: &mut Vec<u8>,
    ) {
        let (second, millis) = (Digits::new(time.second as u64), Digits::wide(random.below(1000), 3));
        let id = (hex(random.number()), hex(random.number()));
        let text = |column: usize| self.keys[column].text(keys[column]);
        push(log, &[
            &time.iso, b" ", &second, b".", &millis, b" \"", text(HOST), b"\" ", text(ADDRESS), b" ",
            text(METHOD), b" \"", text(URI), b"\" ", text(PROTOCOL), b" ", text(STATUS), b" ", bytes, b" ",
            text(REQUEST_TIME), b" ", upstream, b" ", text(CACHE), b" ", text(POP), b" ", text(NODE), b" ",
            text(COUNTRY), b" \"", text(CONTENT_TYPE), b"\" ", text(TLS), b" ", text(CIPHER), b" \"",
            text(REFERER), b"\" \"", text(AGENT), b"\" \"", text(RANGE), b"\" ", &id.0, &id.1,
        ]);
    }
}

const CONTENT_TYPES: [&str; 20] = [
    "application/javascript",
    "text/css",
    "image/webp",
    "video/mp2t",
    "text/html; charset=utf-8",
    "image/jpeg",
    "image/png",
    "image/avif",
    "image/svg+xml",
    "image/gif",
    "application/json",
    "application/vnd.apple.mpegurl",
    "application/dash+xml",
    "video/mp4",
    "audio/mp4",
    "font/woff2",
    "application/wasm",
    "application/octet-stream",
    "application/zip",
    "-",
];
const CIPHERS: [&str; 6] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
];

impl Shape for Cdn {
    fn format(&self) -> &'static str {
        FORMAT
    }

    fn keys(&self) -> &[Column] {
        &self.keys
    }

    fn numbers(&self) -> &'static [&'static str] {
        &["body_bytes_sent", "request_time", "upstream_response_time"]
    }

    fn good(&self, random: &mut Random, time: &Time, log: &mut Vec<u8>) -> Counted {
        let (keys, bytes) = (self.usual_keys(random), random.below(3_000_000));
        let took = Some(keys[REQUEST_TIME] as i64);
        // A response from the cache has no upstream.
        let (shown, upstream) = match keys[CACHE] {
            0 => (&b"-"[..], None),
            _ => (self.keys[REQUEST_TIME].text(keys[REQUEST_TIME]), took),
        };
        self.write(random, time, &keys, &Digits::new(bytes), shown, log);
        Counted::new(&keys, &[Some(bytes as i64), took, upstream])
    }

    /// Lines with escaped hosts, several upstreams, or missing sizes.
    fn odd(&self, random: &mut Random, time: &Time, log: &mut Vec<u8>) -> Counted {
        let mut keys = self.usual_keys(random);
        keys[HOST] = HOSTS + random.below(ODD_HOSTS.len() as u64) as usize;
        keys[URI] = URIS;
        let bytes = random.below(1 << 45);
        let (shown, bytes) = match random.below(3) {
            0 => ("-".to_owned(), None),
            _ => (bytes.to_string(), Some(bytes as i64)),
        };
        let (upstream, wait) = ODD_UPSTREAM_TIMES[random.below(ODD_UPSTREAM_TIMES.len() as u64) as usize];
        self.write(random, time, &keys, shown.as_bytes(), upstream.as_bytes(), log);
        Counted::new(&keys, &[bytes, Some(keys[REQUEST_TIME] as i64), wait])
    }

    fn date(&self, time: &Time) -> (Vec<u8>, &'static [u8]) {
        (format!("{}.", time.second).into_bytes(), b"17952x7500.")
    }
}
