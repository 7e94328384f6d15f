//! Workloads of the benches: a log, and the statistics that are computed from it.
//!
//! The names W1 to W3 are those of the measurements in `docs/`. Each workload stands for a kind of user: W1 for a web
//! site with one simple statistic, W2 for an ad server whose keys are query arguments, W3 for a CDN that computes many
//! statistics of long lines at once.

use std::fmt;

use crate::log::{Ads, Cdn, Combined, Json, Layout, Shape};

/// A log and its statistics.
///
/// ```
/// use evs_testkit::Workload;
///
/// let workload = Workload::named("w2").unwrap();
/// assert_eq!(workload, Workload::Ads);
/// assert_eq!(workload.statistics()[0].to_string(), "events; by=arg_c,arg_t; count; sum=arg_v");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// W1: `combined`, 246 bytes a line, by (minute, status).
    Combined,
    /// W2: an ad server's, 272 bytes a line, by (minute, campaign, type).
    Ads,
    /// W3: a CDN's 22 fields, 416 bytes a line; ten statistics of one key each.
    Cdn10,
    /// W3 with thirty statistics, one of them of 2.1 million rows in 5 million lines.
    Cdn30,
    /// JSON lines of 400 bytes, by (minute, status).
    Json,
    /// W1 with its fields in another order.
    Reordered,
    /// W1 with `$request_time` and `$upstream_response_time` at the end.
    Timed,
    /// W1 without a blank between `$remote_user` and `[$time_local]`.
    Bracket,
}

/// A statistic over windows of a minute, independent of evs's own types. `Display` writes it as the example
/// `access_log` reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatisticSpec {
    /// Its name.
    pub name: &'static str,
    /// The fields to group by.
    pub by: &'static [&'static str],
    /// The measures to compute in addition to the number of lines.
    pub measures: &'static [Measure],
}

/// A measure of a field and its scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The sum.
    Sum(&'static str, u8),
    /// The largest value.
    Max(&'static str, u8),
}

impl Measure {
    /// The field that is measured.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Sum(field, _) | Self::Max(field, _) => field,
        }
    }
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Combined,
        Self::Ads,
        Self::Cdn10,
        Self::Cdn30,
        Self::Json,
        Self::Reordered,
        Self::Timed,
        Self::Bracket,
    ];

    /// The workload with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name() == name)
    }

    /// Its name, as it is written in arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::Combined => "w1",
            Self::Ads => "w2",
            Self::Cdn10 => "w3-10",
            Self::Cdn30 => "w3-30",
            Self::Json => "json",
            Self::Reordered => "w1-reordered",
            Self::Timed => "w1-timed",
            Self::Bracket => "w1-bracket",
        }
    }

    /// The log format of its lines.
    pub fn log_format(self) -> &'static str {
        self.shape().format()
    }

    /// The statistics to compute.
    pub fn statistics(self) -> &'static [StatisticSpec] {
        match self {
            Self::Combined | Self::Json | Self::Reordered | Self::Timed | Self::Bracket => &STATUS,
            Self::Ads => &EVENTS,
            Self::Cdn10 => CDN.split_at(10).0,
            Self::Cdn30 => &CDN,
        }
    }

    /// The kind of log of this workload.
    pub(crate) fn shape(self) -> Box<dyn Shape> {
        match self {
            Self::Combined => Box::new(Combined::new(Layout::Combined)),
            Self::Reordered => Box::new(Combined::new(Layout::Reordered)),
            Self::Timed => Box::new(Combined::new(Layout::Timed)),
            Self::Bracket => Box::new(Combined::new(Layout::Bracket)),
            Self::Ads => Box::new(Ads::new()),
            Self::Cdn10 | Self::Cdn30 => Box::new(Cdn::new()),
            Self::Json => Box::new(Json::new()),
        }
    }
}

/// A statistic that sums `body_bytes_sent` by the given fields.
const fn statistic(name: &'static str, by: &'static [&'static str]) -> StatisticSpec {
    StatisticSpec { name, by, measures: &[Measure::Sum("body_bytes_sent", 0)] }
}

/// The statistic of W1 and its variants.
const STATUS: [StatisticSpec; 1] = [statistic("status", &["status"])];

/// The statistic of W2.
const EVENTS: [StatisticSpec; 1] =
    [StatisticSpec { name: "events", by: &["arg_c", "arg_t"], measures: &[Measure::Sum("arg_v", 0)] }];

/// A CDN's statistics: sixteen of one key, ten of two, two averages and a maximum by host, and a histogram.
const CDN: [StatisticSpec; 30] = [
    statistic("host", &["host"]),
    statistic("method", &["request_method"]),
    statistic("uri", &["request_uri"]),
    statistic("protocol", &["server_protocol"]),
    statistic("status", &["status"]),
    statistic("cache", &["upstream_cache_status"]),
    statistic("pop", &["pop"]),
    statistic("country", &["geoip_country_code"]),
    statistic("content_type", &["sent_http_content_type"]),
    statistic("tls", &["ssl_protocol"]),
    statistic("address", &["remote_addr"]),
    statistic("node", &["node"]),
    statistic("cipher", &["ssl_cipher"]),
    statistic("referer", &["http_referer"]),
    statistic("agent", &["http_user_agent"]),
    statistic("range", &["http_range"]),
    statistic("host_status", &["host", "status"]),
    statistic("host_cache", &["host", "upstream_cache_status"]),
    statistic("host_pop", &["host", "pop"]),
    statistic("host_content_type", &["host", "sent_http_content_type"]),
    statistic("pop_status", &["pop", "status"]),
    statistic("pop_cache", &["pop", "upstream_cache_status"]),
    statistic("pop_country", &["pop", "geoip_country_code"]),
    statistic("status_method", &["status", "request_method"]),
    statistic("status_cache", &["status", "upstream_cache_status"]),
    statistic("host_uri", &["host", "request_uri"]),
    StatisticSpec { name: "host_time", by: &["host"], measures: &[Measure::Sum("request_time", 3)] },
    StatisticSpec {
        name: "host_upstream",
        by: &["host"],
        measures: &[Measure::Sum("upstream_response_time", 3)],
    },
    StatisticSpec { name: "host_slowest", by: &["host"], measures: &[Measure::Max("request_time", 3)] },
    StatisticSpec { name: "time_histogram", by: &["request_time"], measures: &[] },
];

/// Writes the statistic in the syntax of the example `access_log`: `host; by=host; count; sum=body_bytes_sent`.
impl fmt::Display for StatisticSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; by={}; count", self.name, self.by.join(","))?;
        for measure in self.measures {
            match measure {
                Measure::Sum(field, 0) => write!(f, "; sum={field}")?,
                Measure::Sum(field, scale) => write!(f, "; sum={field}:{scale}")?,
                Measure::Max(field, 0) => write!(f, "; max={field}")?,
                Measure::Max(field, scale) => write!(f, "; max={field}:{scale}")?,
            }
        }
        Ok(())
    }
}
