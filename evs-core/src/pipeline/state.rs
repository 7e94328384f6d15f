//! The agreement between the state directory, the configuration and the sinks, which is reached before anything is
//! read.

use std::{future::Future, sync::Arc, time::Duration};

use super::{
    host::Pipeline,
    settings::{LostState, SinkStart},
    threads::catch,
};
use crate::{
    Error,
    batch::Epoch,
    binlog::{Binlog, BinlogState, Commit, Cut},
    deliver::{foreign, next_writer},
    describe,
    position::{Frontier, OlderFiles},
    sink::{Progress, SinkError},
    statistic::{Schema, Statistic},
    tail::Begin,
    writer::Writer,
};

/// The time to wait for a sink that may know whether a new state directory replaces one that was lost.
const FIRST_QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause before a sink whose position is to be adopted is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Pipeline {
    /// Asks the sinks whether a new state directory replaces one that was lost. A sink that does not answer is asked
    /// again by its delivery.
    pub(super) async fn check_state(&self, binlog: &mut Binlog) -> Result<(), Error> {
        // The first commit of a source defines its statistics, so a source that has statistics is not new.
        if !binlog.state().statistics.is_empty() {
            return Ok(());
        }
        let BinlogState { epoch, predecessors, .. } = binlog.state();
        if self.settings.lost_state == LostState::Refuse {
            return self.refuse_foreign(*epoch, predecessors).await;
        }
        loop {
            let found = self.remembered().await?;
            let cuts = match self.settings.lost_state {
                LostState::Adopt => self.adopted(&found)?,
                _ => Vec::new(),
            };
            let mut epochs = Vec::new();
            for Remembered { progress, writer, .. } in &found {
                epochs.extend(progress.iter().map(|progress| progress.epoch));
                epochs.extend(writer.iter().map(|writer| writer.epoch));
            }
            epochs.retain(|epoch| *epoch != binlog.state().epoch);
            epochs.sort_unstable();
            epochs.dedup();
            if epochs.is_empty() {
                return Ok(());
            }
            // The sinks are asked again: a process that is still alive may have added batches since, and these would
            // be counted twice.
            if self.take_over(&found, &epochs).await? && is_as_found(&found, &self.remembered().await?) {
                return restate(binlog, cuts, epochs);
            }
        }
    }

    /// Returns an error if a sink knows the source under another epoch.
    async fn refuse_foreign(&self, epoch: Epoch, predecessors: &[Epoch]) -> Result<(), Error> {
        for (name, sink) in &self.settings.sinks {
            let Ok(progress) = ask(name, sink.progress(&self.settings.source)).await? else { continue };
            let writer = ask(name, sink.writer(&self.settings.source)).await?.unwrap_or_default();
            let is_foreign = |epoch_of: Epoch| epoch_of != epoch && !predecessors.contains(&epoch_of);
            // A process that has claimed the source and not counted anything yet may still be alive.
            let claimed = writer.as_ref().map(|writer| writer.epoch).filter(|epoch| is_foreign(*epoch));
            let counted = foreign(&progress, epoch, predecessors);
            let Some(found) = counted.map(|progress| progress.epoch).or(claimed) else { continue };
            return Err(Error::ForeignState {
                name: self.settings.source.clone(),
                sink: name.to_string(),
                found,
                epoch,
                position: counted.map(|progress| Box::new(progress.to.clone())),
                writer: writer.map(Box::new),
            });
        }
        Ok(())
    }

    /// Returns the memory of all sinks about the source. It waits for all of them.
    async fn remembered(&self) -> Result<Vec<Remembered<'_>>, Error> {
        let mut found = Vec::new();
        for (at, (name, sink)) in self.settings.sinks.iter().enumerate() {
            let source = &self.settings.source;
            let mut progress = self.answer(at, || sink.progress(source)).await?;
            progress.sort_by(|a, b| (a.epoch, &a.statistic).cmp(&(b.epoch, &b.statistic)));
            let writer = self.answer(at, || sink.writer(source)).await?;
            found.push(Remembered { sink: name, progress, writer });
        }
        Ok(found)
    }

    /// Claims the source in all sinks, from writers with the given epochs. Returns `false` if somebody else claimed
    /// it meanwhile.
    async fn take_over(&self, found: &[Remembered<'_>], epochs: &[Epoch]) -> Result<bool, Error> {
        for (at, (Remembered { writer, .. }, (name, sink))) in
            found.iter().zip(&self.settings.sinks).enumerate()
        {
            let own = self.claims.writer(name);
            if own.check(writer.as_ref()).is_ok() {
                continue;
            }
            let Some(next) = next_writer(&own, writer.as_ref(), epochs) else { return Ok(false) };
            if !self.answer(at, || sink.claim(&next, writer.as_ref())).await? {
                return Ok(false);
            }
            self.claims.claimed(name, next);
        }
        Ok(true)
    }

    /// Asks the sink with index `at` until it answers.
    async fn answer<T, F>(&self, at: usize, question: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, SinkError>>,
    {
        loop {
            let sink = &*self.settings.sinks[at].0;
            let error = match ask(sink, question()).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => describe(&error),
            };
            tracing::warn!(sink, error, "waiting for the sink, to learn where it stands");
            self.board.rest().sinks[at].last_error = Some(error);
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Returns the positions that the sinks remember. They must be the same in all sinks.
    fn adopted(&self, found: &[Remembered<'_>]) -> Result<Vec<Cut>, Error> {
        let mut adopted = Vec::new();
        for schema in self.schemas() {
            if let Some(within) = found.iter().find(|found| found.is_within_a_cut(&schema.statistic)) {
                let reason = format!(
                    "sink {} does not say up to where statistic {} is counted: it has a part of the last cut and lacks \
                     the rest, or it began after batches that were gone. Bring the state directory back, or restore the \
                     sinks to an earlier state and adopt that",
                    within.sink, schema.statistic
                );
                return Err(Error::Adopt { reason });
            }
            let newest = |progress: &[Progress]| {
                let of_statistic = progress.iter().filter(|p| p.statistic == schema.statistic);
                let furthest = of_statistic.max_by_key(|progress| position(&progress.to));
                furthest.map(|progress| progress.to.clone())
            };
            let positions: Vec<_> = found.iter().map(|found| (found.sink, newest(&found.progress))).collect();
            let statistic = &schema.statistic;
            if positions.iter().any(|(_, position)| *position != positions[0].1) {
                let show = |position: &Option<Frontier>| {
                    position.as_ref().map_or("nowhere".to_owned(), Frontier::to_string)
                };
                let all = positions.iter().map(|(sink, position)| format!("at {} in {sink}", show(position)));
                let all = all.collect::<Vec<_>>().join(", ");
                let reason =
                    format!("statistic {statistic} is {all}: restore the sinks to the same position");
                return Err(Error::Adopt { reason });
            }
            let Some(to) = positions.into_iter().find_map(|(_, position)| position) else {
                let reason = format!(
                    "no sink remembers statistic {statistic} of this source: take it out, adopt the others, and \
                     add it again"
                );
                return Err(Error::Adopt { reason });
            };
            if to.is_number() {
                let reason = format!(
                    "statistic {statistic} counts many logs, and their positions are in the state directory alone: bring it \
                     back, or count again from the start of the logs with `LostState::StartOver`, into other tables"
                );
                return Err(Error::Adopt { reason });
            }
            if to.older.is_some() {
                let reason = format!(
                    "statistic {statistic} was reading older files, and only the state directory knows which: bring it \
                     back, or take the statistic out, adopt the others, and add it under another name"
                );
                return Err(Error::Adopt { reason });
            }
            tracing::warn!(source = self.settings.source, position = %to, "the sinks' position is adopted");
            adopted.push(nothing_up_to(schema, &Arc::new(to)));
        }
        Ok(adopted)
    }

    /// Brings the names of sinks up to date, and begins the new parts of the configuration: statistics at the position
    /// of the source, and sinks as [`SinkStart`](super::SinkStart) says.
    pub(super) fn prepare_state(&self, binlog: &mut Binlog) -> Result<(), Error> {
        self.settle_names(binlog)?;
        let state = binlog.state();
        let ledger = &state.ledger.frontier;
        // One that begins earlier is defined when its older files are known.
        let begins_earlier = new_and_earlier(&self.settings.statistics, state);
        let schemas = self.schemas().enumerate();
        let new = schemas.filter(|(at, schema)| {
            !state.statistics.contains_key(&schema.statistic) && !begins_earlier.contains(at)
        });
        let new = new.map(|(_, schema)| schema);
        let cuts: Vec<_> = new.map(|schema| nothing_up_to(schema, ledger)).collect();
        // The first commit of a new source is made when its log has been found.
        if !cuts.is_empty() && (state.files.is_some() || !ledger.files.is_empty()) {
            restate(binlog, cuts, Vec::new())?;
        }
        let state = binlog.state();
        let mut registrations = Vec::new();
        let configured = self.schemas().map(|schema| schema.statistic.as_str());
        let mut statistics: Vec<_> = state.statistics.keys().map(String::as_str).chain(configured).collect();
        statistics.sort_unstable();
        statistics.dedup();
        for (name, _) in &self.settings.sinks {
            let marks = state.sinks.get(&**name);
            for &statistic in &statistics {
                if marks.is_some_and(|marks| marks.contains_key(statistic)) {
                    continue;
                }
                let last = state.statistics.get(statistic).map_or(0, |statistic| statistic.sequence);
                let begin = match self.settings.new_sinks {
                    SinkStart::Now => last,
                    SinkStart::Oldest => {
                        binlog.reader().first_sequence(statistic).map_or(last, |oldest| oldest - 1)
                    }
                };
                registrations.push((name.to_string(), statistic.to_owned(), begin));
            }
        }
        for (sink, statistic, begin) in registrations {
            binlog.register_sink(&sink, &statistic, begin)?;
        }
        Ok(())
    }
}

/// Returns the indices of the statistics that are new and begin at an earlier place than the source stands.
pub(super) fn new_and_earlier(statistics: &[Statistic], state: &BinlogState) -> Vec<usize> {
    let is_it = |statistic: &Statistic| {
        statistic.begin != Begin::End && !state.statistics.contains_key(&statistic.name)
    };
    statistics.iter().enumerate().filter(|(_, statistic)| is_it(statistic)).map(|(at, _)| at).collect()
}

/// The memory of one sink about the source.
struct Remembered<'s> {
    sink: &'s str,
    progress: Vec<Progress>,
    writer: Option<Writer>,
}

impl Remembered<'_> {
    /// Returns true if the sink has batches of that statistic, but no position up to which its lines are all there.
    ///
    /// An empty position says that of one epoch. Only the process that claimed the source last can have gone on from
    /// there, so its epoch must have a position of its own. It has none as long as it has delivered nothing.
    fn is_within_a_cut(&self, statistic: &str) -> bool {
        let of_statistic = || self.progress.iter().filter(|progress| progress.statistic == statistic);
        let is_last = |epoch| self.writer.as_ref().is_some_and(|writer| writer.epoch == epoch);
        of_statistic().any(|progress| progress.to.is_within_cut())
            && !of_statistic().any(|progress| is_last(progress.epoch) && !progress.to.is_within_cut())
    }
}

/// Returns whether no sink has progressed since it was asked.
fn is_as_found(found: &[Remembered<'_>], now: &[Remembered<'_>]) -> bool {
    found.iter().map(|found| &found.progress).eq(now.iter().map(|now| &now.progress))
}

/// Waits a short time for a sink's answer.
pub(super) async fn ask<T>(
    sink: &str,
    question: impl Future<Output = Result<T, SinkError>>,
) -> Result<Result<T, SinkError>, Error> {
    let asked = tokio::time::timeout(FIRST_QUESTION_TIMEOUT, question);
    let answered = catch(|| format!("delivery to {sink}"), asked).await?;
    Ok(answered
        .unwrap_or_else(|elapsed| Err(SinkError::unavailable("asking the sink before the start", elapsed))))
}

/// Makes a cut without rows, which only moves a statistic to a position.
fn nothing_up_to(schema: &Arc<Schema>, to: &Arc<Frontier>) -> Cut {
    let (schema, rows, older) = (Arc::clone(schema), Vec::new(), OlderFiles::default());
    Cut { schema, from: Arc::clone(to), to: Arc::clone(to), rows, older }
}

/// Commits a change of the state in which nothing was counted.
fn restate(binlog: &mut Binlog, cuts: Vec<Cut>, predecessors: Vec<Epoch>) -> Result<(), Error> {
    let mut ledger = binlog.state().ledger.clone();
    // Positions keep the numbers of their files when they are adopted, so the furthest one is the latest.
    let furthest = cuts.iter().map(|cut| &cut.to).chain([&ledger.frontier]).max_by_key(|to| position(to));
    if let Some(furthest) = furthest.cloned() {
        ledger.frontier = furthest;
    }
    // The file of rejected lines is not written yet, so the lines that belong into it stay as they are.
    let rejected = Arc::clone(&binlog.state().rejected);
    Ok(binlog.commit(&Commit { ledger, cuts, rejected, predecessors, files: None })?)
}

/// Returns the number and the offset of the last file in a frontier, by which two positions can be compared.
fn position(frontier: &Frontier) -> Option<(u64, u64)> {
    frontier.files.last().map(|mark| (mark.number, mark.offset))
}
