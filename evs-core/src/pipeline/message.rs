//! The messages between the threads of a run: from the reader to the workers, and from everybody to the committer.
//!
//! ```text
//! reader --Work--> worker 0 --Part--> committer <--Report-- deliveries
//!        --Work--> worker 1 --Part-->     ^
//!        ------------Cut------------------+
//! ```
//!
//! Only the committer writes to the binlog, so there is one order of everything that is durable.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{
    aggregate::{Part, Skip},
    deliver::Report,
    position::{Frontier, InventoryChange, OlderFiles},
    tail::{Chunk, LogHandle},
};

/// The work of a worker: chunks, and between them cuts, which are at the same place of the log for every worker.
#[derive(Debug)]
pub(super) enum Work {
    /// A chunk of whole lines, and the statistics that skip it because they have counted it before.
    Chunk(Chunk, Option<Arc<Skip>>),
    /// A cut of these statistics. The worker hands its rows to the committer.
    Cut { number: u64, statistics: Arc<[usize]> },
}

/// A cut as it begins: its positions, and the files that must be durable before it is committed.
#[derive(Debug)]
pub(super) struct Cut {
    /// The number of the cut in this run.
    pub(super) number: u64,
    /// The indices of the statistics that are cut.
    pub(super) statistics: Arc<[usize]>,
    /// The position of each of these statistics after the cut.
    pub(super) to: Vec<Arc<Frontier>>,
    /// The older files of statistics that are new, by their indices.
    pub(super) older: Vec<(usize, OlderFiles)>,
    /// The position of the totals after the cut.
    pub(super) frontier: Arc<Frontier>,
    /// The open files of the log, which are synced before the cut is committed.
    pub(super) handles: Vec<Arc<LogHandle>>,
    /// The files that were read, with their paths.
    pub(super) names: Arc<Frontier>,
    /// True if finished files leave all positions with this cut.
    pub(super) retires: bool,
    /// The bytes that vanished unread since the last cut.
    pub(super) lost_bytes: u64,
    /// The change in the inventory of known files.
    pub(super) files: InventoryChange,
}

/// A message to the committer.
#[derive(Debug)]
pub(super) enum Message {
    /// A cut begins.
    Cut(Cut),
    /// A worker has reached a cut and hands over its rows.
    Part { cut: u64, part: Part },
    /// A delivery has something to record.
    Report(Report),
    /// Answer when all cuts that were begun are committed.
    Flush(oneshot::Sender<()>),
    /// End the thread.
    Finish,
}

impl From<Report> for Message {
    fn from(report: Report) -> Self {
        Self::Report(report)
    }
}
