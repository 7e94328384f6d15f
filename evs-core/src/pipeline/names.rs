//! The names of sinks. The state directory knows a sink by its name, so a sink that is configured under another name,
//! or not any more, must say so while batches wait for it.
//!
//! [`PipelineBuilder::build`](super::PipelineBuilder::build) plans the changes, so that it can refuse them before
//! anything is changed. The run makes them, after it has found that the sinks fit the state directory.
//!
//! For example, the binlog knows `reports`, for which three batches wait, and the configuration has `pg`. Nobody but
//! the operator knows whether `pg` is the same store under a better name, or another one. To deliver nothing would
//! lose three batches, and to deliver them to `pg` could put them into the wrong store. So the operator says it:
//! `formerly` or `forget_sink`.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    host::Pipeline,
    settings::{Names, Settings},
};
use crate::{
    Error,
    binlog::{Binlog, BinlogReader, BinlogState, SinkProgress, Waiting},
};

/// A change of the sinks that the binlog knows.
#[derive(Debug)]
enum Change {
    /// The sink `from` has the name `to` from now on.
    Rename { from: String, to: Arc<str> },
    /// The sink is not known any more. The batches that wait for it are given up, since the caller wants that.
    Forget { sink: String, waiting: Waiting },
}

impl Names {
    /// Returns the former names of a sink.
    pub(super) fn former_of<'n>(&'n self, sink: &'n str) -> impl Iterator<Item = &'n str> {
        let is_its = move |(of, _): &&(Option<Arc<str>>, String)| of.as_deref() == Some(sink);
        self.former.iter().filter(is_its).map(|(_, former)| former.as_str())
    }

    /// Checks the names against the names of the sinks that are configured. `good` says whether a sink may have a name.
    pub(super) fn check(
        &self,
        is_configured: impl Fn(&str) -> bool,
        good: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let error = |setting: &str, name: &str, expected| {
            Err(Error::Setting { setting: setting.to_owned(), value: format!("{name:?}"), expected })
        };
        let mut seen = Vec::new();
        for (sink, former) in &self.former {
            if sink.is_none() {
                return error("formerly", former, "a sink before it, which had that name");
            }
            if !good(former) || is_configured(former) || seen.contains(&former) {
                return error("formerly", former, "a name that no sink has now, for one sink only");
            }
            seen.push(former);
        }
        for forgotten in &self.forgotten {
            if !good(forgotten) || is_configured(forgotten) || seen.contains(&forgotten) {
                let expected = "the name of a sink that is neither configured nor the former name of one";
                return error("forget_sink", forgotten, expected);
            }
        }
        Ok(())
    }
}

impl Settings {
    /// Returns an error if batches wait for a sink that is neither configured, nor renamed, nor to be forgotten.
    pub(super) fn check_sinks(&self, binlog: &Binlog) -> Result<(), Error> {
        self.plan(binlog.state(), &binlog.reader()).map(drop)
    }

    /// Returns the changes by which the binlog knows no sink but those that are configured.
    fn plan(&self, state: &BinlogState, reader: &BinlogReader) -> Result<Vec<Change>, Error> {
        let mut sinks: BTreeMap<&str, &BTreeMap<String, SinkProgress>> =
            state.sinks.iter().map(|(name, progress)| (name.as_str(), progress)).collect();
        let mut changes = Vec::new();
        for (sink, former) in &self.names.former {
            let Some(sink) = sink else { continue };
            let Some(progress) = sinks.remove(&**former) else { continue };
            if sinks.contains_key(&**sink) {
                changes.push(forgotten(former, reader.waiting(progress), Some(sink))?);
            } else {
                sinks.insert(sink, progress);
                changes.push(Change::Rename { from: former.clone(), to: Arc::clone(sink) });
            }
        }
        for sink in &self.names.forgotten {
            if let Some(progress) = sinks.remove(&**sink) {
                changes.push(Change::Forget { sink: sink.clone(), waiting: reader.waiting(progress) });
            }
        }
        for (sink, progress) in sinks {
            if !self.sinks.iter().any(|(name, _)| &**name == sink) {
                changes.push(forgotten(sink, reader.waiting(progress), None)?);
            }
        }
        Ok(changes)
    }
}

/// Returns the change by which a sink is forgotten, or an error if batches wait for it.
fn forgotten(sink: &str, waiting: Waiting, renamed_to: Option<&Arc<str>>) -> Result<Change, Error> {
    let sink = sink.to_owned();
    let Waiting { batches, rows, since } = waiting;
    if batches == 0 {
        return Ok(Change::Forget { sink, waiting });
    }
    let renamed_to = renamed_to.map(|to| to.to_string());
    Err(Error::UndeliveredSink { sink, renamed_to, batches, rows, since })
}

impl Pipeline {
    /// Renames and forgets sinks in the binlog, so that it knows those that are configured.
    pub(super) fn settle_names(&self, binlog: &mut Binlog) -> Result<(), Error> {
        let source = &self.settings.source;
        for sink in &self.settings.names.forgotten {
            if !binlog.state().sinks.contains_key(sink) {
                tracing::info!(source, sink, "the sink to forget is not known");
            }
        }
        for change in self.settings.plan(binlog.state(), &binlog.reader())? {
            match change {
                Change::Rename { from, to } => {
                    binlog.rename_sink(&from, &to)?;
                    tracing::info!(source, from, to = &*to, "the sink has another name");
                }
                Change::Forget { sink, waiting } => {
                    binlog.forget_sink(&sink)?;
                    let Waiting { batches, rows, .. } = waiting;
                    if batches == 0 {
                        tracing::info!(source, sink, "the sink is no longer configured");
                    } else {
                        tracing::warn!(source, sink, batches, rows, "batches are given up with their sink");
                    }
                }
            }
        }
        Ok(())
    }
}
