//! The claims of this process: as which writer it has claimed its source in each sink.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{batch::Epoch, writer::Writer};

/// The claims of this process, one per sink. They outlive the runs of a pipeline: a process whose source was taken
/// over stays without it until the process ends, or until another pipeline has used its state directory.
#[derive(Debug)]
pub(crate) struct Claims(Mutex<Held>);

/// The claims since the process has started, or has started over.
#[derive(Debug)]
struct Held {
    own: Arc<Writer>,
    by_sink: BTreeMap<String, Arc<Writer>>,
}

impl Claims {
    /// Makes the claims of a process that has not claimed anything yet.
    pub(crate) fn new(own: Writer) -> Self {
        Self(Mutex::new(Held { own: Arc::new(own), by_sink: BTreeMap::new() }))
    }

    /// Forgets all claims: this process is `own` now, which has not claimed anything yet.
    pub(crate) fn start_over(&self, own: Writer) {
        *self.held() = Held { own: Arc::new(own), by_sink: BTreeMap::new() };
    }

    /// Returns the epoch of the state directory for which this process claims its source.
    pub(crate) fn epoch(&self) -> Epoch {
        self.held().own.epoch
    }

    /// Returns this process as `sink` knows it. The fence is 0 if the source was not claimed there.
    pub(crate) fn writer(&self, sink: &str) -> Arc<Writer> {
        let held = self.held();
        Arc::clone(held.by_sink.get(sink).unwrap_or(&held.own))
    }

    /// Remembers that this process has claimed the source in `sink` as `writer`.
    pub(crate) fn claimed(&self, sink: &str, writer: Writer) {
        self.held().by_sink.insert(sink.to_owned(), Arc::new(writer));
    }

    /// Locks the claims. Each change is a single step, so a poisoned lock is used.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
