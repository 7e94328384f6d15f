//! The time to live of rows.

use std::sync::Arc;

use crate::driver::{Kind, Session, StoreError, query};

/// Asks a node for the time, in seconds since 1970. Rows expire by the cluster's clocks, and evs's own may be wrong.
pub(crate) async fn clock(session: &dyn Session) -> Result<i64, StoreError> {
    let rows = query(session, &Arc::from("SELECT toUnixTimestamp(now()) FROM system.local"), &[]).await?;
    let millis = rows.first().and_then(|row| row.first()?.bigint());
    millis
        .map(|millis| millis / 1000)
        .ok_or_else(|| StoreError::new(Kind::Permanent, "the node does not say what time it is"))
}

/// The longest time to live that Cassandra accepts: 20 years.
const TTL_MAX: i64 = 20 * 365 * 86_400;

/// 2038-01-19T03:14:06Z. A cluster that versions before 5.0 can still read has no later expiry.
const EXPIRY_MAX: i64 = 2_147_483_646;

/// The time to live of a row that does not expire.
const FOR_EVER: i32 = 0;

/// The time to live, in seconds, of a row of a window if it is written `now`. `None` if that time is over.
///
/// It is counted from the window's start, so a batch that is written again lives no longer. A window in the future
/// lives for `retain` from now on. A row that Cassandra could not expire in time is kept for ever. That can be
/// corrected later; a row that is removed too early cannot be brought back.
pub(crate) fn time_to_live(window_start: i64, retain: Option<u64>, now: i64) -> Option<i32> {
    let Some(retain) = retain else { return Some(FOR_EVER) };
    let retain = i64::try_from(retain).unwrap_or(i64::MAX);
    let left = window_start.saturating_add(retain).saturating_sub(now).min(retain);
    if left <= 0 {
        return None;
    }
    let expires = now.saturating_add(left);
    if left > TTL_MAX || expires > EXPIRY_MAX {
        return Some(FOR_EVER);
    }
    Some(i32::try_from(left).unwrap_or(FOR_EVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    #[test]
    fn time_is_counted_from_the_windows_start() {
        assert_eq!(time_to_live(NOW, None, NOW), Some(0));
        assert_eq!(time_to_live(NOW, Some(90), NOW), Some(90));
        assert_eq!(time_to_live(NOW - 60, Some(90), NOW), Some(30));
        assert_eq!(time_to_live(NOW - 60, Some(90), NOW + 20), Some(10), "written again");
        assert_eq!(time_to_live(NOW - 89, Some(90), NOW), Some(1));
    }

    #[test]
    fn rows_whose_time_is_over_are_left_out() {
        assert_eq!(time_to_live(NOW - 90, Some(90), NOW), None);
        assert_eq!(time_to_live(i64::MIN, Some(90), NOW), None);
        assert_eq!(time_to_live(0, Some(0), NOW), None);
    }

    #[test]
    fn what_cassandra_cannot_let_expire_is_kept() {
        let years = |years: i64| Some((years * 365 * DAY).cast_unsigned());
        assert_eq!(time_to_live(NOW, years(10), NOW), Some(315_360_000));
        assert_eq!(time_to_live(NOW, years(12), NOW), Some(0), "beyond 2038");
        assert_eq!(time_to_live(0, years(20), 0), Some(630_720_000));
        assert_eq!(time_to_live(0, years(21), 0), Some(0), "beyond 20 years");
        assert_eq!(time_to_live(NOW, Some(u64::MAX), NOW), Some(0));
        assert_eq!(time_to_live(i64::MAX, Some(90), NOW), Some(90), "a window of the future");
    }
}
