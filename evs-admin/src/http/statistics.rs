//! The numbers themselves, read back from a sink.

use std::{collections::HashMap, ops::Range, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use evs_core::{Group, MeasureKind, Rows, Schema, Sink, SinkState, Totals, TotalsError, describe, escape};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::problem;
use crate::cockpit::{Built, Cockpit};

/// The windows of an answer, if the request says no time.
const WINDOWS: i64 = 60;
/// The most windows of an answer: a store reads them all.
const WINDOWS_MAX: i64 = 20_000;
/// The most groups of an answer, unless the request asks for fewer.
const GROUPS_MAX: usize = 1000;
/// The time that a store has to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The quantiles of a histogram.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

pub(super) fn routes() -> Router<Cockpit> {
    Router::new().route("/statistics", get(list)).route("/statistics/{name}", get(numbers))
}

#[derive(Debug, Serialize)]
struct Described<'s> {
    source: String,
    statistic: &'s str,
    window_seconds: u32,
    only: Option<&'s str>,
    top: Option<u32>,
    /// The names of the key columns.
    keys: Vec<&'s str>,
    /// The names of the measures.
    measures: Vec<&'s str>,
    /// The kinds of the measures, in the same order: only counts and sums have shares of a total.
    kinds: Vec<MeasureKind>,
    /// The sinks that have the rows.
    sinks: Vec<&'s str>,
}

async fn list(State(cockpit): State<Cockpit>) -> Response {
    let mut all = Vec::new();
    for source in cockpit.sources() {
        let Ok(built) = cockpit.built(Some(&source.source)) else { continue };
        let described = built.schemas.iter().map(|schema| Described {
            source: source.source.clone(),
            statistic: &schema.statistic,
            window_seconds: schema.window_seconds,
            only: schema.only.as_deref(),
            top: schema.top,
            keys: schema.keys.iter().map(|key| &*key.name).collect(),
            measures: schema.measures.iter().map(|measure| &*measure.name).collect(),
            kinds: schema.measures.iter().map(|measure| measure.kind).collect(),
            sinks: sinks_of(&built, schema).map(|(name, _)| &**name).collect(),
        });
        all.extend(described.map(|described| json!(described)));
    }
    Json(all).into_response()
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    source: Option<String>,
    sink: Option<String>,
    /// The start of the first window, and the end of the last, in seconds since 1970; negative: before the present.
    from: Option<i64>,
    to: Option<i64>,
    /// The key columns by which rows are grouped, with commas.
    by: Option<String>,
    /// The length of the windows by which rows are grouped, in seconds; without it, all windows are one.
    each: Option<u64>,
    /// Only the groups with the largest first measure, over all windows.
    top: Option<usize>,
    format: Option<String>,
}

