//! The agreement with the sinks about definitions: before anything is cut under a definition that is new to a sink, the
//! sink is asked whether it can take it.
//!
//! Only what is new is asked: a statistic whose definition the binlog does not have, and a sink that the binlog does
//! not know for the statistic. So an ordinary start waits for no sink, and a sink that refuses what it took before
//! stops alone, and not the start.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::JoinSet;

use super::{host::Pipeline, state::ask};
use crate::{
    Error,
    binlog::{BinlogState, SinkProgress},
    describe,
    sink::Sink,
    statistic::Schema,
};

impl Pipeline {
    /// Lets every sink prepare the definitions that are new to it. An error means that one of them refuses.
    ///
    /// A sink that does not answer is no error. Its delivery prepares it as soon as it answers, and until then the
    /// batches wait in the binlog.
    pub(super) async fn offer_definitions(&self, state: &BinlogState) -> Result<(), Error> {
        // All sinks at once, so that several that hang take no longer than one.
        let mut offers = JoinSet::new();
        for (name, sink) in &self.settings.sinks {
            let new: Vec<_> = self
                .schemas()
                .filter(|schema| schema.is_for(name) && self.is_new(schema, name, state))
                .cloned()
                .collect();
            offers.spawn(offer(Arc::clone(name), Arc::clone(sink), new));
        }
        while let Some(answer) = offers.join_next().await {
            // The tasks are cancelled only when the runtime shuts down.
            answer.map_err(|_| Error::NoRuntime)??;
        }
        Ok(())
    }

    /// Returns whether the sink has not seen that definition yet.
    fn is_new(&self, schema: &Arc<Schema>, sink: &str, state: &BinlogState) -> bool {
        let statistic = &schema.statistic;
        if state.statistics.get(statistic).is_none_or(|known| known.schema != *schema) {
            return true;
        }
        let knows = |name: &str| {
            let progress: Option<&BTreeMap<String, SinkProgress>> = state.sinks.get(name);
            progress.is_some_and(|progress| progress.contains_key(statistic))
        };
        !knows(sink) && !self.settings.names.former_of(sink).any(knows)
    }
}

/// Lets a sink prepare definitions, one after the other. If it does not answer, it is not asked about the others.
async fn offer(name: Arc<str>, sink: Arc<dyn Sink>, schemas: Vec<Arc<Schema>>) -> Result<(), Error> {
    for schema in schemas {
        match ask(&name, sink.prepare(&schema)).await? {
            Ok(()) => {}
            Err(error) if error.is_transient() => {
                let (sink, error) = (&*name, describe(&error));
                tracing::warn!(sink, error, "the sink is asked later whether it takes the definitions");
                return Ok(());
            }
            Err(source) => {
                let (sink, statistic) = (name.to_string(), schema.statistic.clone());
                return Err(Error::SinkRefuses { sink, statistic, source });
            }
        }
    }
    Ok(())
}
