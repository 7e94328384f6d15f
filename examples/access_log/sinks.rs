//! The sinks that the arguments name, by their URLs.

use std::sync::Arc;

use evs::{PipelineBuilder, Rows, Schema, prelude::*};

use crate::{Failure, Invalid, discard::DiscardSink};

/// The variable for URLs that must not show in the list of processes.
const VARIABLE: &str = "EVS_SINK";

/// The URLs that the arguments name, or, without any, those of the variable.
pub(crate) fn urls(arguments: &[String]) -> Result<Vec<String>, Failure> {
    if arguments.is_empty() {
        return Ok(std::env::var(VARIABLE).as_deref().map(lines).unwrap_or_default());
    }
    let mut urls = Vec::new();
    for argument in arguments {
        match argument.strip_prefix('@') {
            None => urls.push(argument.clone()),
            Some(path) => {
                let read = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
                let found = lines(&read.map_err(|error| Invalid("--sink", error.into()))?);
                if found.is_empty() {
                    return Err(Invalid("--sink", format!("{path}: there is no URL in it").into()).into());
                }
                urls.extend(found);
            }
        }
    }
    Ok(urls)
}

/// The lines of a text that are URLs: one on each line. Lines that are empty or begin with `#` are left out.
fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Adds the sink of that URL.
pub(crate) async fn add(builder: PipelineBuilder, url: &str) -> Result<PipelineBuilder, Failure> {
    Ok(builder.sink(name(url), open(url).await?))
}

/// Reads back what is in the sink of that URL.
pub(crate) async fn totals(url: &str, schema: &Schema) -> Result<Rows, Failure> {
    Ok(open(url).await?.totals(schema, i64::MIN..i64::MAX).await?)
}

/// Opens the sink of that URL.
async fn open(url: &str) -> Result<Arc<dyn Sink>, Failure> {
    if url == "discard://" {
        return Ok(Arc::new(DiscardSink));
    }
    // The URL is not shown: it may hold a password.
    evs::sink_from_url(url).await.map_err(|error| Invalid("--sink", error.into()).into())
}

/// The sink's name in the state directory, the same at every start: the URL without its password, in the characters
/// that a name may have.
fn name(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("sink", url));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let place = place.split(['?', '#']).next().unwrap_or_default();
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = format!("{scheme}-{}", place.trim_matches('/')).chars().map(allowed).collect();
    name[name.len().saturating_sub(64)..].to_owned()
}
