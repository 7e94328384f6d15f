//! The log of an ad server: events whose campaign, type and value are query arguments.
//!
//! ```text
//! 20.0.0.0 - - [21/Nov/2026:13:25:00 +0000] "GET /e?c=1007&b=42&t=imp&v=125&u=… HTTP/1.1" 204 0 "https://…" "…"
//! ```
//!
//! Odd lines have arguments in any order and case, encoded, missing, empty, twice, or after a `#`.

use super::{
    Column, Counted, Digits, Shape, hex, push,
    words::{addresses, agents, any, one_of, popular},
};
use crate::{Random, clock::Time};

/// The number of usual campaigns, 1000 to 1199. The values of odd lines come after them.
const CAMPAIGNS: usize = 200;
/// The campaigns of odd lines, as they must be counted.
const ODD_CAMPAIGNS: [&str; 8] = ["10 0+", "upper", "first", "-", "", "1", "%zz", "-5"];
/// The types of events, as they must be counted. `-` stands for a missing one.
const EVENTS: [&str; 6] = ["imp", "click", "sale", "-", "", "é"];
/// The positions of the usual values. One that is listed more often is more frequent.
const USUAL: [usize; 8] = [0, 0, 0, 0, 0, 0, 1, 2];

/// An ad server's log: `GET /e?c=…&b=…&t=…&v=…&u=…`.
#[derive(Debug)]
pub(crate) struct Ads {
    /// The campaigns, then the types of events.
    keys: [Column; 2],
    addresses: Column,
    agents: Column,
}

impl Ads {
    /// The log with all its values.
    pub(crate) fn new() -> Self {
        let odd = ODD_CAMPAIGNS.iter().map(ToString::to_string);
        let campaigns = (1000..1000 + CAMPAIGNS).map(|campaign| campaign.to_string()).chain(odd);
        let keys = [Column::new("arg_c", campaigns), Column::new("arg_t", EVENTS)];
        Self { keys, addresses: addresses(), agents: agents() }
    }

    /// Appends a line with that query.
    fn write(&self, random: &mut Random, time: &Time, query: &[&[u8]], log: &mut Vec<u8>) {
        let address = self.addresses.text(popular(random, &self.addresses));
        let agent = self.agents.text(any(random, &self.agents));
        push(log, &[address, b" - - [", &time.local, b"] \"GET /e?"]);
        push(log, query);
        push(
            log,
            &[
                b" HTTP/1.1\" 204 0 \"https://news.example.org/world/2026-11-21/story/today/\" \"",
                agent,
                b"\"",
            ],
        );
    }
}

impl Shape for Ads {
    fn format(&self) -> &'static str {
        "combined"
    }

    fn keys(&self) -> &[Column] {
        &self.keys
    }

    fn numbers(&self) -> &'static [&'static str] {
        &["arg_v"]
    }

    fn good(&self, random: &mut Random, time: &Time, log: &mut Vec<u8>) -> Counted {
        let campaign = random.skewed(CAMPAIGNS as u64) as usize;
        let (event, value) = (one_of(random, &USUAL), random.below(10_000));
        let (banner, user) = (Digits::new(random.below(5000)), hex(random.number()));
        let [campaigns, events] = &self.keys;
        let (c, t, v) = (campaigns.text(campaign), events.text(event), Digits::new(value));
        let query: [&[u8]; 10] = [b"c=", c, b"&b=", &banner, b"&t=", t, b"&v=", &v, b"&u=", &user];
        self.write(random, time, &query, log);
        Counted::new(&[campaign, event], &[Some(value as i64)])
    }

    /// Arguments in any order and case, encoded, missing, empty or twice.
    fn odd(&self, random: &mut Random, time: &Time, log: &mut Vec<u8>) -> Counted {
        let value = random.below(1 << 50) as i64;
        let is = Some(value);
        let (query, campaign, event, value) = match random.below(8) {
            0 => (format!("v={value}&t=imp&c=%31%30+0%2B"), "10 0+", "imp", is),
            1 => (format!("C=upper&c=lower&T=sale&V={value}"), "upper", "sale", is),
            2 => (format!("c=first&c=second&t=imp&v={value}&v=5"), "first", "imp", is),
            3 => (format!("v={value}"), "-", "-", is),
            4 => ("c=&t=&v=".to_owned(), "", "", None),
            5 => ("c=1&t=click&v=-".to_owned(), "1", "click", None),
            6 => (format!("cc=7&xt=1&t&c=%zz&t=%C3%A9&v={value}#v=9"), "%zz", "é", is),
            _ => (format!("c=-5&t=sale&v=-{value}"), "-5", "sale", Some(-value)),
        };
        self.write(random, time, &[query.as_bytes()], log);
        let [campaigns, events] = &self.keys;
        Counted::new(&[campaigns.place(campaign), events.place(event)], &[value])
    }

    fn date(&self, time: &Time) -> (Vec<u8>, &'static [u8]) {
        (time.local[..11].to_vec(), b"31/Feb/2026")
    }
}