/// Something is wrong with a request.
#[derive(Debug, thiserror::Error)]
enum Mistake {
    #[error(transparent)]
    Source(#[from] crate::cockpit::NotShown),
    #[error("no statistic has this name")]
    Statistic,
    #[error("no sink of this name has the statistic")]
    Sink,
    #[error("from={from} is not before to={to}")]
    Empty { from: i64, to: i64 },
    #[error("{windows} windows are too many: ask for at most {WINDOWS_MAX}")]
    TooMany { windows: i64 },
    #[error("format={0}: json or csv")]
    Format(String),
    #[error(transparent)]
    Totals(#[from] TotalsError),
    #[error("the sink {sink}: {error}")]
    Store { sink: String, error: String },
}

impl Mistake {
    fn status(&self) -> StatusCode {
        match self {
            Self::Source(_) | Self::Statistic | Self::Sink => StatusCode::NOT_FOUND,
            Self::Store { .. } => StatusCode::BAD_GATEWAY,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

async fn numbers(
    State(cockpit): State<Cockpit>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    match answer(&cockpit, &name, asked).await {
        Ok(answer) => answer,
        Err(mistake) => problem(mistake.status(), &mistake),
    }
}

async fn answer(cockpit: &Cockpit, name: &str, asked: Asked) -> Result<Response, Mistake> {
    let is_csv = match asked.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(other) => return Err(Mistake::Format(other.to_owned())),
    };
    let built = cockpit.built(asked.source.as_deref())?;
    let schema = built.schemas.iter().find(|schema| schema.statistic == name).ok_or(Mistake::Statistic)?;
    let (sink_name, sink) = choose(&built, schema, asked.sink.as_deref()).ok_or(Mistake::Sink)?;
    let (from, to) = windows(&asked, i64::from(schema.window_seconds.max(1)))?;
    let store = |error| Mistake::Store { sink: sink_name.clone(), error };
    // Never closed. The place is kept until the answer is made.
    let _place = cockpit.questions().acquire().await;
    let rows = tokio::time::timeout(TIMEOUT, sink.totals(schema, from..to)).await;
    let rows = rows.map_err(|_| store(format!("no answer within {} s", TIMEOUT.as_secs())))?;
    let rows = rows.map_err(|error| store(describe(&error)))?;

    let work = {
        let schema = Arc::clone(schema);
        move || groups(&schema, &rows, from..to, &asked, is_csv)
    };
    // Adding up a million rows takes seconds. A thread of the runtime would answer nobody else meanwhile.
    let (groups, is_cut_off, by, each) = match tokio::task::spawn_blocking(work).await {
        Ok(done) => match done? {
            Answer::Csv(csv) => return Ok(csv),
            Answer::Groups { groups, is_cut_off, by, each } => (groups, is_cut_off, by, each),
        },
        Err(error) => return Err(store(describe(&error))),
    };
    Ok(Json(json!({
        "statistic": name,
        "sink": sink_name,
        "from": from,
        "to": to,
        "by": by,
        "each": each,
        "is_cut_off": is_cut_off,
        "groups": groups,
    }))
    .into_response())
}

/// The rows of a store, added up.
enum Answer {
    Csv(Response),
    Groups { groups: Vec<Value>, is_cut_off: bool, by: Vec<String>, each: Option<u64> },
}

/// Adds up rows as a request asks.
fn groups(
    schema: &Schema,
    rows: &Rows,
    windows: Range<i64>,
    asked: &Asked,
    is_csv: bool,
) -> Result<Answer, Mistake> {
    let by: Vec<&str> =
        asked.by.iter().flat_map(|by| by.split(',')).filter(|name| !name.is_empty()).collect();
    let mut totals = Totals::new(schema, windows);
    totals.add(rows)?;
    let limit = asked.top.unwrap_or(GROUPS_MAX).min(GROUPS_MAX);
    let whole = largest(&totals.group_by(&by)?, schema, &by, asked.top.is_some().then_some(limit))?;
    let windowed = match asked.each {
        Some(seconds) => Some(totals.clone().each(Duration::from_secs(seconds))?),
        None => None,
    };
    let mut groups = windowed.as_ref().unwrap_or(&totals).group_by(&by)?;
    if let Some(whole) = &whole {
        let ranks: HashMap<_, _> = whole.iter().zip(0..).collect();
        let rank = |group: &Group<'_>| ranks.get(&keys_of(group, &by)).copied();
        groups.retain(|group| rank(group).is_some());
        groups.sort_by_cached_key(|group| (group.window_start(), rank(group)));
    }
    let is_cut_off = whole.is_none() && groups.len() > limit;
    if whole.is_none() {
        groups.truncate(limit);
    }
    let groups = groups.iter().map(|group| group_json(group, schema, &by)).collect::<Result<Vec<_>, _>>()?;
    if is_csv {
        return Ok(Answer::Csv(csv(&groups, schema, &by)));
    }
    let by = by.into_iter().map(ToOwned::to_owned).collect();
    Ok(Answer::Groups { groups, is_cut_off, by, each: asked.each })
}

/// Returns the sinks that have the rows of a statistic.
fn sinks_of<'b>(built: &'b Built, schema: &'b Schema) -> impl Iterator<Item = &'b (String, Arc<dyn Sink>)> {
    built.sinks.iter().filter(|(name, _)| schema.to.as_ref().is_none_or(|to| to.contains(name)))
}

/// Returns the sink of that name, or else the first one that is up.
fn choose<'b>(
    built: &'b Built,
    schema: &'b Schema,
    name: Option<&str>,
) -> Option<&'b (String, Arc<dyn Sink>)> {
    if let Some(name) = name {
        return sinks_of(built, schema).find(|(known, _)| known == name);
    }
    let status = built.handle().status();
    let is_up = |name: &str| status.sinks.iter().any(|sink| sink.name == name && sink.state == SinkState::Up);
    sinks_of(built, schema).find(|(name, _)| is_up(name)).or_else(|| sinks_of(built, schema).next())
}

/// Returns the windows that a request asks for.
fn windows(asked: &Asked, length: i64) -> Result<(i64, i64), Mistake> {
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() as i64);
    let time = |time: i64| if time < 0 { now.saturating_add(time) } else { time };
    let to = asked.to.map_or(now + length, time);
    let from = asked.from.map_or_else(|| to.saturating_sub(WINDOWS * length), time);
    // A window belongs to the answer if it has begun by `from`.
    let from = from.div_euclid(length) * length;
    if from >= to {
        return Err(Mistake::Empty { from, to });
    }
    let windows = to.saturating_sub(from) / length;
    if windows > WINDOWS_MAX {
        return Err(Mistake::TooMany { windows });
    }
    Ok((from, to))
}

type Keys<'t> = Vec<&'t [u8]>;

fn keys_of<'t>(group: &Group<'t>, by: &[&str]) -> Keys<'t> {
    by.iter().filter_map(|name| group.key(name).ok()).collect()
}

