use evs::{Rows, Schema, Sink, pipeline::PipelineBuilder, prelude::SqliteSink};

use crate::{Failure, Invalid};

/// Adds the sink of that URL.
pub(crate) async fn add(builder: PipelineBuilder, url: &str) -> Result<PipelineBuilder, Failure> {
    let name = name(url);
    match url.split_once("://") {
        Some(("sqlite", _)) => Ok(builder.sink(name, SqliteSink::connect(url).await?)),
        #[cfg(feature = "mongo")]
        Some(("mongodb" | "mongodb+srv", _)) => Ok(builder.sink(name, evs::MongoSink::connect(url).await?)),
        // The URL is not shown: it may hold a password.
        _ => Err(unknown()),
    }
}

/// Reads back what is in the sink of that URL.
pub(crate) async fn totals(url: &str, schema: &Schema) -> Result<Rows, Failure> {
    match url.split_once("://") {
        Some(("sqlite", _)) => Ok(SqliteSink::connect(url).await?.totals(schema, i64::MIN..i64::MAX).await?),
        #[cfg(feature = "mongo")]
        Some(("mongodb" | "mongodb+srv", _)) => {
            Ok(evs::MongoSink::connect(url).await?.totals(schema, i64::MIN..i64::MAX).await?)
        }
        _ => Err(unknown()),
    }
}

fn unknown() -> Failure {
    Invalid("--sink", "expected sqlite://PATH, or mongodb://HOST/DATABASE with the feature mongo".into()).into()
}

/// A name for the state directory to know the sink by, the same at every start: the URL without its password.
fn name(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("sink", url));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let place = place.split(['?', '#']).next().unwrap_or_default();
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = format!("{scheme}-{}", place.trim_matches('/')).chars().map(allowed).collect();
    name[name.len().saturating_sub(64)..].to_owned()
}
