//! Times of all shapes, and texts that are not times.

use proptest::prelude::*;

use super::{
    text::{SECONDS_MAX, SECONDS_MIN, days_since_1970},
    *,
};

fn any(text: &str) -> Result<i64, Reason> {
    LastTime::default().read_any(text.as_bytes())
}

#[test]
fn every_shape_gives_its_instant() {
    for (text, expected) in [
        ("21/Nov/2026:13:25:22 +0545", 1_795_246_822),
        ("2026-11-21T13:25:22+05:45", 1_795_246_822),
        ("2026-11-21T07:40:22Z", 1_795_246_822),
        ("2026-11-21 07:40:22.999999Z", 1_795_246_822),
        ("2026-11-21t02:40:22-0500", 1_795_246_822),
        ("1795246765.707", 1_795_246_765),
        ("1795246765", 1_795_246_765),
        ("01/Jan/1970:00:00:00 +0000", 0),
        ("31/Dec/1969:23:59:59 +0000", -1),
        ("-1", -1),
        ("-0.5", -1),
        ("-0.0", 0),
        ("2026-11-21T07:40:22", 1_795_246_822),
        ("[2026-11-21T13:25:22.5+05:45]", 1_795_246_822),
        ("[1795246822]", 1_795_246_822),
        ("21/Nov/2026:07:40:22", 1_795_246_822),
        ("21/Nov/2026:07:40:22.601", 1_795_246_822),
        ("21/Nov/2026:13:25:22.601 +0545", 1_795_246_822),
        ("1795246765707", 1_795_246_765),
        ("1795246765707.9", 1_795_246_765),
        ("1795246765707123", 1_795_246_765),
        ("1795246765707123456", 1_795_246_765),
        ("0000-01-01T00:00:00Z", SECONDS_MIN),
        ("9999-12-31T23:59:59Z", SECONDS_MAX),
        ("2038-01-19T03:14:08Z", 1 << 31),
        ("29/Feb/2024:00:00:00 +0000", 1_709_164_800),
        ("29/Feb/2000:12:00:00 +0000", 951_825_600),
        ("31/Dec/2016:23:59:60 +0000", 1_483_228_799),
    ] {
        assert_eq!(any(text), Ok(expected), "{text}");
    }
}

#[test]
fn the_offset_decides_in_the_hour_that_is_repeated() {
    let before = any("25/Oct/2026:02:59:59 +0200").unwrap();
    assert_eq!(any("25/Oct/2026:02:00:00 +0100"), Ok(before + 1));
}

/// An offset moves a time beyond the years that can be written.
#[test]
fn the_lowest_and_the_highest_time_lie_a_day_beyond_the_years_0_and_9999() {
    const OFFSET_MAX: i64 = 23 * 3600 + 59 * 60;
    for (text, expected) in [
        ("31/Dec/9999:23:59:60 -1400", SECONDS_MAX + 14 * 3600),
        ("31/Dec/9999:23:59:60 -2359", SECONDS_MAX + OFFSET_MAX),
        ("9999-12-31T23:59:59-23:59", SECONDS_MAX + OFFSET_MAX),
        ("01/Jan/0000:00:00:00 +2359", SECONDS_MIN - OFFSET_MAX),
        ("0000-01-01T00:00:00+23:59", SECONDS_MIN - OFFSET_MAX),
        ("253402300799.999", SECONDS_MAX),
        ("-62167219200", SECONDS_MIN),
    ] {
        assert_eq!(any(text), Ok(expected), "{text}");
    }
    for text in ["253402300800", "-62167219201", "-62167219200.5"] {
        assert_eq!(any(text), Err(Reason::Date), "{text}");
    }
}

#[test]
fn impossible_dates_are_told_from_what_is_no_time() {
    for (text, expected) in [
        ("31/Feb/2026:00:00:00 +0000", Reason::Date),
        ("29/Feb/2026:00:00:00 +0000", Reason::Date),
        ("29/Feb/1900:00:00:00 +0000", Reason::Date),
        ("00/Jan/2026:00:00:00 +0000", Reason::Date),
        ("2026-13-01T00:00:00Z", Reason::Date),
        ("2026-00-01T00:00:00Z", Reason::Date),
        ("21/Nov/2026:24:00:00 +0000", Reason::Date),
        ("21/Nov/2026:23:60:00 +0000", Reason::Date),
        ("21/Nov/2026:23:59:61 +0000", Reason::Date),
        ("21/Nov/2026:23:59:59 +2400", Reason::Date),
        ("21/Nov/2026:23:59:59 +0060", Reason::Date),
        ("253402300800", Reason::Date),
        ("9999999999999999999999", Reason::Date),
        ("21/Okt/2026:13:25:22 +0545", Reason::Time),
        ("21/nov/2026:13:25:22 +0545", Reason::Time),
        ("[21/Nov/2026:13:25:22 +0545", Reason::Time),
        ("21/Nov/2026:13:25:22.", Reason::Time),
        ("21/Nov/2026:13:25:22 +0545 ", Reason::Time),
        ("2026-11-21T13:25", Reason::Time),
        ("2026-11-21", Reason::Time),
        ("1.795e9", Reason::Time),
        ("+5", Reason::Time),
        ("5.", Reason::Time),
        ("-", Reason::Time),
        ("", Reason::Time),
    ] {
        assert_eq!(any(text), Err(expected), "{text:?}");
    }
}

