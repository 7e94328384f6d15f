//! Looks at a state directory without a pipeline: for tools, with the feature `inspect`.
//!
//! Everything here only reads. It takes no lock, creates nothing and changes no byte, so it is safe beside a running
//! pipeline, and on a directory that is damaged. A running pipeline goes on meanwhile: what is read is the state at some
//! moment during the reading, and the end of the last segment may be a commit that is being written ([`Tail`]).
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use evs_core::inspect::{Facts, Found, Part, StateDir};
//! # use evs_core::{LogFormat, MemorySink, Pipeline, Statistic, count};
//! # let scratch = tempfile::tempdir()?;
//! # let directory = scratch.path().join("state");
//! # std::fs::write(scratch.path().join("access.log"), "::1 [2026-11-21T13:25:22Z] 200\n")?;
//! # let pipeline = Pipeline::builder("web1")
//! #     .tail(scratch.path().join("access.log"))
//! #     .format(LogFormat::nginx("$remote_addr [$time_iso8601] $status")?)
//! #     .statistic(Statistic::named("requests").measure(count()))
//! #     .sink("memory", MemorySink::new())
//! #     .state_dir(&directory)
//! #     .build()?;
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(pipeline.run_to_end(std::future::pending()))?;
//!
//! let state_dir = StateDir::open(&directory)?;
//! let mut batches = 0;
//! let contents = state_dir.read(Part::All, &mut |found| {
//!     if let Found::Frame(frame) = found
//!         && let Facts::Batch { .. } = frame.facts
//!     {
//!         batches += 1;
//!     }
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!((batches, contents.problems), (1, 0));
//! let state = contents.state.ok_or("there is no binlog")?;
//! assert_eq!((&*state.source, state.ledger.totals.lines), ("web1", 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod directory;
mod log;
mod rejected;

pub use directory::{DiscardedFile, StateDir};
pub use log::{FileMatch, LogFile};
pub use rejected::{Rejected, RejectedLines};

pub use crate::{
    binlog::{
        BinlogState as State, ClonedBatches, Counters, Discarded, FormerName, Ledger, RejectedLine,
        RejectsMark, SinkProgress, StatisticState, Waiting,
        inspect::{Contents, Facts, Found, Frame, Part, Problem, Segment, Tail},
    },
    position::{Fingerprint, Inventory, KnownFile, OlderFiles, OlderPosition, Standing},
};
