//! The log of a web site, in nginx's `combined` and variants of it.
//!
//! The variants have the same content in another order or with more fields, to show that the speed of parsing does not
//! hang on one format.
//!
//! A line: `192.0.2.7 - - [28/Nov/2026:13:25:22 +0000] "GET /page/17 HTTP/1.1" 200 5120 "-" "Mozilla/5.0 …"`.

use super::{
    Column, Counted, Digits, Shape, push,
    words::{addresses, agents, any, one_of, popular},
};
use crate::{Random, clock::Time};

/// The statuses, the usual ones first.
const STATUSES: [&str; 10] = ["200", "304", "206", "301", "404", "499", "502", "400", "408", "009"];
/// The positions of the usual values. One that is listed more often is more frequent.
const USUAL: [usize; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6];
/// The positions of the statuses of odd lines.
const UNUSUAL: [usize; 4] = [7, 8, 9, 0];
/// The number of pages.
const PAGES: usize = 20_000;

/// The order of a line's fields.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    /// nginx's `combined`.
    Combined,
    /// The same fields in another order.
    Reordered,
    /// With `$request_time` and `$upstream_response_time` at the end.
    Timed,
    /// Without a blank between `$remote_user`, which has no quotes, and the bracket of the time.
    Bracket,
}

/// A site's log.
#[derive(Debug)]
pub(crate) struct Combined {
    layout: Layout,
    keys: [Column; 1],
    addresses: Column,
    agents: Column,
}

/// A line's fields, as they are written.
struct Line<'l> {
    address: &'l [u8],
    user: &'l [u8],
    request: &'l [u8],
    /// The position of the status in its column.
    status: usize,
    /// The size of the response, or `-`.
    bytes: &'l [u8],
    referer: &'l [u8],
    agent: &'l [u8],
}

impl Combined {
    /// The log with all its values, and the fields in that order.
    pub(crate) fn new(layout: Layout) -> Self {
        let keys = [Column::new("status", STATUSES)];
        Self { layout, keys, addresses: addresses(), agents: agents() }
    }

    /// Appends a line in the layout of this log.
    #[rustfmt::skip]
    fn write(&self, random: &mut Random, time: &Time, line: &Line<'_>, log: &mut Vec<u8>) {
        let Line { address, user, request, status, bytes, referer, agent } = line;
        let (local, status) = (&time.local[..], self.keys[0].text(*status));
        let user_end: &[u8] = if matches!(self.layout, Layout::Bracket) { b"[" } else { b" [" };
        match self.layout {
            Layout::Combined | Layout::Timed | Layout::Bracket => push(log, &[
                address, b" - ", user, user_end, local, b"] \"", request, b"\" ", status, b" ", bytes, b" \"",
                referer, b"\" \"", agent, b"\"",
            ]),
            Layout::Reordered => push(log, &[
                b"[", local, b"] ", status, b" ", bytes, b" \"", agent, b"\" \"", request, b"\" ", address,
                b" - ", user, b" \"", referer, b"\"",
            ]),
        }
        if matches!(self.layout, Layout::Timed) {
            let (whole, upstream) = (Digits::wide(random.below(900), 3), Digits::wide(random.below(900), 3));
            push(log, &[b" 0.", &whole, b" 0.", &upstream]);
        }
    }
}

impl Shape for Combined {
    fn format(&self) -> &'static str {
        match self.layout {
            Layout::Combined => "combined",
            Layout::Reordered => {
                "[$time_local] $status $body_bytes_sent \"$http_user_agent\" \"$request\" $remote_addr - \
                 $remote_user \"$http_referer\""
            }
            Layout::Timed => {
                "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                 \"$http_referer\" \"$http_user_agent\" $request_time $upstream_response_time"
            }
            Layout::Bracket => {
                "$remote_addr - $remote_user[$time_local] \"$request\" $status $body_bytes_sent \
                 \"$http_referer\" \"$http_user_agent\""
            }
        }
    }

    fn keys(&self) -> &[Column] {
        &self.keys
    }

    fn numbers(&self) -> &'static [&'static str] {
        &["body_bytes_sent"]
    }

    fn good(&self, random: &mut Random, time: &Time, log: &mut Vec<u8>) -> Counted {
        let (status, bytes) = (one_of(random, &USUAL), random.below(100_000));
        let (address, agent) = (popular(random, &self.addresses), any(random, &self.agents));
        let page = Digits::new(random.skewed(PAGES as u64));
        let mut request = [0; 64];
        let request = join(&mut request, &[b"GET /catalogue/item-", &page, b"/view.html HTTP/1.1"]);
        let mut referer = [0; 64];
        let referer = join(&mut referer, &[b"https://www.example.com/catalogue/page-", &page]);
        let line = Line {
            address: self.addresses.text(address),
            user: b"-",
            request,
            status,
            bytes: &Digits::new(bytes),
            referer,
            agent: self.agents.text(agent),
        };
        self.write(random, time, &line, log);
        Counted::new(&[status], &[Some(bytes as i64)])
    }

    fn odd(&self, random: &mut Random, time: &Time, log: &mut Vec<u8>) -> Counted {
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
        let (status, bytes) = (one_of(random, &UNUSUAL), random.below(1 << 40));
        let (shown, bytes) = match random.below(4) {
            0 => ("-".to_owned(), None),
            _ => (bytes.to_string(), Some(bytes as i64)),
        };
        let agent = random.pick(&["", "-", r"\xFF\xFE", "a [21/Nov/2026:13:25:22 +0000] b", "日本語"]);
        let line = Line {
            address: b"2001:db8::1",
            user: user.as_bytes(),
            request: request.as_bytes(),
            status,
            bytes: shown.as_bytes(),
            referer: b"",
            agent: agent.as_bytes(),
        };
        self.write(random, time, &line, log);
        Counted::new(&[status], &[bytes])
    }

    fn date(&self, time: &Time) -> (Vec<u8>, &'static [u8]) {
        (time.local[..11].to_vec(), b"31/Feb/2026")
    }
}

/// The concatenation of the parts, stored in `room`.
fn join<'r>(room: &'r mut [u8; 64], parts: &[&[u8]]) -> &'r [u8] {
    let mut end = 0;
    for part in parts {
        room[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    &room[..end]
}
