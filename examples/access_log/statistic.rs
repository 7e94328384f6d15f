//! Statistics as text, for the command line.
//!
//!     ad_events; window=60s; by=status,arg_c; count; sum=arg_v:2 within 0..100000; retain=90d

use std::{ops::RangeInclusive, str::FromStr, time::Duration};

use evs::{
    Begin, Field, Rounding,
    prelude::{Statistic, count, field, max, min, sum},
};

/// Reads `NAME; window=60s; flush=5s; retain=90d; begin=oldest; by=FIELD,FIELD; count; sum=FIELD[:SCALE] [list] [rounded] [within A..B]; …`.
pub(crate) fn parse(spec: &str) -> Result<Statistic, String> {
    let mut parts = spec.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    if name.is_empty() || name.contains('=') {
        return Err(format!("{spec:?} does not begin with the statistic's name"));
    }
    let mut statistic = Statistic::named(name);
    for part in parts.filter(|part| !part.is_empty()) {
        let (word, value) =
            part.split_once('=').map_or((part, ""), |(word, value)| (word.trim(), value.trim()));
        let wrong = |expected: &str| format!("{part:?} in {name}: expected {expected}");
        statistic = match word {
            "window" => statistic.window(duration(value).ok_or_else(|| wrong("a time such as 60s or 1h"))?),
            "flush" => statistic.flush_every(duration(value).ok_or_else(|| wrong("a time such as 5s"))?),
            "retain" => statistic.retain(duration(value).ok_or_else(|| wrong("a time such as 90d"))?),
            "begin" => statistic.begin(match value {
                "oldest" => Begin::Oldest,
                "start" => Begin::Start,
                "end" => Begin::End,
                _ => return Err(wrong("oldest, start or end")),
            }),
            "rows" => statistic.rows_max(value.parse().map_err(|_| wrong("a number"))?),
            "by" => {
                let fields: Vec<_> =
                    value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(named).collect();
                statistic.group_by(fields)
            }
            "count" if value.is_empty() => statistic.measure(count()),
            "sum" | "min" | "max" => {
                let expected = "FIELD[:SCALE] [list] [rounded or truncated] [within LOWEST..HIGHEST]";
                let (value, range) = match value.split_once(" within ") {
                    Some((value, range)) => (value, Some(within(range).ok_or_else(|| wrong(expected))?)),
                    None => (value, None),
                };
                let (value, rounding) = rounding(value.trim());
                let (value, is_list) = match value.rsplit_once(' ') {
                    Some((value, "list")) => (value.trim_end(), true),
                    _ => (value, false),
                };
                let (name, scale) = value.split_once(':').unwrap_or((value, "0"));
                let scale = u8::from_str(scale.trim()).map_err(|_| wrong(expected))?;
                let of = named(name.trim());
                let measure = match word {
                    "sum" => sum(of),
                    "min" => min(of),
                    _ => max(of),
                };
                let measure = measure.scale(scale).rounding(rounding);
                let measure = if is_list { measure.list() } else { measure };
                statistic.measure(match range {
                    Some(range) => measure.within(range),
                    None => measure,
                })
            }
            _ => {
                return Err(wrong(
                    "one of window=, flush=, retain=, begin=, by=, count, sum=, min=, max=, rows=",
                ));
            }
        };
    }
    Ok(statistic)
}

/// The field of that name. A key within an object, such as `request.host`, has the column `request_host`.
fn named(name: &str) -> Field {
    field(name).named(name.replace(['.', '-'], "_"))
}

/// Splits off what becomes of further decimal places: ` rounded` or ` truncated`.
fn rounding(text: &str) -> (&str, Rounding) {
    match text.rsplit_once(' ') {
        Some((text, "rounded")) => (text.trim_end(), Rounding::HalfEven),
        Some((text, "truncated")) => (text.trim_end(), Rounding::Truncate),
        _ => (text, Rounding::Exact),
    }
}

/// Reads `LOWEST..HIGHEST`. Both are included.
fn within(text: &str) -> Option<RangeInclusive<i64>> {
    let (lowest, highest) = text.split_once("..")?;
    Some(lowest.trim().parse().ok()?..=highest.trim().parse().ok()?)
}

/// Reads a number with a unit: `250ms`, `5s`, `1m`, `2h`, `90d`. A number alone is in seconds.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(unit_ms)?))
}
