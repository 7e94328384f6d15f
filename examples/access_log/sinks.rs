//! The sinks that the arguments name, by their URLs.

use std::{collections::HashSet, sync::Arc};

use evs::{Error, Pipeline, PipelineBuilder, Rows, Schema, prelude::*};

use crate::{Failure, Invalid, arguments::Arguments, discard::DiscardSink};

/// The variable for URLs that must not show in the list of processes.
const VARIABLE: &str = "EVS_SINK";

/// A sink: the name by which the state directory knows it, and its URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    name: String,
    url: String,
}

impl Target {
    /// Reads `URL` or `NAME=URL`. Without a name it is the kind of the store, whatever the rest of the URL says: another
    /// address of the same store is the same sink.
    pub(crate) fn parse(text: &str) -> Self {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let (name, url) = match text.split_once('=') {
            Some((name, url)) if !name.is_empty() && name.chars().all(allowed) => (name, url),
            _ => (kind(text), text),
        };
        Self { name: name.to_owned(), url: url.to_owned() }
    }

    /// Reads back what is in the sink.
    pub(crate) async fn totals(&self, schema: &Schema) -> Result<Rows, Failure> {
        Ok(open(&self.url).await?.totals(schema, i64::MIN..i64::MAX).await?)
    }
}

/// The kind of store that a URL names.
fn kind(url: &str) -> &str {
    match url.split_once("://").map_or("sink", |(scheme, _)| scheme) {
        "mariadb" => "mysql",
        "postgresql" => "postgres",
        "mongodb" | "mongodb+srv" => "mongodb",
        scheme => scheme,
    }
}

/// The sinks that the arguments name, or, without any, those of the variable, or else `default`.
pub(crate) fn targets(arguments: &[String], default: &str) -> Result<Vec<Target>, Failure> {
    let mut texts = urls(arguments)?;
    if texts.is_empty() {
        texts.push(default.to_owned());
    }
    let targets: Vec<_> = texts.iter().map(|text| Target::parse(text)).collect();
    let mut seen = HashSet::new();
    match targets.iter().find(|target| !seen.insert(&target.name)) {
        None => Ok(targets),
        Some(Target { name, .. }) => {
            let error =
                format!("two sinks are named {name}: give each a name of its own, as in --sink NAME=URL");
            Err(Invalid("--sink", error.into()).into())
        }
    }
}

/// The texts of the arguments, or of the lines of the files that they name; without any argument, those of the
/// variable.
fn urls(arguments: &[String]) -> Result<Vec<String>, Failure> {
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

/// Adds the sinks, and what the arguments say about the names of earlier ones.
pub(crate) async fn add(
    mut builder: PipelineBuilder,
    targets: &[Target],
    arguments: &Arguments,
) -> Result<PipelineBuilder, Failure> {
    let mut former = Vec::new();
    for renamed in &arguments.formerly {
        let names = renamed.split_once('=');
        let Some(names) = names.filter(|(new, _)| targets.iter().any(|target| target.name == *new)) else {
            let error = format!("{renamed:?}: expected NEW=OLD, NEW being the name of a --sink");
            return Err(Invalid("--formerly", error.into()).into());
        };
        former.push(names);
    }
    for Target { name, url } in targets {
        builder = builder.sink(name, open(url).await?);
        for (_, old) in former.iter().filter(|(new, _)| new == name) {
            builder = builder.formerly(*old);
        }
    }
    for name in &arguments.forget_sink {
        builder = builder.forget_sink(name);
    }
    Ok(builder)
}

/// Builds the pipeline. An error about a sink that is gone says which arguments are the way out.
pub(crate) fn build(builder: PipelineBuilder, targets: &[Target]) -> Result<Pipeline, Failure> {
    builder.build().map_err(|error| match &error {
        Error::UndeliveredSink { sink, renamed_to: None, .. } => {
            let new = match targets {
                [Target { name, .. }] => name,
                _ => "NAME",
            };
            format!("{error}. As arguments: --formerly {new}={sink}, or --forget-sink {sink}").into()
        }
        _ => error.into(),
    })
}

/// Opens the sink of that URL.
async fn open(url: &str) -> Result<Arc<dyn Sink>, Failure> {
    if url == "discard://" {
        return Ok(Arc::new(DiscardSink));
    }
    // The URL is not shown: it may hold a password.
    evs::sink_from_url(url).await.map_err(|error| Invalid("--sink", error.into()).into())
}

#[cfg(test)]
mod tests {
    use super::{Target, targets};

    #[test]
    fn a_sink_has_the_name_that_it_was_given_or_that_of_its_store() {
        for (text, name, url) in [
            ("sqlite://a.db", "sqlite", "sqlite://a.db"),
            ("sqlite:///var/lib/a.db", "sqlite", "sqlite:///var/lib/a.db"),
            ("reports=sqlite://a.db", "reports", "sqlite://a.db"),
            ("mariadb://u:p=w@h/d", "mysql", "mariadb://u:p=w@h/d"),
            ("postgresql://h/d?sslmode=require", "postgres", "postgresql://h/d?sslmode=require"),
            ("web-1.b=postgres://h/d?a=b", "web-1.b", "postgres://h/d?a=b"),
            ("=sqlite://a.db", "=sqlite", "=sqlite://a.db"),
            ("discard://", "discard", "discard://"),
        ] {
            let expected = Target { name: name.to_owned(), url: url.to_owned() };
            assert_eq!(Target::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn two_sinks_need_two_names() {
        let of = |urls: &[&str]| {
            targets(&urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>(), "sqlite://none.db")
        };
        assert_eq!(of(&["a=sqlite://1.db", "sqlite://2.db"]).unwrap().len(), 2);
        for urls in [["sqlite://1.db", "sqlite://2.db"], ["a=sqlite://1.db", "a=discard://"]] {
            let error = evs::describe(&*of(&urls).unwrap_err());
            assert!(error.contains("--sink NAME=URL"), "{error}");
        }
    }
}
