//! Statistics as text, for the command line.
//!
//!     ad_events; window=60s; by=status,arg_c; count; sum=arg_v:2 within 0..100000; retain=90d

use std::{ops::RangeInclusive, time::Duration};

use evs::{
    Begin, Elements, Field, Measure, Rounding,
    prelude::{Statistic, count, field, max, min, sum},
};

/// The words of a measure.
const MEASURE: &str = "FIELD[:SCALE], and after it any of list, first, last, largest, rounded, truncated, lenient and within LOWEST..HIGHEST; first, last and largest exclude each other, and so do rounded and truncated";

/// Reads `NAME; window=60s; flush=5s; retain=90d; begin=oldest; by=FIELD,FIELD; count; sum=FIELD[:SCALE] [last] [rounded] [lenient] [within A..B]; …`.
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
            "sum" | "min" | "max" => statistic.measure(measure(word, value).ok_or_else(|| wrong(MEASURE))?),
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

/// Reads a measure of that kind.
fn measure(kind: &str, text: &str) -> Option<Measure> {
    let mut words = text.split_whitespace();
    let of = words.next()?;
    let (name, scale) = of.split_once(':').unwrap_or((of, "0"));
    let of = named(name);
    let measure = match kind {
        "sum" => sum(of),
        "min" => min(of),
        _ => max(of),
    };
    let mut measure = measure.scale(scale.parse().ok()?);
    let mut choices = Vec::new();
    while let Some(word) = words.next() {
        // Each choice can be made once: `first last` has no meaning.
        let choice = match word {
            "first" | "last" | "largest" => "of a list",
            "rounded" | "truncated" => "of decimal places",
            word => word,
        };
        if choices.contains(&choice) {
            return None;
        }
        choices.push(choice);
        measure = match word {
            "list" => measure.list(),
            "first" => measure.elements(Elements::First),
            "last" => measure.elements(Elements::Last),
            "largest" => measure.elements(Elements::Max),
            "rounded" => measure.rounding(Rounding::HalfEven),
            "truncated" => measure.rounding(Rounding::Truncate),
            "lenient" => measure.lenient(),
            "within" => measure.within(within(words.next()?)?),
            _ => return None,
        };
    }
    Some(measure)
}

/// Reads `LOWEST..HIGHEST`. Both are included, and one may be missing.
fn within(text: &str) -> Option<RangeInclusive<i64>> {
    let (lowest, highest) =
        text.split_once("..").filter(|(lowest, highest)| lowest != highest || !lowest.is_empty())?;
    let limit = |text: &str, unlimited| if text.is_empty() { Some(unlimited) } else { text.parse().ok() };
    Some(limit(lowest, i64::MIN)?..=limit(highest, i64::MAX)?)
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