#[test]
fn nginx_times_have_one_shape_each() {
    let seconds = |shape, text: &str| LastTime::default().read(&shape, text.as_bytes());
    for text in ["1795246765.707", "1795246765", "1795246765.7071", "1795246765707", "1795246765707123.4"] {
        assert_eq!(seconds(Shape::Msec, text), Ok(1_795_246_765), "{text}");
    }
    assert_eq!(seconds(Shape::Msec, "5.707"), Ok(5));
    for text in ["179524676", "17952467657", "5.70", "5", ".707", "-1.707", "1x.707", "1795246765."] {
        assert_eq!(seconds(Shape::Msec, text), Err(Reason::Time), "a cut time: {text}");
    }
    for text in ["2026-11-21T07:40:22Z", "2026-11-21T07:40:22", "2026-11-21T07:40:22.5-0000"] {
        assert_eq!(seconds(Shape::Iso8601, text), Ok(1_795_246_822), "{text}");
    }
    assert_eq!(seconds(Shape::Iso8601, "2026-11-21 07:40:22Z"), Err(Reason::Time));
    assert_eq!(seconds(Shape::Local, "2026-11-21T07:40:22+00:00"), Err(Reason::Time));
}

#[test]
fn a_time_that_was_refused_is_not_remembered() {
    let mut last_time = LastTime::default();
    assert_eq!(last_time.read_any(b"5"), Ok(5));
    assert!(last_time.read_any(b"31/Feb/2026:00:00:00 +0000").is_err());
    assert!(last_time.read_any(b"31/Feb/2026:00:00:00 +0000").is_err());
    assert_eq!(last_time.read_any(b"5"), Ok(5));
    assert_eq!(last_time.read_any(b"6"), Ok(6));
}

#[test]
fn recent_times_are_those_of_any_clock() {
    let times = [
        "21/Nov/2026:13:25:22 +0545",
        "21/Nov/2026:13:25:32 +0545",
        "21/Nov/2026:13:25:22 +0500",
        "21/Dec/2026:13:25:22 +0545",
        "31/Feb/2026:13:25:22 +0545",
        "2026-11-21T13:25:22+05:45",
        "2026-13-21T13:25:22+05:45",
        "1795246765.707",
        "1795246765.70x",
        "17952x6765.707",
        "1795246765:707",
        "5.000",
        "795246765.1234",
        "123456789012.345",
        "1234567890123.345",
        &"\0".repeat(25),
        &"\0".repeat(26),
        &"\u{1}".repeat(26),
        "21/Nov/2026:13:25:22",
        "21/Nov/2026:13:25:22.601",
        "21/Nov/2026:13:25:22.60123",
        "21/Nov/2026:13:25:22.601 +0545",
        "31/Feb/2026:13:25:22.601 +0545",
        "21/Nov/2026:13:25:22.",
        "2026-11-21T13:25:22Z",
        "2026-11-21T13:25:22",
        "2026-11-21T13:25:22.12345",
        "2026-11-21T13:25:22.123456Z",
        "2026-11-21T13:25:22.123456+05:45",
        "2026-11-21T13:25:22+0545",
        "2026-13-21T13:25:22.123456Z",
        "1795246765",
        "1795246765707",
        "1795246765707123",
        "9999999999999999999",
        "179524676570712x",
        "2026-11-21T13:25:22.5+99:00",
        "2026-11-21 13:25:22.123456",
        "2026-11-21 13:25:22.123",
        "2026-11-31 13:25:22.123",
        "Sat Nov 21 13:25:22 2026",
        "",
    ];
    let patterns = ["%F %T.%f", "%c", "%s"].map(|pattern| Shape::named(pattern).unwrap());
    for shape in [Shape::Local, Shape::Iso8601, Shape::Msec].into_iter().chain(patterns) {
        let mut recent = RecentTimes::new(&shape, true, None, 3600);
        let mut other = RecentTimes::new(&shape, false, None, 3600);
        for text in times.into_iter().chain(times).map(str::as_bytes) {
            let is_whole = shape.length(text) == Some(text.len());
            let expected = LastTime::in_zone(3600).read(&shape, text).ok().filter(|_| is_whole);
            assert_eq!(recent.read(text), expected, "{text:?}");
            let is_no_date =
                text.starts_with(b"31/Feb") || text.starts_with(b"2026-13") || text.ends_with(b"+99:00");
            if !is_no_date {
                assert_eq!(other.read(text).is_some(), is_whole && shape.fits(text), "{text:?}");
            }
        }
    }
}

#[test]
fn days_follow_each_other_without_a_gap() {
    let mut expected = days_since_1970(0, 1, 1).unwrap();
    assert_eq!(days_since_1970(1970, 1, 1), Some(0));
    for year in 0..=9999 {
        for month in 1..=12 {
            for day in 1..=31 {
                if let Some(days) = days_since_1970(year, month, day) {
                    assert_eq!(days, expected, "{year}-{month}-{day}");
                    expected += 1;
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn reading_is_total(text: Vec<u8>, near in "[0-9TZ:/+.JanFeb -]{0,30}") {
        for text in [&text[..], near.as_bytes()] {
            let _ = LastTime::default().read_any(text);
            for shape in [Shape::Msec, Shape::Iso8601, Shape::Local] {
                let _ = LastTime::default().read(&shape, text);
                if let Some(length) = shape.length(text) {
                    shape.fits(&text[..length]);
                }
            }
        }
    }
}
