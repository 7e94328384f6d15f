//! Inserts and guarded updates in bulk, and the handling of those that a server does not carry out.
//!
//! The reply to a command says how many statements matched, but not which. So after a command that did less than it
//! should, the sink reads the documents concerned, and decides by the mark in each:
//!
//! | document | mark | meaning | then |
//! | --- | --- | --- | --- |
//! | there | this batch or a later one | the row was added, by this attempt or an earlier one | done |
//! | there | earlier, or none | another source was faster to make the document | update it, without upsert |
//! | there | earlier, and the total would be too large | the guard will always keep the row out | refuse the batch |
//! | not there | | the retention removed it between two requests | upsert it again |

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use evs_core::{Batch, SinkError};
use evs_store::{Failure, StoreError};
use futures_util::future::try_join_all;
use mongodb::bson::{Document, RawDocumentBuf, doc, raw::RawDocument};

use crate::{
    checkpoint::{Checkpoint, Checkpoints},
    errors::{self, DUPLICATE_KEY, failed, integer},
    fields::Fields,
    known::Known,
    names::MARKS,
    novelty::Novelty,
    rows::{self, Statement, Statements, Stream},
    server::Server,
};

/// The number of rounds after which an attempt gives up. Each round but the first means that another writer, or the
/// retention, has added or removed documents between two requests.
const ROUNDS_MAX: usize = 8;

/// Adds the rows of one batch to their documents.
pub(crate) struct Bulk<'b> {
    server: &'b Server,
    fields: &'b Fields,
    stream: &'b Stream,
    concern: RawDocumentBuf,
    checkpoints: &'b Checkpoints,
    novelty: &'b Novelty,
    /// The rows of windows that start after this are inserted first.
    new_after: i64,
    /// True if the rest of the batch is updated without inserting first.
    updates_only: AtomicBool,
    written: AtomicUsize,
}

/// A statement that was not carried out, although no error gives a reason.
///
/// It may have been carried out before: an earlier attempt can have added the row, and its answer was lost.
struct Suspect {
    statement: Statement,
    /// The index that has the document already, if it is not the one on `_id`.
    other_index: Option<String>,
}

/// The outcome of a command of statements.
struct Carried {
    /// The statements that failed because a document exists, by their position, each with the index if it is not the
    /// one on `_id`.
    duplicates: HashMap<usize, Option<String>>,
    /// The number of other statements that found no document and made none.
    missed: usize,
}

impl<'b> Bulk<'b> {
    pub(crate) fn new(
        server: &'b Server,
        known: &'b Known,
        stream: &'b Stream,
        checkpoints: &'b Checkpoints,
    ) -> Result<Self, Failure> {
        let concern =
            RawDocumentBuf::try_from(&server.write_concern()).map_err(|error| failed(error.into()))?;
        let Known { fields, novelty } = known;
        Ok(Self {
            server,
            fields,
            stream,
            concern,
            checkpoints,
            novelty,
            new_after: novelty.new_after(),
            updates_only: AtomicBool::new(false),
            written: AtomicUsize::new(0),
        })
    }

    /// Adds the rows that were not added before. After an error, some of them may have been added.
    pub(crate) async fn apply(&self, batch: &Batch) -> Result<(), Failure> {
        let limits = self.server.limits().await?;
        let statements = Mutex::new(Statements::new(self.fields, self.stream, limits, &batch.rows));
        // The first error drops the other workers, whose requests may still be carried out: the next attempt finds
        // out.
        try_join_all((0..self.server.pool()).map(|_| self.work(&statements))).await?;
        if let Some(window) = statements.into_inner().unwrap_or_else(PoisonError::into_inner).newest_window()
        {
            self.novelty.reached(window);
        }
        Ok(())
    }

    /// Several of these run at the same time, each with its own connection. A statement is in one command only, and
    /// statements of different documents do not depend on each other, so the order of commands does not matter.
    async fn work(&self, statements: &Mutex<Statements<'_>>) -> Result<(), Failure> {
        loop {
            let command = statements.lock().unwrap_or_else(PoisonError::into_inner).next_command()?;
            if command.is_empty() {
                return Ok(());
            }
            let rows = command.len();
            let left = self.insert_new(command).await?;
            if !left.is_empty() {
                self.settle(left).await?;
            }
            let written = self.written.fetch_add(rows, Relaxed) + rows;
            self.checkpoints.reached(Checkpoint::Rows(written))?;
        }
    }

