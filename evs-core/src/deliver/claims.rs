//! The claims of this process: as which writer it has claimed its source in each sink.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{batch::Epoch, writer::Writer};

/// The claims of this process, one per sink. They outlive the runs of a pipeline: a process whose source was taken
/// over stays without it until the process ends.
#[derive(Debug)]
pub(crate) struct Claims {
    own: Arc<Writer>,
    by_sink: Mutex<BTreeMap<String, Arc<Writer>>>,
}

impl Claims {
    /// Makes the claims of a process that has not claimed anything yet.
    pub(crate) fn new(own: Writer) -> Self {
        Self { own: Arc::new(own), by_sink: Mutex::default() }
    }

    /// Returns this process as `sink` knows it. The fence is 0 if the source was not claimed there.
    pub(crate) fn writer(&self, sink: &str) -> Arc<Writer> {
        let by_sink = self.by_sink.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_sink.get(sink).unwrap_or(&self.own))
    }

    /// Remembers that this process has claimed the source in `sink` as `writer`.
    pub(crate) fn claimed(&self, sink: &str, writer: Writer) {
        let mut by_sink = self.by_sink.lock().unwrap_or_else(PoisonError::into_inner);
        by_sink.insert(sink.to_owned(), Arc::new(writer));
    }
}

/// Returns `own` as it claims a source that `last` was the last to claim. Returns `None` if the epoch of `last` is
/// neither that of `own` nor one of `predecessors`: then another state directory uses the name of the source.
pub(crate) fn next_writer(own: &Writer, last: Option<&Writer>, predecessors: &[Epoch]) -> Option<Writer> {
    let is_ours = |last: &Writer| last.epoch == own.epoch || predecessors.contains(&last.epoch);
    if !last.is_none_or(is_ours) {
        return None;
    }
    let fence = own.fence.max(last.map_or(0, |last| last.fence)) + 1;
    Some(Writer { fence, ..own.clone() })
}
