//! Statistics as text, for the command line.
//!
//!     ad_events; window=60s; by=status,arg_c; count; sum=arg_v:2 within 0..100000; retain=90d
//!     slow_pages; where=request_time > 0.5; by=path_prefix(uri, 2) as page; count; top=100

use std::{collections::HashSet, ops::RangeInclusive, time::Duration};

use evs::{
    Begin, Condition, Elements, Field, Measure, Rounding,
    prelude::{Statistic, count, field, max, min, sum},
};

/// The words of a measure.
const MEASURE: &str = "FIELD[:SCALE], and after it any of list, first, last, largest, rounded, truncated, lenient and within LOWEST..HIGHEST; first, last and largest exclude each other, and so do rounded and truncated";

/// Splits a text at a separator, but not in quotes or parentheses.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut is_quoted, mut is_escaped) =
        (Vec::new(), 0, 0_u32, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if c == separator && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Reads `NAME; window=60s; flush=5s; retain=90d; begin=oldest; by=FIELD,FIELD; count; sum=FIELD[:SCALE] [last] [rounded] [lenient] [within A..B]; …`.
pub(crate) fn parse(spec: &str) -> Result<Statistic, String> {
    let mut parts = split(spec, ';').into_iter();
    let name = parts.next().unwrap_or_default();
    if name.is_empty() || name.contains('=') {
        return Err(format!("{spec:?} does not begin with the statistic's name"));
    }
    let mut statistic = Statistic::named(name);
    let mut seen = HashSet::new();
    for part in parts {
        let (word, value) =
            part.split_once('=').map_or((part, ""), |(word, value)| (word.trim(), value.trim()));
        let wrong = |expected: &str| format!("{part:?} in {name}: expected {expected}");
        if ["window", "flush", "retain", "begin", "rows", "top", "sample"].contains(&word)
            && !seen.insert(word)
        {
            return Err(format!("{part:?} in {name}: {word}= stands there twice"));
        }
        let in_value = |error: &dyn std::fmt::Display| format!("{word}= {value:?} in {name}: {error}");
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
            "where" => statistic.only(value.parse::<Condition>().map_err(|error| in_value(&error))?),
            "by" => {
                let fields: Result<Vec<_>, _> = split(value, ',').into_iter().map(key).collect();
                statistic.group_by(fields.map_err(|error| in_value(&error))?)
            }
            "distinct" => statistic.distinct(key(value).map_err(|error| in_value(&error))?),
            "top" => statistic.top(value.parse().map_err(|_| wrong("a number of keys"))?),
            "sample" => match value.split_once(" by ") {
                None => statistic.sample(value.parse().map_err(|_| wrong("N, or N by FIELD"))?),
                Some((one_in, by)) => {
                    let by = key(by.trim()).map_err(|error| in_value(&error))?;
                    statistic.sample_by(one_in.trim().parse().map_err(|_| wrong("N, or N by FIELD"))?, by)
                }
            },
            "to" => statistic.to(split(value, ',')),
            "count" if value.is_empty() => statistic.measure(count()),
            "sum" | "min" | "max" => statistic.measure(measure(word, value).ok_or_else(|| wrong(MEASURE))?),
            _ => {
                return Err(wrong(
                    "one of where=, window=, flush=, retain=, begin=, by=, count, sum=, min=, max=, distinct=, top=, sample=, to=, rows=",
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

/// Reads a key: a field, or an expression of fields, and after it perhaps `as NAME`.
fn key(text: &str) -> Result<Field, String> {
    let (text, name) = match text.rsplit_once(" as ") {
        Some((text, name)) => (text.trim(), Some(name.trim())),
        None => (text, None),
    };
    let key = if text.contains(['(', '"']) {
        text.parse::<Field>().map_err(|error| error.to_string())?
    } else {
        named(text)
    };
    Ok(match name {
        Some(name) => key.named(name),
        None => key,
    })
}

/// Reads a measure of that kind.
fn measure(kind: &str, text: &str) -> Option<Measure> {
    let mut words = text.split_whitespace();
    let of = words.next()?;
    let (name, scale) = of.split_once(':').unwrap_or((of, "0"));
    let of = key(name).ok()?;
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