    /// Inserts the documents that probably do not exist yet, and returns the statements of all others.
    ///
    /// An existing document does not tell whether the row is in it: an earlier attempt may have added it. The guarded
    /// update finds out.
    async fn insert_new(&self, statements: Vec<Statement>) -> Result<Vec<Statement>, Failure> {
        if self.updates_only.load(Relaxed) {
            return Ok(statements);
        }
        let is_new = |statement: &Statement| statement.window_start() > self.new_after;
        let (new, mut others): (Vec<_>, Vec<_>) = statements.into_iter().partition(is_new);
        if new.is_empty() {
            return Ok(others);
        }
        let collection = &self.fields.schema.statistic;
        let command = rows::insert_command(collection, &new, self.stream, &self.concern);
        let Carried { duplicates, missed } = self.send(command, &new).await?;
        if missed > 0 {
            let message = format!("{missed} documents were neither there nor inserted");
            return Err(StoreError::transient(message).into());
        }
        if duplicates.len() > new.len() / 2 {
            self.updates_only.store(true, Relaxed);
            self.novelty.disappointed();
        }
        others.extend(
            new.into_iter()
                .enumerate()
                .filter_map(|(index, statement)| duplicates.contains_key(&index).then_some(statement)),
        );
        Ok(others)
    }

    /// Repeats statements until each document has its row, added by this attempt or by an earlier one.
    async fn settle(&self, mut statements: Vec<Statement>) -> Result<(), Failure> {
        for _ in 0..ROUNDS_MAX {
            let suspects = self.update(statements).await?;
            if suspects.is_empty() {
                return Ok(());
            }
            statements = self.look(suspects).await?;
            if statements.is_empty() {
                return Ok(());
            }
        }
        let message = format!(
            "the document {:?} came or went between each two of {ROUNDS_MAX} requests",
            statements[0].id()
        );
        Err(StoreError::transient(message).into())
    }

    /// Sends statements as one command of updates. Returns those that were not carried out, perhaps because they were
    /// carried out before.
    async fn update(&self, statements: Vec<Statement>) -> Result<Vec<Suspect>, Failure> {
        let collection = &self.fields.schema.statistic;
        let command = rows::update_command(collection, &statements, &self.concern);
        let Carried { mut duplicates, missed } = self.send(command, &statements).await?;
        let mut suspects = Vec::new();
        for (index, statement) in statements.into_iter().enumerate() {
            if let Some(other_index) = duplicates.remove(&index) {
                suspects.push(Suspect { statement, other_index });
            } else if missed > 0 && !statement.is_upsert() {
                // The reply does not say which statements matched no document.
                suspects.push(Suspect { statement, other_index: None });
            }
        }
        if missed > 0 && suspects.is_empty() {
            let message = format!("{missed} upserts neither found their documents nor made them");
            return Err(StoreError::transient(message).into());
        }
        Ok(suspects)
    }

    /// Sends the command of the given statements. It returns after the majority has confirmed the command.
    async fn send(&self, command: RawDocumentBuf, statements: &[Statement]) -> Result<Carried, Failure> {
        let reply = self.server.write(command).await?;
        let duplicates = duplicates(&reply, statements)?;
        if let Some(error) = errors::of_write_concern(&reply) {
            return Err(error.into());
        }
        let done = integer(&reply, "n").and_then(|done| usize::try_from(done).ok());
        let Some(missed) = done.and_then(|n| (statements.len() - duplicates.len()).checked_sub(n)) else {
            let message =
                format!("the reply to {} statements makes no sense: {:?}", statements.len(), reply.get("n"));
            return Err(StoreError::transient(message).into());
        };
        Ok(Carried { duplicates, missed })
    }

