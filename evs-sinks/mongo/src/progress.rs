//! The collection `evs_progress`: the last batch of each stream that was applied.
//!
//! ```text
//! { _id: "requests|5f0c…|web1", source: "web1", epoch: "5f0c…", statistic: "requests",
//!   sequence: 7, position: "{\"files\":[…]}", checksum: "00c2…", updated_at: … }
//! ```
//!
//! It is moved after all rows of a batch were confirmed by a majority. If the process dies before, the batch is
//! offered again, and the marks in the documents keep its rows from being added twice.

use evs_core::{Applied, Batch, Epoch, Progress, SinkError, escape, judge};
use evs_store::{Failure, PROGRESS as COLLECTION, ProgressRow, StoreError, Words};
use mongodb::bson::{DateTime, Document, doc};

use crate::{
    errors::{self, DUPLICATE_KEY, failed, integer},
    server::Server,
};

/// The `_id` of a stream. Only the source's name, which is last, can have a `|` in it.
fn id(source: &str, epoch: Epoch, statistic: &str) -> String {
    format!("{statistic}|{epoch}|{}", escape(source.as_bytes()))
}

/// Reads the progress of all streams of a source.
pub(crate) async fn of_source(server: &Server, source: &str) -> Result<Vec<Progress>, Failure> {
    let documents = find(server, doc! { "source": &*escape(source.as_bytes()) }).await?;
    documents.iter().map(|document| read(source, document)).collect()
}

/// Reads the progress of a stream.
pub(crate) async fn of_stream(
    server: &Server,
    source: &str,
    epoch: Epoch,
    statistic: &str,
) -> Result<Option<Progress>, Failure> {
    let documents = find(server, doc! { "_id": id(source, epoch, statistic) }).await?;
    documents.first().map(|document| read(source, document)).transpose()
}

async fn find(server: &Server, filter: Document) -> Result<Vec<Document>, Failure> {
    let collection = server.database().await?.collection::<Document>(COLLECTION);
    let mut cursor = collection.find(filter).await.map_err(failed)?;
    let mut found = Vec::new();
    while cursor.advance().await.map_err(failed)? {
        found.push(cursor.deserialize_current().map_err(failed)?);
    }
    Ok(found)
}

/// Moves a stream from `last`, which was read before, to `batch`, whose rows were added.
///
/// The guard requires `last` itself. So a request that arrives late, after later batches were applied or the database
/// was restored, moves nothing.
pub(crate) async fn advance(
    server: &Server,
    last: Option<&Progress>,
    batch: &Batch,
) -> Result<Applied, Failure> {
    let next = Progress::after(batch);
    let moved = match last {
        None => insert(server, &next).await?,
        Some(last) => {
            let id = id(&next.source, next.epoch, &next.statistic);
            let query = doc! { "_id": id, "sequence": sequence(last)?, "checksum": checksum(last) };
            let reply = update(server, COLLECTION, query, doc! { "$set": fields(&next)? }, false).await?;
            integer(&reply, "n") == Some(1)
        }
    };
    if moved {
        return Ok(Applied::Now);
    }
    // An abandoned attempt for this batch has come first, or another process was here.
    let last = of_stream(server, &next.source, next.epoch, &next.statistic).await?;
    let applied = judge(last.as_ref(), batch)?.ok_or_else(|| {
        let Progress { source, statistic, .. } = &next;
        StoreError::transient(format!("the progress of {statistic} of source {source} changed meanwhile"))
    })?;
    confirm(server, batch).await?;
    Ok(applied)
}

/// Sets the progress of a stream. Returns false if the server knows that stream, whose progress then stays as it is.
pub(crate) async fn insert(server: &Server, progress: &Progress) -> Result<bool, Failure> {
    let Progress { source, epoch, statistic, .. } = progress;
    let query = doc! { "_id": id(source, *epoch, statistic) };
    let reply = update(server, COLLECTION, query, doc! { "$setOnInsert": fields(progress)? }, true).await?;
    Ok(is_upserted(&reply))
}

/// Waits until the stream's progress, as it was read, cannot be lost by a failover: it may be from an attempt that
/// the majority has not confirmed. An update that changes nothing is confirmed once everything before it is.
pub(crate) async fn confirm(server: &Server, batch: &Batch) -> Result<(), Failure> {
    let query = doc! { "_id": id(&batch.source, batch.epoch, batch.statistic()), "sequence": -1 };
    update(server, COLLECTION, query, doc! { "$set": { "sequence": -1 } }, false).await.map(drop)
}

/// Runs one update and returns the reply. It is no error if the document exists but does not match the query.
pub(crate) async fn update(
    server: &Server,
    collection: &str,
    query: Document,
    update: Document,
    upsert: bool,
) -> Result<Document, Failure> {
    let reply = server
        .run(doc! {
            "update": collection,
            "updates": [{ "q": query, "u": update, "upsert": upsert }],
            "writeConcern": server.write_concern(),
        })
        .await?;
    let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    for error in errors.iter().filter_map(|error| error.as_document()) {
        if integer(error, "code") != Some(DUPLICATE_KEY.into()) {
            return Err(errors::of_write(error).into());
        }
    }
    match errors::of_write_concern(&reply) {
        Some(error) => Err(error.into()),
        None => Ok(reply),
    }
}

/// True if an update has made a document.
pub(crate) fn is_upserted(reply: &Document) -> bool {
    reply.get_array("upserted").is_ok_and(|made| !made.is_empty())
}

fn checksum(progress: &Progress) -> String {
    format!("{:016x}", progress.checksum)
}

fn sequence(progress: &Progress) -> Result<i64, SinkError> {
    evs_store::sequence(progress.sequence, &progress.statistic)
}

fn fields(progress: &Progress) -> Result<Document, SinkError> {
    Ok(doc! {
        "source": &*escape(progress.source.as_bytes()),
        "epoch": progress.epoch.to_string(),
        "statistic": &progress.statistic,
        "sequence": sequence(progress)?,
        "position": progress.to.to_json(),
        "checksum": checksum(progress),
        // The time is for people only.
        "updated_at": DateTime::now(),
    })
}

fn read(source: &str, document: &Document) -> Result<Progress, Failure> {
    Ok(ProgressRow::read(columns_of(document), source, (Words::COLLECTIONS, document))?)
}

fn columns_of(document: &Document) -> Option<ProgressRow<'_>> {
    Some(ProgressRow {
        epoch: document.get_str("epoch").ok()?,
        statistic: document.get_str("statistic").ok()?.to_owned(),
        sequence: integer(document, "sequence")?,
        position: document.get_str("position").ok()?,
        checksum: document.get_str("checksum").ok()?,
    })
}
