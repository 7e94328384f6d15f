//! The loop of a worker thread, which counts the chunks of the log that the reader gives it.
//!
//! A worker that fails makes the whole run fail. To go on without it would leave out the lines of its chunks, and
//! nobody could tell which lines these were.

use std::sync::atomic::Ordering::Relaxed;

use super::{
    message::{Message, Work},
    queue,
    shared::Shared,
};
use crate::{Error, aggregate::Worker, status::Stepping, tail::ChunkKind, turns::Outbox};

/// Counts chunk after chunk and hands over the rows at each cut, until the queue is closed or the pipeline fails.
/// `index` is the number of the worker.
pub(super) async fn work(
    index: usize,
    mut worker: Worker,
    queue: queue::Receiver<Work>,
    committer: Outbox<Message>,
    shared: Shared,
) -> Result<(), Error> {
    let Shared { settings, control, board } = &shared;
    let mut buffer = Vec::new();
    // A pattern tells the log with each chunk.
    let path = settings.tail.path.display().to_string();
    loop {
        board.steps.wait(Stepping::Worker(index));
        let Some(work) = queue.receive().await else { break };
        board.steps.step(Stepping::Worker(index));
        if control.has_failed() {
            break;
        }
        let (chunk, skip) = match work {
            Work::Chunk(chunk, skip) => (chunk, skip),
            Work::Cut { number, statistics } => {
                let part = worker.cut(&statistics);
                board.show_rows(index, worker.rows());
                committer.send(Message::Part { cut: number, part });
                continue;
            }
        };
        let block =
            chunk.read(&mut buffer).map_err(|source| Error::Log { name: settings.source.clone(), source })?;
        let (skip, before) = (skip.as_deref(), worker.counters());
        worker.set_now(board.clock.now());
        match &chunk.log {
            Some(log) => worker.set_log(log),
            None => worker.set_log(&path),
        }
        let lines = match chunk.kind {
            ChunkKind::Lines | ChunkKind::Final => {
                worker.set_preamble(chunk.preamble());
                worker.lines(block, chunk.number, chunk.start, skip)
            }
            ChunkKind::Oversized => {
                worker.oversized(block, chunk.number, chunk.start, chunk.end - chunk.start, skip);
                1
            }
        };
        board.lines_read.fetch_add(lines, Relaxed);
        board.counters.add(worker.counters() - before);
        if let Some(seconds) = worker.last_seconds() {
            board.last_seconds.store(seconds, Relaxed);
        }
        board.show_rows(index, worker.rows());
        worker.full(board.workers()).for_each(|statistic| control.reach_rows(statistic));
    }
    board.steps.end(Stepping::Worker(index));
    Ok(())
}