    /// Reads the documents of suspects, and returns the statements that must be sent again.
    ///
    /// A duplicate key alone proves nothing. If two sources add a row to a document that neither has found, both try
    /// to insert it. The second one gets the same error as a source that adds its row a second time. So the mark
    /// decides. If it says that the row is missing, the guarded update is sent again, without upsert: the document
    /// exists now, so there is no race any more.
    async fn look(&self, suspects: Vec<Suspect>) -> Result<Vec<Statement>, Failure> {
        let documents = self.find(&suspects).await?;
        let mut again = Vec::new();
        for Suspect { statement, other_index } in suspects {
            match documents.get(statement.id()) {
                Some(document) if self.mark(document) >= Some(self.stream.sequence) => {}
                Some(document) => {
                    self.refuse_overflow(&statement, document)?;
                    if let Some(index) = other_index.filter(|_| !statement.is_upsert()) {
                        return Err(self.refuse_index(&statement, &index).into());
                    }
                    again.push(statement.with_upsert(false));
                }
                None => {
                    if let Some(index) = other_index {
                        return Err(self.refuse_index(&statement, &index).into());
                    }
                    // The retention has removed the document in the meantime.
                    again.push(statement.with_upsert(true));
                }
            }
        }
        Ok(again)
    }

    async fn find(&self, suspects: &[Suspect]) -> Result<HashMap<String, RawDocumentBuf>, Failure> {
        let ids = suspects.iter().map(|suspect| suspect.statement.id()).collect::<Vec<_>>();
        let mut fields = doc! { self.stream.path.as_str(): 1 };
        for measure in &self.fields.measures {
            fields.insert(measure.name.as_str(), 1);
        }
        let database = self.server.database().await?;
        let collection = database.collection::<RawDocumentBuf>(&self.fields.schema.statistic);
        let batch = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let mut cursor = collection
            .find(doc! { "_id": { "$in": ids } })
            .projection(fields)
            .batch_size(batch)
            .await
            .map_err(failed)?;
        let mut found = HashMap::with_capacity(suspects.len());
        while cursor.advance().await.map_err(failed)? {
            let document = cursor.current();
            if let Ok(id) = document.get_str("_id") {
                found.insert(id.to_owned(), document.to_owned());
            }
        }
        Ok(found)
    }

    /// The last batch of this stream that was added to a document.
    fn mark(&self, document: &RawDocument) -> Option<i64> {
        document.get_document(MARKS).ok()?.get_i64(self.stream.mark.as_str()).ok()
    }

    /// Refuses the batch if the total would have more than 34 digits: the guard has kept the row out, and always
    /// will.
    fn refuse_overflow(&self, statement: &Statement, document: &RawDocument) -> Result<(), SinkError> {
        for measure in &self.fields.measures {
            let name = measure.name.as_str();
            let held = document.get(name).ok().flatten().and_then(|held| measure.decode(held));
            let added = statement.added(name).and_then(|added| measure.decode(added));
            let (Some(held), Some(added)) = (held, added) else { continue };
            if measure.overflows(held, added) {
                let (statistic, id) = (&self.fields.schema.statistic, statement.id());
                let (held, added) = (measure.show(held), measure.show(added));
                return Err(SinkError::refused(format!(
                    "statistic {statistic}: {name} of the document {id:?} would have more than 34 digits: \
                     {held} and {added}"
                )));
            }
        }
        Ok(())
    }

    fn refuse_index(&self, statement: &Statement, index: &str) -> SinkError {
        let (statistic, id) = (&self.fields.schema.statistic, statement.id());
        SinkError::refused(format!(
            "statistic {statistic}: the document {id:?} is refused by a unique index of the collection, which \
             was not made by evs: {index}"
        ))
    }
}

/// The [`Carried::duplicates`] of a reply. Any other error is returned; permanent errors come first.
fn duplicates(
    reply: &Document,
    statements: &[Statement],
) -> Result<HashMap<usize, Option<String>>, StoreError> {
    let mut duplicates = HashMap::new();
    let mut passing = None;
    let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    for error in errors.iter().filter_map(|error| error.as_document()) {
        let index = integer(error, "index").and_then(|index| usize::try_from(index).ok());
        let statement = index.and_then(|index| Some((index, statements.get(index)?)));
        let mut told = errors::of_write(error);
        let Some((index, statement)) = statement else {
            return Err(StoreError::transient(format!("an error of no statement: {}", told.message)));
        };
        if integer(error, "code") == Some(DUPLICATE_KEY.into()) {
            let pattern = error.get_document("keyPattern").ok();
            let other = pattern.is_some_and(|pattern| pattern.keys().ne(["_id"]));
            duplicates.insert(index, other.then_some(told.message));
            continue;
        }
        told.message = format!("document {:?}: {}", statement.id(), told.message);
        if !told.is_transient() {
            return Err(told);
        }
        passing.get_or_insert(told);
    }
    passing.map_or(Ok(duplicates), Err)
}
