//! Guarded updates in bulk, and what becomes of those that a server does not carry out.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use evs_core::{Batch, SinkError};
use mongodb::bson::{Document, RawDocumentBuf, doc, raw::RawDocument};

use crate::{
    errors::{self, DUPLICATE_KEY, Failure, ServerError, integer},
    fields::Fields,
    names::MARKS,
    rows::{self, Statement, Statements, Stream},
    server::Server,
    sink::{Checkpoint, Checkpoints},
};

/// How often documents may be found to have come or gone between two requests, before the attempt is given
/// up. Each round but the first means that another writer or the retention was in between.
const ROUNDS_MAX: usize = 8;

/// Adds the rows of one batch to their documents.
pub(crate) struct Bulk<'b> {
    server: &'b Server,
    fields: &'b Fields,
    stream: &'b Stream,
    concern: RawDocumentBuf,
    checkpoints: &'b Checkpoints,
    written: AtomicUsize,
}

/// A statement that was not carried out, though no error says why it should not be.
struct Suspect {
    statement: Statement,
    /// The index that has the document already, if it is not that of `_id`.
    other_index: Option<String>,
}

impl<'b> Bulk<'b> {
    pub(crate) fn new(
        server: &'b Server,
        fields: &'b Fields,
        stream: &'b Stream,
        checkpoints: &'b Checkpoints,
    ) -> Result<Self, Failure> {
        let concern =
            RawDocumentBuf::try_from(&server.write_concern()).map_err(mongodb::error::Error::from)?;
        Ok(Self { server, fields, stream, concern, checkpoints, written: AtomicUsize::new(0) })
    }

    /// Adds those rows that were not added before. After an error, some may have been.
    pub(crate) async fn apply(&self, batch: &Batch) -> Result<(), Failure> {
        let limits = self.server.limits().await?;
        let statements = Mutex::new(Statements::new(self.fields, self.stream, limits, &batch.rows));
        let worker = || self.work(&statements);
        // `IN_FLIGHT` of them. The first error drops the others, whose requests may still be carried out:
        // the next attempt finds out.
        tokio::try_join!(worker(), worker(), worker(), worker()).map(drop)
    }

    async fn work(&self, statements: &Mutex<Statements<'_>>) -> Result<(), Failure> {
        loop {
            let command = statements.lock().unwrap_or_else(PoisonError::into_inner).next_command()?;
            if command.is_empty() {
                return Ok(());
            }
            let rows = command.len();
            self.settle(command).await?;
            let written = self.written.fetch_add(rows, Relaxed) + rows;
            self.checkpoints.reached(Checkpoint::Rows(written))?;
        }
    }

    /// Sees statements to their end: each document has its row added, by this attempt or one before.
    async fn settle(&self, mut statements: Vec<Statement>) -> Result<(), Failure> {
        for _ in 0..ROUNDS_MAX {
            let suspects = self.send(statements).await?;
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
        Err(ServerError::transient(message).into())
    }

    /// Sends statements as one command, and returns those that were not carried out and may be because they
    /// were before.
    async fn send(&self, statements: Vec<Statement>) -> Result<Vec<Suspect>, Failure> {
        let collection = &self.fields.schema.statistic;
        let reply = self.server.update(rows::command(collection, &statements, &self.concern)).await?;
        let duplicates = duplicates(&reply, &statements)?;
        if let Some(error) = errors::of_write_concern(&reply) {
            return Err(error.into());
        }
        let matched = integer(&reply, "n").and_then(|matched| usize::try_from(matched).ok());
        let Some(missed) = matched.and_then(|n| (statements.len() - duplicates.len()).checked_sub(n)) else {
            let message =
                format!("the reply to {} updates makes no sense: {:?}", statements.len(), reply.get("n"));
            return Err(ServerError::transient(message).into());
        };
        let mut suspects = Vec::new();
        for (index, statement) in statements.into_iter().enumerate() {
            if let Some(other_index) = duplicates.get(&index) {
                suspects.push(Suspect { statement, other_index: other_index.clone() });
            } else if missed > 0 && !statement.is_upsert() {
                // The reply does not say which of them matched no document.
                suspects.push(Suspect { statement, other_index: None });
            }
        }
        if missed > 0 && suspects.is_empty() {
            let message = format!("{missed} upserts neither found their documents nor made them");
            return Err(ServerError::transient(message).into());
        }
        Ok(suspects)
    }

    /// Looks at the documents of suspects, and returns what is to be sent again.
    ///
    /// A duplicate key alone proves nothing: two sources that add a row to a document that neither has found
    /// both try to make it, and the one that comes second gets the same error as one that adds its row a
    /// second time. The mark decides. Where it says that the row is missing, the guarded update is sent
    /// again, without upsert: the document is there, so no race is left to be lost.
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
                    // Retention removed it in between.
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
        let mut cursor =
            collection.find(doc! { "_id": { "$in": ids } }).projection(fields).batch_size(batch).await?;
        let mut found = HashMap::with_capacity(suspects.len());
        while cursor.advance().await? {
            let document = cursor.current();
            if let Ok(id) = document.get_str("_id") {
                found.insert(id.to_owned(), document.to_owned());
            }
        }
        Ok(found)
    }

    /// The last batch of this stream that was added to a document.
    fn mark(&self, document: &RawDocument) -> Option<i64> {
        document.get_document(MARKS).ok()?.get_i64(&self.stream.mark).ok()
    }

    /// If the total would have more than 34 digits, the guard kept the row out, and always will.
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

/// The statements that ran into a document that is there, by their place, with the index if it is not that
/// of `_id`. Any other error is returned, those first that do not pass.
fn duplicates(
    reply: &Document,
    statements: &[Statement],
) -> Result<HashMap<usize, Option<String>>, ServerError> {
    let mut duplicates = HashMap::new();
    let mut passing = None;
    let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    for error in errors.iter().filter_map(|error| error.as_document()) {
        let index = integer(error, "index").and_then(|index| usize::try_from(index).ok());
        let statement = index.and_then(|index| Some((index, statements.get(index)?)));
        let mut told = errors::of_write(error);
        let Some((index, statement)) = statement else {
            return Err(ServerError::transient(format!("an error of no update: {}", told.message)));
        };
        if integer(error, "code") == Some(DUPLICATE_KEY.into()) {
            let pattern = error.get_document("keyPattern").ok();
            let other = pattern.is_some_and(|pattern| pattern.keys().ne(["_id"]));
            duplicates.insert(index, other.then_some(told.message));
            continue;
        }
        told.message = format!("document {:?}: {}", statement.id(), told.message);
        if !told.is_transient {
            return Err(told);
        }
        passing.get_or_insert(told);
    }
    passing.map_or(Ok(duplicates), Err)
}
