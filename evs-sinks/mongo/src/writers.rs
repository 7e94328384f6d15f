//! The collection `evs_writers`: the process that has claimed each source last.

use evs_core::{SinkError, Writer, escape};
use evs_store::{Failure, WRITERS as COLLECTION, Words, WriterRow, fence};
use mongodb::bson::{DateTime, Document, doc};

use crate::{
    errors::{failed, integer},
    progress::{is_upserted, update},
    server::Server,
};

/// Reads the process that has claimed the source last.
pub(crate) async fn of_source(server: &Server, source: &str) -> Result<Option<Writer>, Failure> {
    let collection = server.database().await?.collection::<Document>(COLLECTION);
    let found = collection.find_one(doc! { "_id": &*escape(source.as_bytes()) }).await.map_err(failed)?;
    found.map(|document| read(source, &document)).transpose()
}

/// Claims the source, and returns true if `writer` has it now. The guard of the update names the last writer. The
/// `_id` decides between two processes that claim a source that nobody had.
pub(crate) async fn claim(server: &Server, writer: &Writer, last: Option<&Writer>) -> Result<bool, Failure> {
    let id = escape(writer.source.as_bytes());
    let fields = fields(writer)?;
    let is_claimed = match last {
        None => {
            let query = doc! { "_id": &*id };
            is_upserted(&update(server, COLLECTION, query, doc! { "$setOnInsert": fields }, true).await?)
        }
        Some(last) => {
            let query = doc! { "_id": &*id, "token": last.token_text() };
            let reply = update(server, COLLECTION, query, doc! { "$set": fields }, false).await?;
            integer(&reply, "n") == Some(1)
        }
    };
    if is_claimed {
        return Ok(true);
    }
    let found = of_source(server, &writer.source).await?;
    Ok(found.is_some_and(|found| found.token == writer.token))
}

fn fields(writer: &Writer) -> Result<Document, SinkError> {
    let Writer { epoch, host, process, since, .. } = writer;
    Ok(doc! {
        "fence": fence(writer)?,
        "token": writer.token_text(),
        "epoch": epoch.to_string(),
        "host": host,
        "process": i64::from(*process),
        "since": DateTime::from_millis(since.saturating_mul(1000)),
    })
}

fn read(source: &str, document: &Document) -> Result<Writer, Failure> {
    Ok(WriterRow::read(columns_of(document), source, (Words::COLLECTIONS, document, ""))?)
}

fn columns_of(document: &Document) -> Option<WriterRow<'_>> {
    Some(WriterRow {
        fence: integer(document, "fence")?,
        token: document.get_str("token").ok()?,
        epoch: document.get_str("epoch").ok()?,
        host: document.get_str("host").ok()?,
        process: integer(document, "process")?,
        since: document.get_datetime("since").ok()?.timestamp_millis().div_euclid(1000),
    })
}
