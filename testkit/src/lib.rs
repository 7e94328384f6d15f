//! Tools for the tests and benches of evs: deterministic logs with their exact totals, and the servers of
//! `scripts/services`.
//!
//! Tests use a [`Kind`] of log, with one statistic whose total is known for every row. Benches use a [`Workload`],
//! with up to thirty statistics, and a [`Digest`] of the total of each. A generator keeps its own totals while it
//! writes, by the simplest means, so that they can be trusted without the code under test.
//!
//! | to | see |
//! | --- | --- |
//! | generate a log | [`Generator`], [`Kind`], [`Mix`], [`Workload`], [`Options`] |
//! | write and rotate it as a server does | [`RotatingLog`], [`rotated_files`] |
//! | compare the numbers of a store | [`Totals`], [`Digest`] |
//! | get a server, or one of the test's own | [`server`], [`Instance`], [`Certificates`] |
//! | make its connections fail | [`Proxy`] |
//! | fill a disk | [`SmallDisk`] |
//!
//! The crate does not depend on evs: whatever it says about a log is independent of the code that it tests.
//!
//! ```
//! use evs_testkit::{Generator, Kind, Mix};
//!
//! let mut generator = Generator::new(Kind::Ads, Mix::default(), 1);
//! let mut log = Vec::new();
//! generator.lines(1000, &mut log);
//! assert_eq!(log.iter().filter(|byte| **byte == b'\n').count(), 1000);
//!
//! let counted: u64 = generator.totals().values().map(|(lines, _)| lines).sum();
//! assert_eq!(counted, 1000);
//! ```

pub mod certificates;
mod clock;
pub mod disk;
mod generator;
pub mod instance;
mod log;
pub mod proxy;
mod random;
pub mod services;
mod tally;
mod workload;
mod writer;

use std::collections::BTreeMap;

pub use certificates::Certificates;
pub use disk::SmallDisk;
pub use generator::{Generator, Options};
pub use instance::Instance;
pub use proxy::Proxy;
pub use random::Random;
pub use services::server;
pub use tally::Digest;
pub use workload::{Measure, StatisticSpec, Workload};
pub use writer::{RotatingLog, rotated_files};

/// A kind of log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nginx's `combined`, about 246 bytes a line; by (minute, status), sum of `body_bytes_sent`.
    Combined,
    /// An ad server's `GET /e?c=…&b=…&t=…&v=…&u=…`; by (minute, `arg_c`, `arg_t`), sum of `arg_v`.
    Ads,
    /// A CDN's 22 fields, about 416 bytes a line; by (minute, host), sum of `body_bytes_sent`.
    Cdn,
}

/// The exact result of a log: the number of lines and the sum, by window and keys.
///
/// The window is its first second since 1970. Sums are times 10^scale; the scale of every [`Kind`] is 0.
pub type Totals = BTreeMap<(i64, Vec<Vec<u8>>), (u64, i128)>;

/// The frequencies of unusual lines among the ordinary ones.
///
/// ```
/// use evs_testkit::{Generator, Kind, Mix};
///
/// let mix = Mix { malformed_every: 10, odd_every: 10 };
/// let mut generator = Generator::new(Kind::Combined, mix, 1);
/// generator.lines(100, &mut Vec::new());
/// assert_eq!(generator.counts(), (100, 10));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// One line in this many is malformed, and must be rejected; 0 for none.
    pub malformed_every: u64,
    /// One line in this many is odd but valid, and must be counted; 0 for none.
    pub odd_every: u64,
}

/// The log format of a kind of log, in the syntax of evs.
pub fn log_format(kind: Kind) -> &'static str {
    kind.workload().log_format()
}

impl Kind {
    /// The workload with lines of this kind.
    fn workload(self) -> Workload {
        match self {
            Self::Combined => Workload::Combined,
            Self::Ads => Workload::Ads,
            Self::Cdn => Workload::Cdn10,
        }
    }
}
