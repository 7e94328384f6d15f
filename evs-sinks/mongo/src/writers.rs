//! `evs_writers`: which process writes each source.

use evs_core::{SinkError, Writer, batch::escape};
use mongodb::bson::{DateTime, Document, doc};

use crate::{
    errors::{Failure, integer},
    progress::{is_upserted, update},
    server::Server,
};

pub(crate) const COLLECTION: &str = "evs_writers";

/// Who has claimed the source last.
pub(crate) async fn of_source(server: &Server, source: &str) -> Result<Option<Writer>, Failure> {
    let collection = server.database().await?.collection::<Document>(COLLECTION);
    let found = collection.find_one(doc! { "_id": &*escape(source.as_bytes()) }).await?;
    found.map(|document| read(source, &document)).transpose()
}

/// Whether `writer` has the source now. The guard of the update names the last writer; the `_id` keeps apart two who
/// claim a source that nobody had.
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
    let Writer { source, fence, epoch, host, process, since, .. } = writer;
    let fence = i64::try_from(*fence).map_err(|_| {
        SinkError::refused(format!("source {source}: fence {fence} does not fit into 64 bits"))
    })?;
    Ok(doc! {
        "fence": fence,
        "token": writer.token_text(),
        "epoch": epoch.to_string(),
        "host": host,
        "process": i64::from(*process),
        "since": DateTime::from_millis(since.saturating_mul(1000)),
    })
}

fn read(source: &str, document: &Document) -> Result<Writer, Failure> {
    parse(source, document).ok_or_else(|| {
        let what = format!(
            "the document of source {source} in {COLLECTION} cannot be read: {document}; when no evs runs with this \
             source, it may be deleted"
        );
        SinkError::refused(what).into()
    })
}

fn parse(source: &str, document: &Document) -> Option<Writer> {
    Some(Writer {
        source: source.to_owned(),
        fence: integer(document, "fence")?.try_into().ok()?,
        token: u128::from_str_radix(document.get_str("token").ok()?, 16).ok()?,
        epoch: document.get_str("epoch").ok()?.parse().ok()?,
        host: document.get_str("host").ok()?.to_owned(),
        process: integer(document, "process")?.try_into().ok()?,
        since: document.get_datetime("since").ok()?.timestamp_millis().div_euclid(1000),
    })
}
