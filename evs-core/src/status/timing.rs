//! How long something took: a histogram with fixed buckets.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::seconds;

/// The number of buckets with an upper bound.
const BUCKETS: usize = 15;

/// How long calls of one kind took since the run was started: a histogram. Histograms of several processes can be added up.
///
/// ```
/// # use evs_core::Timing;
/// let bounds = Timing::BOUNDS;
/// assert_eq!((bounds[0], bounds[14]), (0.001, 300.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// The calls that took no longer than the bound of the same index in [`BOUNDS`](Self::BOUNDS), and longer than the bound
    /// before. A call that took longer than the last bound is in none of them.
    pub buckets: [u64; BUCKETS],
    /// The number of calls.
    pub count: u64,
    /// The time that all of them took.
    pub sum: Duration,
    /// The time that the last of them took.
    pub last: Duration,
}

impl Timing {
    /// The upper bounds of the buckets, in seconds.
    pub const BOUNDS: [f64; BUCKETS] =
        [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0];

    /// Adds a call.
    pub(crate) fn add(&mut self, took: Duration) {
        let at = Self::BOUNDS.partition_point(|bound| *bound < took.as_secs_f64());
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum += took;
        self.last = took;
    }
}

/// The buckets are written as Prometheus has them: each with the calls of all before it.
impl Serialize for Timing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Bucket {
            le: f64,
            count: u64,
        }
        #[derive(Serialize)]
        struct Seconds<'d>(#[serde(serialize_with = "seconds::of")] &'d Duration);
        let mut count = 0;
        let buckets = Self::BOUNDS.iter().zip(self.buckets).map(|(&le, calls)| {
            count += calls;
            Bucket { le, count }
        });
        let buckets: Vec<_> = buckets.collect();
        let mut timing = serializer.serialize_struct("Timing", 4)?;
        timing.serialize_field("count", &self.count)?;
        timing.serialize_field("sum", &Seconds(&self.sum))?;
        timing.serialize_field("last", &Seconds(&self.last))?;
        timing.serialize_field("buckets", &buckets)?;
        timing.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut timing = Timing::default();
        for millis in [0, 1, 2, 300_000, 300_001] {
            timing.add(Duration::from_millis(millis));
        }
        assert_eq!((timing.buckets[0], timing.buckets[1], timing.buckets[14]), (2, 1, 1));
        assert_eq!((timing.count, timing.sum), (5, Duration::from_millis(600_004)));
        let json = serde_json::to_value(timing).unwrap();
        assert_eq!(json["buckets"][14], serde_json::json!({"le": 300.0, "count": 4}), "cumulative");
        assert_eq!((&json["count"], &json["last"]), (&5.into(), &300.001.into()));
    }
}
