//! A log of JSON lines, as nginx writes them for a `log_format` with `escape=json`.
//!
//! Odd lines have quotes and control characters in the path, one of them an attempt to forge a second `status`, and
//! sizes that are missing, `null` or a text.

use super::{
    Column, Counted, Digits, Shape, push,
    words::{addresses, agents, any, one_of, popular},
};
use crate::{Random, clock::Time};

const STATUSES: [&str; 8] = ["200", "304", "206", "301", "404", "499", "502", "400"];
/// The positions of the usual values. One that is listed more often is more frequent.
const USUAL: [usize; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6];
/// The position of the status of odd lines.
const UNUSUAL: usize = 7;
/// The number of pages.
const PAGES: u64 = 20_000;

/// The lines that nginx writes for a `log_format` with `escape=json`.
#[derive(Debug)]
pub(crate) struct Json {
    keys: [Column; 1],
    addresses: Column,
    agents: Column,
}

impl Json {
    /// The log with all its values.
    pub(crate) fn new() -> Self {
        Self { keys: [Column::new("status", STATUSES)], addresses: addresses(), agents: agents() }
    }

    /// Appends a line with those values.
    #[rustfmt::skip]
    fn write(
        &self, random: &mut Random, time: &Time, status: usize, bytes: &[u8], path: &[u8], log: &mut Vec<u8>,
    ) {
        let address = self.addresses.text(popular(random, &self.addresses));
        let agent = self.agents.text(any(random, &self.agents));
        let took = Digits::wide(random.below(900), 3);
        push(log, &[
            b"{\"time_iso8601\":\"", &time.iso, b"\",\"remote_addr\":\"", address,
            b"\",\"remote_user\":\"\",\"request_method\":\"GET\",\"request_uri\":\"",
            path, b"\",\"status\":", self.keys[0].text(status),
            b",\"body_bytes_sent\":", bytes, b",\"request_time\":0.", &took,
            b",\"upstream_response_time\":\"0.", &took, b"\",\"http_referer\":\"https://www.example.com/shop",
            b"\",\"http_user_agent\":\"", agent, b"\"}",
        ]);
    }
}

impl Shape for Json {
    fn format(&self) -> &'static str {
        "json"
    }

    fn keys(&self) -> &[Column] {
        &self.keys
    }

    fn numbers(&self) -> &'static [&'static str] {
        &["body_bytes_sent"]
    }

    fn good(&self, random: &mut Random, time: &Time, log: &mut Vec<u8>) -> Counted {
        let (status, bytes) = (one_of(random, &USUAL), random.below(100_000));
        let mut path = b"/catalogue/".to_vec();
        path.extend_from_slice(&Digits::new(random.skewed(PAGES)));
        self.write(random, time, status, &Digits::new(bytes), &path, log);
        Counted::new(&[status], &[Some(bytes as i64)])
    }

    /// Lines with escapes, and with sizes that are missing or texts.
    fn odd(&self, random: &mut Random, time: &Time, log: &mut Vec<u8>) -> Counted {
        let bytes = random.below(1 << 40);
        let (shown, bytes) = match random.below(4) {
            0 => ("null".to_owned(), None),
            1 => ("\"-\"".to_owned(), None),
            2 => (format!("\"{bytes}\""), Some(bytes as i64)),
            _ => (bytes.to_string(), Some(bytes as i64)),
        };
        let path = random.pick(&[r#"/say\"hi\""#, r"/\u0000\u001f\\", "/日本語", r#"/\",\"status\":200,\""#]);
        self.write(random, time, UNUSUAL, shown.as_bytes(), path.as_bytes(), log);
        Counted::new(&[UNUSUAL], &[bytes])
    }

    fn date(&self, time: &Time) -> (Vec<u8>, &'static [u8]) {
        (time.iso[..10].to_vec(), b"2026-02-31")
    }
}