/// Returns the keys of the groups with the largest first measure, largest first; `None` without a limit.
fn largest<'t>(
    groups: &[Group<'t>],
    schema: &Schema,
    by: &[&str],
    limit: Option<usize>,
) -> Result<Option<Vec<Keys<'t>>>, TotalsError> {
    let (Some(limit), Some(measure)) = (limit, schema.measures.first()) else { return Ok(None) };
    let mut all = Vec::new();
    for group in groups {
        let value = group.total(&measure.name)?.map(|total| total.value);
        all.push((std::cmp::Reverse(value), keys_of(group, by)));
    }
    all.sort_unstable();
    all.truncate(limit);
    Ok(Some(all.into_iter().map(|(_, keys)| keys).collect()))
}

fn group_json(group: &Group<'_>, schema: &Schema, by: &[&str]) -> Result<Value, TotalsError> {
    let mut keys = Map::new();
    for name in by {
        keys.insert((*name).to_owned(), escape(group.key(name)?).into());
    }
    let mut measures = Map::new();
    for measure in &schema.measures {
        // As text: a number of JSON is not exact in every reader.
        let total = group.total(&measure.name)?.map(|total| total.to_string());
        measures.insert(measure.name.clone(), json!(total));
    }
    let (mut quantiles, mut distinct) = (Map::new(), Map::new());
    for key in &schema.keys {
        if by.contains(&&*key.name) {
            continue;
        }
        if let Ok(Some(_)) = group.quantile(&key.name, 0.5) {
            let mut of = Map::new();
            for q in QUANTILES {
                let value = group.quantile(&key.name, q)?.map(|quantile| quantile.value);
                of.insert(q.to_string(), json!(value));
            }
            quantiles.insert(key.name.clone(), Value::Object(of));
        }
        if let Ok(estimate) = group.distinct(&key.name) {
            let error = estimate.relative_error();
            distinct
                .insert(key.name.clone(), json!({"estimate": estimate.estimate(), "relative_error": error}));
        }
    }
    Ok(json!({
        "window_start": group.window_start(),
        "keys": keys,
        "measures": measures,
        "quantiles": quantiles,
        "distinct": distinct,
    }))
}

/// Returns the groups as CSV (RFC 4180), with a line of names.
fn csv(groups: &[Value], schema: &Schema, by: &[&str]) -> Response {
    let measures = || schema.measures.iter().map(|measure| &*measure.name);
    let mut text = String::new();
    let mut line = |cells: Vec<String>| {
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    };
    line(["window_start"].into_iter().chain(by.iter().copied()).chain(measures()).map(cell).collect());
    for group in groups {
        let start = group["window_start"].as_i64().map(|start| start.to_string()).unwrap_or_default();
        let keys = by.iter().map(|name| group["keys"][name].as_str().unwrap_or_default());
        let values = measures().map(|name| group["measures"][name].as_str().unwrap_or_default());
        line([&*start].into_iter().chain(keys).chain(values).map(cell).collect());
    }
    ([(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")], text).into_response()
}

/// Returns a cell of CSV. A client may have chosen the text: a spreadsheet takes one that begins so for a formula, unless an
/// apostrophe stands before it. A number may begin with its sign.
fn cell(text: &str) -> String {
    let is_number = text.parse::<f64>().is_ok();
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
